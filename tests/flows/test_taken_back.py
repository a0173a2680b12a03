"""Providers that another project has shared and taken back: what would use them waits, and opens nothing of them."""

import pytest
from sqlalchemy import update
from test_parking import AUTOMATIC, away, back, parked, wait_for

from longshore.model.status import Status
from longshore.store import Scope
from longshore.store.tables import JobRow, MigrationRow, ProviderRow

pytestmark = pytest.mark.faults
CODE = "isn't shared with this project any more"


def lend(store):
    """All providers are the operator's from now on, who shares them with the project whose migrations all are."""
    with store.database.session() as session:
        session.execute(update(ProviderRow).values(project_id="operator"))
        for rows in (MigrationRow, JobRow):
            session.execute(update(rows).values(project_id="project-b"))
    share(store)


def share(store):
    for provider in store.providers.all():
        store.scoped(Scope("operator")).providers.share(provider.id, "project-b")


def take_back(store, *names):
    for name in names:
        store.scoped(Scope("operator")).providers.unshare(store.providers.get(name).id, "project-b")


@pytest.fixture
def lent(begin):
    def lent(**request):
        run = begin(**request)
        lend(run.store)
        return run

    return lent


def test_what_is_shared_is_used(lent):
    run = lent()
    assert run.to_the_end(lives=1).status is Status.DONE, run.record.error
    run.assert_moved()


@pytest.mark.parametrize("name", ["small-source", "small-target"])
def test_one_whose_provider_was_taken_back_waits_until_it_is_shared_again(lent, name):
    run = lent()
    take_back(run.store, name)
    life = run.start_engine()
    assert f"The provider {name} {CODE}" in parked(run, life).job.reason
    if name == "small-source":
        assert run.world.calls() == []
    share(run.store)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_one_that_had_begun_keeps_what_it_has_and_opens_nothing_more(lent):
    run = lent(**AUTOMATIC)
    away(run, "open_volume")
    life = run.start_engine()
    parked(run, life)
    take_back(run.store, "small-source", "small-target")
    back(run)
    wait_for(lambda: CODE in (run.record.job.reason or ""), life)
    there, called = run.world.read(), len(run.world.calls())
    wait_for(lambda: run.store.jobs.get(run.record.job.id).times_parked > 2, life)
    assert {kind: run.world.read()[kind] for kind in there} == there
    assert len(run.world.calls()) == called
    share(run.store)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_one_that_is_cancelled_takes_away_what_it_has_made_there(lent):
    run = lent(**AUTOMATIC)
    away(run, "open_volume")
    life = run.start_engine()
    parked(run, life)
    take_back(run.store, "small-source", "small-target")
    back(run)
    wait_for(lambda: CODE in (run.record.job.reason or ""), life)
    run.store.migrations.request_cancel(run.id)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.CANCELLED
    run.assert_as_before()


def test_whose_user_would_rather_have_it_back_is_told_why(lent):
    run = lent(when_stuck="take-back")
    take_back(run.store, "small-target")
    record = run.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.FAILED, "not-shared-any-more")
    run.assert_as_before()
