"""A plan that is proposed can be read again, and means then the machines and networks that were proposed."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from longshore.model import source_names
from longshore.model.machine import Disk, Machine, Nic, PowerState
from longshore.model.plan import Mappings
from longshore.model.platform import Platform
from longshore.model.target import Flavor, Network, Subnet
from longshore.planning.entry_words import name_volumes
from longshore.planning.planfile import from_plain, plain, read, write
from longshore.planning.proposal import Offer, propose

GIB = 1 << 30
# What people call things, and what isn't readable, looks like a path, a reference, a volume or something else in YAML
WORDS = ["app01", "web/app01", "vm-1", "vm-2", "LAN", "network-1", "DC0/LAN", "web", "a\u200bb", "tab\there"]
NAMES = st.sampled_from([*WORDS, "", " ", "yes", "volume:app01", "0123", "a: b #c", "x" * 300]) | st.text(max_size=8)
NETWORKS = (
    Network("n-1", "LAN", False, True, (Subnet("s-1", "10.0.0.0/24", True), Subnet("s-2", "10.1.0.0/24", True))),
    Network("n-2", "n-1", False, True, (Subnet("s-3", "10.2.0.0/24", True),), vlan=7),
    Network("n-3", "odd\u200b", False, True, (Subnet("s-4", "10.3.0.0/24", True),)),
)
OFFER = Offer(NETWORKS, ("app01", "a\u200bb"), (Flavor("f", "odd\u200b", 1, 256, 0),), zones=("web", "a\u200bb"))


@st.composite
def machines(draw, number):
    nics = tuple(
        Nic(
            str(n),
            f"NIC {n}",
            f"00:50:56:00:{number:02x}:{n:02x}",
            draw(NAMES),
            addresses=tuple(draw(st.lists(st.sampled_from(["10.0.0.5", "10.2.0.5", "10.3.0.5"]), max_size=1))),
            network_ref=draw(st.sampled_from(["", "network-1", "network-2", "LAN"])),
        )
        for n in range(draw(st.integers(0, 2)))
    )
    disk = Disk("d", "disk", 0, GIB, "x", draw(NAMES), storage_ref=draw(st.sampled_from(["", "app01", "ds-2"])))
    folder, center = draw(st.sampled_from(["", "web", "web/old"])), draw(st.sampled_from(["", "DC0", "DC1"]))
    return Machine(
        f"vm-{number}",
        draw(NAMES),
        PowerState.OFF,
        1,
        256,
        (disk,),
        nics,
        folder=folder,
        datacenter=center,
        cluster=draw(NAMES),
        platform=Platform("vsphere"),
    )


@st.composite
def fleets(draw):
    return [draw(machines(number)) for number in range(draw(st.integers(1, 5)))]


def one(ref, name, center, nics=()):
    disk = Disk("d", "disk", 0, GIB, "x", "ds1")
    fixed = {"folder": "web", "datacenter": center, "platform": Platform("vsphere")}
    return Machine(ref, name, PowerState.OFF, 1, 256, (disk,), nics, **fixed)


@pytest.mark.long
@settings(max_examples=200, deadline=None)
@given(fleets())
@example([one("vm-1", "app01", "DC0"), one("vm-2", "app01", "DC1")])
@example([one("vm-1", "app01", "DC0"), one("vm-2", "app01", "DC0")])  # one of them is kept as app%301
@example([one("vm-1", "app01", "DC0"), one("vm-9", "vm-1", "DC0")])
def test_a_proposed_plan_is_read_back_with_the_same_machines(fleet):
    plan = propose("p", "vc", "cloud", fleet, OFFER, Mappings()).plan
    again = read(write(from_plain(plain(plan))), "p.yaml")
    assert again == plan
    assert [entry.ref for entry in again.machines] == [machine.ref for machine in fleet]
    words = [entry.machine for entry in again.machines]
    for entry, machine in zip(again.machines, fleet, strict=True):
        assert words.count(entry.machine) == 1
        assert entry.machine == machine.ref or entry.machine not in {other.ref for other in fleet}


@settings(max_examples=200, deadline=None)
@given(fleets())
def test_what_is_proposed_for_a_network_holds_for_no_other_one(fleet):
    mappings = propose("p", "vc", "cloud", fleet, OFFER, Mappings()).plan.mappings
    for table, places in (
        (mappings.networks, source_names.networks_of(fleet)),
        (mappings.storage, source_names.storage_of(fleet)),
    ):
        assert not list(source_names.several(table, places))


def test_twins_are_told_apart_by_the_datacenter_and_else_by_the_reference():
    twins = [one("vm-1", "app01", "DC0"), one("vm-2", "app01", "DC1"), one("vm-3", "app01", "DC1")]
    plan = propose("p", "vc", "cloud", twins, OFFER, Mappings()).plan
    assert [entry.machine for entry in plan.machines] == ["DC0/web/app01", "vm-2", "vm-3"]


def volume(id_, name):
    disk = Disk(id_, "volume", 0, GIB, id_, "ceph", name=name)
    return Machine(f"volume:{id_}", name or id_, PowerState.OFF, 0, 0, (disk,), (), platform=Platform("openstack"))


def test_volumes_are_called_by_what_means_no_other_one():
    loose = [volume("1a", "data"), volume("2b", "data"), volume("3c", "1a"), volume("4d", ""), volume("5e", "logs")]
    assert [entry.volume for entry in name_volumes(loose, loose)] == ["1a", "2b", "3c", "4d", "logs"]
    content = {"name": "p", "source": "a", "target": "b", "machines": []}
    entries = [{"volume": entry.volume, "ref": entry.ref} for entry in name_volumes(loose, loose)]
    assert from_plain({**content, "volumes": entries}).volumes == name_volumes(loose, loose)
