"""What is told of machines that serve together, over REST and by commands."""

import json

import pytest
from sqlalchemy import update
from test_operation_api import api  # noqa: F401

from filled import nodes
from in_process import longshore
from longshore.store.tables import JobRow, with_zone


@pytest.fixture
def three(api):  # noqa: F811
    nodes(api.store)
    return api


def test_none_are_told_of_where_nobody_serves_together(api):  # noqa: F811
    assert api.did("admin", "GET", "/v1/nodes") == []


def test_an_administrator_sees_who_is_alive_and_what_each_has(three):
    assert three("ann", "GET", "/v1/nodes").status_code == 403
    one, two, gone = three.did("admin", "GET", "/v1/nodes")
    assert (one["name"], one["alive"], one["version"], one["workers"], one["jobs"]) == ("node1", True, "1.2.3", 1, [])
    assert (one["database"], one["has_address"]) == ("standby", True)
    assert (two["database"], two["has_address"]) == ("primary", False)
    assert two["database_since"] > two["since"]
    assert one["certificate_ends"] == one["certificates"]["patroni"] < one["certificates"]["server"]
    assert (gone["alive"], gone["database"], gone["has_address"], gone["address_since"]) == (False, None, None, None)
    assert gone["since"] < two["database_since"], "when it was last heard of"


def test_a_change_is_told_with_its_moment_and_what_stays_keeps_its_own(three):
    before = {one["name"]: one for one in three.did("admin", "GET", "/v1/nodes")}
    nodes(three.store)
    again = {one["name"]: one for one in three.did("admin", "GET", "/v1/nodes")}
    assert again["node1"]["database_since"] == before["node1"]["database_since"]
    record = next(one for one in three.store.nodes.all() if one.name == "node1")
    said = {name: getattr(record, name) for name in ("address", "host", "version", "certificates", "has_address")}
    said["certificates"] = {}
    three.store.nodes.say("node1", **said, started_at=with_zone(record.started_at), database="away")
    changed = next(one for one in three.did("admin", "GET", "/v1/nodes") if one["name"] == "node1")
    assert changed["database"] == "away"
    assert changed["database_since"] > again["node1"]["database_since"]
    assert changed["address_since"] == again["node1"]["address_since"]


def test_what_a_worker_of_a_machine_has_is_told(three):
    with three.store.database.session() as session:
        session.execute(update(JobRow).where(JobRow.status == "queued").values(worker_id="w1"))
    (job,) = three.did("admin", "GET", "/v1/operation/queue")
    assert [one["jobs"] for one in three.did("admin", "GET", "/v1/nodes")] == [[job["migration"]], [], []]


def test_commands_say_the_same_and_forget_what_is_gone(three, tmp_path):
    def ran(*words):
        return longshore(tmp_path / "state", "node", *words)

    rows = json.loads(ran("list", "-f", "json").stdout)
    assert [(row["Name"], row["State"], row["Database"]) for row in rows] == [
        ("node1", "alive", "standby"),
        ("node2", "alive", "primary"),
        ("node3", "away", None),
    ]
    assert rows[0]["Certificate"] == "patroni"
    refused = ran("delete", "node2")
    assert refused.returncode != 0
    assert "Node node2 is alive" in refused.stderr
    assert ran("delete", "node3").returncode == 0
    assert [row["Name"] for row in json.loads(ran("list", "-f", "json").stdout)] == ["node1", "node2"]
    assert "There is no node node3" in ran("delete", "node3").stderr
