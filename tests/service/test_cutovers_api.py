"""Cutovers asked for, now or at a time, and taken back as long as they haven't begun."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from test_tenants import MIGRATION, OPENSTACK, VSPHERE, api  # noqa: F401 a fixture

from longshore.errors import Conflict
from longshore.model.job import JobKind
from longshore.model.request import Cutover
from longshore.model.status import WAITING
from longshore.store import NewMigration
from longshore.store.tables import JobRow

SATURDAY = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
AT = SATURDAY.isoformat().replace("+00:00", "Z")


@pytest.fixture
def anns(api):  # noqa: F811
    for provider in (VSPHERE, OPENSTACK):
        api.did("ann", "POST", "/v1/providers", provider)
    return api


def waiting(api):  # noqa: F811
    """Return the id of one that waits for its cutover, and for its next sync."""
    asked = {**MIGRATION, "request": {**MIGRATION["request"], "type": "warm"}}
    id_ = api.did("ann", "POST", "/v1/migrations", asked)["id"]
    due = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    job = api.store.migrations.get(id_).job
    api.store.migrations.end_job(id_, job.id, next_kind=JobKind.SYNC, due_at=due, phase=WAITING)
    assert api.did("ann", "GET", f"/v1/migrations/{id_}")["status"] == "waits-for-cutover"
    return id_


def refused(api, user, method, path, status, body=None):  # noqa: F811
    answer = api(user, method, path, body)
    assert answer.status_code == status, answer.text
    return answer.json()["message"]


def begin(api, id_):  # noqa: F811
    """Have it be as it is once a worker has stopped its machine."""
    with api.store.database.session() as session:
        session.execute(update(JobRow).where(JobRow.record_id == id_).values(kind=JobKind.CUTOVER.value))


def test_what_was_asked_for_is_taken_back_until_it_begins(anns):
    id_ = waiting(anns)
    at = f"/v1/migrations/{id_}/cutover"
    assert "nothing is to be taken back" in refused(anns, "ann", "DELETE", at, 409)
    assert anns.did("ann", "POST", at)["may_be_taken_back"] is True
    told = anns.did("ann", "DELETE", at)
    assert (told["status"], told["may_be_taken_back"]) == ("waits-for-cutover", False)
    anns.did("ann", "POST", at)
    begin(anns, id_)
    assert anns.did("ann", "GET", f"/v1/migrations/{id_}")["may_be_taken_back"] is False
    assert "being cut over" in refused(anns, "ann", "DELETE", at, 409)
    assert anns.store.migrations.get(id_).cutover_requested is True


def test_a_worker_that_was_about_to_cut_over_doesnt_once_it_is_taken_back(anns):
    id_ = waiting(anns)
    store = anns.store.migrations
    store.request_cutover(id_)
    job = store.get(id_).job.id
    store.take_cutover_back(id_)
    assert store.begin_cutover(id_, job, Cutover(), asked=True) is False
    store.schedule_cutover(id_, SATURDAY, None)
    assert store.begin_cutover(id_, job, Cutover(), asked=False) is False, "it has another time by now"
    assert store.get(id_).job.kind is JobKind.SYNC
    store.request_cutover(id_)
    asked = Cutover(mode="scheduled", at=SATURDAY)
    assert store.begin_cutover(id_, job, asked, asked=True) is True
    assert store.get(id_).job.kind is JobKind.CUTOVER


def test_a_time_is_kept_looked_at_again_at_once_and_taken_back(anns):
    id_ = waiting(anns)
    at = f"/v1/migrations/{id_}/cutover"
    told = anns.did("ann", "POST", at, {"at": AT})
    assert (told["status"], told["may_be_taken_back"], told["due_at"]) == ("queued", True, None)
    assert told["request"]["cutover"]["mode"] == "scheduled"
    assert datetime.fromisoformat(told["request"]["cutover"]["at"]) == SATURDAY
    told = anns.did("ann", "DELETE", at)
    assert told["status"] == "waits-for-cutover"
    assert told["request"]["cutover"]["at"] is None


def test_a_time_that_cant_be_is_refused(anns):
    at = f"/v1/migrations/{waiting(anns)}/cutover"
    past = {"at": "2020-01-01T00:00:00Z"}
    assert '"at" is 2020-01-01 00:00 UTC, and that is past' in refused(anns, "ann", "POST", at, 400, past)
    never = {"at": AT, "until": (SATURDAY - timedelta(hours=1)).isoformat()}
    assert "closes before it opens" in refused(anns, "ann", "POST", at, 400, never)


def test_only_what_waits_for_a_cutover_has_one(anns):
    """Also where the state of another kind looks alike."""
    vc, cloud = anns.store.providers.all()
    new = NewMigration("web", "vm-9", vc.id, cloud.id, {"type": "backup"}, state={"held": "x"})
    (record,) = anns.store.migrations.add_together([new])
    for ask in (anns.store.migrations.request_cutover, anns.store.migrations.take_cutover_back):
        with pytest.raises(Conflict, match=r"\(backup\) isn't a warm migration"):
            ask(record.id)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_no_calendar_has_in_utc_is_refused(anns, at):
    said = "at: that moment is before the year 1 or after the year 9999 in UTC."
    assert refused(anns, "ann", "POST", f"/v1/migrations/{waiting(anns)}/cutover", 400, {"at": at}) == said
