"""A source's machines a page at a time, searched; what a target has to choose from; errors with their advice apart."""

from dataclasses import replace

import pytest
from anns_api import anns_api
from cloud_stand_in import MACHINE, Cloud

from longshore.errors import InvalidInput
from longshore.model.machine import Nic, PowerState
from longshore.model.search import parse_search
from queued import queue_migration

PAGE = "/v1/providers/vc/inventory/machines"


class ManyMachines(Cloud):
    count, reads = 130, 0

    def machines(self, wanted):
        ManyMachines.reads += 1
        return (replace(MACHINE, ref=f"vm-{n}", name=f"web{n:03}") for n in reversed(range(self.count)))


@pytest.fixture
def api(tmp_path, monkeypatch):
    monkeypatch.setattr(ManyMachines, "reads", 0)
    with anns_api(tmp_path, monkeypatch, ManyMachines) as api:
        yield api


def test_pages_come_from_one_reading_until_somebody_wants_another(api, monkeypatch):
    first = api.did("ann", "GET", f"{PAGE}?limit=50")
    assert (first["total"], first["of"], len(first["machines"])) == (130, 130, 50)
    assert [m["name"] for m in first["machines"][:2]] == ["web000", "web001"]
    last = api.did("ann", "GET", f"{PAGE}?limit=50&offset=100")
    assert [m["name"] for m in last["machines"]][-1] == "web129"
    assert (ManyMachines.reads, last["read_at"]) == (1, first["read_at"])
    monkeypatch.setattr(ManyMachines, "count", 2)
    assert api.did("ann-reader", "GET", PAGE)["total"] == 130
    assert api.did("ann", "GET", f"{PAGE}?anew=true")["total"] == 2
    assert (ManyMachines.reads, api.did("ann", "GET", PAGE)["total"]) == (2, 2)
    api.did("ann", "PATCH", "/v1/providers/vc", {"settings": {"username": "other"}})
    api.did("ann", "GET", PAGE)
    assert ManyMachines.reads == 3, "another account may see other machines"


def test_single_ones_are_had_by_their_references_in_order(api):
    page = api.did("ann", "GET", f"{PAGE}?ref=vm-77&ref=vm-3&ref=vm-none")
    assert ([m["name"] for m in page["machines"]], page["total"], page["of"]) == (["web003", "web077"], 2, 130)
    assert api.did("ann", "GET", f"{PAGE}?ref=vm-77&q=web003")["total"] == 0


def test_another_project_sees_neither_machines_nor_offer(api):
    for path in (PAGE, "/v1/providers/cloud/offer"):
        assert api("bob", "GET", path).status_code == 404
        assert api("ann-nothing", "GET", path).status_code == 403


def test_a_search_names_its_fields_when_there_is_no_such(api):
    assert api.did("ann", "GET", f"{PAGE}?q=web01 power:on")["total"] == 10
    refused = api("ann", "GET", f"{PAGE}?q=colour:red")
    body = refused.json()
    assert (refused.status_code, body["code"]) == (400, "invalid-input")
    assert body["advice"] == "There are: name, folder, cluster, host, power, os, network, storage, ip, in."
    assert body["message"] == f'Machines have no field "colour" to look for. {body["advice"]}'


def test_a_target_says_what_there_is_to_choose_from(api):
    offer = api.did("ann", "GET", "/v1/providers/cloud/offer")
    assert [network["name"] for network in offer["networks"]] == ["private"]
    assert (offer["volume_types"], [flavor["name"] for flavor in offer["flavors"]]) == (["ceph"], ["small"])
    assert offer["choices"]["zones"] == ["nova"]
    assert offer["quota"]["instances"] is None


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ("", True),
        ("WEB", True),
        ("shop web", True),
        ("shop db", False),
        ("folder:prod/shop", True),
        ("folder:web", False),
        ("power:on", True),
        ("power:o", False),
        ('network:"VM Net"', True),
        ("network:dmz", False),
        ("ip:10.0.0.", True),
        ("os:debian storage:ds", True),
        ("vm-1", True),
        ('"open quote', False),
        ("os:", True),
    ],
)
def test_all_words_have_to_fit(words, fits):
    nic = Nic("4000", "Network adapter 1", "00:50:56:00:00:01", "VM Network", addresses=("10.0.0.5",))
    machine = replace(MACHINE, folder="Prod/Shop", guest_name="Debian 12", nics=(nic,), power=PowerState.ON)
    assert parse_search(words)(machine) is fits


def test_a_search_has_an_end():
    with pytest.raises(InvalidInput):
        parse_search("x" * 501)


def test_migrations_are_listed_newest_first_page_by_page(api):
    source, target = (provider["id"] for provider in api.did("ann", "GET", "/v1/providers"))
    for number in range(5):
        queue_migration(
            api.store.migrations,
            machine_name=f"m{number}",
            machine_ref=f"vm-{number}",
            source_id=source,
            target_id=target,
            request={},
        )
    admin = "/v1/migrations?all_projects=true&newest=true&limit=2"
    first = api.did("admin", "GET", admin)
    second = api.did("admin", "GET", f"{admin}&marker={first[-1]['id']}")
    assert [m["machine_name"] for m in (*first, *second)] == ["m4", "m3", "m2", "m1"]
    oldest = api.did("admin", "GET", "/v1/migrations?all_projects=true&limit=2")
    assert [m["machine_name"] for m in oldest] == ["m0", "m1"]
