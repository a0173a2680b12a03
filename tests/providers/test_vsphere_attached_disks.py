"""Disks attached to another machine: the rules of the lab's vCenter, which are what the tests of proxies are worth."""

import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from pyVmomi import vim, vmodl
from vsphere_proxy import CONTENT, DATA, GOODS, PROXY, ROOT, vcenter_at

from longshore.errors import Conflict
from longshore.model.target import Owner
from longshore.providers.vsphere.properties import read
from longshore.providers.vsphere.tasks import result

Device = vim.vm.device
Fault = vim.fault
SCSI = 1000  # key of the first controller
READS = "independent_nonpersistent"


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as directory, vcenter_at(Path(directory)) as place:
        yield place


@pytest.fixture
def world(place):
    """Yield a machine with a snapshot, and a proxy that runs."""
    place.add_machine()
    place.add_proxy()
    with place.source() as source:
        yield World(place, source)
    place.door.clear_trouble()
    for name in (PROXY, *(name for name in place.door.machines() if name.startswith("second"))):
        place.door.remove_machines(name)
    place.door.remove_machines(GOODS)


class World:
    def __init__(self, place, source):
        self.place, self.source, self.session = place, source, source._session
        self.door = place.door
        self.goods = self.door.machine(GOODS)["moref"]
        self.proxy = self.door.machine(PROXY)["moref"]
        source.set_change_tracking(self.goods, True)
        self.owner = Owner("m", "snapshot")
        self.snapshot = source.snapshot(self.goods, "s", self.owner, quiesce=False)

    def location(self, key=ROOT):
        return self.snapshot.disk(key).location

    def attach(self, *disks, version=None, proxy=None):
        changes = [add(**disk) for disk in disks]
        return self.reconfigure(deviceChange=changes, changeVersion=version, proxy=proxy)

    def detach(self, *keys, **file_operation):
        changes = [
            Device.VirtualDeviceSpec(operation="remove", device=Device.VirtualDisk(key=key), **file_operation)
            for key in keys
        ]
        return self.reconfigure(deviceChange=changes)

    def begin(self, proxy=None, **changes):
        return self.session.object(vim.VirtualMachine, proxy or self.proxy).ReconfigVM_Task(
            vim.vm.ConfigSpec(**changes)
        )

    def reconfigure(self, proxy=None, **changes):
        return result(self.session, self.begin(proxy, **changes), 60)

    def config(self):
        return read(self.session, self.session.object(vim.VirtualMachine, self.proxy), ["config"])["config"]

    def foreign(self):
        return [d for d in self.config().hardware.device if isinstance(d, Device.VirtualDisk) and d.key != 2000]

    def needs_consolidation(self):
        return self.door.machine(GOODS)["consolidation_needed"]

    def base(self, key=ROOT):
        return Path(self.door.machine(GOODS)["chains"][key][0])


def add(file, unit=1, controller=SCSI, mode=READS, backing=Device.VirtualDisk.FlatVer2BackingInfo):
    backing = backing(fileName=file, diskMode=mode)
    device = Device.VirtualDisk(key=-1 - (unit or 0), controllerKey=controller, unitNumber=unit, backing=backing)
    return Device.VirtualDeviceSpec(operation="add", device=device)


def test_what_is_attached_has_what_the_server_knows_of_it(world):
    before = world.config().changeVersion
    world.attach({"file": world.location(), "unit": 1}, {"file": world.location(DATA), "unit": 3, "controller": 1001})
    one, two = world.foreign()
    assert (one.key, one.controllerKey, one.unitNumber) == (2001, 1000, 1)
    assert (two.key, two.controllerKey, two.unitNumber) == (2019, 1001, 3)
    assert one.backing.fileName == world.location()
    assert one.backing.diskMode == READS
    assert {disk.backing.datastore for disk in (one, two)} == {_disks(world.session, world.goods)[0].backing.datastore}
    assert one.capacityInBytes == len(CONTENT)
    held = read(world.session, vim.vm.Snapshot(world.snapshot.ref, None), ["config.hardware.device"])
    (root,) = [device for device in held["config.hardware.device"] if str(device.key) == ROOT]
    assert one.backing.uuid == root.backing.uuid
    assert world.config().changeVersion != before
    world.detach(one.key, two.key)
    assert world.foreign() == []


@pytest.mark.parametrize(
    ("disk", "fault"),
    [
        ({"file": "[datastore1] goods/nowhere.vmdk"}, Fault.FileNotFound),
        ({"file": "[nowhere] goods/goods.vmdk"}, Fault.InvalidDatastorePath),
        ({"unit": 0}, Fault.InvalidDeviceSpec),  # the proxy's own
        ({"unit": 7}, Fault.InvalidDeviceSpec),  # the controller's own
        ({"unit": 16}, Fault.InvalidDeviceSpec),
        ({"unit": None}, Fault.InvalidDeviceSpec),
        ({"controller": 0}, Fault.InvalidController),
        ({"controller": 1002}, Fault.InvalidController),
        ({"backing": Device.VirtualDisk.SparseVer2BackingInfo}, Fault.DeviceUnsupportedForVmPlatform),
    ],
)
def test_none_is_attached_where_one_is_refused(world, disk, fault):
    with pytest.raises(fault):
        world.attach({"file": world.location(DATA), "unit": 2}, {"file": world.location(), **disk})
    assert world.foreign() == []
    world.source.remove_snapshot(world.goods, world.snapshot.ref)  # nothing holds its files
    assert not world.needs_consolidation()


def test_no_disk_is_plugged_into_ide_while_a_machine_runs(world):
    world.door.start_proxy(PROXY)
    with pytest.raises(Fault.DeviceHotPlugNotSupported):
        world.attach({"file": world.location(), "controller": 200})
    world.door.stop_proxy(PROXY)


def test_a_datastore_that_its_host_does_not_have(world):
    other = world.place.add_proxy("second", cluster="cluster2", host="esx3.lab")
    world.attach({"file": world.location()}, proxy=other)
    world.door.unmount("datastore1", "esx3.lab")
    with pytest.raises(Fault.InvalidDatastorePath):
        world.attach({"file": world.location(DATA), "unit": 2}, proxy=other)


def test_what_is_attached_keeps_its_name_when_its_machine_is_moved_to_another_datastore(world):
    world.attach({"file": world.location()})
    world.door.move_storage(GOODS, "datastore2")
    (held,) = world.foreign()
    assert held.backing.fileName == world.location()
    assert world.location().startswith("[datastore1] ")
    now = read(world.session, vim.vm.Snapshot(world.snapshot.ref, None), ["config.hardware.device"])
    disks = [one for one in now["config.hardware.device"] if isinstance(one, Device.VirtualDisk)]
    assert all(one.backing.fileName.startswith("[datastore2] ") for one in disks)
    with pytest.raises(Fault.FileNotFound):
        world.attach({"file": world.location(DATA), "unit": 2})


def test_a_controller_has_fifteen_disks(world):
    (world.place.root / "data" / "vcenter" / "datastore1").mkdir(parents=True, exist_ok=True)
    units = [unit for unit in range(16) if unit != 7]
    changes = [add(world.location(), unit, 1001) for unit in units]
    world.reconfigure(deviceChange=changes)
    assert len(world.foreign()) == 15
    with pytest.raises(Fault.TooManyDevices):
        world.attach({"file": world.location(), "unit": 7, "controller": 1001})


def test_a_refusal_says_which_device_it_is_of(world):
    with pytest.raises(Fault.InvalidDeviceSpec, match="Invalid configuration for device '1'") as caught:
        world.attach({"file": world.location(DATA), "unit": 2}, {"file": world.location(), "unit": 7})
    assert caught.value.deviceIndex == 1


def test_what_a_running_machine_writes_is_not_attached_in_any_mode(world):
    world.source.power_on(world.goods)
    (head,) = [d.backing.fileName for d in _disks(world.session, world.goods) if str(d.key) == ROOT]
    for mode in (READS, "independent_persistent"):
        with pytest.raises(Fault.FileLocked):
            world.attach({"file": head, "mode": mode})
    world.attach({"file": world.location()})  # what its snapshot holds isn't written any more
    world.source.power_off(world.goods)


def test_on_a_vvol_the_disks_file_goes_on_being_written(world):
    before = [one.backing.fileName for one in _disks(world.session, world.goods)]
    world.door.set_kind("datastore1", "VVOL")
    later = world.source.snapshot(world.goods, "s", Owner("m", "later"), quiesce=False)
    world.door.set_kind("datastore1", "VMFS")
    assert [one.backing.fileName for one in _disks(world.session, world.goods)] == before
    assert not {disk.location for disk in later.disks} & set(before)
    world.attach({"file": later.disk(ROOT).location})
    assert world.foreign()[0].backing.fileName == later.disk(ROOT).location


def test_its_account_of_changes_has_an_end_and_knows_no_other_life(world):
    ask = world.session.object(vim.VirtualMachine, world.goods).QueryChangedDiskAreas
    snapshot = vim.vm.Snapshot(world.snapshot.ref, None)
    change_id = world.snapshot.disk(ROOT).change_id
    assert ask(snapshot, int(ROOT), 0, change_id).length == len(CONTENT)
    assert ask(snapshot, int(ROOT), 0, "*").changedArea
    with pytest.raises(vmodl.fault.InvalidArgument):
        ask(snapshot, int(ROOT), len(CONTENT), change_id)
    with pytest.raises(Fault.FileFault):
        ask(snapshot, int(ROOT), 0, f"52 00 00 00 00 00 00 00-00 00 00 00 00 00 00 00/{change_id.rpartition('/')[2]}")
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        ask(vim.vm.Snapshot("snapshot-987654", None), int(ROOT), 0, change_id)


def test_what_a_machine_writes_is_locked(world):
    (head,) = [d.backing.fileName for d in _disks(world.session, world.goods) if str(d.key) == ROOT]
    assert head != world.location()
    world.attach({"file": head, "mode": "independent_persistent"})
    with pytest.raises(Conflict, match="locked") as caught:
        world.source.power_on(world.goods)  # another one may write it
    assert caught.value.code == "file-locked"
    other = world.place.add_proxy("second")
    with pytest.raises(Fault.FileLocked):
        world.attach({"file": head}, proxy=other)


def test_a_snapshots_file_is_read_by_several(world):
    other = world.place.add_proxy("second")
    world.attach({"file": world.location()})
    world.attach({"file": world.location()}, proxy=other)
    with pytest.raises(Fault.FileLocked):
        world.attach({"file": world.location(), "unit": 2, "mode": "independent_persistent"}, proxy=other)


def test_a_configuration_that_was_changed_meanwhile_is_not_changed(world):
    version = world.config().changeVersion
    world.attach({"file": world.location()}, version=version)
    with pytest.raises(Fault.ConcurrentAccess):
        world.attach({"file": world.location(DATA), "unit": 2}, version=version)
    assert len(world.foreign()) == 1


def test_one_change_at_a_time(world):
    world.door.slow_down(PROXY, 1.0)
    began = world.begin(deviceChange=[add(world.location())])
    with pytest.raises(Fault.TaskInProgress):
        world.begin(deviceChange=[add(world.location(DATA), 2)])
    assert world.foreign() == []  # not before its task has ended
    result(world.session, began, 60)
    assert len(world.foreign()) == 1


def test_a_lost_answer_and_a_fault_after_the_deed(world):
    world.door.plan_fault("ReconfigVM_Task", "hang-up", machine=PROXY, carried_out=True)
    with pytest.raises(ConnectionError):
        world.attach({"file": world.location()})
    world.door.slow_down(PROXY, 0.0)
    world.door.plan_fault(
        "ReconfigVM_Task", "vim.fault.GenericVmConfigFault", machine=PROXY, carried_out=True, in_task=True
    )
    with pytest.raises(Fault.GenericVmConfigFault):
        world.attach({"file": world.location(DATA), "unit": 2})
    assert len(world.foreign()) == 2


def test_a_snapshot_that_is_removed_too_early_needs_consolidation_until_it_is_let_go(world):
    before = world.place.digests()
    world.attach({"file": world.location()})
    machine = world.session.object(vim.VirtualMachine, world.goods)
    with pytest.raises(Fault.FileLocked):
        result(
            world.session,
            world.session.object(vim.vm.Snapshot, world.snapshot.ref).RemoveSnapshot_Task(False, True),
            60,
        )
    assert world.door.machine(GOODS)["snapshots"] == []
    assert world.needs_consolidation()
    with pytest.raises(Fault.FileLocked):
        result(world.session, machine.ConsolidateVMDisks_Task(), 60)
    world.detach(*[disk.key for disk in world.foreign()])
    result(world.session, machine.ConsolidateVMDisks_Task(), 60)
    assert not world.needs_consolidation()
    assert world.place.digests() == before


def test_a_detach_leaves_the_file_and_one_that_destroys_does_not(world):
    before = world.place.digests()
    world.attach({"file": world.location()}, {"file": world.location(DATA), "unit": 2})
    one, two = world.foreign()
    world.detach(one.key)
    assert world.place.digests() == before
    world.detach(two.key, fileOperation="destroy")
    assert world.base(ROOT).exists()
    assert not world.base(DATA).exists()
    with pytest.raises(subprocess.CalledProcessError):
        world.place.digests()


def test_the_end_of_a_machine_is_that_of_what_is_attached(world):
    world.attach({"file": world.location()})
    result(world.session, world.session.object(vim.VirtualMachine, world.proxy).Destroy_Task(), 60)
    assert not world.base(ROOT).exists()
    world.place.add_proxy()


def test_states_are_told_as_the_apis_own_types(world):
    task = world.begin(annotation="a")
    result(world.session, task, 60)
    told = read(world.session, task, ["info.state"])["info.state"]
    assert type(told) is vim.TaskInfo.State


def test_a_machine_that_runs_is_not_powered_on_and_says_since_when_it_does(world):
    proxy = world.session.object(vim.VirtualMachine, world.proxy)
    assert read(world.session, proxy, ["runtime.bootTime"])["runtime.bootTime"] is None
    world.door.start_proxy(PROXY)
    assert read(world.session, proxy, ["runtime.bootTime"])["runtime.bootTime"] is not None
    with pytest.raises(Fault.InvalidPowerState):
        result(world.session, proxy.PowerOnVM_Task(), 60)
    world.door.stop_proxy(PROXY)


def test_settings_of_its_own(world):
    option = vim.option.OptionValue
    world.reconfigure(extraConfig=[option(key="guestinfo.a", value="1"), option(key="guestinfo.b", value="2")])
    world.reconfigure(extraConfig=[option(key="guestinfo.a", value="")])
    told = {one.key: one.value for one in world.config().extraConfig if re.match("guestinfo", one.key)}
    assert told == {"guestinfo.b": "2"}


def _disks(session, ref):
    found = read(session, session.object(vim.VirtualMachine, ref), ["config.hardware.device"])
    return [device for device in found["config.hardware.device"] if isinstance(device, Device.VirtualDisk)]


def test_every_test_that_the_labs_page_names_is_there():
    tests = Path(__file__).parents[1]
    named = set(re.findall(r"`(test_\w+)`", (tests.parent / "lab" / "README.md").read_text()))
    there = "".join(file.read_text() for file in (*tests.rglob("test_vsphere_*.py"), *tests.rglob("test_moves_*.py")))
    assert [name for name in sorted(named) if f"def {name}(" not in there] == []
    assert named
