"""A machine that has moved is marked where it was, and the marks are taken away again."""

import pytest
from sqlalchemy import update
from waiting import wait_for

from longshore.errors import Conflict
from longshore.model.job import JobKind
from longshore.model.status import Status
from longshore.store.tables import MigrationRow

pytestmark = pytest.mark.long

NO_MARKS = {"mark_source": {}, "mark_source_later": {}}
GRACE = 3600.0


def marks(run):
    return run.world.read().get("marks", {})


def test_it_is_marked_once_it_has_moved_and_later_and_as_before_on_request(begin):
    run = begin(mark_source={"suffix": "-moved", "disconnect": True}, mark_source_later={"folder": "Gone"}, grace=GRACE)
    engine = run.start_engine()
    wait_for(lambda: "disconnect" in marks(run), engine)
    wait_for(lambda: any(job.kind is JobKind.MARK and job.due_at for job in run.store.queue.records()), engine)
    assert run.record.status is Status.DONE
    assert sorted(marks(run)) == ["disconnect", "suffix"]
    with pytest.raises(Conflict, match="still to be marked"):
        run.store.migrations.remove(run.id)
    run.store.migrations.request_marks(run.id, {"grace": 0.0})
    assert engine.wait(timeout=60) == 0
    assert marks(run)["folder"] == "Gone"
    assert {e.state.value for e in run.store.ledger.entries(run.id)} == {"handed-over", "removed"}
    run.store.migrations.request_marks(run.id, NO_MARKS)
    assert run.engine()[0] == 0
    assert marks(run) == {}
    assert run.record.status is Status.DONE
    run.assert_moved()
    run.store.migrations.remove(run.id)


@pytest.mark.parametrize("call", ["before_mark", "mark", "unmark"])
def test_whoever_dies_meanwhile_it_has_each_mark_once(begin, call):
    run = begin(mark_source={"suffix": "-moved"})
    if call != "unmark":
        run.world.plan_fault(call, 1, "after", "kill")
        assert run.engine()[0] == -9
    assert run.engine()[0] == 0
    assert marks(run) == {"suffix": "-moved"}
    run.store.migrations.request_marks(run.id, NO_MARKS)
    if call == "unmark":
        run.world.plan_fault(call, 1, "after", "kill")
        assert run.engine()[0] == -9
    assert run.engine()[0] == 0
    assert marks(run) == {}
    run.assert_moved()


def test_a_mark_that_cant_be_made_is_told_and_the_others_are_made(begin):
    run = begin(mark_source={"suffix": "-moved", "folder": "Nowhere"})
    assert run.engine()[0] == 0
    assert run.record.status is Status.DONE
    assert marks(run) == {"suffix": "-moved"}
    assert any("couldn't be changed: There is no folder Nowhere." in text for text in run.told)
    run.store.migrations.request_marks(run.id, {"mark_source": {"suffix": "-moved", "folder": "Gone"}})
    assert run.engine()[0] == 0
    assert marks(run) == {"suffix": "-moved", "folder": "Gone"}


def test_a_mark_that_cant_be_taken_away_isnt_written_over(begin):
    run = begin(mark_source={"suffix": "-moved"})
    assert run.engine()[0] == 0
    run.world.plan_fault("unmark", 1, "before", "conflict")
    run.store.migrations.request_marks(run.id, {"mark_source": {"suffix": "-gone"}})
    assert run.engine()[0] == 0
    assert marks(run) == {"suffix": "-moved"}
    assert any("couldn't be changed" in text for text in run.told)
    run.store.migrations.request_marks(run.id, {})
    assert run.engine()[0] == 0
    assert marks(run) == {"suffix": "-gone"}


def test_a_source_that_is_away_is_marked_once_it_answers(begin):
    """A cancel that came too late for the migration is none of its marks."""
    run = begin(mark_source={"suffix": "-moved"})
    run.world.plan_fault("before_mark", 1, "before", "away", stays=True)
    engine = run.start_engine()
    wait_for(lambda: any("is parked" in text for text in run.told), engine)
    assert run.record.status is Status.DONE
    with run.store.database.session() as session:
        session.execute(update(MigrationRow).values(cancel_requested=True))
    told = next(text for text in run.told if "is parked" in text)
    assert "machine stopped" not in told
    assert f"longshore migration unmark-source {run.id}" in told
    run.world.lift_faults()
    assert engine.wait(timeout=60) == 0
    assert marks(run) == {"suffix": "-moved"}


def test_only_what_has_moved_is_marked(begin):
    run = begin(when_stuck="take-back", mark_source={"suffix": "-moved"})
    run.world.plan_fault("create_server", 1, "before", "error")
    run.to_the_end(lives=1)
    assert marks(run) == {}
    with pytest.raises(Conflict, match="has moved no machine"):
        run.store.migrations.request_marks(run.id, {"mark_source": {"suffix": "-moved"}})
