"""The vSphere source against the lab's vCenter, with a machine that really runs and writes."""

import hashlib
import threading
import time
from pathlib import Path

import nbd
import pytest
from pyVmomi import vim

from longshore.errors import (
    AccessDenied,
    Conflict,
    CopyError,
    ExportError,
    FingerprintMismatch,
    LongshoreError,
    NotFound,
)
from longshore.model.changes import Changed, Unknown
from longshore.model.machine import PowerState, Snapshot, ToolsState
from longshore.model.target import Owner
from longshore.providers.vsphere import snapshots as snapshots_module
from longshore.providers.vsphere.certificate import ServerCertificate, fetch_fingerprint
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.providers.vsphere.source import VsphereSource

pytestmark = pytest.mark.lab

HOST, USER = "vcenter.lab", "administrator@vsphere.local"
NAME = "vsphere-source"  # the machine that these tests own
BLOCK = 64 << 10
ZERO = hashlib.sha1(bytes(BLOCK)).digest()


@pytest.fixture(scope="module")
def settings(lab):
    return VsphereSettings(HOST, USER, fingerprint=lab.fingerprint(), vddk_libdir=str(lab.vddk))


@pytest.fixture(scope="module")
def source(settings, lab):
    source = VsphereSource(settings, lab.vcenter_password)
    yield source
    source.close()


@pytest.fixture(scope="module")
def machine(source, sidedoor):
    """Switched on, its guest writing, tools running; change tracking on."""
    ref = sidedoor.add_machine("tiny01", NAME, nics=[{"network": "DMZ", "mac": "00:50:56:ab:cd:77"}], memory_mib=128)
    try:
        source.power_on(ref)
        deadline = time.monotonic() + 60
        while source.machine(ref).tools is not ToolsState.RUNNING:
            assert time.monotonic() < deadline, sidedoor.console(NAME)[-2000:]
            time.sleep(0.2)
        assert source.set_change_tracking(ref, True)
        yield ref
        left = sidedoor.fingerprint()["machines"][NAME]
        assert (left["snapshots"], left["open_layers"], left["consolidation_needed"]) == ([], [], False)
    finally:
        sidedoor.clear_trouble()
        sidedoor.remove_machines(NAME)


@pytest.fixture(autouse=True)
def _no_trouble_left(sidedoor):
    yield
    sidedoor.clear_trouble()


@pytest.fixture
def take(source, machine, request):
    """Takes snapshots that are removed after the test."""
    taken: list[Snapshot] = []

    def take(step: str, *, quiesce: bool = False) -> Snapshot:
        taken.append(source.snapshot(machine, f"test {step}", Owner(request.node.name, step), quiesce=quiesce))
        return taken[-1]

    yield take
    for snapshot in taken:
        source.remove_snapshot(machine, snapshot.ref)


def blocks(source: VsphereSource, snapshot: Snapshot, key: str) -> list[bytes]:
    """A digest for each block of a disk; what the server says is zero isn't read."""
    with source.open_disk(snapshot, key) as export:
        handle = nbd.NBD()
        handle.add_meta_context("base:allocation")
        handle.connect_uri(export.uri)
        digests = [ZERO] * (handle.get_size() // BLOCK)
        holding: set[int] = set()

        def extents(_context: str, offset: int, entries: list[int], _error: object) -> int:
            for length, flags in zip(entries[::2], entries[1::2], strict=True):
                if not flags & nbd.STATE_ZERO:
                    holding.update(range(offset // BLOCK, -(-(offset + length) // BLOCK)))
                offset += length
            return 0

        for offset in range(0, handle.get_size(), 1 << 20):
            handle.block_status(1 << 20, offset, extents)
        for block in holding:
            digests[block] = hashlib.sha1(handle.pread(BLOCK, block * BLOCK)).digest()
        handle.shutdown()
        return digests


def write_a_little(sidedoor) -> None:
    """Until the guest has acknowledged a few more records."""
    before = sidedoor.console(NAME).count("acknowledged")
    deadline = time.monotonic() + 20
    while sidedoor.console(NAME).count("acknowledged") < before + 2:
        assert time.monotonic() < deadline, "the guest doesn't write"
        time.sleep(0.05)


# Getting in


def test_check_says_where_we_are(source, lab):
    found = source.check()
    assert found["fingerprint"] == lab.fingerprint() == fetch_fingerprint(HOST)
    assert (found["kind"], found["user"]) == ("vcenter", USER)


def test_wrong_password(settings):
    with pytest.raises(AccessDenied, match="refused the user name or the password"):
        VsphereSource(settings, "not this one").check()


def test_wrong_fingerprint(lab, sidedoor):
    before = sidedoor.sessions()
    other = VsphereSettings(HOST, USER, fingerprint="AB" * 32)
    with pytest.raises(FingerprintMismatch):
        VsphereSource(other, lab.vcenter_password).check()
    assert sidedoor.sessions() == before


def test_the_labs_certificate_is_its_own_authority(lab):
    source = VsphereSource(VsphereSettings(HOST, USER, ca_file=str(lab.root / "etc/vcenter.crt")), lab.vcenter_password)
    assert source.check()["kind"] == "vcenter"
    source.close()


# Inventory


def test_every_machine_is_listed(source):
    assert {found.name for found in source.machines()} >= {"web01", "tiny01", "tiny02", "tiny03", "tiny04"}


def test_a_machines_description(source):
    found = source.machine("web01")
    assert [disk.position for disk in found.disks] == [0, 1]
    assert [(disk.storage, disk.controller, disk.unit) for disk in found.disks] == [
        ("datastore1", "pvscsi", 0),
        ("datastore2", "pvscsi", 1),
    ]
    assert all(disk.size > 0 and disk.location.startswith(f"[{disk.storage}] ") for disk in found.disks)
    (nic,) = found.nics
    assert (nic.mac, nic.network, nic.model, nic.pci_slot) == ("00:50:56:ab:cd:01", "VM Network", "vmxnet3", 192)
    assert (found.cpus, found.memory_mib, found.guest_id) == (1, 768, "debian12_64Guest")
    assert (found.folder, found.cluster, found.host) == ("web", "cluster1", "esx1.lab")
    assert found.annotation == "The shop's web server"
    assert found.datacenter == "DC0"


def test_networks_of_both_kinds_of_switch(source):
    assert [nic.network for nic in source.machine("tiny04").nics] == ["VM Network", "Backend"]


def test_a_machine_is_found_by_reference_name_and_path(source):
    found = source.machine("tiny03")
    for same in (found.ref, "testing/tiny/tiny03", "DC0/testing/tiny/tiny03", "/DC0/vm/testing/tiny/tiny03"):
        assert source.machine(same).ref == found.ref


def test_an_unknown_machine(source):
    with pytest.raises(NotFound, match="Did you mean 'tiny03'"):
        source.machine("Tiny03")
    for wrong in ("testing/tiny03", "vm-999999"):
        with pytest.raises(NotFound):
            source.machine(wrong)
    with pytest.raises(NotFound):
        source.power_state("vm-999999")


def test_a_session_that_ends_during_a_sweep(source, sidedoor, monkeypatch):
    monkeypatch.setattr("longshore.providers.vsphere.machine_list.PAGE", 2)
    sweep = source.machines()
    names = [next(sweep).name]
    sidedoor.expire_sessions()
    names += [found.name for found in sweep]
    assert len(names) == len(set(names))
    assert set(names) >= {"web01", "tiny01", "tiny02", "tiny03", "tiny04"}


# Snapshots


def test_a_snapshot_is_taken_once_found_again_and_removed(source, machine, request):
    owner = Owner(request.node.name, "snapshot")
    assert source.find_snapshot(machine, owner) is None
    taken = source.snapshot(machine, "first", owner, quiesce=False)
    assert [disk.key for disk in taken.disks] == [disk.key for disk in source.machine(machine).disks]
    assert all(disk.change_id for disk in taken.disks)
    assert source.snapshot(machine, "second", owner, quiesce=False) == taken
    assert source.find_snapshot(machine, owner) == taken
    assert source.find_snapshot(machine, Owner(request.node.name, "other")) is None
    assert source.machine(machine).snapshots == ("first",)
    source.remove_snapshot(machine, taken.ref)
    source.remove_snapshot(machine, taken.ref)
    assert source.find_snapshot(machine, owner) is None


def test_a_quiesced_snapshot_says_so(take):
    assert take("quiesced", quiesce=True).quiesced


def test_a_request_of_a_run_that_died_is_waited_for(source, machine, take, sidedoor):
    """The first run asked vCenter and died before it heard back: the second one must not make another."""
    asked = source._session.object(vim.VirtualMachine, machine)
    owner = Owner("test_a_request_of_a_run_that_died_is_waited_for", "s")
    asked.CreateSnapshot_Task(
        name="by the dead", description=f"longshore:owner={owner.tag}", memory=False, quiesce=True
    )
    assert take("s").name == "by the dead"
    assert len(source.machine(machine).snapshots) == 1


def test_somebody_elses_snapshot_stays(source, machine):
    foreign = source._session.object(vim.VirtualMachine, machine)
    foreign.CreateSnapshot_Task(name="before the update", memory=False, quiesce=False)
    deadline = time.monotonic() + 20
    while not source.machine(machine).snapshots:
        assert time.monotonic() < deadline
    try:
        ref = foreign.snapshot.currentSnapshot
        with pytest.raises(Conflict, match="isn't Longshore's"):
            source.remove_snapshot(machine, ref._moId)
        with pytest.raises(Conflict, match="while the machine has snapshots"):
            source.set_change_tracking(machine, False)
        assert source.machine(machine).snapshots == ("before the update",)
    finally:
        ref.RemoveSnapshot_Task(removeChildren=False)
        while source.machine(machine).snapshots:
            assert time.monotonic() < deadline


def test_a_guest_that_cant_be_frozen(source, machine, sidedoor):
    sidedoor.refuse_quiesce(NAME, times=1)
    with pytest.raises(Conflict, match="An error occurred while quiescing") as caught:
        source.snapshot(machine, "n", Owner("w", "quiesce"), quiesce=True)
    assert caught.value.code == "quiesce-failed"
    assert source.machine(machine).snapshots == ()


def test_a_snapshot_that_fails_keeps_vcenters_words(source, machine, sidedoor):
    sidedoor.refuse_snapshots(NAME, times=1)
    with pytest.raises(LongshoreError, match=f"couldn't take a snapshot of {machine}: An error occurred while taking"):
        source.snapshot(machine, "n", Owner("w", "refused"), quiesce=False)


def test_removal_waits_for_the_last_reader(source, machine, monkeypatch):
    """Files somebody reads can't be merged; the reader of a copy that was just cancelled is on its way out."""
    monkeypatch.setattr(snapshots_module, "CONSOLIDATION_PAUSE", 0.5)
    taken = source.snapshot(machine, "n", Owner("w", "reader"), quiesce=False)
    leave = threading.Event()
    opened = threading.Event()

    def read() -> None:
        with source.open_disk(taken, taken.disks[1].key):
            opened.set()
            leave.wait(30)

    reader = threading.Thread(target=read)
    reader.start()
    assert opened.wait(30)
    threading.Timer(0.8, leave.set).start()
    source.remove_snapshot(machine, taken.ref)
    reader.join()
    assert not source.machine(machine).consolidation_needed


def test_a_missing_privilege_is_named(source, machine, sidedoor):
    sidedoor.plan_fault(
        "CreateSnapshot_Task",
        "vim.fault.NoPermission",
        machine=NAME,
        properties={"privilegeId": "VirtualMachine.State.CreateSnapshot"},
    )
    with pytest.raises(AccessDenied, match=r"VirtualMachine\.State\.CreateSnapshot is missing"):
        source.snapshot(machine, "n", Owner("w", "denied"), quiesce=False)


# Changed areas


def test_changed_areas_hold_every_block_that_differs(source, take, sidedoor):
    first = take("first")
    write_a_little(sidedoor)
    second = take("second")
    for disk in first.disks:
        answer = source.changed(second, disk.key, disk.change_id)
        assert isinstance(answer, Changed)
        told = {block for extent in answer.extents for block in range(extent.offset // BLOCK, -(-extent.end // BLOCK))}
        pairs = zip(blocks(source, first, disk.key), blocks(source, second, disk.key), strict=True)
        differing = {number for number, (before, after) in enumerate(pairs) if before != after}
        assert differing, "the guest wrote nothing: the test proves nothing"
        assert differing <= told
        assert sum(extent.length for extent in answer.extents) < disk.size / 4


def test_a_reset_of_change_tracking_is_unknown(source, take, sidedoor):
    first = take("first")
    sidedoor.reset_change_tracking(NAME)
    second = take("second")
    for disk in first.disks:
        assert isinstance(source.changed(second, disk.key, disk.change_id), Unknown)


def test_a_fault_is_unknown_with_its_words(source, take, sidedoor):
    first, second = take("first"), take("second")
    sidedoor.plan_fault("QueryChangedDiskAreas", "vim.fault.FileFault", message="Error caused by file /x.vmdk")
    disk = first.disks[0]
    answer = source.changed(second, disk.key, disk.change_id)
    assert isinstance(answer, Unknown)
    assert "Error caused by file /x.vmdk" in answer.reason
    assert isinstance(source.changed(second, disk.key, disk.change_id), Changed)


# Disks


def test_a_disk_is_what_the_datastore_holds(source, sidedoor):
    """Of a machine that was never on, so that each of its disks is one plain file."""
    ref = sidedoor.add_machine("tiny01", f"{NAME}-off", nics=[{"network": "DMZ", "mac": "00:50:56:ab:cd:78"}])
    try:
        chains = sidedoor.machine(f"{NAME}-off")["chains"]
        taken = source.snapshot(ref, "n", Owner("w", "plain"), quiesce=False)
        for disk in taken.disks:
            (layer, *_) = chains[disk.key]
            with Path(layer).open("rb") as file:
                expected = [hashlib.sha1(data).digest() for data in iter(lambda f=file: f.read(BLOCK), b"")]
            assert blocks(source, taken, disk.key) == expected
    finally:
        sidedoor.remove_machines(f"{NAME}-off")


def test_odd_reads_and_large_ones(source, take):
    taken = take("s")
    with source.open_disk(taken, taken.disks[0].key) as export:
        handle = nbd.NBD()
        handle.connect_uri(export.uri)
        large = handle.pread(8 << 20, 0)  # more than VDDK allows at once
        assert handle.pread(1000, 511) == large[511:1511]
        handle.shutdown()


def test_the_password_is_on_no_command_line_and_in_no_environment(source, take, lab):
    password = lab.vcenter_password
    taken = take("s")
    with source.open_disk(taken, taken.disks[0].key) as export:
        process = Path(f"/proc/{export.pid}")
        assert b"vddk" in (process / "cmdline").read_bytes()
        for place in ("cmdline", "environ"):
            assert password.encode() not in (process / place).read_bytes()
        assert password not in export.last_words()


def test_vddk_with_the_wrong_thumbprint(source, take, monkeypatch):
    taken = take("s")
    monkeypatch.setattr(source._session, "_certificate", ServerCertificate(b"another"))
    with (
        pytest.raises(FingerprintMismatch, match="shows another certificate than the one Longshore logged in with"),
        source.open_disk(taken, taken.disks[0].key),
    ):
        pass


def test_vddk_with_the_wrong_password(source, take, monkeypatch):
    taken = take("s")
    monkeypatch.setattr(source._session, "_password", lambda: "wrong-word")
    with (
        pytest.raises(AccessDenied, match="refused Longshore's login through VDDK") as caught,
        source.open_disk(taken, taken.disks[0].key),
    ):
        pass
    assert "wrong-word" not in str(caught.value)


def test_a_snapshot_that_is_gone(source, machine):
    taken = source.snapshot(machine, "n", Owner("w", "gone"), quiesce=False)
    source.remove_snapshot(machine, taken.ref)
    with pytest.raises((NotFound, ExportError)), source.open_disk(taken, taken.disks[0].key):
        pass


def test_a_read_that_fails_is_told_with_vddks_words(source, take, sidedoor):
    taken = take("s")
    key = taken.disks[1].key
    sidedoor.plan_read_error(NAME, int(key), 1 << 20, times=0)

    def copy() -> None:
        with source.open_disk(taken, key) as export:
            handle = nbd.NBD()
            handle.connect_uri(export.uri)
            try:
                handle.pread(BLOCK, 1 << 20)
            except nbd.Error as error:
                handle.shutdown()
                raise CopyError(f"Reading failed: {error.string}.") from error

    with pytest.raises(CopyError, match=r"Reading failed: .* VDDK said: .*I/O error"):
        copy()


# Sessions and power; the machine is off at the end


def test_an_expired_session_is_renewed(source, machine, sidedoor):
    assert sidedoor.expire_sessions() > 0
    assert source.power_state(machine) is PowerState.ON


def test_waiting_survives_an_expired_session(source, machine, sidedoor):
    sidedoor.ignore_shutdown(NAME)
    source.shut_down(machine)
    threading.Timer(0.3, sidedoor.expire_sessions).start()
    began = time.monotonic()
    assert source.wait_powered_off(machine, 2) is False
    assert 1 < time.monotonic() - began < 10


def test_shut_down_and_on_again(source, machine):
    source.shut_down(machine)
    assert source.wait_powered_off(machine, 60)
    assert source.power_state(machine) is PowerState.OFF
    source.shut_down(machine)
    source.power_off(machine)
    source.power_on(machine)
    source.power_on(machine)
    assert source.power_state(machine) is PowerState.ON


def test_a_guest_without_tools_cant_be_asked(source, machine):
    """Right after power-on nothing in the guest listens yet."""
    source.power_off(machine)
    source.power_on(machine)
    with pytest.raises(Conflict, match="VMware Tools must run") as caught:
        source.shut_down(machine)
    assert caught.value.code == "tools-unavailable"
    source.power_off(machine)
    assert source.power_state(machine) is PowerState.OFF


def test_change_tracking_is_switched_back(source, machine):
    assert source.set_change_tracking(machine, False)
    assert not source.set_change_tracking(machine, False)
    assert not source.machine(machine).change_tracking
