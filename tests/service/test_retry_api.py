"""Trying again with what was copied: who may be asked to, and what may be changed."""

import pytest
from test_tenants import MIGRATION, OPENSTACK, PLAN, VSPHERE, api  # noqa: F401 a fixture

from longshore.model.job import JobKind
from longshore.model.status import WAITING, Status
from longshore.model.target import Owner
from longshore.store import EntryState, ThingKind
from longshore.store.tables import utc_now

ERROR = "The guest doesn't show a login prompt."


@pytest.fixture
def anns(api):  # noqa: F811
    for provider in (VSPHERE, OPENSTACK):
        api.did("ann", "POST", "/v1/providers", provider)
    return api


def begun(api, **more):  # noqa: F811
    return api.did("ann", "POST", "/v1/migrations", {**MIGRATION, **more})["id"]


def kept(api, id_):  # noqa: F811
    """As it is after a boot that failed."""
    job = api.store.migrations.get(id_).job
    held = {"state": {"held": ERROR}, "phase": WAITING, "error": ERROR, "error_code": "error"}
    api.store.migrations.end_job(id_, job.id, next_kind=JobKind.SYNC, due_at=utc_now().replace(year=2100), **held)
    return id_


def test_it_waits_for_a_word_and_gets_another_try_with_another_mark(anns):
    id_ = kept(anns, begun(anns))
    shown = anns.did("ann", "GET", f"/v1/migrations/{id_}")
    assert (shown["cutover_failed"], shown["waits_for_cutover"], shown["error"]) == (True, True, ERROR)
    told = anns.did("ann", "POST", f"/v1/migrations/{id_}/retry", {"boot_mark": "ready$", "boot_timeout": 60})
    assert (told["cutover_requested"], told["cutover_failed"]) == (True, False)
    record = anns.store.migrations.get(id_)
    assert (record.request["boot_mark"], record.request["boot_timeout"]) == ("ready$", 60)
    assert record.request["networks"] == MIGRATION["request"]["networks"]
    assert record.job.due_at is None


def test_it_gets_other_options_beside_those_it_had(anns):
    more = {**MIGRATION["request"], "accept": ["guest-os-unsupported"], "boot_mark": "up$"}
    id_ = kept(anns, begun(anns, request=more))
    changed = {
        "networks": {"Backup": "back"},
        "flavor": "large",
        "landing": "as-is",
        "accept": ["guest-no-inodes"],
        "guest_keys": ["open sesame"],
    }
    anns.did("ann", "POST", f"/v1/migrations/{id_}/retry", changed)
    kept_request = anns.store.migrations.get(id_).request
    assert kept_request["networks"] == {**more["networks"], "Backup": "back"}
    assert (kept_request["flavor"], kept_request["landing"], kept_request["boot_mark"]) == ("large", "as-is", "up$")
    assert kept_request["accept"] == ["guest-os-unsupported", "guest-no-inodes"]
    assert "sesame" not in str(kept_request)
    assert anns.store.migrations.text(id_, kept_request["guest_keys"][0]) == "open sesame"


def test_a_copy_that_is_kept_is_shown_to_who_operates_with_its_size_and_why(anns):
    id_ = kept(anns, begun(anns))
    store = anns.store
    entry = store.ledger.intend(Owner(id_, "volume-2000"), store.migrations.get(id_).target_id, ThingKind.VOLUME)
    store.ledger.settle(entry.id, EntryState.MADE, ref="vol-1")
    store.disks.update(id_, "2000", volume_id="vol-1")
    (left,) = store.operation.left()
    assert (left.migration_id, left.kind, left.ref, left.state) == (id_, "volume", "vol-1", "kept")
    assert (left.size, left.note) == (1 << 20, ERROR)
    assert store.operation.kept_bytes() == 1 << 20
    store.migrations.end_job(id_, store.migrations.get(id_).job.id, status=Status.CANCELLED, state=None)
    store.ledger.settle(entry.id, EntryState.REMOVED)
    assert (store.operation.left(), store.operation.kept_bytes()) == ([], 0)


def test_who_watches_a_cancel_is_not_told_that_it_waits(anns):
    id_ = kept(anns, begun(anns))
    told = anns.did("ann", "POST", f"/v1/migrations/{id_}/cancel")
    assert (told["cancel_requested"], told["cutover_failed"], told["waits_for_cutover"]) == (True, False, False)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"boot_mark": "("}, 400),
        ({"boot_timeout": -1}, 400),
        ({"storage": {"ds": "gold"}}, 400),
        ({"server_name": "web\u200b"}, 400),
        ({"networks": {"": "private"}}, 400),
        ({"boot_port": [0]}, 400),
    ],
)
def test_what_cant_be_changes_nothing(anns, body, status):
    id_ = kept(anns, begun(anns))
    before = anns.store.migrations.get(id_)
    answer = anns("ann", "POST", f"/v1/migrations/{id_}/retry", body)
    assert answer.status_code == status, answer.text
    assert anns.store.migrations.get(id_) == before


def test_who_doesnt_wait_is_not_tried_again(anns):
    id_ = begun(anns)
    answer = anns("ann", "POST", f"/v1/migrations/{id_}/retry")
    assert (answer.status_code, "doesn't wait for another try" in answer.text) == (409, True)
    assert anns("bob", "POST", f"/v1/migrations/{id_}/retry").status_code == 404


def test_many_are_told_at_once(anns):
    waits = kept(anns, begun(anns))
    answers = anns.did("ann", "POST", "/v1/migrations/retry", {"ids": [waits, "unknown"]})
    assert [bool(one["error"]) for one in answers] == [False, True]
    assert anns.store.migrations.get(waits).cutover_requested


def test_a_plan_tries_those_again_that_wait_and_goes_on_meanwhile(anns):
    anns.did("ann", "PUT", "/v1/plans/shop", {**PLAN, "mappings": {"networks": MIGRATION["request"]["networks"]}})
    (started,) = anns.did("ann", "POST", "/v1/plans/shop/start", {})
    assert [job.wave for job in anns.store.queue.records() if job.plan_id] == [1]
    kept(anns, started["id"])
    assert not any(job.plan_id for job in anns.store.queue.records())  # no wave waits for it
    (again,) = anns.did("ann", "POST", "/v1/plans/shop/retry", {})
    assert (again["id"], again["cutover_requested"]) == (started["id"], True)


def failed(api, id_):  # noqa: F811
    api.store.migrations.end_job(id_, api.store.migrations.get(id_).job.id, status=Status.FAILED, error=ERROR)
    return id_


def test_what_has_failed_without_a_plan_is_started_again_as_it_was_asked_for(anns):
    asked = {**MIGRATION["request"], "guest_keys": ["open sesame"], "boot_mark": "up$"}
    id_ = failed(anns, begun(anns, request=asked))
    (told,) = anns.did("ann", "POST", "/v1/migrations/retry", {"ids": [id_]})
    again = anns.store.migrations.get(told["migration"]["id"])
    assert (again.id != id_, again.status, again.machine_ref) == (True, Status.QUEUED, "vm-1")
    assert (again.request["boot_mark"], again.request["networks"]) == ("up$", asked["networks"])
    assert anns.store.migrations.text(again.id, again.request["guest_keys"][0]) == "open sesame"
    (refused,) = anns.did("ann", "POST", "/v1/migrations/retry", {"ids": [id_]})
    assert "started again already" in refused["error"]["message"]


def test_a_time_that_has_passed_isnt_asked_for_again(anns):
    asked = {**MIGRATION["request"], "type": "warm"}
    id_ = failed(anns, begun(anns, request=asked))
    past = {"mode": "scheduled", "at": "2026-01-01T00:00:00Z"}
    anns.store.migrations.update(id_, request={**anns.store.migrations.get(id_).request, "cutover": past})
    (told,) = anns.did("ann", "POST", "/v1/migrations/retry", {"ids": [id_]})
    assert told["migration"]["request"]["cutover"]["mode"] == "manual"
