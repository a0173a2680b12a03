"""What the contract says of every provider, asked of those that can be asked without a lab.

A method that is called a second time finds things as the first call has left them: whoever calls may have been killed.
"""

import inspect
from collections import Counter

import pytest

from flows.small_clouds import SmallSource, SmallTarget, World
from longshore.errors import Conflict, NotFound
from longshore.model.changes import Unknown
from longshore.model.machine import Snapshot, SnapshotDisk
from longshore.model.target import Owner, PortRequest, ServerRequest, Subnet, VolumeRequest
from longshore.providers import contract
from longshore.providers.contract import Machines, Power, Snapshots, Source
from longshore.providers.openstack.source import OpenstackSource
from longshore.providers.openstack.target import OpenstackTarget

OWNER = Owner("contract", "step")
ROLES = [getattr(contract, name) for name in contract.__all__ if name not in ("Source", "Target")]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.__name__)
def test_each_method_says_what_it_does(role):
    methods = [method for name, method in vars(role).items() if inspect.isfunction(method) and name[0] != "_"]
    assert methods
    assert [method.__name__ for method in methods if not inspect.getdoc(method)] == []


def test_a_source_may_have_only_what_every_source_has():
    """The rest answers for itself: there is nothing of the kind."""
    required = {name for role in (Machines, Snapshots, Power) for name in vars(role) if name[0] != "_"}
    made = type("Shelf", (Source,), dict.fromkeys({*required, "check", "close"}, lambda *_: None))
    shelf = made()
    snapshot = Snapshot("s", "m", "s", (SnapshotDisk("d", "d", 1, None),))
    assert (shelf.volumes(), shelf.tags(["m"]), shelf.room()) == ([], {}, None)
    assert shelf.set_change_tracking("m", True) is False
    assert isinstance(shelf.changed(snapshot, "d", "1"), Unknown)
    with pytest.raises(NotFound, match="There is no volume data: at this source disks belong to machines"):
        shelf.volume("data")
    with pytest.raises(NotFound, match="The snapshot of m has no disk e"):
        snapshot.disk("e")


def test_machines_are_the_same_whichever_way_they_are_asked_for(paper, source):
    paper.sidedoor.add_paper_machines(2, prefix="contract")
    found = [machine for machine in source.machines() if machine.name.startswith("contract")]
    refs = [machine.ref for machine in found]
    assert [machine.name for machine in found] == ["contract00001", "contract00002"]
    assert [ref for ref in source.references() if ref in refs] == refs
    assert list(source.describe([*refs, "vm-999999"])) == list(source.describe(refs)) == found
    assert source.machine(refs[0]) == source.machine("contract00001") == source.by_reference(refs[0]) == found[0]
    assert source.tags([*refs, "vm-999999"]) == {}
    assert len({machine.mark for machine in found}) == 2
    assert all(machine.mark == f"{machine.source_uuid}/{machine.instance_uuid}" for machine in found)
    # One that is called like another one's reference: a person is asked which is meant, a job goes on with its own
    odd = paper.sidedoor.add_machine("contract00001", refs[1])
    with pytest.raises(Conflict, match=rf"contract00002 \({refs[1]}\).*{refs[1]} \({odd}\)"):
        source.machine(refs[1])
    assert source.by_reference(refs[1]) == found[1]
    paper.sidedoor.remove_machines("contract00001", "contract00002")
    assert list(source.describe(refs)) == []
    with pytest.raises(NotFound):  # not the one that is called so
        source.by_reference(refs[1])
    paper.sidedoor.remove_machines(refs[1])


@pytest.mark.parametrize("union", [OpenstackSource, OpenstackTarget])
def test_no_part_of_an_openstack_hides_what_another_one_has(union):
    """Its parts have one `self`: two helpers of one name would be one."""
    parts = [part for part in union.__mro__[1:] if part.__module__.startswith("longshore.providers.openstack")]
    named = Counter(name for part in parts for name in vars(part) if not name.startswith("__"))
    assert {name for name, times in named.items() if times > 1} <= {"by_reference"}  # by what is referred to


@pytest.fixture
def small(tmp_path):
    """Both of the small clouds: what flows are tried with keeps the contract, too."""
    world = World.create(tmp_path / "world")
    return SmallSource(world), SmallTarget(world)


def test_a_second_snapshot_of_the_same_owner_is_the_first(small):
    source, _ = small
    assert source.find_snapshot("vm-1", OWNER) is None
    taken = source.snapshot("vm-1", "contract", OWNER, quiesce=False)
    assert source.snapshot("vm-1", "contract", OWNER, quiesce=False) == taken
    assert source.find_snapshot("vm-1", OWNER).ref == taken.ref
    for _ in range(2):
        source.remove_snapshot("vm-1", taken.ref)
    assert source.find_snapshot("vm-1", OWNER) is None


def test_what_is_switched_already_is_left_alone(small):
    source, _ = small
    assert [source.set_change_tracking("vm-1", on) for on in (True, True, False, False)] == [True, False, True, False]
    for switch, off in ((source.power_off, True), (source.power_on, False)):
        for _ in range(2):
            switch("vm-1")
            assert source.wait_powered_off("vm-1", 0.1) is off
    assert source.last_start("vm-1") == source.last_start("vm-1")


def test_a_second_thing_of_the_same_owner_is_the_first_and_goes_once(small):
    _, target = small
    made = target.create_volume(VolumeRequest("a", 1 << 20, None), OWNER)
    port = PortRequest("a", "net-1", "00:50:56:00:00:01")
    kinds = [
        (lambda: target.create_volume(VolumeRequest("a", 1 << 20, None), OWNER), "volume"),
        (lambda: target.snapshot_volume(made.id, OWNER), "volume_snapshot"),
        (lambda: target.create_port(port, OWNER), "port"),
        (lambda: target.create_isolated_network("a", (Subnet("s", "10.0.0.0/24", True),), OWNER), "isolated_network"),
        (lambda: target.create_server(ServerRequest("a", "f", (made.id,), ()), OWNER), "server"),
    ]
    for create, kind in kinds:
        assert create().id == create().id == getattr(target, f"find_{kind}")(OWNER).id
    for _, kind in reversed(kinds):
        thing = getattr(target, f"find_{kind}")(OWNER)
        for _ in range(2):
            getattr(target, f"delete_{kind}")(thing.id)
        assert getattr(target, f"find_{kind}")(OWNER) is None
