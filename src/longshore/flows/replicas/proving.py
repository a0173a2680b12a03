"""Tests of a replica by a schedule of its own, so that its points stay proved, and how long they take is known."""

from dataclasses import replace
from datetime import UTC, datetime

from longshore.flows.moves.context import MoveContext
from longshore.flows.replicas.moments import next_test
from longshore.model.request import MigrationType
from longshore.store import ReplicaRecord
from longshore.store.tables import without_zone


def begin_test_if_due(job: MoveContext, replica: ReplicaRecord) -> None:
    """Begin a test of the newest usable point, if one is due, on networks of its own that lead nowhere.

    It goes on beside whatever comes next.
    """
    now = datetime.now(UTC)
    if replica.prove is None or replica.prove_due_at is None or without_zone(now) < replica.prove_due_at:
        return
    request = replace(job.request, type=MigrationType.TEST, of=replica.id, isolated=True)
    asked = request.to_json()
    following = next_test(replica.prove, replica.id, now)
    assert following is not None
    test = job.store.replicas.begin_test(replica.id, without_zone(now), following, asked)
    if test is not None:
        job.say(f"A test of its newest point begins, as every time: longshore migration show {test}.")
