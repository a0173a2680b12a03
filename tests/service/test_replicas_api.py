"""Replicas over REST: made, listed, changed, held, refused in a sentence. The work itself is the flows'."""

from datetime import UTC, datetime, timedelta

import pytest
from anns_api import anns_api
from cloud_stand_in import Cloud
from sqlalchemy import text, update
from test_tenants import OPENSTACK, VSPHERE

from longshore.errors import Conflict
from longshore.model.forms import form
from longshore.model.point import Consistency, Hold
from longshore.model.replica import PointDisk, PointState, Stage
from longshore.model.request import MigrationRequest
from longshore.model.status import Status
from longshore.store.tables import PointRow

pytestmark = pytest.mark.long

REPLICAS = "/v1/replicas"
NEW = {
    "machine": "web",
    "source": "vc",
    "target": "cloud",
    "schedule": "every 15m",
    "retention": "last 2, daily 3",
    "rpo": "30m",
    "request": {"networks": {"VM Network": "private"}},
}


@pytest.fixture
def api(tmp_path, monkeypatch):
    """Ann has two providers."""
    with anns_api(tmp_path, monkeypatch, Cloud) as api:
        yield api


def with_point(store, replica_id, number, age, consistency=Consistency.CRASH):
    """As a sync leaves it that took a minute."""
    moment = datetime.now(UTC) - age
    store.points.begin(replica_id, number, moment, goes_on=False)
    sync = {"number": number - 1, "bytes_changed": 10, "bytes_written": 20}
    store.points.complete(
        replica_id,
        number,
        usable_at=moment + timedelta(minutes=1),
        consistency=consistency,
        disks=[PointDisk("2000", "Hard disk 1", 1 << 20, "v", f"s-{number}", "ab" * 32)],
        machine={"machine": {"name": "web", "ref": "vm-1"}},
        sync={"at": moment.isoformat(), "seconds": 60, "bytes_read": 1, "bytes_verified": 1, "final": False, **sync},
        state={},
    )


def failover_done(api, failover):
    job = api.store.migrations.get(failover).job
    api.store.migrations.end_job(failover, job.id, status=Status.DONE, phase="done")


@pytest.fixture
def made(api):
    """A replica with points of three hours, one hour and ten minutes ago."""
    replica = api.did("ann", "POST", REPLICAS, NEW)
    for number, minutes in enumerate((180, 60, 10), start=1):
        with_point(api.store, replica["id"], number, timedelta(minutes=minutes))
    return replica


def said(replica):
    return {condition["code"]: condition["text"] for condition in replica["conditions"]}


def test_what_is_asked_is_kept_and_its_first_sync_waits_for_its_turn(api):
    replica = api.did("ann", "POST", REPLICAS, NEW)
    assert (replica["stage"], replica["status"], replica["points"]) == ("seeding", "queued", 0)
    assert (replica["schedule"], replica["retention"]) == ("every 15m", "last 2, daily 3, zone UTC")
    assert (replica["rpo"], replica["rpo_now"]) == (1800, None)
    assert said(replica) == {"no-point": "There is no point yet: nothing is protected."}
    assert replica["request"]["type"] == "replica"
    (waiting,) = api.store.queue.records()
    assert (waiting.kind, waiting.record_id, waiting.due_at) == ("replica", replica["id"], None)
    assert [one["id"] for one in api.did("ann-reader", "GET", REPLICAS)] == [replica["id"]]
    assert api.did("ann-reader", "GET", f"{REPLICAS}/web")["id"] == replica["id"], "by its machine's name, too"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schedule": "every 5s"}, "from one minute to 366 days"),
        ({"schedule": "continuous", "rpo": None}, "needs an RPO"),
        ({"schedule": "sometimes"}, "is no schedule"),
        ({"retention": "last 0"}, "keeps nothing"),
        ({"retention": "the best"}, "knows no"),
        ({"rpo": "soon"}, "isn't a length of time"),
        ({"request": {}}, "VM Network"),
        ({"request": NEW["request"] | {"before": "/x.yml"}}, "playbooks"),
        ({"source": "nowhere"}, "There is no provider"),
        ({"audit": "continuous"}, "can't be continuous"),
        ({"audit": "at times"}, "is no schedule"),
    ],
)
def test_what_cant_be_is_refused_and_changes_nothing(api, change, sentence):
    answer = api("ann", "POST", REPLICAS, NEW | change)
    assert 400 <= answer.status_code < 500
    assert sentence in answer.json()["message"]
    assert api.did("ann", "GET", REPLICAS) == []
    assert api.store.queue.records() == []


def test_a_machine_has_one_replica_and_no_migration_beside_it(api, made):
    for path, body in (
        (REPLICAS, NEW),
        ("/v1/migrations", {name: NEW[name] for name in ("machine", "source", "target", "request")}),
    ):
        answer = api("ann", "POST", path, body)
        assert (answer.status_code, "has a replica" in answer.json()["message"]) == (409, True)


def test_how_old_it_is_and_was_is_said_with_every_reason_why_points_stay(api, made):
    shown = api.did("ann-reader", "GET", f"{REPLICAS}/{made['id']}")
    assert (shown["stage"], shown["points"], shown["tests"]) == ("protected", 3, None)
    assert shown["rpo_now"] == pytest.approx(600, abs=30)
    assert shown["next_takes"] == pytest.approx(60, abs=5)
    assert [figures["hours"] for figures in shown["figures"]] == [24, 168, 720]
    assert set(said(shown)) == {"unproven"}
    (quick,) = api.did("ann-reader", "GET", f"{REPLICAS}?figures=false")
    assert (quick["figures"], quick["next_takes"], said(quick)) == ([], shown["next_takes"], said(shown))
    points = api.did("ann-reader", "GET", f"{REPLICAS}/web/points")
    assert [point["number"] for point in points] == [1, 2, 3]
    assert "newest usable point" in points[2]["kept"]
    assert {"state", "moment", "bytes_changed", "disks"} <= points[0].keys()
    one = api.did("ann-reader", "GET", f"{REPLICAS}/web/points/2")
    assert (one["machine"]["name"], one["disks"][0]["snapshot_id"]) == ("web", "s-2")
    assert api("ann-reader", "GET", f"{REPLICAS}/web/points/9").status_code == 404


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"rpo": 300}, "rpo-breached", "and 5 min were asked for"),
        ({"rpo": 630}, "rpo-warning", "a sync takes"),
        ({"paused": True}, "paused", "until it is resumed"),
        ({"failures": 3, "error": "No.", "error_code": "x"}, "sync-fails", "The last 3 syncs failed: No."),
        ({"failures": 1, "error": "Hm.", "error_code": "drifted"}, "drifted", "The last sync failed: Hm."),
        ({"failures": 1, "error": "Hm.", "error_code": "unreachable"}, "away", "The last sync failed: Hm."),
        ({"failures": 1, "error": "Hm.", "error_code": "quota-exceeded"}, "quota-short", "The last sync failed: Hm."),
    ],
)
def test_what_is_wrong_is_a_condition_with_a_sentence(api, made, fields, code, words):
    api.store.replicas.update(made["id"], **fields)
    assert words in said(api.did("ann", "GET", f"{REPLICAS}/{made['id']}"))[code]


def test_it_is_changed_paused_resumed_and_synchronised(api, made):
    path = f"{REPLICAS}/{made['id']}"
    changed = api.did("ann", "PATCH", path, {"retention": "last 5"})
    assert (changed["retention"], changed["schedule"], changed["rpo"]) == ("last 5, zone UTC", "every 15m", 1800)
    assert api("ann", "PATCH", path, {"schedule": "never"}).status_code == 400
    assert api.did("ann", "POST", f"{path}/pause", {"until": "2100-01-01T00:00:00Z"})["paused"] is True
    assert api.did("ann", "POST", f"{path}/resume")["paused"] is False
    assert api.did("ann", "POST", f"{path}/sync")["wish"] == "sync"
    assert api("ann-reader", "POST", f"{path}/sync").status_code == 403
    assert api("bob", "POST", f"{path}/sync").status_code == 404


def test_an_audit_is_asked_for_or_comes_by_its_clock(api, made):
    path = f"{REPLICAS}/{made['id']}"
    assert api.did("ann", "POST", f"{path}/audit")["wish"] == "audit"
    clocked = api.did("ann", "PATCH", path, {"audit": "weekly sunday 03:00 Europe/Berlin"})
    assert (clocked["audit"], clocked["audit_due_at"] is not None) == ("weekly sunday 03:00 Europe/Berlin", True)
    assert api.did("ann", "PATCH", path, {"rpo": "1h"})["audit_due_at"] == clocked["audit_due_at"]
    never = api.did("ann", "PATCH", path, {"audit": "never"})
    assert (never["audit"], never["audit_due_at"]) == (None, None)


def test_suspect_points_count_for_nothing(api, made):
    with api.store.database.session() as session:
        session.execute(update(PointRow).where(PointRow.number > 1).values(suspect=True))
    shown = api.did("ann", "GET", f"{REPLICAS}/{made['id']}")
    assert shown["rpo_now"] == pytest.approx(180 * 60, abs=30)
    assert "2 point(s) that are there may lack it" in said(shown)["suspect"]
    points = api.did("ann", "GET", f"{REPLICAS}/{made['id']}/points")
    assert [point["suspect"] for point in points] == [False, True, True]
    failed_over = api.did("ann", "POST", f"{REPLICAS}/{made['id']}/failover", {})
    assert api.did("ann", "GET", f"/v1/migrations/{failed_over['failover']}")["request"]["point"] == 1


def test_a_point_that_is_held_stays(api, made):
    path = f"{REPLICAS}/{made['id']}/points"
    held = api.did("ann", "POST", f"{path}/1/hold", {"name": "upgrade", "until": "2100-01-01T00:00:00Z"})
    assert held["holds"] == [{"name": "upgrade", "until": "2100-01-01T00:00:00Z"}]
    assert any("upgrade" in reason for reason in held["kept"])
    for number, why in ((1, "is held (upgrade)"), (3, "is the newest usable one")):
        answer = api("ann", "DELETE", f"{path}/{number}")
        assert (answer.status_code, why in answer.json()["message"]) == (409, True)
    assert api("ann", "POST", f"{path}/1/release", {"name": "other"}).status_code == 404
    assert api.did("ann", "POST", f"{path}/1/release", {"name": "upgrade"})["holds"] == []
    api.did("ann", "DELETE", f"{path}/1")
    assert [point["number"] for point in api.did("ann", "GET", path)] == [2, 3]


def test_tests_and_failovers_are_of_usable_points(api, made):
    path = f"{REPLICAS}/{made['id']}"
    test = api.did("ann", "POST", f"{path}/test", {"point": 2})
    asked = form(MigrationRequest).validate_python(test["request"])
    assert (asked.type.value, asked.of, asked.point, asked.isolated) == ("test-failover", made["id"], 2, True)
    assert api.did("ann", "GET", f"{path}/points/2")["users"] == [f"test {test['id']}"]
    assert "in use by" in api("ann", "DELETE", f"{path}/points/2").json()["message"]
    answer = api("ann", "DELETE", path)
    assert (answer.status_code, "stand(s) on" in answer.json()["message"]) == (409, True)
    assert api("ann", "POST", f"{path}/test", {"point": 7}).status_code == 404
    failed_over = api.did("ann", "POST", f"{path}/failover", {})
    assert failed_over["stage"] == "failing-over"
    assert api.did("ann", "GET", f"/v1/migrations/{failed_over['failover']}")["request"]["point"] == 3
    for what, body in (("failover", {}), ("failover", {"planned": True}), ("commit", None), ("sync", None)):
        assert api("ann", "POST", f"{path}/{what}", body).status_code == 409, what
    assert "Undo that or commit it first" in api("ann", "DELETE", path).json()["message"]
    api.did("ann", "POST", f"{path}/undo")
    assert api.did("ann", "GET", f"/v1/migrations/{failed_over['failover']}")["cancel_requested"] is True


def test_a_failback_goes_from_the_server_to_the_machine(api, made, monkeypatch):
    path = f"{REPLICAS}/{made['id']}"
    refused = api("ann", "POST", f"{path}/failback", {})
    assert (refused.status_code, "no server to fail back from" in refused.json()["message"]) == (409, True)
    failover = api.did("ann", "POST", f"{path}/failover", {})["failover"]
    api.store.migrations.update(failover, server_id="server-1")
    failover_done(api, failover)
    looked = []
    monkeypatch.setattr("longshore.service.failbacks.find_way", lambda *_found, **_how: looked.append(_found[-1]))
    begun = api.did("ann", "POST", f"{path}/failback", {"accept": ["guest-converted"]})
    assert (begun["stage"], looked) == ("failing-back", [("guest-converted",)])
    record = api.did("ann", "GET", f"/v1/migrations/{begun['failback']}")
    assert (record["source"], record["target"]) == ("cloud", "vc")
    assert (record["request"]["type"], record["request"]["of"]) == ("failback", made["id"])
    assert api.store.migrations.get(begun["failback"]).machine_ref == "server-1"
    for what, body in (("failback", {}), ("commit", None), ("failover", {})):
        assert api("ann", "POST", f"{path}/{what}", body).status_code == 409, what
    assert "Undo that or commit it first" in api("ann", "DELETE", path).json()["message"]
    api.did("ann", "POST", f"{path}/undo")
    assert api.store.migrations.cancel_requested(begun["failback"])
    asked = {name: NEW[name] for name in ("machine", "source", "target")} | {"request": {"type": "failback"}}
    assert api("ann", "POST", "/v1/migrations", asked).status_code == 400


def test_a_failback_to_a_new_machine_asks_whether_the_old_one_is_gone(api, made, monkeypatch):
    path = f"{REPLICAS}/{made['id']}"
    failover = api.did("ann", "POST", f"{path}/failover", {})["failover"]
    api.store.migrations.update(failover, server_id="server-1")
    failover_done(api, failover)

    def look(*_found):
        raise Conflict("web is still there (vm-1).", code="machine-there")

    monkeypatch.setattr("longshore.service.failbacks.machine_to_make", look)
    refused = api("ann", "POST", f"{path}/failback", {"new_machine": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "machine-there")
    assert api.did("ann", "GET", path)["stage"] == "failed-over"
    monkeypatch.setattr("longshore.service.failbacks.machine_to_make", lambda *_found: None)
    begun = api.did("ann", "POST", f"{path}/failback", {"new_machine": True})
    assert api.did("ann", "GET", f"/v1/migrations/{begun['failback']}")["request"]["new_machine"] is True


def test_a_failback_to_an_openstack_is_to_a_new_server(api, made, monkeypatch):
    path = f"{REPLICAS}/{made['id']}"
    api.did("ann", "POST", "/v1/providers", OPENSTACK | {"name": "first"})
    first = api.store.providers.get("first").id
    own = {"type": "replica", "networks": {"a": "b"}, "flavor": "there", "boot_mark": "ready", "server_name": "there"}
    api.store.migrations.update(made["id"], source_id=first, request=own)
    failover = api.did("ann", "POST", f"{path}/failover", {})["failover"]
    api.store.migrations.update(failover, server_id="server-1")
    failover_done(api, failover)
    looked = []
    monkeypatch.setattr("longshore.service.failbacks.find_return", lambda *_found, **how: looked.append(how))
    monkeypatch.setattr("longshore.service.failbacks.find_way", lambda *_: pytest.fail("it can't be written to"))
    begun = api.did("ann", "POST", f"{path}/failback", {"new_machine": True})
    assert looked == [{"gone": True}]
    record = api.did("ann", "GET", f"/v1/migrations/{begun['failback']}")
    assert (record["source"], record["target"]) == ("cloud", "first")
    asked = record["request"]
    assert (asked["type"], asked["new_server"], asked["boot_mark"]) == ("failback", True, "ready")
    assert (asked["networks"], asked["flavor"], asked["server_name"]) == ({}, None, None), "the other cloud's"
    assert api.store.migrations.get(begun["failback"]).job.kind == "return"


def test_nothing_else_asks_for_a_new_server(api):
    asked = {name: NEW[name] for name in ("machine", "source", "target")} | {"request": {"new_server": True}}
    answer = api("ann", "POST", "/v1/migrations", asked)
    assert (answer.status_code, "Only a failback" in answer.json()["message"]) == (400, True)


def test_protection_turns_round_only_for_a_committed_server(api, made, monkeypatch):
    path = f"{REPLICAS}/{made['id']}"
    refused = api("ann", "POST", f"{path}/reprotect", {})
    assert (refused.status_code, "only a committed failover's server" in refused.json()["message"]) == (409, True)
    failover = api.did("ann", "POST", f"{path}/failover", {})["failover"]
    api.store.migrations.update(failover, server_id="server-1")
    api.store.replicas.update(made["id"], stage=Stage.COMMITTED.value)
    asked = []

    def look(_store, _clouds, _caller, machine, source, target, request, _protection):
        asked.append((machine, source, target, request.networks, request.type.value))
        raise Conflict("far enough")

    monkeypatch.setattr("longshore.service.new_replicas.look_beforehand", look)
    api("ann", "POST", f"{path}/reprotect", {"networks": {"private": "Other"}})
    api("ann", "POST", f"{path}/reprotect", {"target": "cloud"})
    record = api.store.migrations.get(made["id"])
    back, elsewhere = asked
    assert back == ("server-1", record.target_id, record.source_id, {"private": "Other"}, "replica")
    assert elsewhere == ("server-1", record.target_id, "cloud", {"private": "VM Network"}, "replica")


def test_of_a_committed_one_no_sync_is_told_that_came_to_nothing_or_is_to_come(api, made):
    """Its source is gone: that is what it was failed over for."""
    gone = {"failures": 2, "error": "vc has no machine vm-1.", "error_code": "not-found"}
    api.store.replicas.update(made["id"], **gone)
    path = f"{REPLICAS}/{made['id']}"
    assert "sync-fails" in {one["code"] for one in api("ann", "GET", path).json()["conditions"]}
    for stage in (Stage.FAILED_OVER, Stage.COMMITTED):
        api.store.replicas.update(made["id"], stage=stage.value)
        told = api("ann", "GET", path).json()
        assert (told["due_at"], {one["code"] for one in told["conditions"]} & {"sync-fails", "error"}) == (None, set())


def test_a_planned_failover_is_a_wish(api, made):
    path = f"{REPLICAS}/{made['id']}"
    assert api("ann", "POST", f"{path}/failover", {"planned": True, "point": 1}).status_code == 400
    wished = api.did("ann", "POST", f"{path}/failover", {"planned": True, "networks": {"VM Network": "other"}})
    assert (wished["wish"], wished["stage"]) == ("failover", "protected")
    kept = api.store.replicas.get(made["id"]).wished
    assert (kept["type"], kept["of"], kept["networks"]) == ("failover", made["id"], {"VM Network": "other"})
    assert api("ann", "POST", f"{path}/failover", {}).status_code == 409


def test_its_record_is_no_migration_to_be_cancelled_or_cleaned_up(api, made):
    for what in ("cancel", "cleanup"):
        assert api("ann", "POST", f"/v1/migrations/{made['id']}/{what}").status_code == 409
    asked = {name: NEW[name] for name in ("machine", "source", "target")}
    for request in ({"type": "replica"}, {"type": "failover", "of": made["id"], "point": 1}):
        assert api("ann", "POST", "/v1/migrations", asked | {"request": request}).status_code == 400


def test_deleting_is_asked_once_and_then_nothing_else(api, made):
    path = f"{REPLICAS}/{made['id']}"
    api.did("ann", "DELETE", path)
    assert api.store.migrations.cancel_requested(made["id"])
    answer = api("ann", "POST", f"{path}/sync")
    assert (answer.status_code, "is being deleted" in answer.json()["message"]) == (409, True)


def test_another_projects_replicas_are_not_there(api, made):
    assert api.did("bob", "GET", REPLICAS) == []
    assert [one["id"] for one in api.did("admin", "GET", f"{REPLICAS}?all_projects=true")] == [made["id"]]
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/points"), ("DELETE", "/points/1"), ("POST", "/undo")):
        assert api("bob", method, f"{REPLICAS}/{made['id']}{path}").status_code == 404


def test_one_that_is_held_is_not_claimed_for_removal_until_the_hold_is_over(api, made):
    """Whoever thins the points may have decided before the hold was there."""
    path = f"{REPLICAS}/{made['id']}/points/1"
    api.did("ann", "POST", f"{path}/hold", {"name": "upgrade", "until": "2100-01-01T00:00:00Z"})
    assert api.store.points.claim(made["id"], [1, 2]) == [2]
    over = api("ann", "POST", f"{path}/hold", {"name": "upgrade", "until": "2026-01-01T00:00:00Z"})
    assert (over.status_code, over.json()["field"]) == (400, "until")
    api.store.points.hold(made["id"], 1, Hold("upgrade", datetime(2026, 1, 1, tzinfo=UTC)))
    assert api.store.points.claim(made["id"], [1, 2]) == [1, 2]


def test_points_that_are_gone_count_for_figures(api, made):
    store = api.store
    assert store.points.claim(made["id"], [1, 2]) == [1, 2]
    assert [one.state for one in store.points.all(made["id"])][:2] == [PointState.REMOVING] * 2
    for number in (1, 2):
        store.points.removed(made["id"], number)
    arrivals = store.points.arrivals(made["id"], datetime.now(UTC) - timedelta(minutes=90))
    assert len(arrivals) == 3, "the one before the window, too: it was the newest then"
    store.points.forget(made["id"], datetime.now(UTC) - timedelta(minutes=30))
    assert len(store.points.arrivals(made["id"], datetime.now(UTC) - timedelta(days=1))) == 2
    assert store.replicas.get(made["id"]).stage is Stage.PROTECTED


@pytest.mark.parametrize(
    "spoil",
    [
        'UPDATE migrations SET request = \'{"landing": "sideways"}\' WHERE id = :id',
        "UPDATE points SET consistency = 'somehow' WHERE replica_id = :id",
    ],
)
@pytest.mark.parametrize("figures", ["true", "false"])
def test_one_that_cant_be_read_is_left_out_of_lists_and_told(api, made, caplog, spoil, figures):
    """One record of many that somebody, or another version, has left so."""
    api.did("ann", "POST", "/v1/providers", VSPHERE | {"name": "vc2"})
    other = api.did("ann", "POST", REPLICAS, NEW | {"source": "vc2"})
    with api.store.database.session() as session:
        session.execute(text(spoil), {"id": made["id"]})
    answer = api("ann", "GET", f"{REPLICAS}?figures={figures}")
    assert [one["id"] for one in answer.json()] == [other["id"]]
    assert answer.headers["X-Longshore-Left-Out"] == made["id"]
    assert "a replica can't be read and is left out of a list" in caplog.text
