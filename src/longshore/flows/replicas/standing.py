"""The standing of replicas, from one look at all of them: for figures and alerts."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from longshore.planning.conditions import Condition, ReplicaFacts, conditions
from longshore.store.protection import Protected
from longshore.store.rows import filled


def conditions_of(one: Protected, now: datetime) -> Iterator[Condition]:
    """Yield the conditions of a replica, but for those that take more to know: how consistent the newest point is, and
    what the next sync will take."""
    return conditions(
        filled(
            ReplicaFacts,
            one,
            paused=one.rests,
            rpo=timedelta(seconds=one.rpo) if one.rpo else None,
            rpo_now=now - one.newest if one.newest else None,
            expected=None,
            consistency=None,
            test_error=None,
        )
    )
