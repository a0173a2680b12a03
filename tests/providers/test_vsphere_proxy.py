"""Disks read through a proxy: attached to it, served by the relay's own program, and detached, whoever dies
meanwhile."""

import ast
import hashlib
import json
import re
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import nbd
import pytest
from pyVmomi import vim
from vsphere_proxy import CONTENT, DATA, GOODS, MIB, PROXY, ROOT, SIZE, vcenter_at
from written_ledger import Written

from in_process import longshore
from longshore.blocks.exports import reaching, serve_nbdkit
from longshore.blocks.remote import list_exports
from longshore.errors import (
    AccessDenied,
    Conflict,
    ExportError,
    InvalidInput,
    LongshoreError,
    NotFound,
    Occupied,
    ProviderError,
    Unreachable,
)
from longshore.model.changes import Changed
from longshore.model.reach import Reach
from longshore.model.request import MigrationRequest
from longshore.model.target import Owner
from longshore.planning.machine_checks import machine_concerns
from longshore.providers.vsphere import proxy_machine, proxy_pool
from longshore.providers.vsphere.proxy_credentials import make_credentials, read_credentials, tls_files
from longshore.providers.vsphere.proxy_machine import ProxyMachine
from longshore.providers.vsphere.proxy_pool import ProxyPool
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.source import VsphereSource
from longshore.providers.vsphere.tasks import result

pytestmark = pytest.mark.long  # many of them, each with a proxy that starts

SOURCE = Path(__file__).parents[2] / "src" / "longshore" / "providers" / "vsphere"
KEY = make_credentials()


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as directory, vcenter_at(Path(directory)) as place:
        yield place


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(proxy_machine, "PAUSE", 0.05)


@pytest.fixture
def world(place):
    place.add_machine()
    place.add_proxy()
    place.door.start_proxy(PROXY)
    with World(place).closed() as world:
        yield world
    place.door.clear_trouble()
    place.door.stop_proxy(PROXY)
    for name in place.door.machines():
        if name in (GOODS, PROXY) or name.startswith("second"):
            place.door.remove_machines(name)


class World:
    """A machine with changes that are tracked, and processes that read it through a proxy."""

    def __init__(self, place):
        self.place, self.door = place, place.door
        self.ledger = Written()
        self._open = ExitStack()
        self.source, self.pool = self.process()
        self.goods = self.door.machine(GOODS)["moref"]
        self.source.set_change_tracking(self.goods, True)

    @contextmanager
    def closed(self):
        with self._open:
            yield self

    def process(self, key=KEY, ledger=None, **said):
        """Return a process's source, and what it has attached."""
        settings = replace(self.place.settings(transport="proxy", proxies=(PROXY,)), **said)
        password = self.place.served.password
        session = VsphereSession(settings, lambda: password)
        pool = ProxyPool(session, key, self.ledger if ledger is None else ledger)
        source = VsphereSource(settings, password, "", key.secret, pool)
        self._open.callback(session.close)
        self._open.callback(source.close)
        return source, pool

    def snapshot(self, step="snapshot-1"):
        return self.source.snapshot(self.goods, "s", Owner("job", step), quiesce=False)

    @property
    def attached(self):
        return self.door.machine(PROXY)["foreign"]

    def assert_clean(self):
        """Assert that all is as it was before anything was read."""
        assert self.attached == []
        machine = self.door.machine(GOODS)
        assert machine["snapshots"] == []
        assert not machine["consolidation_needed"]
        assert self.ledger.unsettled() == []
        assert set(self.place.digests().values()) == {hashlib.sha256(CONTENT).hexdigest()}


def content_of(export):
    handle = nbd.NBD()
    handle.set_uri_allow_local_file(True)
    handle.connect_uri(export.uri)
    assert handle.get_tls_negotiated()
    assert handle.is_read_only()
    read = b"".join(bytes(handle.pread(MIB, offset)) for offset in range(0, handle.get_size(), MIB))
    handle.shutdown()
    return read


# The whole way


def test_what_a_snapshot_holds_is_read_and_nothing_is_left(world):
    world.source.make_ready(Owner("job", "read"), world.goods)
    snapshot = world.snapshot()
    with world.source.open_disk(snapshot, ROOT) as root:
        assert content_of(root) == CONTENT
        assert sorted(world.attached) == sorted(disk.location for disk in snapshot.disks)  # all at once
        with world.source.open_disk(snapshot, DATA) as data:
            assert content_of(data) == CONTENT
        assert len(world.attached) == 2
        assert list(world.ledger.states.values()) == ["made"]
    assert world.attached == []
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_all_disks_are_attached_by_one_call_and_read_side_by_side(world, monkeypatch):
    calls, changed = [], proxy_machine.ProxyMachine._reconfigure
    monkeypatch.setattr(
        ProxyMachine,
        "_reconfigure",
        lambda self, doing, now, **said: (
            calls.append((doing, *map(len, said.values()))) or changed(self, doing, now, **said)
        ),
    )
    snapshot, both, read = world.snapshot(), threading.Barrier(2), {}

    def reads(key):
        with world.source.open_disk(snapshot, key) as export:
            both.wait(60)
            read[key] = content_of(export)

    readers = [threading.Thread(target=reads, args=[key]) for key in (ROOT, DATA)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert read == {ROOT: CONTENT, DATA: CONTENT}
    assert calls == [("set up", 1), ("attach disks to", 2), ("detach disks from", 2)]


def test_a_second_sync_reads_what_has_changed(world):
    world.source.power_on(world.goods)
    first = world.snapshot("snapshot-1")
    with world.source.open_disk(first, ROOT) as export:
        assert content_of(export) == CONTENT
    world.source.remove_snapshot(world.goods, first.ref)
    world.door.guest_writes(GOODS, int(ROOT), 2 * MIB, 0x5A, 65536)
    second = world.snapshot("snapshot-2")
    changed = world.source.changed(second, ROOT, first.disk(ROOT).change_id)
    assert isinstance(changed, Changed)
    assert any(one.offset <= 2 * MIB and one.offset + one.length >= 2 * MIB + 65536 for one in changed.extents)
    assert sum(one.length for one in changed.extents) < SIZE
    with world.source.open_disk(second, ROOT) as export:
        assert content_of(export)[2 * MIB : 2 * MIB + 65536] == b"\x5a" * 65536
    world.source.remove_snapshot(world.goods, second.ref)
    world.source.power_off(world.goods)
    machine = world.door.machine(GOODS)
    assert (world.attached, machine["snapshots"], machine["consolidation_needed"]) == ([], [], False)


def test_who_speaks_no_tls_reads_through_a_server_of_our_own(world):
    """As programs that look into guests do."""
    snapshot = world.snapshot()
    with (
        world.source.open_disk(snapshot, ROOT) as export,
        serve_nbdkit("nbd", reaching(export.uri), threads=8) as plain,
    ):
        handle = nbd.NBD()
        handle.connect_uri(plain.uri)
        assert not handle.get_tls_negotiated()
        assert bytes(handle.pread(MIB, 0)) == CONTENT[:MIB]
        handle.shutdown()


# Who may read


def test_only_who_has_the_key_is_served(world):
    world.source.make_ready(Owner("job", "read"), world.goods)
    served = ProxyMachine(world.source._session, world.door.machine(PROXY)["moref"], KEY).served()
    with tls_files(make_credentials(), served.certificate) as tls, pytest.raises(ExportError):
        list_exports(served.uri("", tls), name="The proxy")
    with tls_files(KEY, make_credentials().certificate) as tls, pytest.raises(ExportError, match="verif"):
        list_exports(served.uri("", tls), name="The proxy")


def test_nothing_secret_is_in_vcenter_or_in_an_address(world):
    snapshot = world.snapshot()
    secret = KEY.key.splitlines()[1]
    with world.source.open_disk(snapshot, ROOT) as export:
        assert secret not in export.uri
        session = world.source._session
        proxy = session.object(vim.VirtualMachine, world.door.machine(PROXY)["moref"])
        told = {option.key: option.value for option in proxy.config.extraConfig}
    assert {"guestinfo.longshore.client", "guestinfo.longshore.server"} <= told.keys()
    for value in told.values():
        assert "PRIVATE" not in _decoded(value)
    assert secret not in repr(world.source) + repr(KEY)


def _decoded(value):
    import base64
    import binascii

    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value


def test_a_proxy_in_use_by_another_longshore_is_left_to_it(world):
    other, _ = world.process(make_credentials(), Written())
    snapshot = world.snapshot()
    with world.source.open_disk(snapshot, ROOT) as export:
        with pytest.raises(Conflict, match="Another Longshore"):
            other.make_ready(Owner("other", "read"), world.goods)
        assert content_of(export) == CONTENT
    other.make_ready(Owner("other", "read"), world.goods)  # nobody uses it now
    with world.source.open_disk(snapshot, ROOT) as export:
        assert content_of(export) == CONTENT


def test_a_proxy_beyond_what_may_be_reached_is_not_connected_to(world):
    source, _ = world.process(reach=Reach(allowed=("127.0.0.2",)))
    with pytest.raises(AccessDenied) as caught:
        source.make_ready(Owner("job", "read"), world.goods)
    assert caught.value.code == "address-refused"


# Its ways to fail


def unfit(world, **changes):
    world.door.stop_proxy(PROXY)
    world.door.remove_machines(PROXY)
    world.place.add_proxy(**changes)


def test_one_that_cannot_tell_disks_apart_is_refused(world):
    unfit(world, extra={"disk.EnableUUID": "FALSE"})
    world.door.start_proxy(PROXY)
    with pytest.raises(InvalidInput, match=r"disk\.EnableUUID"):
        world.source.make_ready(Owner("job", "read"), world.goods)


def test_one_that_is_off_is_told(world):
    unfit(world)
    with pytest.raises(Unreachable, match="isn't on"):
        world.source.make_ready(Owner("job", "read"), world.goods)


@pytest.mark.parametrize("oddity", ["suspended", "disconnected host"])
def test_one_that_is_suspended_or_whose_host_is_away_is_told(world, oddity):
    world.door.make_odd(PROXY, oddity)
    with pytest.raises(Unreachable, match="isn't on, or its host can't be reached"):
        world.source.make_ready(Owner("job", "read"), world.goods)


@pytest.mark.parametrize("fault", ["vim.fault.InvalidState", "vmodl.fault.HostNotConnected"])
def test_a_snapshot_stays_as_long_as_its_disks_can_not_be_detached(world, fault):
    """The proxy's host is away, or the proxy is being moved."""
    snapshot = world.snapshot()
    with (
        pytest.raises(LongshoreError, match="couldn't detach disks from"),
        world.source.open_disk(snapshot, ROOT) as export,
    ):
        assert content_of(export) == CONTENT
        world.door.plan_fault("ReconfigVM_Task", fault, machine=PROXY, times=0)
    with pytest.raises(LongshoreError, match="couldn't detach disks from"):
        world.source.remove_snapshot(world.goods, snapshot.ref)
    assert (len(world.attached), len(world.door.machine(GOODS)["snapshots"])) == (2, 1)
    world.door.clear_trouble()
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_on_vvols_the_snapshots_own_object_is_read(world):
    """On vVols a disk's file goes on being written: its snapshot is an object beside it."""
    world.door.set_kind("datastore1", "VVOL")
    try:
        world.source.power_on(world.goods)
        snapshot = world.snapshot()
    finally:
        world.door.set_kind("datastore1", "VMFS")
    world.door.guest_writes(GOODS, int(ROOT), 0, 0x5A, 65536)
    with world.source.open_disk(snapshot, ROOT) as export:
        assert sorted(world.attached) == sorted(disk.location for disk in snapshot.disks)
        assert content_of(export) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.source.power_off(world.goods)
    machine = world.door.machine(GOODS)
    assert (world.attached, machine["snapshots"], machine["consolidation_needed"]) == ([], [], False)


def test_one_that_says_nothing_is_told(world, monkeypatch):
    monkeypatch.setattr(proxy_machine, "SERVES_WITHIN", 0.3)
    world.door.stop_proxy(PROXY)
    world.door.remove_machines(PROXY)
    world.place.add_proxy()
    world.door.start_proxy(PROXY)
    world.door.stop_proxy(PROXY)
    with pytest.raises(Unreachable, match="doesn't say where it serves"):
        world.source.make_ready(Owner("job", "read"), world.goods)


def test_a_disk_that_never_shows_is_detached(world, monkeypatch):
    monkeypatch.setattr(proxy_pool, "SHOWN_WITHIN", 1.0)
    world.door.start_proxy(PROXY, delay=-1)
    world.source.make_ready(Owner("job", "read"), world.goods)
    snapshot = world.snapshot()
    with pytest.raises(ExportError, match="didn't show there"), world.source.open_disk(snapshot, ROOT):
        pass
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_disk_that_shows_after_it_was_detached_is_not_read_for_the_next_one(world, monkeypatch):
    monkeypatch.setattr(proxy_pool, "SHOWN_WITHIN", 1.0)
    world.door.start_proxy(PROXY, forgets=False)
    first = world.snapshot("snapshot-1")
    with world.source.open_disk(first, ROOT) as export:
        assert content_of(export) == CONTENT
    world.source.remove_snapshot(world.goods, first.ref)
    second = world.snapshot("snapshot-2")
    with pytest.raises(ExportError, match="still shows a disk that was detached"), world.source.open_disk(second, ROOT):
        pass
    world.source.remove_snapshot(world.goods, second.ref)
    world.assert_clean()


def test_a_disk_that_shows_late_is_waited_for(world):
    world.door.start_proxy(PROXY, delay=1.5)
    snapshot = world.snapshot()
    with world.source.open_disk(snapshot, ROOT) as export:
        assert content_of(export) == CONTENT


def test_a_disk_that_shows_in_another_size_is_not_read(world):
    world.door.start_proxy(PROXY, more=512)
    snapshot = world.snapshot()
    with (
        pytest.raises(ExportError, match=f"has {SIZE + 512} bytes, but {SIZE}"),
        world.source.open_disk(snapshot, ROOT),
    ):
        pass
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_disks_that_are_moved_to_another_datastore_make_the_copy_worth_nothing(world):
    snapshot = world.snapshot()
    with pytest.raises(NotFound, match="was moved elsewhere"), world.source.open_disk(snapshot, ROOT) as export:
        assert content_of(export) == CONTENT
        world.door.move_storage(GOODS, "datastore2")
    assert world.attached == []
    with world.source.open_disk(snapshot, ROOT) as export:  # from where they are now
        assert world.attached[0].startswith("[datastore2] ")
        assert content_of(export) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_proxy_that_dies_is_noticed(world):
    snapshot = world.snapshot()
    with (
        pytest.raises(ExportError, match="can't be reached any more: the proxy is poweredOn"),
        world.source.open_disk(snapshot, ROOT) as export,
    ):
        world.door.stop_proxy(PROXY)
        while True:
            export.check()
    assert world.attached == []
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_snapshot_that_is_gone_makes_the_copy_worth_nothing(world):
    snapshot = world.snapshot()
    session = world.source._session
    with pytest.raises(NotFound, match="is gone"), world.source.open_disk(snapshot, ROOT) as export:
        assert content_of(export) == CONTENT
        with pytest.raises(vim.fault.FileLocked):  # somebody removes it in vCenter
            result(session, session.object(vim.vm.Snapshot, snapshot.ref).RemoveSnapshot_Task(False, True), 60)
    assert world.attached == []
    world.source.remove_snapshot(world.goods, snapshot.ref)  # which consolidates
    world.assert_clean()


def test_a_snapshot_is_not_removed_while_it_is_read(world):
    snapshot = world.snapshot()
    with world.source.open_disk(snapshot, ROOT):
        with pytest.raises(Occupied) as caught:
            world.source.remove_snapshot(world.goods, snapshot.ref)
        assert caught.value.code == "file-locked"
        assert len(world.door.machine(GOODS)["snapshots"]) == 1
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


@pytest.mark.turns
@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("which", [1, 2])  # the call that attaches, and the one that detaches
def test_a_lost_answer_is_looked_after_before_it_is_asked_again(world, carried_out, which):
    world.source.make_ready(Owner("job", "read"), world.goods)
    snapshot = world.snapshot()
    world.door.slow_down(PROXY, 0.3)

    def lose():
        world.door.plan_fault("ReconfigVM_Task", "hang-up", machine=PROXY, carried_out=carried_out)

    if which == 1:
        lose()
    with world.source.open_disk(snapshot, ROOT) as export:
        assert content_of(export) == CONTENT
        if which == 2:
            lose()
    assert world.door.planned_faults() == []
    assert world.attached == []
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_others_changes_come_first(world):
    world.source.make_ready(Owner("job", "read"), world.goods)
    snapshot = world.snapshot()
    world.door.plan_fault("ReconfigVM_Task", "vim.fault.ConcurrentAccess", machine=PROXY, times=2, in_task=True)
    with world.source.open_disk(snapshot, ROOT) as export:
        assert content_of(export) == CONTENT
        world.door.plan_fault("ReconfigVM_Task", "vim.fault.ConcurrentAccess", machine=PROXY, times=2)
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_change_of_somebody_elses_is_waited_for(world):
    world.source.make_ready(Owner("job", "read"), world.goods)
    snapshot = world.snapshot()
    world.door.slow_down(PROXY, 1.0)
    session = world.source._session
    proxy = session.object(vim.VirtualMachine, world.door.machine(PROXY)["moref"])
    theirs = proxy.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="theirs"))
    with world.source.open_disk(snapshot, ROOT) as export:
        result(session, theirs, 60)
        assert content_of(export) == CONTENT


def test_what_a_failed_change_has_attached_all_the_same_is_detached(world):
    world.source.make_ready(Owner("job", "read"), world.goods)
    snapshot = world.snapshot()
    world.door.plan_fault(
        "ReconfigVM_Task", "vim.fault.GenericVmConfigFault", machine=PROXY, carried_out=True, in_task=True
    )
    with pytest.raises(LongshoreError, match="couldn't attach disks"), world.source.open_disk(snapshot, ROOT):
        pass
    assert world.attached == []
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_missing_privilege_is_named(world):
    world.source.make_ready(Owner("job", "read"), world.goods)
    snapshot = world.snapshot()
    right = "VirtualMachine.Config.AddExistingDisk"
    world.door.plan_fault("ReconfigVM_Task", "vim.fault.NoPermission", machine=PROXY, properties={"privilegeId": right})
    with pytest.raises(AccessDenied, match=right), world.source.open_disk(snapshot, ROOT):
        pass


def test_a_full_proxy_is_told_and_is_asked_again(world):
    unfit(world, controllers=1)
    world.door.start_proxy(PROXY)
    for number in range(7):
        world.place.add_machine(f"second{number}")
    refs = [world.door.machine(f"second{number}")["moref"] for number in range(7)]
    snapshots = [world.source.snapshot(ref, "s", Owner("job", f"s-{ref}"), quiesce=False) for ref in refs]
    mine = world.snapshot()
    with ExitStack() as readers:
        for one in snapshots:  # 14 of 15 slots
            readers.enter_context(world.source.open_disk(one, ROOT))
        with pytest.raises(Occupied, match="has room for 0 disks more, and is to get 2"):
            readers.enter_context(world.source.open_disk(mine, ROOT))
        assert len(world.attached) == 14
    with world.source.open_disk(mine, ROOT) as export:
        assert content_of(export) == CONTENT
    for ref, one in zip(refs, snapshots, strict=True):
        world.source.remove_snapshot(ref, one.ref)


def test_the_same_disk_at_two_moments_is_read_one_after_the_other(world):
    first, second = world.snapshot("snapshot-1"), world.snapshot("snapshot-2")
    with (
        world.source.open_disk(first, ROOT),
        pytest.raises(Occupied, match="of the same UUID"),
        world.source.open_disk(second, ROOT),
    ):
        pass
    with world.source.open_disk(second, ROOT) as export:
        assert content_of(export) == CONTENT


# Several of them

SECOND = "second"


@pytest.fixture
def two(world):
    """Yield the world with a second proxy beside the first, which has more room."""
    world.place.add_proxy(SECOND, controllers=3)
    world.door.start_proxy(SECOND)
    world.source, world.pool = world.process(proxies=(PROXY, SECOND))
    yield world
    world.door.stop_proxy(SECOND)


def attached_to(world, name):
    return len(world.door.machine(name)["foreign"])


def test_the_proxy_with_most_room_is_taken_and_another_moment_goes_to_the_other(two):
    first, second = two.snapshot("snapshot-1"), two.snapshot("snapshot-2")
    with two.source.open_disk(first, ROOT) as export:
        assert (attached_to(two, PROXY), attached_to(two, SECOND)) == (0, 2)
        assert content_of(export) == CONTENT
        with two.source.open_disk(second, DATA) as other:  # which has the same UUID
            assert (attached_to(two, PROXY), attached_to(two, SECOND)) == (2, 2)
            assert content_of(other) == CONTENT
    assert (attached_to(two, PROXY), attached_to(two, SECOND)) == (0, 0)
    for snapshot in (second, first):
        two.source.remove_snapshot(two.goods, snapshot.ref)
    two.assert_clean()


REFUSALS = {
    "EightHostLimitViolated": {},
    "TooManyDevices": {},
    "InvalidDeviceSpec": {"deviceIndex": 0},
    "InvalidDatastorePath": {"datastorePath": "[datastore1] goods"},
    "GenericVmConfigFault": {"reason": "ordered"},
    "InvalidPowerState": {"requestedState": "poweredOn", "existingState": "suspended"},
    "NoPermission": {"privilegeId": "VirtualMachine.Config.AddExistingDisk"},
}


def test_what_one_proxy_refuses_another_may_take(two):
    snapshot = two.snapshot()
    two.source.check()  # which sets both up
    for fault, said in REFUSALS.items():
        two.door.plan_fault("ReconfigVM_Task", f"vim.fault.{fault}", machine=SECOND, properties=said, in_task=True)
        with two.source.open_disk(snapshot, ROOT) as export:
            assert (attached_to(two, PROXY), attached_to(two, SECOND)) == (2, 0), fault
            assert content_of(export) == CONTENT
        assert two.door.planned_faults() == []
    two.source.remove_snapshot(two.goods, snapshot.ref)
    two.assert_clean()


def test_one_that_is_being_moved_is_left_for_another(two):
    """It is asked a few times: changes that somebody else makes of it end soon."""
    snapshot = two.snapshot()
    two.source.check()
    two.door.plan_fault("ReconfigVM_Task", "vim.fault.InvalidState", machine=SECOND, times=0)
    with two.source.open_disk(snapshot, ROOT) as export:
        assert (attached_to(two, PROXY), attached_to(two, SECOND)) == (2, 0)
        assert content_of(export) == CONTENT
    two.source.remove_snapshot(two.goods, snapshot.ref)
    two.assert_clean()


@pytest.fixture
def kind(two):
    """Have the datastore of the machine be of another kind."""
    yield lambda kind: two.door.set_kind("datastore1", kind)
    two.door.set_kind("datastore1", "VMFS")


def another(world, **changes):
    world.door.stop_proxy(SECOND)
    world.door.remove_machines(SECOND)
    world.place.add_proxy(SECOND, controllers=3, **changes)
    world.door.start_proxy(SECOND)


def test_disks_on_a_vsan_are_read_by_a_proxy_that_is_on_it(two, kind):
    another(two, datastore="datastore2")
    kind("vsan")
    _reads_by_the_first(two)  # which has less room
    two.assert_clean()


def test_disks_on_nfs_3_are_read_by_a_proxy_on_the_machines_host_or_it_is_said(two, kind):
    another(two, host="esx2.lab")
    kind("NFS")
    _reads_by_the_first(two)
    assert two.ledger.said == []
    two.door.stop_proxy(PROXY)
    two.door.remove_machines(PROXY)
    for step in ("snapshot-2", "snapshot-3"):
        snapshot = two.snapshot(step)
        with two.source.open_disk(snapshot, ROOT) as export:
            assert attached_to(two, SECOND) == 2
            assert content_of(export) == CONTENT
        two.source.remove_snapshot(two.goods, snapshot.ref)
    (said,) = two.ledger.said  # once for a job
    assert "NFS 3" in said


@pytest.mark.parametrize("trouble", ["off", "elsewhere", "taken"])
def test_one_that_does_not_take_them_is_passed_over(two, trouble):
    if trouble == "elsewhere":
        another(two, cluster="cluster2", host="esx3.lab")
        two.door.unmount("datastore1", "esx3.lab")
    elif trouble == "off":
        two.door.stop_proxy(SECOND)
        two.door.remove_machines(SECOND)
        two.place.add_proxy(SECOND, controllers=3)
    else:
        other, _ = two.process(make_credentials(), Written(), proxies=(SECOND,))
        snapshot = other.snapshot(two.goods, "s", Owner("other", "read"), quiesce=False)
        with other.open_disk(snapshot, ROOT):
            _reads_by_the_first(two)
        other.remove_snapshot(two.goods, snapshot.ref)
        two.assert_clean()
        return
    _reads_by_the_first(two)
    two.assert_clean()


def _reads_by_the_first(world):
    snapshot = world.snapshot()
    with world.source.open_disk(snapshot, ROOT) as export:
        assert attached_to(world, PROXY) == 2
        assert content_of(export) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)


def test_one_that_was_silent_is_tried_last_until_it_answers(two, monkeypatch):
    """Waiting for it costs a minute, which nobody has at a cutover."""
    monkeypatch.setattr(proxy_pool, "SHOWN_WITHIN", 5.0)
    monkeypatch.setattr(proxy_machine, "SERVES_WITHIN", 5.0)
    snapshot = two.snapshot()
    two.source.make_ready(Owner("job", "read"), two.goods)
    two.door.stop_proxy(SECOND)  # which has more room, and is still on
    waited, wait = [], proxy_pool._wait_until_served

    def waiting(proxy, *more):
        waited.append(proxy.ref)
        return wait(proxy, *more)

    def open_it(name):
        waited.clear()
        with two.source.open_disk(snapshot, ROOT) as export:
            assert attached_to(two, name) == 2
            assert content_of(export) == CONTENT
        return two.door.machine(SECOND)["moref"] in waited

    monkeypatch.setattr(proxy_pool, "_wait_until_served", waiting)
    assert open_it(PROXY)
    assert not open_it(PROXY)
    two.source.make_ready(Owner("job", "read"), two.goods)
    assert two.door.machine(SECOND)["moref"] not in waited
    two.door.start_proxy(SECOND)
    assert "answers at" in two.source.check()[f"proxy {SECOND}"]  # which waits for it
    assert open_it(SECOND)
    two.source.remove_snapshot(two.goods, snapshot.ref)
    two.assert_clean()


def test_when_none_takes_them_it_is_said_why(two):
    for name in (PROXY, SECOND):
        two.door.stop_proxy(name)
        two.door.remove_machines(name)
        two.place.add_proxy(name)
    snapshot = two.snapshot()
    with pytest.raises(Unreachable, match="isn't on"), two.source.open_disk(snapshot, ROOT):
        pass
    two.source.remove_snapshot(two.goods, snapshot.ref)
    two.assert_clean()


def test_a_check_tells_of_each_and_fails_when_none_works(two):
    two.door.stop_proxy(SECOND)
    two.door.remove_machines(SECOND)
    found = two.source.check()
    assert "answers at" in found[f"proxy {PROXY}"]
    assert "no machine 'second'" in found[f"proxy {SECOND}"]
    two.place.add_proxy(SECOND)
    two.door.stop_proxy(PROXY)
    two.door.remove_machines(PROXY)
    with pytest.raises(NotFound, match="no machine 'proxy'"):
        two.source.check()


def test_whoever_looks_after_proxies_sees_them_all(two, tmp_path):
    place, state = two.place, tmp_path / "state"
    (tmp_path / "password").write_text(place.served.password)
    vcenter = ["--host", place.served.host, "--port", place.served.port, "--username", place.served.user]
    vcenter += ["--fingerprint", place.settings().fingerprint, "--password-file", tmp_path / "password"]
    named = ["--proxy", PROXY, "--proxy", SECOND, "--proxy", "third"]
    added = longshore(state, "provider", "add", "vsphere", "vc", *vcenter, "--transport", "proxy", *named)
    assert added.returncode == 0, added.stderr
    two.door.start_proxy(SECOND)  # which has forgotten all

    def listed():
        done = longshore(state, "proxy", "list", "vc", "-f", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    first, second, third = listed()
    assert (first["Proxy"], first["Power"], first["Address"], first["Room"]) == (PROXY, "poweredOn", "127.0.0.1", 29)
    assert (second["Room"], second["Host"], second["Trouble"]) == (44, "esx1.lab", "")
    assert "no machine 'third'" in third["Trouble"]
    snapshot = two.snapshot()
    other, _ = two.process(proxies=(SECOND,))
    with other.open_disk(snapshot, ROOT):
        _, second, _ = listed()
        assert second["Attached"].splitlines() == sorted(disk.location for disk in snapshot.disks)
        assert second["Room"] == 42
        assert "Another Longshore, or another provider, has disks attached" in second["Trouble"]
    two.source.remove_snapshot(two.goods, snapshot.ref)
    checked = longshore(state, "provider", "check", "vc", "-f", "json")
    assert "answers at 127.0.0.1" in json.loads(checked.stdout)[f"proxy {SECOND}"]


def test_what_a_dead_process_has_left_on_either_is_detached(two):
    snapshot = two.snapshot()
    two.pool._take(snapshot)
    two.source, two.pool = two.process(proxies=(PROXY, SECOND))
    two.source.remove_snapshot(two.goods, snapshot.ref)
    assert attached_to(two, SECOND) == 0
    two.assert_clean()


# As a machine among others


def test_a_proxy_is_nobodys_machine(two):
    assert {PROXY, SECOND} <= set(two.door.machines())
    listed = [machine.name for machine in two.source.machines()]
    assert (GOODS in listed, PROXY in listed, SECOND in listed) == (True, False, False)
    assert len(two.source.references()) == len(listed)
    proxy = two.source.machine(SECOND)  # whoever names it is told what it is
    (concern,) = [one for one in machine_concerns(proxy, MigrationRequest()) if one.code == "machine-is-proxy"]
    assert concern.text == "second is a proxy: other machines' disks are attached to it, and read there."
    assert two.source.by_reference(proxy.ref).proxy
    by_path, _ = two.process(proxies=(f"{proxy.datacenter}/{proxy.folder}/{SECOND}",))
    names = [machine.name for machine in by_path.machines()]
    assert (PROXY in names, SECOND in names) == (True, False)


# Whoever dies


def die(world):
    """Attach a snapshot's disks and say no more, as a process that is killed."""
    snapshot = world.snapshot()
    world.pool._take(snapshot)
    world.source, world.pool = world.process()
    return snapshot


def test_the_next_process_reads_what_a_dead_one_had_attached(world):
    snapshot = die(world)
    assert len(world.attached) == 2
    with world.source.open_disk(snapshot, ROOT) as export:
        assert content_of(export) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_proxy_that_is_restarted_with_what_a_dead_process_had_attached_is_used_on(world):
    """VMware's HA restarts machines so: what is attached stays attached."""
    snapshot = die(world)
    world.door.start_proxy(PROXY)
    assert len(world.attached) == 2
    with world.source.open_disk(snapshot, ROOT) as export:
        assert content_of(export) == CONTENT
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_the_next_process_detaches_before_it_removes_a_snapshot(world):
    snapshot = die(world)
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_the_end_of_an_engine_detaches_what_dead_ones_have_left(world):
    snapshot = die(world)
    world.pool.end_all()
    assert (world.attached, world.ledger.unsettled()) == ([], [])
    world.source.remove_snapshot(world.goods, snapshot.ref)
    world.assert_clean()


def test_a_note_of_the_ledger_is_enough_to_let_go(world):
    die(world)
    (owner,) = world.ledger.unsettled()
    with world.place.source() as by_another_way:  # the provider reads by VDDK now
        by_another_way.let_go(world.ledger.note_of(owner))
        assert world.attached == []
        by_another_way.let_go(world.ledger.note_of(owner))  # nothing is left to do
        with pytest.raises(Conflict, match="isn't the vCenter"):
            by_another_way.let_go('["another", "vm-1", ["[a] a/a.vmdk"]]')


# The rules


def test_a_lease_is_not_taken_for_what_is_attached(world):
    """It is of the same provider, which had disks exported before."""
    owner = Owner("job", "export-lease-snapshot-1-2000")
    world.ledger.made(owner, json.dumps({"vcenter": "", "lease": "session-lease-1", "since": 0.0}))
    world.pool.end_all()
    assert world.ledger.unsettled() == [owner]


def test_nothing_here_can_delete_a_file():
    """No word of vSphere's that makes, replaces or deletes files is in what attaches and detaches."""
    for path in SOURCE.glob("proxy_*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        words = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        words |= {keyword.arg for node in nodes if isinstance(node, ast.Call) for keyword in node.keywords}
        assert not words & {"fileOperation", "FileOperation", "Destroy_Task", "DeleteVirtualDisk_Task"}, path


def test_disks_are_opened_by_the_engine_alone(world):
    snapshot = world.snapshot()
    with (
        world.place.source(KEY.secret, transport="proxy", proxies=(PROXY,)) as alone,
        pytest.raises(ProviderError, match="by the engine"),
        alone.open_disk(snapshot, ROOT),
    ):
        pass


def test_a_check_sets_the_proxy_up_and_tells_what_it_has(world):
    found = world.source.check()[f"proxy {PROXY}"]
    assert re.fullmatch(r"vm-\d+ answers at 127\.0\.0\.1, and has room for 29 disks", found)
    snapshot = die(world)
    assert snapshot.disks[0].location in world.source.check()[f"proxy {PROXY}"]


@pytest.mark.parametrize("secret", ["", "nonsense", KEY.key, KEY.certificate])
def test_a_secret_that_is_no_key_pair_is_refused(secret):
    with pytest.raises(InvalidInput, match="proxy_key"):
        read_credentials(secret)
    assert read_credentials(KEY.secret) == KEY


def test_settings_name_the_proxy(place):
    with pytest.raises(InvalidInput, match="a machine is needed"):
        place.settings(transport="proxy")
