"""A machine made anew where one was, at the lab's vCenter and disk library: its hardware, found and deleted again."""

from dataclasses import replace

import pytest
from pyVmomi import vim, vmodl
from test_vsphere_writing import MIB, NEEDS_PLUGIN, SIZE, WORDS, content, put, source, vcenter  # noqa: F401 fixtures

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.model.machine import Devices, Firmware, PowerState
from longshore.model.target import Owner
from longshore.providers.vsphere import making
from longshore.providers.vsphere.tasks import result

OWNER = Owner("failback", "machine")
MACS = ("00:50:56:a1:02:03", "00:50:56:01:02:03")  # vCenter's own, and a user's
pytestmark = [pytest.mark.long, NEEDS_PLUGIN]


@pytest.fixture
def lost(vcenter, source):  # noqa: F811
    """What a machine was like that isn't there any more: two disks, two adapters, in a folder and a pool."""
    served, library = vcenter
    images = library.parents[1] / "cache" / "guests"
    for number in (0, 1):
        (images / f"lost{number}.raw").write_bytes(b"lost" * (SIZE * (number + 1) // 4))
    served.sidedoor.add_paper_machines(1, prefix="like")
    served.sidedoor.add_machine(
        "like00001",
        "lost",
        disks=[{"datastore": f"datastore{number + 1}", "image": f"lost{number}.raw"} for number in (0, 1)],
        nics=[{"network": "VM Network", "mac": MACS[0]}, {"network": "DMZ", "mac": MACS[1]}],
        folder="testing/tiny",
        pool="production",
        host="esx2.lab",
        cpus=4,
        cores_per_socket=2,
        memory_mib=512,
        annotation="the shop's",
    )
    found = source.machine("lost")
    served.sidedoor.remove_machines("lost")
    yield found
    served.sidedoor.remove_machines(*({"lost", "like00001"} & set(served.sidedoor.machines())))


def without_identity(machine):
    """What the machine is, but for what no two machines share, or its first disk's place says of it."""
    disks = tuple(replace(disk, location="") for disk in machine.disks)
    return replace(machine, ref="", uuid="", instance_uuid="", disks=disks)


def test_it_has_the_same_hardware_in_the_same_place_and_holds_nothing(source, lost):  # noqa: F811
    source.check_new_machine(lost)
    ref = source.create_machine(lost, OWNER)
    assert ref != lost.ref
    made = source.machine(ref)
    assert without_identity(made) == without_identity(lost)
    assert [nic.mac for nic in made.nics] == list(MACS)
    assert (made.folder, made.pool, made.host, made.power) == ("testing/tiny", "production", "esx2.lab", PowerState.OFF)
    source.check_way_back(ref)
    before = source.snapshot(ref, "before", Owner("failback", "home"), quiesce=False)
    for disk in made.disks:
        with source.open_disk_to_write(before, disk.key, disk.size) as export:
            assert not any(content(export))
            assert put(export, MIB, WORDS) == WORDS
    source.remove_snapshot(ref, before.ref)
    after = source.snapshot(ref, "after", Owner("failback", "after"), quiesce=False)
    for disk in made.disks:
        with source.open_disk(after, disk.key) as export:
            assert content(export)[MIB : MIB + len(WORDS)] == WORDS
    source.remove_snapshot(ref, after.ref)


def test_it_boots_in_the_same_order(source, lost):  # noqa: F811
    order = (lost.disks[1].key, lost.nics[1].key, lost.disks[0].key)
    ref = source.create_machine(lost, OWNER)
    assert source.set_boot_order(ref, replace(lost, boot_order=order)) == ()
    made = source.machine(ref)
    assert made.boot_order == order
    assert [disk.key for disk in made.disks] == [lost.disks[1].key, lost.disks[0].key]
    assert source.set_boot_order(ref, replace(lost, boot_order=("a CD-ROM drive", *order))) == ("a CD-ROM drive",)
    assert source.machine(ref).boot_order == order


def test_it_is_made_once_found_by_whose_it_is_and_deleted(source, lost):  # noqa: F811
    ref = source.create_machine(lost, OWNER)
    assert source.create_machine(lost, OWNER) == source.find_machine("lost", OWNER) == ref
    other = Owner("another", "machine")
    assert source.find_machine("lost", other) is None
    with pytest.raises(Conflict, match="is something called lost where it was"):
        source.create_machine(lost, other)
    with pytest.raises(Conflict, match="is something called lost where it was"):
        source.check_new_machine(lost)
    with pytest.raises(Conflict, match="isn't Longshore's"):
        source.delete_machine(ref, other)
    source.delete_machine(ref, OWNER)
    source.delete_machine(ref, OWNER)
    assert source.find_machine("lost", OWNER) is None
    with pytest.raises(NotFound):
        source.machine(ref)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"datacenter": "DC9"}, "no datacenter DC9"),
        ({"folder": "testing/none"}, "no folder testing/none"),
        ({"cluster": "cluster9"}, "no cluster cluster9"),
        ({"pool": "none"}, "no resource pool none"),
        ({"devices": Devices(vtpm=True)}, "can't be made anew"),
        ({"disks": {"storage": "datastore9"}}, "no datastore datastore9"),
        ({"disks": {"controller": ""}}, "on a controller that isn't made anew"),
        ({"disks": {"mode": "independent_persistent"}}, "independent_persistent"),
        ({"nics": {"network": "nowhere"}}, "no network nowhere"),
        ({"nics": {"model": "sriov"}}, "a kind of adapter that isn't made anew"),
    ],
)
def test_what_cant_be_made_anew_is_said_beforehand(source, lost, change, said):  # noqa: F811
    ((name, value),) = change.items()
    if isinstance(value, dict):
        first, *others = getattr(lost, name)
        value = (replace(first, **value), *others)
    with pytest.raises(InvalidInput, match=said):
        source.check_new_machine(replace(lost, **{name: value}))
    assert source.find_machine("lost", OWNER) is None


def test_networks_of_switches_and_of_others_get_their_own_backings(source, lost):  # noqa: F811
    """The lab's vCenter makes no adapters on them; what would be asked of one is looked at."""
    nics = tuple(replace(lost.nics[0], network=network) for network in ("Backend", "segment-1"))
    like = replace(lost, nics=nics, firmware=Firmware.UEFI, secure_boot=True)
    with source._session.doing("look"):
        place = making._place(source._session, like)
        spec = making._spec(like, place, OWNER)
    port, opaque = (place.backings[nic.network] for nic in nics)
    assert port.port.portgroupKey.startswith("dvportgroup")
    assert port.port.switchUuid
    assert opaque.opaqueNetworkId == "nsx-segment-1"
    assert (spec.firmware, spec.bootOptions.efiSecureBootEnabled) == ("efi", True)


def spoil(spec, how):
    disk = next(one for one in spec.deviceChange if isinstance(one.device, vim.vm.device.VirtualDisk))
    nic = spec.deviceChange[-2].device
    match how:
        case "address":
            nic.addressType = "manual"
        case "file":
            disk.fileOperation = None
        case "controller":
            disk.device.controllerKey = -50
        case "size":
            disk.device.capacityInBytes = disk.device.capacityInKB = 0
        case "place":
            spec.files.vmPathName = None


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ("address", vmodl.fault.InvalidArgument),  # only vCenter gives such addresses out
        ("file", vim.fault.FileNotFound),  # it isn't made with the disk, and isn't there
        ("controller", vmodl.fault.InvalidArgument),
        ("size", vmodl.fault.InvalidArgument),
        ("place", vmodl.fault.InvalidArgument),
    ],
)
def test_the_lab_refuses_what_vmware_s_documents_refuse(source, lost, how, fault):  # noqa: F811
    session = source._session
    with session.doing("make one"):
        place = making._place(session, lost)
        spec = making._spec(lost, place, OWNER)
        spoil(spec, how)
        task = place.folder.CreateVM_Task(config=spec, pool=place.pool)
        with pytest.raises(fault):
            result(session, task, 30)
    assert source.find_machine("lost", OWNER) is None
