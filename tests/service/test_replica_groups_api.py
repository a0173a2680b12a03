"""Groups of replicas over REST: made, changed, begun as a whole or not at all, refused in a sentence."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, text
from test_replicas_api import NEW, REPLICAS, api, with_point  # noqa: F401 api is a fixture
from test_tenants import VSPHERE

from longshore.flows.replicas.conducting import RunState
from longshore.model.forms import form
from longshore.model.replica import Stage
from longshore.store.jobs import NEVER

pytestmark = pytest.mark.long

GROUPS = "/v1/replica-groups"
SHOP = f"{GROUPS}/shop"


@pytest.fixture
def ids(api):  # noqa: F811
    """Of two replicas with points of an hour and of ten minutes ago."""
    api.did("ann", "POST", "/v1/providers", VSPHERE | {"name": "vc2"})
    found = []
    for source in ("vc", "vc2"):
        replica = api.did("ann", "POST", REPLICAS, NEW | {"source": source})
        for number, minutes in enumerate((60, 10), start=1):
            with_point(api.store, replica["id"], number, timedelta(minutes=minutes))
        found.append(replica["id"])
    return found


@pytest.fixture
def shop(api, ids):  # noqa: F811
    body = {"name": "shop", "members": {ids[0]: 2, ids[1]: 1}, "gates": {"1": {"pause": "2m"}}}
    return api.did("ann", "POST", GROUPS, body)


def test_a_group_shows_its_machines_in_their_order(api, ids, shop):  # noqa: F811
    assert [(one["replica"], one["tier"], one["stage"]) for one in shop["members"]] == [
        (ids[1], 1, "protected"),
        (ids[0], 2, "protected"),
    ]
    assert shop["gates"] == {"1": {"pause": 120.0, "command": []}}
    assert shop["run"] is None
    assert [one["name"] for one in api.did("ann-reader", "GET", GROUPS)] == ["shop"]
    assert api.did("bob", "GET", GROUPS) == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/undo"), ("POST", "/commit")):
        assert api("bob", method, f"{SHOP}{path}").status_code == 404
    assert api("ann-reader", "POST", f"{SHOP}/failover", {}).status_code == 403


def test_a_group_says_how_each_machine_is_protected_and_whether_it_can_fail_over(api, ids, shop):  # noqa: F811
    api.store.replicas.update(ids[0], stage=Stage.SEEDING.value)
    (good, bad) = api.did("ann-reader", "GET", SHOP)["members"]
    assert (good["rpo"], 590 < good["rpo_now"] < 700, good["unready"]) == (1800, True, None)
    assert (good["networks"], good["up_at"]) == ({"VM Network": "private"}, None)
    assert [one["code"] for one in good["conditions"]] == ["unproven"]
    assert bad["unready"] == "The replica of web is seeding: it can't fail over now."
    api.store.replicas.update(ids[0], stage=Stage.FAILED_OVER.value)
    assert api.did("ann", "GET", SHOP)["members"][1]["unready"] is None, "it has"
    api.did("ann", "POST", f"{REPLICAS}/{ids[1]}/failover", {"planned": True})
    assert "A failover of web is under way." in api.did("ann", "GET", SHOP)["members"][0]["unready"]


def test_many_machines_take_no_more_questions_to_the_database(api, ids, shop):  # noqa: F811
    def asked(path):
        said = []
        event.listen(Engine, "before_cursor_execute", note := lambda *args: said.append(args[2]))
        api.did("ann", "GET", path)
        event.remove(Engine, "before_cursor_execute", note)
        return len([one for one in said if one.startswith("SELECT")])

    both = asked(SHOP), asked(GROUPS)
    api.did("ann", "PATCH", SHOP, {"members": {ids[0]: None}})
    assert (asked(SHOP), asked(GROUPS)) == both


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"name": "shop", "members": {"0": 1}}, 409, "is there already"),
        ({"name": "other", "members": {"0": 1}}, 409, "is in group shop"),
        ({"name": "other", "members": {"nobody": 1}}, 404, "There is no replica nobody"),
        ({"name": "other", "members": {}}, 409, "would have no replica"),
        ({"name": "other", "members": {"0": 1}, "gates": {"7": {"pause": "1m"}}}, 400, "gate after tier 7"),
        ({"name": "other", "members": {"0": 1}, "gates": {"1": {"pause": "soon"}}}, 400, "isn't a length of time"),
        ({"name": "other", "members": {"0": 1}, "gates": {"1": {"command": ["rm"]}}}, 400, "runs no commands"),
        ({"name": "a b", "members": {"0": 1}}, 400, "name"),
    ],
)
def test_what_cant_be_is_refused_and_changes_nothing(api, ids, shop, body, status, sentence):  # noqa: F811
    members = {ids[int(word)] if word.isdecimal() else word: tier for word, tier in body["members"].items()}
    answer = api("ann", "POST", GROUPS, body | {"members": members})
    assert (answer.status_code, sentence in answer.json()["message"]) == (status, True), answer.text
    assert answer.json()["field"].partition(".")[0] in ("name", "members", "gates")
    assert [one["name"] for one in api.did("ann", "GET", GROUPS)] == ["shop"]


def test_it_is_changed_and_deleted(api, ids, shop):  # noqa: F811
    changed = api.did("ann", "PATCH", SHOP, {"members": {ids[0]: 1}, "gates": {"1": None}})
    assert ([one["tier"] for one in changed["members"]], changed["gates"]) == ([1, 1], {})
    left = api.did("ann", "PATCH", SHOP, {"members": {ids[0]: None}})
    assert [one["replica"] for one in left["members"]] == [ids[1]]
    answer = api("ann", "PATCH", SHOP, {"members": {ids[1]: None}})
    assert (answer.status_code, "would have no replica" in answer.json()["message"]) == (409, True)
    assert len(api.did("ann", "GET", SHOP)["members"]) == 1
    api.did("ann", "DELETE", SHOP)
    assert api.did("ann", "GET", GROUPS) == []
    assert len(api.did("ann", "GET", REPLICAS)) == 2


def test_a_failover_begins_as_a_whole_and_its_tiers_wait(api, ids, shop):  # noqa: F811
    at = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    run = api.did("ann", "POST", f"{SHOP}/failover", {"at": at})
    assert (run["machine_name"], run["request"]["type"], run["status"]) == ("shop", "group-failover", "queued")
    found = api.did("ann-reader", "GET", SHOP)
    assert {one["stage"] for one in found["members"]} == {"failing-over"}
    assert found["run"]["id"] == run["id"]
    assert [(one["tier"], one["state"], one["gate"]) for one in found["run"]["tiers"]] == [
        (1, "waiting", "waiting"),
        (2, "waiting", None),
    ]
    landings = [api.store.migrations.get(one["migration"]) for one in found["members"]]
    assert [(one.request["point"], one.job.due_at) for one in landings] == [(1, NEVER), (1, NEVER)]
    for method, path, body in (
        ("POST", "/failover", {}),
        ("POST", "/test", {}),
        ("POST", "/commit", None),
        ("PATCH", "", {"gates": {"1": None}}),
        ("DELETE", "", None),
    ):
        assert api("ann", method, f"{SHOP}{path}", body).status_code == 409, path
    api.did("ann", "POST", f"{SHOP}/undo")
    assert api.store.migrations.cancel_requested(run["id"])
    assert all(api.store.migrations.cancel_requested(one.id) for one in landings)


def test_where_one_cant_nobody_fails_over(api, ids, shop):  # noqa: F811
    api.did("ann", "POST", f"{REPLICAS}/{ids[0]}/failover", {"planned": True})
    answer = api("ann", "POST", f"{SHOP}/failover", {})
    assert (answer.status_code, "A failover of web is under way" in answer.json()["message"]) == (409, True)
    answer = api("ann", "POST", f"{SHOP}/test", {"at": "2020-01-01T00:00:00Z"})
    assert (answer.status_code, "no usable point of 2020-01-01 00:00" in answer.json()["message"]) == (409, True)
    assert api.did("ann", "GET", SHOP)["run"] is None
    assert {one["stage"] for one in api.did("ann", "GET", SHOP)["members"]} == {"protected"}
    answer = api("ann", "POST", f"{SHOP}/undo")
    assert (answer.status_code, "no test or failover to undo" in answer.json()["message"]) == (409, True)


def test_a_planned_one_wishes_nothing_before_its_turn(api, ids, shop):  # noqa: F811
    assert api("ann", "POST", f"{SHOP}/failover", {"planned": True, "at": "2026-01-01T00:00:00Z"}).status_code == 400
    run = api.did("ann", "POST", f"{SHOP}/failover", {"planned": True, "networks": {"VM Network": "other"}})
    state = form(RunState).validate_python(api.store.migrations.get(run["id"]).state)
    assert state.progress.shuts_down == 2
    assert [tier.replicas for tier in state.tiers] == [(ids[1],), (ids[0],)]
    assert {wished["networks"]["VM Network"] for wished in state.wishes.values()} == {"other"}
    assert {one["stage"] for one in api.did("ann", "GET", SHOP)["members"]} == {"protected"}


def test_a_replica_that_is_deleted_leaves_its_group(api, ids, shop):  # noqa: F811
    api.did("ann", "DELETE", f"{REPLICAS}/{ids[0]}")
    assert [one["replica"] for one in api.did("ann", "GET", SHOP)["members"]] == [ids[1]]
    api.did("ann", "DELETE", f"{REPLICAS}/{ids[1]}")
    for what in ("test", "failover"):
        answer = api("ann", "POST", f"{SHOP}/{what}", {})
        assert (answer.status_code, "has no replica any more" in answer.json()["message"]) == (409, True)


def test_a_migration_is_kept_and_a_replica_migrated_only_where_that_can_be(api, ids):  # noqa: F811
    api.did("ann", "POST", "/v1/providers", VSPHERE | {"name": "vc3"})
    asked = {"machine": "web", "source": "vc3", "target": "cloud", "request": NEW["request"] | {"type": "warm"}}
    migration = f"/v1/migrations/{api.did('ann', 'POST', '/v1/migrations', asked)['id']}"
    for token, status in (("ann", 409), ("ann-reader", 403), ("bob", 404)):
        assert api(token, "POST", f"{migration}/keep-as-replica", {}).status_code == status
    assert api("ann", "POST", f"{migration}/keep-as-replica", {"schedule": "sometimes"}).status_code == 400
    path = f"{REPLICAS}/{ids[0]}"
    assert api("bob", "POST", f"{path}/migrate").status_code == 404
    migrated = api.did("ann", "POST", f"{path}/migrate")
    assert (migrated["stage"], migrated["wish"]) == ("migrating", "migration")
    for method, further, body in (("POST", "/test", {}), ("POST", "/failover", {}), ("DELETE", "", None)):
        assert api("ann", method, f"{path}{further}", body).status_code == 409


def test_the_times_of_tests_are_kept_changed_and_taken_away(api, ids):  # noqa: F811
    path = f"{REPLICAS}/{ids[0]}"
    changed = api.did("ann", "PATCH", path, {"prove": "weekly sunday 02:00 Europe/Berlin"})
    assert (changed["prove"], changed["schedule"]) == ("weekly sunday 02:00 Europe/Berlin", "every 15m")
    assert datetime.now(UTC) < datetime.fromisoformat(changed["prove_due_at"]) < datetime.now(UTC) + timedelta(days=8)
    assert api("ann", "PATCH", path, {"prove": "sometimes"}).status_code == 400
    kept = api.did("ann", "PATCH", path, {"retention": "last 5"})
    assert (kept["prove"], kept["prove_due_at"]) == (changed["prove"], changed["prove_due_at"])
    assert api.did("ann", "PATCH", path, {"prove": "never"})["prove_due_at"] is None


def test_a_test_may_stay_for_a_while(api, ids):  # noqa: F811
    path = f"{REPLICAS}/{ids[0]}/test"
    assert api.did("ann", "POST", path, {"clean_up_after": "30m"})["request"]["clean_up_after"] == 1800.0
    for body, sentence in (
        ({"clean_up_after": "30m", "keep": True}, "Choose one"),
        ({"clean_up_after": "8d"}, "at the latest"),
        ({"clean_up_after": "soon"}, "isn't a length of time"),
    ):
        answer = api("ann", "POST", path, body)
        assert (answer.status_code, sentence in answer.json()["message"]) == (400, True)
    body = {"machine": "web", "source": "vc", "target": "cloud", "request": {"clean_up_after": 60}}
    assert api("ann", "POST", "/v1/migrations", body).status_code == 400


def test_one_that_cant_be_read_is_left_out_of_lists_told_and_deleted(api, ids, caplog):  # noqa: F811
    """One record of many that somebody, or another version, has left so."""
    shop, _well = (
        api.did("ann", "POST", GROUPS, {"name": name, "members": {id_: 1}})
        for name, id_ in zip(("shop", "well"), ids, strict=True)
    )
    with api.store.database.session() as session:
        session.execute(text("UPDATE replica_groups SET gates = '{\"x\": 7}' WHERE name = 'shop'"))
    assert [one["name"] for one in api.did("ann", "GET", GROUPS)] == ["well"]
    assert f"a group of replicas can't be read and is left out of a list: {shop['id']}" in caplog.text
    api.did("ann", "DELETE", SHOP)
    assert [one["name"] for one in api.did("ann", "GET", GROUPS)] == ["well"]
