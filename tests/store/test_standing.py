"""The status that is told of a migration is the same for one that is there and for the database, which counts by it."""

from collections import Counter
from itertools import product

import pytest
from sqlalchemy import update

from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.store import JobFilter, NewMigration, Store
from longshore.store.standing import standing_of
from longshore.store.tables import MigrationRow

pytestmark = pytest.mark.long

TYPES = ("cold", "warm", "dry-run", "in-place")
PHASES = ("copying", "waiting", "up")
REQUESTS = ({}, {"cutover": None}, {"cutover": {"mode": "manual"}}, {"cutover": {"mode": "automatic"}})
STATES = (None, {}, {"held": "The guest doesn't boot."})
ASKED = ({}, {"cutover_requested": True}, {"cancel_requested": True})


@pytest.fixture
def store(each_state):
    store = Store(each_state)
    yield store
    store.close()


def test_it_is_told_of_a_record_and_counted_alike(store):
    vc, cloud = (
        store.providers.add(name, kind, {}, {}).id for name, kind in (("vc", "vsphere"), ("cloud", "openstack"))
    )
    kept = [status for status in Status if status.kept]
    cases = list(product(TYPES, kept, PHASES, REQUESTS, STATES, ASKED))
    new = [
        NewMigration(f"m{n}", f"r-{n}", vc, cloud, {"type": kind, **request}, state=state)
        for n, (kind, _status, _phase, request, state, _asked) in enumerate(cases)
    ]
    made = store.migrations.add_together(new)
    with store.database.session() as session:
        for one, (_kind, status, phase, _request, _state, asked) in zip(made, cases, strict=True):
            own = update(MigrationRow).where(MigrationRow.id == one.id)
            session.execute(own.values(status=status.value, phase=phase, **asked))
    told = Counter(standing_of(one) for one in store.migrations.all())
    assert set(told) == set(Status)
    assert store.migrations.counts() == told
    for status in Status:
        found = store.migrations.page(len(cases), fitting=JobFilter(statuses=[status]))
        assert len(found) == told[status], status
        assert {standing_of(one) for one in found} == {status}
    assert told[Status.REHEARSED] == sum(
        one.type is MigrationType.DRY_RUN and one.status is Status.DONE for one in store.migrations.all()
    )
