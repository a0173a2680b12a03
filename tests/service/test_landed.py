"""The list of machines that have landed: ids, plans, waves and addresses, floating ones, too."""

import pytest
from anns_api import anns_api
from cloud_stand_in import Cloud
from test_tenants import MIGRATION, PLAN

from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.status import Status
from longshore.model.target import FloatingAddress, Owner
from longshore.store import EntryState, NewMigration, Scope, ThingKind
from longshore.store.tables import utc_now

AT = "/v1/landed"
PORTS = [
    {"id": "port-1", "mac": "00:50:56:00:00:01", "addresses": ["10.0.0.5", "10.0.0.6"]},
    {"id": "port-2", "mac": "00:50:56:00:00:02", "addresses": []},
]


class Routed(Cloud):
    asked = 0

    def floating_addresses(self):
        type(self).asked += 1
        return [
            FloatingAddress("f-1", "192.0.2.7", "net", "port-1"),
            FloatingAddress("f-2", "192.0.2.8", "net", None),
            FloatingAddress("f-3", "192.0.2.9", "net", "another's"),
        ]


@pytest.fixture
def api(tmp_path, monkeypatch):
    with anns_api(tmp_path, monkeypatch, Routed) as api:
        yield api


def land(api, migration, server="server-1", **fields):
    told = {"ports": PORTS, "flavor": {"id": "f", "name": "small"}, "conversion": {"system": None}}
    api.store.migrations.update(migration, status=Status.DONE.value, server_id=server, result=told, **fields)


def landed(api, question="", token="ann"):
    return api.did(token, "GET", f"{AT}{question}")


def test_a_machine_is_told_once_it_has_landed(api):
    migration = api.did("ann", "POST", "/v1/migrations", MIGRATION)["id"]
    assert landed(api) == []
    land(api, migration, target_up_at=utc_now())
    (one,) = landed(api)
    shown = api.did("ann", "GET", f"/v1/migrations/{migration}")
    assert one == {
        "migration": migration,
        "project_id": "project-a",
        "machine_name": "web",
        "machine_ref": "vm-1",
        "source": "vc",
        "target": "cloud",
        "plan": None,
        "wave": None,
        "type": "cold",
        "server_id": "server-1",
        "server_name": "web",
        "flavor": "small",
        "ports": [{**port, "floating": None} for port in PORTS],
        "volumes": [],
        "guest": None,
        "landed_at": shown["target_up_at"],
    }
    assert landed(api, token="bob") == []
    assert landed(api, token="ann-reader") == [one]


def test_floating_addresses_are_the_clouds_own_word(api):
    land(api, api.did("ann", "POST", "/v1/migrations", MIGRATION)["id"])
    before = Routed.asked
    landed(api)
    assert Routed.asked == before, "nothing is asked of a cloud unless somebody wants to know"
    (one,) = landed(api, "?floating=true")
    assert [port["floating"] for port in one["ports"]] == [["192.0.2.7"], []]


def test_a_machine_that_was_moved_again_is_where_it_came_last(api):
    land(api, api.did("ann", "POST", "/v1/migrations", MIGRATION)["id"], "first")
    land(api, api.did("ann", "POST", "/v1/migrations", MIGRATION)["id"], "second")
    assert [one["server_id"] for one in landed(api)] == ["second"]


MAPPED = {"mappings": {"networks": {"VM Network": "private"}}}


def test_those_of_a_plan(api):
    api.did("ann", "PUT", "/v1/plans/shop", {**PLAN, "machines": [{"machine": "web", "wave": 2}], **MAPPED})
    (started,) = api.did("ann", "POST", "/v1/plans/shop/start", {})
    land(api, started["id"])
    (one,) = landed(api, "?plan=shop&target=cloud&machine=web")
    assert (one["plan"], one["wave"], one["migration"]) == ("shop", 2, started["id"])
    assert landed(api, "?machine=db") == []
    assert landed(api, "?target=vc") == []
    assert api("ann", "GET", f"{AT}?plan=other").status_code == 404


def test_pages(api):
    ids = []
    for number in range(3):
        new = NewMigration(f"m{number}", f"vm-{number}", *_between(api), MigrationRequest().to_json())
        (record,) = api.store.scoped(Scope("project-a")).migrations.add_together([new])
        land(api, record.id, f"server-{number}")
        ids.append(record.id)
    first = api("ann", "GET", f"{AT}?limit=2")
    assert [one["migration"] for one in first.json()] == ids[:2]
    assert "marker" in first.headers["Link"]
    assert [one["migration"] for one in landed(api, f"?limit=2&marker={ids[1]}")] == ids[2:]


def _between(api):
    return [api.did("ann", "GET", f"/v1/providers/{name}")["id"] for name in ("vc", "cloud")]


@pytest.mark.parametrize(("state", "there"), [(EntryState.HANDED_OVER, True), (EntryState.REMOVED, False)])
def test_a_failover_that_was_undone_has_not_landed(api, state, there):
    migration = api.did("ann", "POST", "/v1/migrations", MIGRATION)["id"]
    land(api, migration, type=MigrationType.FAILOVER.value)
    entry = api.store.ledger.intend(Owner(migration, "server"), _between(api)[1], ThingKind.SERVER)
    api.store.ledger.settle(entry.id, state, ref="server-1")
    assert bool(landed(api)) is there
