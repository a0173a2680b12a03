"""An inventory read from a simulated vCenter: places, filters, tags, custom attributes."""

import http.client
from dataclasses import replace

import pytest

from longshore.errors import AccessDenied, Conflict, NotFound, Unreachable
from longshore.model.inventory import NetworkKind
from longshore.model.machine import PowerState
from longshore.model.selection import MachineFilter
from longshore.model.source_marks import MarkKind
from longshore.model.target import Owner
from longshore.providers.vsphere import machine_list, making, tags
from longshore.providers.vsphere.source import VsphereSource

PLACES = {"datacenter": "DC0", "folder": "web", "cluster": "cluster1"}
PAPER = {"disks": [{"datastore": "datastore2", "capacity": 1 << 30}], "guest_id": "debian12_64Guest"}


@pytest.fixture(scope="module", autouse=True)
def shop(paper):
    """Three machines of a shop among fifty others."""
    door = paper.sidedoor
    door.add_paper_machines(50, prefix="crowd")
    door.add_machine(
        "crowd00001", "shop-web", **PAPER, **PLACES, tags=["stage/production", "backup/daily"], pool="production"
    )
    door.add_machine("crowd00001", "shop-db", **PAPER, **PLACES, tags=["stage/production"], attributes={"owner": "amy"})
    place = {**PLACES, "folder": "testing/tiny", "cluster": "cluster2", "host": "esx3.lab"}
    door.add_machine("crowd00001", "shop/test", **PAPER, **place, tags=["stage/test"])
    yield
    door.remove_machines("shop-web", "shop-db", "shop/test")


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (MachineFilter(name="shop*"), ["shop-web", "shop-db", "shop/test"]),
        (MachineFilter(name="SHOP*"), []),
        (MachineFilter(folder="web"), ["shop-web", "shop-db"]),
        (MachineFilter(folder="/testing/"), ["shop/test"]),
        (MachineFilter(folder="test"), []),  # the beginning of a name isn't a folder
        (MachineFilter(cluster="cluster2"), ["shop/test"]),
        (MachineFilter(tag="stage/production"), ["shop-web", "shop-db"]),
        (MachineFilter(tag="daily"), ["shop-web"]),
        (MachineFilter(tag="production", name="*db"), ["shop-db"]),
        (MachineFilter(power=PowerState.ON, name="shop*"), []),
        (MachineFilter(power=PowerState.OFF, name="shop*", cluster="cluster1"), ["shop-web", "shop-db"]),
    ],
)
def test_filters(source, wanted, names):
    assert [machine.name for machine in source.machines(wanted)] == names
    assert len(source.references(wanted)) == len(names)


def test_what_has_slashes_in_its_name_is_found_and_made_anew_there(paper, source):
    place = {**PLACES, "folder": "testing/a%2fb", "cluster": "cluster2", "host": "esx3.lab"}
    paper.sidedoor.add_machine("crowd00001", "50%25 a%2fb", **PAPER, **place)
    like, other = source.machine("50% a/b"), source.machine("shop/test")
    assert (like.name, like.folder) == ("50% a/b", "testing/a/b")
    assert source.before_mark(other.ref, MarkKind.FOLDER, "testing/a/b") is not None
    assert source.before_mark(like.ref, MarkKind.FOLDER, "testing/a/b") is None, "it is there already"
    assert source.before_mark(like.ref, MarkKind.SUFFIX, " a/b") is None
    with pytest.raises(Conflict, match="called 50% a/b"):
        making.check(source._session, like)
    paper.sidedoor.remove_machines("50%25 a%2fb")
    making.check(source._session, like)
    assert making._spec(like, making._place(source._session, like), Owner("", "")).name == "50%25 a%2fb"


def test_a_machine_is_found_by_what_it_keeps_when_it_is_registered_anew(source):
    (web,) = source.machines(MachineFilter(name="shop-web"))
    elsewhere = replace(web, ref="vm-1", instance_uuid="50230000-0000-0000-0000-000000000000")
    assert source.registered_as(replace(web, ref="vm-1")) == web.ref
    assert source.registered_as(elsewhere) == web.ref, "by its BIOS UUID"
    assert source.registered_as(replace(elsewhere, uuid="42230000-0000-0000-0000-000000000000")) is None
    moved = tuple(replace(disk, location=f"[other] {disk.location}") for disk in web.disks)
    assert source.registered_as(replace(elsewhere, disks=moved)) is None, "only a copy by hand is left"


def test_every_machine_is_told_once_in_the_order_they_were_made(source, monkeypatch):
    monkeypatch.setattr(machine_list, "PAGE", 7)
    told = [machine.ref for machine in source.machines()]
    assert told == source.references()
    assert len(set(told)) == len(told) >= 53


def test_the_number_of_calls_does_not_follow_that_of_the_machines(source, monkeypatch):
    monkeypatch.setattr(machine_list, "PAGE", 40)
    count = len(source.references())
    calls: list[str] = []
    stub = source._session._stub
    invoke = stub._invoke
    monkeypatch.setattr(stub, "_invoke", lambda mo, info, *rest: calls.append(info.wsdlName) or invoke(mo, info, *rest))
    assert len(list(source.machines())) == count
    # Three views (machines, places, pools) are made, read and destroyed; attributes; pages of machines, and with each
    # page the hosts and port groups that no earlier one was on: five in all
    assert len(calls) <= 3 * 3 + 1 + -(-count // 40) + 5


def test_a_session_that_ends_between_two_pages(paper, source, monkeypatch):
    monkeypatch.setattr(machine_list, "PAGE", 7)
    told = source.machines()
    refs = [next(told).ref]
    paper.sidedoor.expire_sessions()
    refs += [machine.ref for machine in told]
    assert refs == source.references()


def test_a_machine_that_goes_while_they_are_read_is_left_out(paper, source):
    paper.sidedoor.add_paper_machines(3, prefix="brief")
    refs = source.references(MachineFilter(name="brief*"))
    paper.sidedoor.remove_machines("brief00002")
    assert [machine.name for machine in source.describe(refs)] == ["brief00001", "brief00003"]
    paper.sidedoor.remove_machines("brief00001", "brief00003")


def test_tags_are_read_only_when_asked_for(source):
    web, db = source.references(MachineFilter(folder="web"))
    assert [machine.tags for machine in source.machines(MachineFilter(folder="web"))] == [(), ()]
    assert source.tags([web, db]) == {web: ("backup/daily", "stage/production"), db: ("stage/production",)}
    (found,) = source.machines(MachineFilter(tag="daily"))
    assert found.tags == ("backup/daily", "stage/production")


def test_more_machines_than_can_be_asked_about_tags_at_once(source, monkeypatch):
    monkeypatch.setattr(tags, "OBJECTS", 20)
    assert len(source.tags(source.references())) == 3


def test_a_tag_that_is_not_there(source):
    with pytest.raises(NotFound) as caught:
        list(source.machines(MachineFilter(tag="gold")))
    assert "stage/production" in caught.value.advice


def test_tags_are_not_read_with_a_wrong_password_or_from_another_server(paper, settings):
    with pytest.raises(AccessDenied, match="asked for tags"):
        VsphereSource(settings, "wrong").tags(["vm-1"])
    with pytest.raises(AccessDenied, match="is pinned"):
        VsphereSource(replace(settings, fingerprint="00" * 32), paper.password).tags(["vm-1"])


def test_a_machines_place_and_the_users_own_fields(source):
    found = source.machine("shop-db")
    assert (found.datacenter, found.cluster, found.folder, found.pool) == ("DC0", "cluster1", "web", "")
    assert found.attributes == {"owner": "amy"}
    assert found.cores_per_socket == 1
    assert source.machine("shop-web").pool == "production"


def test_the_inventory_around_the_machines(source):
    found = source.inventory()
    assert found.datacenters == ("DC0",)
    assert [(c.name, c.datacenter) for c in found.clusters] == [("cluster1", "DC0"), ("cluster2", "DC0")]
    assert {(h.name, h.cluster, h.connected, h.maintenance) for h in found.hosts} == {
        ("esx1.lab", "cluster1", True, False),
        ("esx2.lab", "cluster1", True, False),
        ("esx3.lab", "cluster2", True, False),
    }
    assert {(h.cores, h.memory, h.version) for h in found.hosts} == {(16, 64 << 30, "8.0.2")}
    assert {"web", "testing", "testing/tiny"} <= {f.path for f in found.folders}
    assert [(p.path, p.cluster) for p in found.pools] == [("production", "cluster1")]
    assert [(d.name, d.kind, d.capacity, d.free) for d in found.datastores] == [
        ("datastore1", "VMFS", 1024 << 30, 512 << 30),
        ("datastore2", "VMFS", 512 << 30, 256 << 30),
    ]
    networks = {(n.name, n.kind, n.vlan, n.switch) for n in found.networks}
    assert {one for one in networks if not one[0].startswith("trunk of ")} == {  # which machines of other tests have
        ("VM Network", NetworkKind.STANDARD, "", ""),
        ("DMZ", NetworkKind.STANDARD, "40", ""),
        ("Backend", NetworkKind.DISTRIBUTED, "30", "DSwitch1"),
        ("segment-1", NetworkKind.OPAQUE, "", ""),
    }


def test_a_session_for_tags_is_ended_also_when_reading_them_fails(source, monkeypatch):
    """vCenter has room for 550 of a user (tanzu-cli#749): later reads would be refused."""
    ended = []
    log_out = tags._Rest.log_out

    def broken(_rest, *_asked):
        raise http.client.IncompleteRead(b"")

    monkeypatch.setattr(tags._Rest, "ask", broken)
    monkeypatch.setattr(tags._Rest, "log_out", lambda rest: ended.append(log_out(rest)))
    with pytest.raises(Unreachable, match="broke off"):
        source.tags(["vm-1"])
    assert len(ended) == 1
