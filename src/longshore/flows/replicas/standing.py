"""The standing of replicas, from one look at all of them: for figures and alerts."""

from datetime import datetime, timedelta

from longshore.planning.conditions import Condition, Standing, conditions
from longshore.store.protection import Protected


def conditions_of(one: Protected, now: datetime) -> list[Condition]:
    """Return the conditions of a replica, but for those that take more to know: how consistent the newest point is, and
    what the next sync will take."""
    return conditions(
        Standing(
            stage=one.stage,
            paused=one.rests,
            paused_until=one.paused_until,
            rpo=timedelta(seconds=one.rpo) if one.rpo else None,
            rpo_now=now - one.newest if one.newest else None,
            expected=None,
            failures=one.failures,
            error=one.error,
            error_code=one.error_code,
            consistency=None,
            proved=one.proved,
            suspect=one.suspect,
            cannot_land=one.cannot_land,
            look_error=one.look_error,
            failover_error=one.failover_error,
        )
    )
