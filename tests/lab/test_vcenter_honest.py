"""The lab's vCenter and disk library keep VMware's promises: seen with plain pyVmomi, as in its samples, and nbdkit.

What the other lab tests prove is worth as much as this stand-in, so nothing of Longshore's is used here.
"""

import base64
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import nbd
import pytest
from pyVim.connect import Disconnect, SmartConnect
from pyVim.task import WaitForTask
from pyVmomi import vim, vmodl

pytestmark = pytest.mark.lab

HOST, PORT, USER = "vcenter.lab", int(os.environ.get("LONGSHORE_VCENTER_PORT", "443")), "administrator@vsphere.local"
SERVER = Path(__file__).parents[2] / "lab" / "vcenter"
NAME = "honest"  # the machine that these tests own
ROOT, DATA = 2000, 2001
BLOCK = 64 << 10
BOOT_LIMIT = 120


def connect(lab, password=None):
    trusted = ssl.create_default_context(cafile=lab.root / "etc" / "vcenter.crt")
    return SmartConnect(host=HOST, port=PORT, user=USER, pwd=password or lab.vcenter_password, sslContext=trusted)


@pytest.fixture(scope="module")
def service(lab):
    service = connect(lab)
    yield service
    Disconnect(service)


@pytest.fixture(scope="module")
def content(service):
    return service.RetrieveContent()


@pytest.fixture(scope="module")
def machine(content, sidedoor):
    """A machine of our own, switched off at first; afterwards everything is as it was."""
    before = sidedoor.fingerprint()
    sidedoor.add_machine("tiny01", NAME, nics=[{"network": "VM Network", "mac": "00:50:56:ab:cd:88"}], memory_mib=128)
    try:
        yield content.searchIndex.FindByInventoryPath(f"DC0/vm/testing/tiny/{NAME}")
    finally:
        sidedoor.clear_trouble()
        sidedoor.remove_machines(NAME)
    assert sidedoor.fingerprint() == before


@pytest.fixture(scope="module")
def running(machine):
    """The same machine, switched on, its guest writing and its tools answering, changes tracked."""
    WaitForTask(machine.PowerOnVM_Task())
    WaitForTask(machine.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True)))
    wait_for(lambda: machine.guest.toolsRunningStatus == "guestToolsRunning", BOOT_LIMIT)
    return machine


@pytest.fixture(autouse=True)
def _no_trouble_left(sidedoor):
    yield
    sidedoor.clear_trouble()


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def disks(config):
    return {d.key: d for d in config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)}


def take_snapshot(machine, **options):
    task = machine.CreateSnapshot_Task(name="honest", description="", **{"memory": False, "quiesce": False, **options})
    WaitForTask(task)
    return task.info.result


def acknowledged(sidedoor):
    return sidedoor.console(NAME).count("acknowledged")


def let_it_write(sidedoor, records=2):
    wanted = acknowledged(sidedoor) + records
    wait_for(lambda: acknowledged(sidedoor) >= wanted)


def changed(machine, snapshot, key, change_id):
    """All areas, however many pages they come in, and how many pages."""
    areas, offset, pages = [], 0, 0
    while offset < disks(machine.config)[key].capacityInBytes:
        page = machine.QueryChangedDiskAreas(snapshot=snapshot, deviceKey=key, startOffset=offset, changeId=change_id)
        assert page.startOffset == offset
        assert all(offset <= a.start and a.start + a.length <= offset + page.length for a in page.changedArea)
        areas += [(area.start, area.length) for area in page.changedArea]
        offset, pages = offset + page.length, pages + 1
    return areas, pages


def differing(old, new):
    return {n for n in range(len(new) // BLOCK) if new[n * BLOCK : (n + 1) * BLOCK] != old[n * BLOCK : (n + 1) * BLOCK]}


def blocks_of(areas):
    return {block for start, length in areas for block in range(start // BLOCK, -(-(start + length) // BLOCK))}


@dataclass
class Library:
    """nbdkit's vddk plugin on the stand-in library, one NBD connection each."""

    lab: object

    def command(self, machine, file, snapshot=None, **parameters):
        rows = [line.split("\t") for line in (self.lab.vddk / "disks.tsv").read_text().splitlines()]
        given = {
            "libdir": self.lab.vddk,
            "server": HOST,
            "port": PORT,
            "user": USER,
            "password": f"+{self.lab.vcenter_password_file}",
            "thumbprint": next(row[1] for row in rows if row[0] == "thumbprint"),
            "transports": "nbdssl:nbd",
            "vm": f"moref={machine._GetMoId()}",
            "file": file,
            **({"snapshot": snapshot._GetMoId()} if snapshot else {}),
            **parameters,
        }
        words = [f"{name}={value}" for name, value in given.items()]
        return ["nbdkit", "-r", "-s", "--exit-with-parent", "vddk", *words]

    def open(self, *args, **parameters):
        handle = nbd.NBD()
        handle.add_meta_context("base:allocation")
        handle.connect_command([str(word) for word in self.command(*args, **parameters)])
        return handle

    def read(self, *args):
        """All of a disk."""
        handle = self.open(*args)
        content = b"".join(handle.pread(1 << 20, offset) for offset in range(0, handle.get_size(), 1 << 20))
        handle.shutdown()
        return content

    def refusal(self, *args, **parameters):
        """What nbdkit says when the disk can't be opened."""
        command = [str(word) for word in self.command(*args, **parameters)]
        command.remove("-s")
        answer = subprocess.run(
            [*command, "-U", "-", "--run", "nbdinfo --size $uri"], check=False, capture_output=True, text=True
        )
        assert answer.returncode != 0, "the disk was opened"
        return answer.stderr


@pytest.fixture(scope="module")
def library(lab):
    assert shutil.which("nbdkit")
    return Library(lab)


# Sessions


def test_a_wrong_password_is_an_invalid_login(lab):
    with pytest.raises(vim.fault.InvalidLogin):
        connect(lab, "not the password")


def test_nothing_is_told_before_the_login(lab):
    service = connect(lab)
    Disconnect(service)
    with pytest.raises(vim.fault.NotAuthenticated):
        service.CurrentTime()
    with pytest.raises(vim.fault.NotAuthenticated):
        _ = service.content.rootFolder.name


def test_an_expired_session_must_log_in_again(lab, sidedoor):
    service = connect(lab)
    assert service.content.sessionManager.currentSession.userName
    assert sidedoor.expire_sessions() > 0
    assert service.content.sessionManager.currentSession is None
    with pytest.raises(vim.fault.NotAuthenticated):
        _ = service.content.rootFolder.childEntity
    service.content.sessionManager.Login(USER, lab.vcenter_password)
    assert service.content.rootFolder.childEntity
    Disconnect(service)


# The inventory


def test_views_find_by_type_and_by_place(content):
    def names(container, kinds, recursive=True):
        view = content.viewManager.CreateContainerView(container, kinds, recursive)
        found = [entity.name for entity in view.view]
        view.Destroy()
        return found

    everything = names(content.rootFolder, [vim.VirtualMachine])
    assert {"tiny01", "tiny02", "tiny03", "tiny04"} <= set(everything)
    assert len(everything) == len(set(everything))
    assert names(content.rootFolder, [vim.VirtualMachine], recursive=False) == []
    tiny = content.searchIndex.FindByInventoryPath("DC0/vm/testing/tiny")
    assert "web01" not in names(tiny, [vim.VirtualMachine])
    assert set(names(content.rootFolder, [vim.Datastore])) == {"datastore1", "datastore2"}
    assert set(names(content.rootFolder, [vim.Network])) >= {"VM Network", "DMZ", "Backend"}
    clusters = content.viewManager.CreateContainerView(content.rootFolder, [vim.ClusterComputeResource], True).view
    assert {c.name: sorted(h.name for h in c.host) for c in clusters} == {
        "cluster1": ["esx1.lab", "esx2.lab"],
        "cluster2": ["esx3.lab"],
    }


def test_the_property_collector_answers_in_pages(content):
    collector, query = content.propertyCollector, vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    traversal = query.TraversalSpec(name="view", path="view", skip=False, type=vim.view.ContainerView)
    spec = query.FilterSpec(
        objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[traversal])],
        propSet=[query.PropertySpec(type=vim.VirtualMachine, pathSet=["name", "config.hardware.memoryMB"])],
    )
    page = collector.RetrievePropertiesEx([spec], query.RetrieveOptions(maxObjects=2))
    assert len(page.objects) == 2
    rows = list(page.objects)
    while page.token:
        page = collector.ContinueRetrievePropertiesEx(page.token)
        assert 1 <= len(page.objects) <= 2
        rows += page.objects
    told = {row.obj: {p.name: p.val for p in row.propSet} for row in rows}
    assert len(told) == len(rows) == len(view.view)
    assert all(values["config.hardware.memoryMB"] >= 128 for values in told.values())
    spec.propSet[0].pathSet = ["config.hardware.nonsense"]
    with pytest.raises(vmodl.query.InvalidProperty):
        collector.RetrievePropertiesEx([spec], query.RetrieveOptions())
    view.Destroy()


def test_waiting_clients_see_a_change_at_once(content, machine):
    query = vmodl.query.PropertyCollector
    collector = content.propertyCollector.CreatePropertyCollector()
    spec = query.FilterSpec(
        objectSet=[query.ObjectSpec(obj=machine)],
        propSet=[query.PropertySpec(type=vim.VirtualMachine, pathSet=["config.annotation", "name"])],
    )
    collector.CreateFilter(spec, True)
    first = collector.WaitForUpdatesEx("", query.WaitOptions(maxWaitSeconds=10))
    assert first.filterSet[0].objectSet[0].kind == "enter"
    assert collector.WaitForUpdatesEx(first.version, query.WaitOptions(maxWaitSeconds=0)) is None
    change = vim.vm.ConfigSpec(annotation="changed meanwhile")
    timer = threading.Timer(0.5, lambda: machine.ReconfigVM_Task(change))
    timer.start()
    began = time.monotonic()
    update = collector.WaitForUpdatesEx(first.version, query.WaitOptions(maxWaitSeconds=20))
    assert time.monotonic() - began < 10
    [entry] = update.filterSet[0].objectSet
    assert [(c.name, c.val) for c in entry.changeSet] == [("config.annotation", "changed meanwhile")]
    timer.join()
    collector.DestroyPropertyCollector()


def test_machines_are_found_by_what_identifies_them(content, machine):
    index, datacenter = content.searchIndex, content.rootFolder.childEntity[0]
    assert index.FindByUuid(None, machine.config.uuid, True) == machine
    assert index.FindByUuid(datacenter, machine.config.instanceUuid, True, True) == machine
    assert index.FindByUuid(None, machine.config.instanceUuid, True, False) is None
    assert index.FindByDatastorePath(datacenter, machine.config.files.vmPathName) == machine
    assert index.FindByInventoryPath("DC0/vm/testing/tiny/nobody") is None


def test_the_hardware_is_vmwares(machine):
    devices = machine.config.hardware.device
    assert any(isinstance(device, vim.vm.device.ParaVirtualSCSIController) for device in devices)
    [nic] = [device for device in devices if isinstance(device, vim.vm.device.VirtualVmxnet3)]
    assert nic.macAddress == "00:50:56:ab:cd:88"
    assert nic.slotInfo.pciSlotNumber == 192
    assert nic.backing.network.name == "VM Network"
    found = disks(machine.config)
    assert set(found) == {ROOT, DATA}
    assert found[ROOT].backing.fileName == f"[datastore1] {NAME}/{NAME}.vmdk"
    assert len({disk.backing.uuid for disk in found.values()}) == 2
    assert all(disk.capacityInBytes == disk.capacityInKB << 10 for disk in found.values())


def test_privileges_and_attributes_can_be_asked_for(content, sidedoor):
    wanted = ["VirtualMachine.State.CreateSnapshot", "VirtualMachine.Interact.PowerOff"]
    key = content.sessionManager.currentSession.key

    def granted():
        [answer] = content.authorizationManager.HasPrivilegeOnEntities([content.rootFolder], key, wanted)
        return {p.privId: p.isGranted for p in answer.privAvailability}

    assert granted() == dict.fromkeys(wanted, True)
    sidedoor.deny_privileges(wanted[1])
    assert granted() == {wanted[0]: True, wanted[1]: False}
    assert "owner" in [field.name for field in content.customFieldsManager.field]


# Off


def test_what_is_off_can_not_be_switched_off(machine):
    with pytest.raises(vim.fault.InvalidPowerState) as refused:
        WaitForTask(machine.PowerOffVM_Task())
    assert refused.value.existingState == "poweredOff"
    with pytest.raises(vim.fault.InvalidPowerState):
        machine.ShutdownGuest()


def test_a_disk_of_a_machine_that_is_off_reads_as_it_is(lab, library, machine):
    image = (lab.root / "cache/guests/tiny/data.raw").read_bytes()
    assert library.read(machine, disks(machine.config)[DATA].backing.fileName) == image


def test_holes_are_told(library, machine):
    handle = library.open(machine, disks(machine.config)[DATA].backing.fileName)
    holes = []

    def extents(_context, offset, entries, _error):
        for length, flags in zip(entries[::2], entries[1::2], strict=True):
            if flags & nbd.STATE_ZERO:
                holes.append((offset, length))
            offset += length
        return 0

    handle.block_status(64 << 20, 128 << 20, extents)
    assert holes, "the empty part of the disk is not told to be empty"
    assert not any(any(handle.pread(min(length, 1 << 20), offset)) for offset, length in holes)
    handle.shutdown()


def test_the_library_refuses_strangers(library, machine, lab, tmp_path):
    name = disks(machine.config)[ROOT].backing.fileName
    wrong = tmp_path / "wrong"
    wrong.write_text("not the password")
    thumbprint = ":".join(["AA"] * 20)
    assert "Incorrect user name or password" in library.refusal(machine, name, password=f"+{wrong}")
    assert "thumbprint of vcenter.lab does not match" in library.refusal(machine, name, thumbprint=thumbprint)
    assert "Cannot connect to host" in library.refusal(machine, name, port=9)
    assert "A file was not found" in library.refusal(machine, name.replace(".vmdk", "-9.vmdk"))
    assert "A file was not found" in library.refusal(machine, name, vim.vm.Snapshot("snapshot-99999999"))


def test_a_session_opens_disks_while_it_lives(library, lab, machine, sidedoor):
    service = connect(lab)
    name = disks(machine.config)[ROOT].backing.fileName
    cookie = service._stub.cookie.partition('"')[2].partition('"')[0]
    handle = library.open(machine, name, cookie=cookie)
    assert handle.pread(512, 0)[510:] == b"\x55\xaa"
    handle.shutdown()
    Disconnect(service)
    assert "Incorrect user name or password" in library.refusal(machine, name, cookie=cookie)


def test_ordered_trouble_strikes_copies_under_way(library, machine, sidedoor):
    handle = library.open(machine, disks(machine.config)[DATA].backing.fileName)
    whole = handle.pread(1 << 20, 8 << 20)
    sidedoor.plan_read_error(NAME, DATA, offset=(8 << 20) + 5000, times=1)
    assert handle.pread(4096, 8 << 20) == whole[:4096], "a read beside the bad byte works"
    with pytest.raises(nbd.Error):
        handle.pread(1 << 20, 8 << 20)
    assert handle.pread(1 << 20, 8 << 20) == whole, "it was to fail once"
    sidedoor.set_read_latency(NAME, DATA, 200)
    began = time.monotonic()
    handle.pread(512, 0)
    assert time.monotonic() - began >= 0.2
    sidedoor.set_read_latency(NAME, DATA, 0)
    sidedoor.set_read_speed(NAME, DATA, 4)
    began = time.monotonic()
    handle.pread(2 << 20, 8 << 20)
    assert time.monotonic() - began >= 0.5
    sidedoor.set_read_speed(NAME, DATA, 0)
    with pytest.raises(nbd.Error):
        handle.pread(4 << 20, 0)
    sidedoor.set_largest_read(4 << 20)
    assert len(handle.pread(4 << 20, 0)) == 4 << 20
    handle.shutdown()


def test_ordered_faults_meet_the_calls_they_are_for(machine, sidedoor):
    sidedoor.plan_fault("CreateSnapshot_Task", "vim.fault.TooManySnapshotLevels", machine="tiny01")
    sidedoor.refuse_snapshots(NAME, times=1)
    with pytest.raises(vim.fault.SnapshotFault):
        take_snapshot(machine)
    snapshot = take_snapshot(machine)
    WaitForTask(snapshot.RemoveSnapshot_Task(removeChildren=False))
    assert [planned["machine"] for planned in sidedoor.planned_faults()] == ["tiny01"]


def download(lab, url, **headers):
    trusted = ssl.create_default_context(cafile=lab.root / "etc" / "vcenter.crt")
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=trusted, timeout=60)


def test_datastore_files_are_for_those_who_log_in(lab, machine):
    take_snapshot(machine)
    WaitForTask(machine.RemoveAllSnapshots_Task())
    url = f"https://{HOST}:{PORT}/folder/{NAME}/{NAME}-flat.vmdk?dcPath=DC0&dsName=datastore1"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        download(lab, url)
    secret = base64.b64encode(f"{USER}:{lab.vcenter_password}".encode()).decode()
    answer = download(lab, url, Authorization=f"Basic {secret}", Range="bytes=510-511")
    assert (answer.status, answer.read()) == (206, b"\x55\xaa")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        download(lab, url.replace(NAME, "..", 1), Authorization=f"Basic {secret}")


def test_a_machine_that_is_off_can_be_exported(lab, machine, tmp_path, sidedoor):
    lease = machine.ExportVm()
    wait_for(lambda: lease.state == vim.HttpNfcLease.State.ready, 60)
    assert sidedoor.fingerprint()["open_leases"] == [lease._GetMoId()]
    urls = {entry.key.rpartition(":")[2]: entry.url.replace("*", HOST) for entry in lease.info.deviceUrl}
    unit = disks(machine.config)[DATA].unitNumber
    stream = tmp_path / "data.vmdk"
    with stream.open("wb") as file:
        shutil.copyfileobj(download(lab, urls[str(unit)]), file)
    lease.HttpNfcLeaseComplete()
    image = lab.root / "cache/guests/tiny/data.raw"
    subprocess.run(["qemu-img", "compare", "-f", "vmdk", "-F", "raw", stream, image], check=True)
    assert sidedoor.fingerprint()["open_leases"] == []


# On


@pytest.mark.soak  # what is moved every day is read from it, too
def test_the_guest_tells_its_addresses(running):
    [nic] = running.guest.net
    assert (nic.macAddress, nic.network) == ("00:50:56:ab:cd:88", "VM Network")
    assert running.guest.toolsStatus == "toolsOk"
    assert running.guest.hostName


@pytest.mark.soak
def test_a_running_machine_is_read_through_a_snapshot_only(library, running):
    refusal = library.refusal(running, disks(running.config)[DATA].backing.fileName)
    assert "A file was not found" in refusal


@pytest.mark.soak
def test_changed_areas_miss_nothing(library, running, sidedoor):
    """Two points of a writing guest, all bytes compared: every block that differs is told, in pages, on both disks."""
    first = take_snapshot(running)
    sidedoor.say(NAME, "heavy 20")
    let_it_write(sidedoor, 5)
    sidedoor.say(NAME, "heavy 0")
    second = take_snapshot(running, quiesce=True)
    [root] = running.snapshot.rootSnapshotList
    assert not root.quiesced
    assert root.childSnapshotList[0].quiesced
    before, after = disks(first.config), disks(second.config)
    paged = 0
    for key in (ROOT, DATA):
        old = library.read(running, before[key].backing.fileName, first)
        let_it_write(sidedoor, 1)
        new = library.read(running, after[key].backing.fileName, second)
        assert library.read(running, before[key].backing.fileName, first) == old, "a snapshot changed"
        areas, pages = changed(running, second, key, before[key].backing.changeId)
        paged = max(paged, pages)
        differs = differing(old, new)
        assert differs, "the guest wrote nothing"
        assert differs <= blocks_of(areas)
        everything, _ = changed(running, second, key, "*")
        assert differing(bytes(len(new)), new) <= blocks_of(everything)
    assert paged > 1, "paging was not exercised"
    WaitForTask(running.RemoveAllSnapshots_Task())
    assert running.snapshot is None


@pytest.mark.soak
def test_change_ids_that_mean_nothing_are_faults(running, sidedoor):
    first = take_snapshot(running)
    known = disks(first.config)[DATA].backing.changeId
    epoch, _, number = known.rpartition("/")

    def ask(change_id, snapshot=first, key=DATA, offset=0):
        return running.QueryChangedDiskAreas(snapshot=snapshot, deviceKey=key, startOffset=offset, changeId=change_id)

    ask(known)
    for stranger in (f"{epoch}/{int(number) + 1}", f"00 {epoch[3:]}/{number}"):
        with pytest.raises(vim.fault.FileFault):
            ask(stranger)
    with pytest.raises(vim.fault.FileFault):
        ask(known, snapshot=None)  # running: only a snapshot can be asked about
    for wrong in ({"change_id": "abc"}, {"change_id": known, "key": 9}, {"change_id": known, "offset": 1 << 40}):
        with pytest.raises(vmodl.fault.InvalidArgument):
            ask(**wrong)
    sidedoor.reset_change_tracking(NAME)
    with pytest.raises(vim.fault.FileFault):
        ask(known)
    WaitForTask(running.RemoveAllSnapshots_Task())
    second = take_snapshot(running)
    assert disks(second.config)[DATA].backing.changeId.rpartition("/")[0] != epoch
    WaitForTask(running.RemoveAllSnapshots_Task())


@pytest.mark.soak
def test_a_snapshot_being_read_is_consolidated_later(library, running, sidedoor):
    snapshot = take_snapshot(running)
    handle = library.open(running, disks(snapshot.config)[DATA].backing.fileName, snapshot)
    began = handle.pread(1 << 20, 8 << 20)
    with pytest.raises(vim.fault.FileLocked):
        WaitForTask(snapshot.RemoveSnapshot_Task(removeChildren=False))
    assert running.runtime.consolidationNeeded
    assert running.snapshot is None
    assert handle.pread(1 << 20, 8 << 20) == began
    handle.shutdown()
    wait_for(lambda: not sidedoor.fingerprint()["machines"][NAME]["open_layers"])
    WaitForTask(running.ConsolidateVMDisks_Task())
    assert not running.runtime.consolidationNeeded


@pytest.mark.soak
def test_a_restart_of_the_vcenter_loses_nothing(lab, service, library, running, sidedoor):
    """Killed, not stopped: machines run on, snapshots and change ids stay what they were."""
    snapshot = take_snapshot(running)
    disk = disks(snapshot.config)[DATA].backing
    held = library.read(running, disk.fileName, snapshot)
    pid = sidedoor.machine(NAME)["pid"]
    server = int((lab.root / "run" / "vcenter.pid").read_text())
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{server}/exe").exists())
    subprocess.run([SERVER / "start"], check=True)
    service._stub.DropConnections()
    service.content.sessionManager.Login(USER, lab.vcenter_password)
    assert sidedoor.machine(NAME)["pid"] == pid
    let_it_write(sidedoor)
    assert running.runtime.powerState == "poweredOn"
    [node] = running.snapshot.rootSnapshotList
    assert node.snapshot == snapshot
    assert disks(snapshot.config)[DATA].backing.changeId == disk.changeId
    assert library.read(running, disk.fileName, snapshot) == held
    assert changed(running, take_snapshot(running), DATA, disk.changeId)[0], "what was written meanwhile is not told"
    WaitForTask(running.RemoveAllSnapshots_Task())


# Off again


@pytest.mark.soak
def test_the_guest_shuts_down_when_asked_and_the_last_changes_are_told(library, running, sidedoor):
    snapshot = take_snapshot(running)
    seen = disks(snapshot.config)[DATA].backing
    old = library.read(running, seen.fileName, snapshot)
    WaitForTask(snapshot.RemoveSnapshot_Task(removeChildren=False))
    let_it_write(sidedoor)

    sidedoor.ignore_shutdown(NAME)
    running.ShutdownGuest()
    time.sleep(1)
    assert running.runtime.powerState == "poweredOn"
    sidedoor.ignore_shutdown(NAME, False)
    running.ShutdownGuest()
    wait_for(lambda: running.runtime.powerState == "poweredOff")
    last = sidedoor.console(NAME).count("acknowledged")

    new = library.read(running, disks(running.config)[DATA].backing.fileName)
    areas, _ = changed(running, None, DATA, seen.changeId)
    differs = differing(old, new)
    assert differs
    assert differs <= blocks_of(areas)
    assert sidedoor.console(NAME).count("acknowledged") == last, "it wrote after it was seen off"


@pytest.mark.soak
def test_power_lost_is_power_off(running, sidedoor):
    WaitForTask(running.PowerOnVM_Task())
    with pytest.raises(vim.fault.ToolsUnavailable):  # the guest has not even booted
        running.ShutdownGuest()
    sidedoor.cut_power(NAME)
    assert running.runtime.powerState == "poweredOff"


@pytest.mark.soak
def test_a_reset_machine_is_pristine(lab, library, running, sidedoor):
    take_snapshot(running)
    sidedoor.reset_machine(NAME)
    assert running.snapshot is None
    assert not running.config.changeTrackingEnabled
    image = (lab.root / "cache/guests/tiny/data.raw").read_bytes()
    assert library.read(running, disks(running.config)[DATA].backing.fileName) == image
