"""Disks written through a proxy, by VMware's rules: while the machine is off, above its newest snapshot, and by nobody
else meanwhile. The rules of the stand-in are tested as much as Longshore's use of them."""

# ruff: noqa: F401, F811 fixtures of another test

import threading
from contextlib import ExitStack

import nbd
import pytest
from pyVmomi import vim
from test_vsphere_proxy import (
    KEY,
    SECOND,
    attached_to,
    content_of,
    place,
    soon,
    two,
    world,
)
from vsphere_proxy import CONTENT, DATA, GOODS, MIB, PROXY, ROOT, SIZE

from longshore.errors import Conflict, ExportError, InvalidInput, LongshoreError, NotFound, Occupied
from longshore.model.changes import Changed, Unknown
from longshore.model.extents import Extent
from longshore.model.machine import PowerState
from longshore.model.target import Owner
from longshore.providers.vsphere import proxy_machine, proxy_pool
from longshore.providers.vsphere.proxy_credentials import tls_files
from longshore.providers.vsphere.proxy_disks import Mode
from longshore.providers.vsphere.proxy_machine import ProxyMachine
from longshore.providers.vsphere.tasks import result

pytestmark = pytest.mark.long  # many of them, each with a proxy that starts

WORDS = b"written where it came from".ljust(512, b".")
CHANGED = CONTENT[: 2 * MIB] + WORDS + CONTENT[2 * MIB + len(WORDS) :]


def connected(export):
    handle = nbd.NBD()
    handle.set_uri_allow_local_file(True)
    handle.connect_uri(export.uri)
    return handle


def put(export, data=WORDS, offset=2 * MIB):
    """Write, and say nothing of flushing: that is for whoever serves it."""
    handle = connected(export)
    handle.pwrite(data, offset)
    handle.shutdown()


@pytest.fixture
def home(world):
    """Yield the snapshot that keeps what the machine's disks held."""
    return world.snapshot("home")


def assert_back(world, home):
    """Assert that all of it can be had back."""
    world.source.revert(world.goods, home.ref)
    world.source.remove_snapshot(world.goods, home.ref)
    world.assert_clean()


def power_on(world):
    """Have somebody power the machine on."""
    with world.source._session.doing("power it on"):
        machine = world.source._session.object(vim.VirtualMachine, world.goods)
        result(world.source._session, machine.PowerOnVM_Task(), 60)


def take_snapshot(world):
    """Have somebody else take a snapshot of the machine."""
    with world.source._session.doing("take somebody's snapshot"):
        machine = world.source._session.object(vim.VirtualMachine, world.goods)
        task = machine.CreateSnapshot_Task(name="theirs", description="", memory=False, quiesce=False)
        result(world.source._session, task, 60)


def test_what_is_written_is_the_machines_and_the_snapshot_keeps_what_was(world, home):
    world.source.check_way_back(world.goods)
    with world.source.open_disk_to_write(home, ROOT, SIZE) as export:
        assert len(world.attached) == 2  # all at once
        put(export)
        assert bytes(connected(export).pread(len(WORDS), 2 * MIB)) == WORDS
    assert world.attached == []
    with world.source.open_disk(home, ROOT) as below:
        assert content_of(below) == CONTENT
    after = world.snapshot("after")
    with world.source.open_disk(after, ROOT) as export:
        assert content_of(export) == CHANGED
    with world.source.open_disk(after, DATA) as export:
        assert content_of(export) == CONTENT
    assert isinstance(world.source.changed(after, ROOT, home.disk(ROOT).change_id), Unknown)
    assert not world.source.tracks_writes()
    world.source.remove_snapshot(world.goods, after.ref)
    assert_back(world, home)


def test_both_are_written_side_by_side_and_detached_when_the_last_one_is_closed(world, home):
    both = threading.Barrier(2)

    def writes(key):
        with world.source.open_disk_to_write(home, key, SIZE) as export:
            put(export)
            both.wait(60)

    writers = [threading.Thread(target=writes, args=[key]) for key in (ROOT, DATA)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert world.attached == []
    after = world.snapshot("after")
    for key in (ROOT, DATA):
        with world.source.open_disk(after, key) as export:
            assert content_of(export) == CHANGED
    world.source.remove_snapshot(world.goods, after.ref)
    assert_back(world, home)


def test_all_is_on_the_disk_before_it_is_detached(world, home, monkeypatch):
    done, flush, detach = [], proxy_pool.flush, ProxyMachine.detach
    monkeypatch.setattr(proxy_pool, "flush", lambda *said, **how: (flush(*said, **how), done.append("flushed")))

    def watched(self, files):
        done.extend(["detached"] if world.attached else [])
        detach(self, files)

    monkeypatch.setattr(ProxyMachine, "detach", watched)
    with world.source.open_disk_to_write(home, ROOT, SIZE) as export:
        put(export)
    assert done == ["flushed", "detached"]
    assert_back(world, home)


def test_a_larger_disk_fits_as_long_as_nothing_is_beyond_the_end(world, home):
    with world.source.open_disk_to_write(home, ROOT, SIZE + MIB) as export:
        handle = connected(export)
        assert handle.get_size() == SIZE + MIB
        handle.pwrite(WORDS, 2 * MIB)
        handle.zero(MIB, SIZE)
        with pytest.raises(nbd.Error):
            handle.pwrite(WORDS, SIZE)
        handle.shutdown()
    after = world.snapshot("after")
    with world.source.open_disk(after, ROOT) as export:
        assert content_of(export) == CHANGED
    world.source.remove_snapshot(world.goods, after.ref)
    assert_back(world, home)


# Nobody else


def test_meanwhile_nobody_powers_the_machine_on_or_takes_a_snapshot_of_it(world, home):
    with world.source.open_disk_to_write(home, ROOT, SIZE) as export:
        for theirs in (power_on, take_snapshot):
            with pytest.raises(Occupied, match="locked") as refused:
                theirs(world)
            assert refused.value.code == "file-locked"
        for ours in (
            lambda: world.source.power_on(world.goods),
            lambda: world.snapshot("another"),
            lambda: world.source.remove_snapshot(world.goods, home.ref),
            lambda: world.source.revert(world.goods, home.ref),
        ):
            with pytest.raises(Occupied, match="are being written through a proxy"):
                ours()
        put(export)
    world.source.power_on(world.goods)
    world.source.power_off(world.goods)
    assert_back(world, home)


def test_a_machine_that_is_on_or_has_a_newer_snapshot_is_not_written(world, home):
    power_on(world)
    with pytest.raises(Conflict, match="isn't off"), world.source.open_disk_to_write(home, ROOT, SIZE):
        pass
    world.source.power_off(world.goods)
    with pytest.raises(NotFound), world.source.open_disk_to_write(home, "9999", SIZE):
        pass
    newer = world.snapshot("newer")
    with pytest.raises(Conflict, match="is not at the snapshot"), world.source.open_disk_to_write(home, ROOT, SIZE):
        pass
    world.source.remove_snapshot(world.goods, newer.ref)
    assert_back(world, home)


@pytest.mark.parametrize(("theirs", "said"), [(power_on, "locked"), (take_snapshot, "parent of a virtual disk")])
def test_whoever_comes_in_between_the_look_and_the_attaching_has_the_machine(world, home, monkeypatch, theirs, said):
    world.source.check_way_back(world.goods)
    attach = ProxyMachine.attach

    def late(self, disks, mode):
        theirs(world)
        attach(self, disks, mode)

    monkeypatch.setattr(ProxyMachine, "attach", late)
    with pytest.raises(LongshoreError, match=said), world.source.open_disk_to_write(home, ROOT, SIZE):
        pass
    assert world.attached == []
    assert world.ledger.unsettled() == []
    world.source.power_off(world.goods)


def test_a_snapshot_taken_right_before_is_seen_and_nothing_is_written(world, home, monkeypatch):
    """A real host may let a layer below a snapshot be attached for writing."""
    attach = ProxyMachine.attach

    def and_then(self, disks, mode):
        attach(self, disks, mode)
        monkeypatch.setattr(proxy_pool.writing, "newest", lambda *_: [])

    monkeypatch.setattr(ProxyMachine, "attach", and_then)
    with (
        pytest.raises(Conflict, match="aren't those that were to be written"),
        world.source.open_disk_to_write(home, ROOT, SIZE),
    ):
        pass
    assert world.attached == []
    monkeypatch.undo()
    assert_back(world, home)


# Only what is to be written


def names_served(world, mode):
    proxy = ProxyMachine(world.source._session, world.door.machine(PROXY)["moref"], KEY)
    served = proxy.served()
    with tls_files(KEY, served.certificate) as tls:
        return served, proxy_pool._served_at(served, tls, mode)


def test_what_is_read_is_never_served_for_writing(world, home):
    with world.source.open_disk(home, ROOT) as export:
        assert connected(export).is_read_only()
        assert len(names_served(world, Mode.READING)[1]) == 2
        served, names = names_served(world, Mode.WRITING)
        assert names == []
        wanted = export.uri.replace(f":{served.port}/", f":{served.writes}/")
        handle = nbd.NBD()
        handle.set_uri_allow_local_file(True)
        with pytest.raises(nbd.Error):
            handle.connect_uri(wanted)
    assert_back(world, home)


def test_a_disk_at_another_slot_than_was_said_is_not_served_for_writing(world, home, monkeypatch):
    monkeypatch.setattr(proxy_pool, "SHOWN_WITHIN", 1.0)
    right = proxy_machine.writable
    monkeypatch.setattr(proxy_machine, "writable", lambda disks: right((uuid, unit + 1) for uuid, unit in disks))
    with pytest.raises(ExportError, match="didn't show there"), world.source.open_disk_to_write(home, ROOT, SIZE):
        pass
    assert world.attached == []
    assert_back(world, home)


def test_an_image_of_an_earlier_version_is_told(world, home, monkeypatch):
    told = proxy_machine._settings

    def of_then(now):
        return {key: value for key, value in told(now).items() if key != "writes"}

    monkeypatch.setattr(proxy_machine, "_settings", of_then)
    with pytest.raises(InvalidInput, match="only lets disks be read") as refused:
        world.source.check_way_back(world.goods)
    assert "Make one of this version's image" in refused.value.advice
    assert world.source.check()[f"proxy {PROXY}"].endswith("only lets disks be read: its image is an earlier one")
    with pytest.raises(InvalidInput, match="only lets"), world.source.open_disk_to_write(home, ROOT, SIZE):
        pass
    with world.source.open_disk(home, ROOT) as export:
        assert content_of(export) == CONTENT
    assert_back(world, home)


def test_what_one_proxy_refuses_another_may_write(two):
    home = two.snapshot("home")
    two.source.check_way_back(two.goods)
    two.door.plan_fault("ReconfigVM_Task", "vim.fault.TooManyDevices", machine=SECOND, in_task=True)
    with two.source.open_disk_to_write(home, ROOT, SIZE) as export:
        assert (attached_to(two, PROXY), attached_to(two, SECOND)) == (2, 0)
        put(export)
    assert_back(two, home)


# Faults, and whoever dies


FAULTS = {
    "its answer is lost": {"kind": "hang-up", "carried_out": True},
    "it fails, and all is attached": {
        "kind": "vim.fault.GenericVmConfigFault",
        "carried_out": True,
        "in_task": True,
    },
}


@pytest.mark.parametrize("fault", FAULTS)
def test_when_attaching_goes_wrong_nothing_stays_attached(world, home, fault):
    world.source.check_way_back(world.goods)
    how = dict(FAULTS[fault])
    world.door.plan_fault("ReconfigVM_Task", how.pop("kind"), machine=PROXY, **how)
    with ExitStack() as stack:
        try:
            put(stack.enter_context(world.source.open_disk_to_write(home, ROOT, SIZE)))
        except LongshoreError as error:
            assert "couldn't attach disks" in str(error)
    assert world.attached == []
    assert_back(world, home)


def die(world, home, data):
    """Attach the disks, write, and say no more, as a process that is killed."""
    attached = world.pool._take(home, Mode.WRITING)
    with world.pool._served(attached.proxy, attached.disks[ROOT], Mode.WRITING) as export:
        put(export, data)
    world.source, world.pool = world.process()


def test_the_next_process_goes_on_where_a_dead_one_wrote(world, home):
    die(world, home, b"half of it".ljust(512))
    assert len(world.attached) == 2
    with world.source.open_disk_to_write(home, ROOT, SIZE) as export:
        assert bytes(connected(export).pread(10, 2 * MIB)) == b"half of it"
        put(export)
    assert world.attached == []
    assert_back(world, home)


@pytest.mark.parametrize(
    "then",
    [
        lambda world, _: world.source.power_on(world.goods),
        lambda world, _: world.snapshot("after"),
        lambda world, home: world.source.revert(world.goods, home.ref),
        lambda world, home: world.source.remove_snapshot(world.goods, home.ref),
        lambda world, _: world.pool.end_all(),
        lambda world, _: world.source.let_go(world.ledger.note_of(world.ledger.unsettled()[0])),
    ],
    ids=["powers it on", "takes a snapshot", "reverts", "removes the snapshot", "ends", "rolls back"],
)
def test_what_a_dead_process_has_left_is_detached_before_anything_else_is_done(world, home, then):
    die(world, home, WORDS)
    assert len(world.attached) == 2
    then(world, home)
    assert world.attached == []
    world.source.power_off(world.goods)
    assert world.source.power_state(world.goods) is PowerState.OFF


def test_a_guest_that_dies_meanwhile_is_noticed_and_what_it_has_flushed_is_there(world, home):
    with (
        pytest.raises(LongshoreError),
        world.source.open_disk_to_write(home, ROOT, SIZE) as export,
    ):
        handle = connected(export)
        handle.pwrite(WORDS, 2 * MIB)
        handle.flush()
        world.door.stop_proxy(PROXY)
        export.check()
        with pytest.raises(nbd.Error):
            handle.pwrite(WORDS, 0)
            handle.flush()
        raise ExportError("It is gone.")
    assert world.attached == []
    world.door.start_proxy(PROXY)
    after = world.source.snapshot(world.goods, "s", Owner("job", "after"), quiesce=False)
    with world.source.open_disk(after, ROOT) as export:
        assert content_of(export) == CHANGED
    world.source.remove_snapshot(world.goods, after.ref)
    assert_back(world, home)


def test_what_it_holds_is_the_machines_which_tells_again_what_changes_from_then_on(world, home):
    with world.source.open_disk_to_write(home, DATA, SIZE) as export:
        put(export)
    written = world.snapshot("written")
    world.source.remove_snapshot(world.goods, written.ref)
    world.source.power_on(world.goods)
    world.door.guest_writes(GOODS, int(DATA), 0, 0x5A, 65536)
    world.source.power_off(world.goods)
    after = world.snapshot("after")
    changed = world.source.changed(after, DATA, written.disk(DATA).change_id)
    assert isinstance(changed, Changed)
    assert changed.extents[0] == Extent(0, 65536)
    with world.source.open_disk(after, DATA) as export:
        assert content_of(export) == b"\x5a" * 65536 + CHANGED[65536:]
    world.source.remove_snapshot(world.goods, after.ref)
    assert_back(world, home)
