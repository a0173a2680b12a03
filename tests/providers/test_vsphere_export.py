"""Disks that vSphere itself sends while a lease is held, as the lab's vCenter does: whole, in order, and no more than
it says it has sent."""

import hashlib
import json
import os
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from http.client import HTTPSConnection
from pathlib import Path

import nbd
import pytest
from pyVmomi import vim
from vcenter.stream_vmdk import stream
from vsphere_proxy import CONTENT, DATA, GOODS, LIKE, MIB, ROOT, SIZE, vcenter_at
from written_ledger import Written

from longshore.engine.outages import Outages
from longshore.errors import (
    AccessDenied,
    CheckpointMisfit,
    Conflict,
    CopyError,
    ExportError,
    FingerprintMismatch,
    InvalidInput,
    LongshoreError,
    NotFound,
    Occupied,
    ProviderError,
    Unreachable,
)
from longshore.model.changes import Unknown
from longshore.model.reach import Reach
from longshore.model.request import BackupRequest, MigrationRequest, MigrationType
from longshore.model.target import Owner
from longshore.planning.machine_checks import machine_concerns
from longshore.providers.vsphere import export_disks, leases, stream_server
from longshore.providers.vsphere.certificate import trusted_context
from longshore.providers.vsphere.export_disks import ExportLeases
from longshore.providers.vsphere.grains import packed_grains
from longshore.providers.vsphere.properties import read as read_properties
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.source import VsphereSource
from longshore.providers.vsphere.tasks import result

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as directory, vcenter_at(Path(directory)) as place:
        yield place


class World:
    """A machine, and processes that have vSphere send its disks."""

    def __init__(self, place):
        self.place, self.door = place, place.door
        self.ledger = Written()
        self._open = ExitStack()
        self.source, self.leases = self.process()
        self.goods = self.door.machine(GOODS)["moref"]

    def process(self, **said):
        """Return a process's source, and its leases."""
        settings = replace(self.place.settings(transport="export"), **said)
        password = self.place.served.password
        session = VsphereSession(settings, lambda: password)
        held = ExportLeases(session, self.ledger)
        source = VsphereSource(settings, password, held=held)
        self._open.callback(session.close)
        self._open.callback(source.close)
        return source, held

    def close(self):
        self._open.close()

    def snapshot(self, step="snapshot-1"):
        return self.source.snapshot(self.goods, "s", Owner("job", step), quiesce=False)

    def open_leases(self):
        return self.door.fingerprint()["open_leases"]

    def assert_clean(self):
        """Assert that all is as it was before anything was read."""
        assert self.open_leases() == []
        assert self.door.machine(GOODS)["snapshots"] == []
        assert self.ledger.unsettled() == []
        assert set(self.place.digests().values()) == {hashlib.sha256(CONTENT).hexdigest()}


@pytest.fixture
def world(place):
    place.add_machine()
    world = World(place)
    yield world
    world.close()
    place.door.clear_trouble()
    place.door.lease_for(300.0)
    place.door.remove_machines(GOODS)


def content_of(export):
    """Read all of it, in order. Raises CopyError, as whoever copies it does."""
    try:
        handle = nbd.NBD()
        handle.connect_uri(export.uri)
        assert handle.is_read_only()
        return b"".join(bytes(handle.pread(MIB, offset)) for offset in range(0, handle.get_size(), MIB))
    except nbd.Error as error:
        raise CopyError(error.string) from None


def read(world, snapshot, key=ROOT):
    with world.source.open_disk(snapshot, key) as export:
        return content_of(export)


# The whole way


def test_what_a_snapshot_holds_is_read_and_nothing_is_left(world):
    snapshot = world.snapshot()
    assert [read(world, snapshot, disk.key) for disk in snapshot.disks] == [CONTENT, CONTENT]
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_running_machines_disks_are_read_as_the_snapshot_holds_them(world):
    world.source.power_on(world.goods)
    snapshot = world.snapshot()
    world.door.guest_writes(GOODS, int(DATA), 2 * MIB, 0x5A, 65536)
    assert read(world, snapshot, DATA) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    later = world.snapshot("snapshot-2")
    assert read(world, later, DATA) == CONTENT[: 2 * MIB] + b"\x5a" * 65536 + CONTENT[2 * MIB + 65536 :]
    world.source.remove_snapshot(world.goods, later.ref)
    world.source.power_off(world.goods)


# What vSphere does, and others have met


def test_of_a_second_disk_of_one_lease_nothing_comes_so_each_has_its_own(world):
    """The lab's vCenter sends nothing of a second one, as others have seen of vSAN: whoever took that for a disk would
    have an empty one."""
    snapshot = world.snapshot()
    with world.source.open_disk(snapshot, ROOT) as first, world.source.open_disk(snapshot, DATA) as second:
        assert len(world.open_leases()) == 2
        assert [content_of(first), content_of(second)] == [CONTENT, CONTENT]
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_disk_that_comes_empty_is_none(world):
    world.door.trouble_exports(empty=1)
    snapshot = world.snapshot()
    with pytest.raises(ExportError, match="has sent nothing at all of the disk"):
        read(world, snapshot)
    assert world.open_leases() == []
    assert read(world, snapshot) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


@pytest.mark.parametrize("after", [100, 70000, 66 * 1024 + 200])
def test_a_stream_that_ends_too_early_is_not_taken_for_a_whole_disk(world, after):
    """It comes as a whole answer of HTTP, with status 200."""
    world.door.trouble_exports(cut_after=after, cuts=1)
    snapshot = world.snapshot()
    with pytest.raises(ExportError, match="before its end marker, as if it were whole"):
        read(world, snapshot)
    assert read(world, snapshot) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_what_has_come_is_compared_with_what_was_sent(world):
    world.door.trouble_exports(damaged=1)
    snapshot = world.snapshot()
    with pytest.raises(CheckpointMisfit, match="has sent something else of the disk"):
        read(world, snapshot)
    world.door.trouble_exports(sha256=True)
    assert read(world, snapshot) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_one_of_which_vsphere_does_not_say_what_it_has_sent_is_not_believed(world, monkeypatch):
    monkeypatch.setattr(export_disks, "TOLD_WITHIN", 0.5)
    world.door.trouble_exports(silent=True)
    snapshot = world.snapshot()
    with pytest.raises(ExportError, match="doesn't say what it has sent"):
        read(world, snapshot)
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_disk_comes_from_its_host_whose_certificate_vcenter_names(world):
    world.door.trouble_exports(host=True)
    snapshot = world.snapshot()
    assert read(world, snapshot) == CONTENT
    world.door.trouble_exports(host=True, stranger=True)
    with pytest.raises(FingerprintMismatch, match="another certificate than"):
        read(world, snapshot)
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_host_beyond_what_may_be_reached_is_not_connected_to(world):
    world.door.trouble_exports(host=True)
    snapshot = world.snapshot()
    source, _ = world.process(reach=Reach(allowed=("127.0.0.2",)))
    with pytest.raises(AccessDenied, match="to which this server doesn't connect"), source.open_disk(snapshot, ROOT):
        pass
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_lease_is_renewed_while_it_is_used(world, monkeypatch):
    monkeypatch.setattr(leases, "_RENEWED_EVERY", 0.2)
    world.door.lease_for(3.0)
    snapshot = world.snapshot()
    with world.source.open_disk(snapshot, ROOT) as export:
        time.sleep(4.0)
        assert content_of(export) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_vsphere_is_told_how_much_of_the_disk_has_come(world, monkeypatch):
    """It shows that in its list of tasks."""
    monkeypatch.setattr(leases, "_RENEWED_EVERY", 0.02)
    (world.place.root / "cache" / "guests" / "noise.raw").write_bytes(os.urandom(SIZE))
    world.door.remove_machines(GOODS)
    disk = {"datastore": "datastore1", "image": "noise.raw"}
    world.goods = world.door.add_machine(LIKE, GOODS, disks=[disk])
    world.door.trouble_exports(slow=0.05)
    snapshot, session, seen = world.snapshot(), world.source._session, []
    with world.source.open_disk(snapshot, ROOT) as export:
        lease = session.object(vim.HttpNfcLease, world.open_leases()[0])
        reading = threading.Thread(target=content_of, args=(export,))
        reading.start()
        end = time.monotonic() + 60
        while (reading.is_alive() or 100 not in seen) and time.monotonic() < end:
            seen.append(read_properties(session, lease, ["transferProgress"])["transferProgress"])
            time.sleep(0.05)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 100)
    assert len(set(seen)) > 3, "it comes a MiB at a time"
    world.source.remove_snapshot(world.goods, snapshot.ref)
    assert world.open_leases() == []


def test_one_that_has_ended_meanwhile_makes_the_copy_worth_nothing(world):
    world.door.lease_for(0.5)
    world.door.trouble_exports(slow=0.2)
    snapshot = world.snapshot()
    with pytest.raises(LongshoreError, match="can't be read on"):
        read(world, snapshot)
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_machine_is_neither_powered_on_nor_deleted_nor_rid_of_a_snapshot_meanwhile(world):
    """That is what a lease costs that nobody ends."""
    snapshot = world.snapshot()
    with world.source.open_disk(snapshot, ROOT) as export, world.place.source(transport="export") as other:
        for refused in (
            lambda: other.power_on(world.goods),
            lambda: other.remove_snapshot(world.goods, snapshot.ref),
            lambda: destroy(other, world.goods),
        ):
            with pytest.raises(Occupied, match="disabled by 'export'"):
                refused()
        with pytest.raises(Occupied, match="are being exported"):
            world.source.remove_snapshot(world.goods, snapshot.ref)
        assert content_of(export) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def destroy(source, ref):
    session = source._session
    with session.doing("delete it"):
        result(session, session.object(vim.VirtualMachine, ref).Destroy_Task(), 30)


def test_a_running_machine_itself_is_not_exported_but_its_snapshot(world):
    world.source.power_on(world.goods)
    session = world.source._session
    with pytest.raises(Conflict, match="Powered on"), session.doing("export it"):
        session.object(vim.VirtualMachine, world.goods).ExportVm()
    world.source.power_off(world.goods)


def test_a_range_is_not_heeded(world):
    """So nothing is gained by asking for one."""
    snapshot = world.snapshot()
    session = world.source._session
    lease = session.object(vim.vm.Snapshot, snapshot.ref).ExportSnapshot()
    with leases.held(session, lease, lambda: 0) as info:
        assert lease.HttpNfcLeaseGetManifest() == []
        where = leases.find(session, info.deviceUrl[0])
        context = trusted_context(where.host, where.port, where.fingerprint, None, None)
        connection = HTTPSConnection(where.host, where.port, context=context)
        connection.request("GET", where.target, headers={"Range": "bytes=100-199"})
        answer = connection.getresponse()
        assert (answer.status, answer.read(4)) == (200, b"KDMV")
        connection.close()
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_missing_privilege_is_named(world):
    snapshot = world.snapshot()
    world.door.plan_fault("ExportSnapshot", "vim.fault.NoPermission", properties={"privilegeId": "VApp.Export"})
    with pytest.raises(AccessDenied, match=r"VApp\.Export is missing"):
        read(world, snapshot)
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


# How it is read


def test_blocks_are_read_a_little_out_of_order_and_what_has_gone_by_is_not(tmp_path):
    size = 256 * MIB
    raw = tmp_path / "raw"
    with raw.open("wb") as file:
        for number in range(256):
            file.seek(number * MIB)
            file.write(bytes([number]) * 65536)
        file.truncate(size)
    data = b"".join(stream(raw, size))
    disk = stream_server.StreamedDisk(size)
    threading.Thread(target=fill, args=(disk, data), daemon=True).start()

    def begins(number):
        return b"".join(disk.parts(number * MIB, MIB))[:65536] == bytes([number]) * 65536

    assert begins(20)
    assert all(begins(number) for number in range(19, -1, -1))
    assert begins(255)
    with pytest.raises(ExportError, match="has gone by"):
        begins(21)
    assert begins(200), "it may be on its way"


def fill(disk, data):
    at = 0

    def piece(length):
        nonlocal at
        at += length
        return data[at - length : at]

    disk.fill(packed_grains(piece, disk.size))
    disk.complete()


def test_the_lab_sends_what_qemu_reads_alike(tmp_path):
    raw, sent, back = (tmp_path / name for name in ("raw", "sent.vmdk", "back"))
    raw.write_bytes(CONTENT + os.urandom(MIB) + bytes(40 * MIB) + os.urandom(65536))
    size = raw.stat().st_size
    sent.write_bytes(b"".join(stream(raw, size)))
    subprocess.run(["qemu-img", "convert", "-f", "vmdk", "-O", "raw", sent, back], check=True)
    assert back.read_bytes() == raw.read_bytes()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: b"KDMX" + data[4:], "isn't a stream-optimised VMDK"),
        (lambda data: data[:8] + bytes(4) + data[12:], "isn't a stream-optimised VMDK"),
        (lambda data: data[:12] + (77).to_bytes(8, "little") + data[20:], "of a disk of 39424 bytes"),
        (lambda data: data[:20] + (3).to_bytes(8, "little") + data[28:], "grains have 3 sectors"),
        (lambda data: data[:64] + bytes(8) + data[72:], "header has 0 sectors"),
        (lambda data: data[:65536] + (1 << 40).to_bytes(8, "little") + data[65544:], "it has a grain of"),
        (lambda data: data[:65552] + b"spoilt" + data[65558:], "can't be unpacked"),
        (lambda data: data[:65544] + bytes(4) + b"\x09" + data[65549:], "marker of an unknown kind"),
        (lambda data: data[:-512], "before its end marker"),
        (lambda data: data[:200], "before its end marker"),
    ],
)
def test_a_stream_that_is_damaged_is_refused(tmp_path, spoil, words):
    (tmp_path / "raw").write_bytes(CONTENT)
    data = spoil(b"".join(stream(tmp_path / "raw", SIZE)))
    disk = stream_server.StreamedDisk(SIZE)
    with pytest.raises(ExportError, match=words):
        fill(disk, data)


# Processes that die


def lease_of_a_dead_process(world, snapshot):
    """Begin to read as a process does that dies then, and return the note that it leaves in the ledger."""
    owner = Owner("job", f"export-lease-{snapshot.ref}-{ROOT}")
    session = world.source._session
    lease = session.object(vim.vm.Snapshot, snapshot.ref).ExportSnapshot()
    said = {"vcenter": session.content.about.instanceUuid or "", "lease": lease._moId, "since": time.time()}
    world.ledger.made(owner, json.dumps(said))
    assert world.open_leases() == [lease._moId]
    return world.ledger.note_of(owner)


def test_the_next_process_ends_the_lease_before_it_removes_a_snapshot(world):
    snapshot = world.snapshot()
    lease_of_a_dead_process(world, snapshot)
    source, _ = world.process()
    source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_the_next_process_ends_the_lease_before_it_powers_the_machine_on(world):
    snapshot = world.snapshot()
    lease_of_a_dead_process(world, snapshot)
    source, _ = world.process()
    source.power_on(world.goods)
    source.remove_snapshot(world.goods, snapshot.ref)
    source.power_off(world.goods)
    world.assert_clean()


def test_the_next_process_reads_what_a_dead_one_has_begun(world):
    snapshot = world.snapshot()
    lease_of_a_dead_process(world, snapshot)
    world.source, _ = world.process()
    with world.source.open_disk(snapshot, ROOT) as export:
        assert len(world.open_leases()) == 1
        assert content_of(export) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_note_of_the_ledger_is_enough_to_end_a_lease(world):
    snapshot = world.snapshot()
    note = lease_of_a_dead_process(world, snapshot)
    with world.place.source(transport="export") as other:
        with pytest.raises(Conflict, match="isn't the vCenter where the disks were exported"):
            other.let_go(json.dumps(json.loads(note) | {"vcenter": "another"}))
        other.let_go(note)
        assert world.open_leases() == []
        other.let_go(note)
        other.let_go(json.dumps(json.loads(note) | {"lease": "session-lease-999"}))
        other.let_go("")
    world.ledger.gone(Owner("job", f"export-lease-{snapshot.ref}-{ROOT}"))
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def unknown_lease(world, snapshot, age):
    """Begin to read as a process does that dies before it has learned the lease's reference."""
    note = json.loads(lease_of_a_dead_process(world, snapshot)) | {"lease": "", "since": time.time() - age}
    world.ledger.made(Owner("job", f"export-lease-{snapshot.ref}-{ROOT}"), json.dumps(note))
    return json.dumps(note)


def end_at_vsphere(world):
    (lease,) = world.open_leases()
    world.source._session.object(vim.HttpNfcLease, lease).HttpNfcLeaseAbort()


def never():
    """Nobody cancels."""


def test_a_lease_of_which_nobody_knows_is_waited_for_and_that_is_said(world, monkeypatch):
    """Its process died before it had learned the reference."""
    monkeypatch.setattr(leases, "ENDS_WITHIN", 3.0)
    world.door.lease_for(2.0)
    snapshot, told = world.snapshot(), []
    unknown_lease(world, snapshot, age=0)
    source, _ = world.process()
    outages = Outages(lambda text, level: told.append((level, text)), never)
    outages.through("vc", lambda: source.remove_snapshot(world.goods, snapshot.ref))
    ((level, text),) = told
    assert level == "warning"
    assert "may still be exporting a disk for a process that died" in text
    assert text.endswith("Trying again, for 5 minutes at most.")
    world.assert_clean()


@pytest.mark.parametrize("what", ["open", "remove", "let-go", "power-on"])
def test_nobody_is_held_up_by_it_without_a_word(world, what):
    """Whoever waits can cancel, as with all that is occupied."""
    snapshot = world.snapshot()
    note = unknown_lease(world, snapshot, age=100)
    source, _ = world.process()
    doing = {
        "open": lambda: source.open_disk(snapshot, DATA).__enter__(),
        "remove": lambda: source.remove_snapshot(world.goods, snapshot.ref),
        "let-go": lambda: source.let_go(note),
        "power-on": lambda: source.power_on(world.goods),  # refused by vSphere itself
    }[what]
    began = time.monotonic()
    with pytest.raises(Occupied, match="disabled by 'export'" if what == "power-on" else "by itself in (200|199) s"):
        doing()
    assert time.monotonic() - began < 10
    end_at_vsphere(world)
    world.ledger.gone(Owner("job", f"export-lease-{snapshot.ref}-{ROOT}"))
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_the_end_of_an_engine_does_not_wait_for_it(world, monkeypatch):
    snapshot = world.snapshot()
    unknown_lease(world, snapshot, age=0)
    _, held = world.process()
    began = time.monotonic()
    held.end_all()
    assert time.monotonic() - began < 10
    (owner,) = world.ledger.unsettled()
    assert world.ledger.states[owner] == "left"
    monkeypatch.setattr(leases, "ENDS_WITHIN", 0.0)
    held.end_all()
    assert world.ledger.unsettled() == []
    end_at_vsphere(world)
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_the_end_of_an_engine_ends_what_dead_ones_have_left(world):
    snapshot = world.snapshot()
    lease_of_a_dead_process(world, snapshot)
    _, held = world.process()
    held.end_quiet()
    assert len(world.open_leases()) == 1
    held.end_all()
    assert world.open_leases() == []
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_what_is_attached_to_a_proxy_is_not_taken_for_a_lease(world):
    """It is of the same provider, which had a proxy before."""
    owner = Owner("job", "proxy-disks-snapshot-1-vm-1")
    world.ledger.made(owner, json.dumps(["", "vm-1", ["[datastore1] goods/goods.vmdk"]]))
    world.leases.end_all()
    assert world.ledger.unsettled() == [owner]


def test_whoever_lets_go_in_the_middle_leaves_nothing(world):
    snapshot = world.snapshot()
    with pytest.raises(CopyError, match="mine"), world.source.open_disk(snapshot, ROOT):
        raise CopyError("mine")
    assert world.open_leases() == []
    world.source.remove_snapshot(world.goods, snapshot.ref)
    with pytest.raises(NotFound, match="is gone"):
        read(world, snapshot)
    world.assert_clean()


def test_a_lost_answer_is_noted_and_waited_for(world, monkeypatch):
    monkeypatch.setattr(leases, "ENDS_WITHIN", 3.0)
    world.door.lease_for(2.0)
    snapshot = world.snapshot()
    world.door.plan_fault("ExportSnapshot", "hang-up", carried_out=True)
    with pytest.raises(Unreachable):
        read(world, snapshot)
    assert [world.ledger.states[owner] for owner in world.ledger.unsettled()] == ["left"]
    with pytest.raises(Occupied, match="may still be exporting"):
        read(world, snapshot)
    end = time.monotonic() + 30
    while world.open_leases() and time.monotonic() < end:
        time.sleep(0.1)
    world.door.lease_for(300.0)
    assert Outages(print, never).through("vc", lambda: read(world, snapshot)) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


# What it can't


def said_of(machine, request):
    return [one for one in machine_concerns(machine, request) if one.code.startswith("export-")]


def test_what_it_costs_is_said_before_and_what_it_can_not_do(world):
    machine = world.source.by_reference(world.goods)
    assert machine.streamed
    for asked in (MigrationRequest(type=MigrationType.COLD), BackupRequest()):
        (cost,) = said_of(machine, asked)
        assert (cost.code, cost.severity.value) == ("export-begins-anew", "warning")
    (warm,) = said_of(machine, MigrationRequest(type=MigrationType.WARM))
    assert (warm.code, warm.severity.value) == ("export-copies-whole-disks", "blocker")
    assert "can't be moved warm" in warm.text
    snapshot = world.snapshot()
    assert isinstance(world.source.changed(snapshot, ROOT, "1"), Unknown)
    world.source.remove_snapshot(world.goods, snapshot.ref)
    with pytest.raises(InvalidInput, match="exported by vSphere here, which can't write them"):
        world.source.check_way_back(world.goods)
    with pytest.raises(InvalidInput, match="can't write them"):
        world.source.open_disk_to_write(snapshot, ROOT, SIZE)
    with (
        world.place.source(transport="export") as nobody,
        pytest.raises(ProviderError, match="by the engine alone"),
        nobody.open_disk(snapshot, ROOT),
    ):
        pass
