"""Disks written through VDDK, by VMware's rules: the lab's vCenter and disk library in a process of their own.

The rules of the stand-in are tested as much as Longshore's use of them: what the lab's tests prove is worth no more.
"""

import os
import shutil
import subprocess
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import nbd
import pytest
from pyVmomi import vim

from longshore.blocks import exports
from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.model.changes import Changed, Unknown
from longshore.model.extents import total
from longshore.model.machine import PowerState
from longshore.model.target import Owner
from longshore.providers.vsphere import disks
from longshore.providers.vsphere.certificate import fetch_fingerprint
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.providers.vsphere.source import VsphereSource

LIBRARY = Path(__file__).parents[2] / "lab" / "disklib" / "labvddk.c"
KEPT = Path(os.environ.get("LONGSHORE_LAB", "/var/lib/longshore-lab")) / "cache" / "disklib" / "nbdkit-vddk-plugin.so"
MIB = 1 << 20
SIZE = 4 * MIB
WORDS = b"written where it came from".ljust(512, b".")
ROOT = "2000"


def plugin():
    """nbdkit's, wherever it is."""
    installed = subprocess.run(["nbdkit", "--dump-plugin", "vddk"], capture_output=True, check=False)
    return "vddk" if installed.returncode == 0 else str(KEPT) if KEPT.exists() else None


NEEDS_PLUGIN = pytest.mark.skipif(
    not shutil.which("gcc") or not shutil.which("nbdkit") or plugin() is None, reason="no nbdkit-plugin-vddk here"
)
# Among the long ones, though they are quick: the plugin is there once the lab has been started
pytestmark = [pytest.mark.long, NEEDS_PLUGIN]


@pytest.fixture(scope="module")
def vcenter():
    from vcenter.paper import paper_vcenter

    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "lab"
        library = root / "run" / "disklib" / "lib64" / "libvixDiskLib.so.8"
        with paper_vcenter(root) as served:
            library.parent.mkdir()
            command = ["gcc", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-soname,libvixDiskLib.so.8"]
            subprocess.run([*command, "-o", library, LIBRARY, "-lpthread"], check=True)
            yield served, library.parents[1]


@pytest.fixture
def source(vcenter, monkeypatch):
    served, library = vcenter

    def serve_nbdkit(name, *args, **how):
        return exports.serve_nbdkit(plugin() if name == "vddk" else name, *args, **how)

    monkeypatch.setattr(disks, "serve_nbdkit", serve_nbdkit)
    fingerprint = fetch_fingerprint(served.host, served.port)
    settings = VsphereSettings(served.host, served.user, served.port, fingerprint, vddk_libdir=str(library))
    with closing(VsphereSource(settings, served.password)) as source:
        yield source


@pytest.fixture
def machine(vcenter, source):
    """Off, its changes tracked, with one disk of 4 MiB whose first and last MiB hold something."""
    served, library = vcenter
    images = library.parents[1] / "cache" / "guests"
    content = b"home" * (MIB // 4)
    (images / "small.raw").write_bytes(content + bytes(SIZE - 2 * MIB) + content)
    disk = {"datastore": "datastore1", "image": "small.raw"}
    like = served.sidedoor.add_paper_machines(1, prefix="paper") and "paper00001"
    served.sidedoor.add_machine(like, "written", disks=[disk], nics=[])
    found = source.machine("written")
    source.set_change_tracking(found.ref, True)
    yield found.ref
    served.sidedoor.remove_machines("written", "paper00001")


def owner(step):
    return Owner("failback", step)


def put(export, offset, data):
    handle = nbd.NBD()
    handle.connect_uri(export.uri)
    handle.pwrite(data, offset)
    handle.flush()
    read = handle.pread(len(data), offset)
    handle.shutdown()
    return read


def content(export):
    handle = nbd.NBD()
    handle.connect_uri(export.uri)
    read = b"".join(bytes(handle.pread(MIB, offset)) for offset in range(0, handle.get_size(), MIB))
    handle.shutdown()
    return read


def test_what_is_written_is_above_the_snapshot_and_is_told(source, machine):
    before = source.snapshot(machine, "before", owner("home"), quiesce=False)
    with source.open_disk(before, ROOT) as export:
        held = content(export)
    with source.open_disk_to_write(before, ROOT, SIZE) as export:
        assert put(export, 2 * MIB + 512, WORDS) == WORDS
        assert put(export, 0, WORDS) == WORDS
        with source.open_disk(before, ROOT) as below:
            assert content(below) == held, "a snapshot's base isn't written"
    after = source.snapshot(machine, "after", owner("after"), quiesce=False)
    told = source.changed(after, ROOT, before.disk(ROOT).change_id)
    assert isinstance(told, Changed)
    assert [extent.offset for extent in told.extents] == [0, 2 * MIB]
    assert total(told.extents) == 2 << 16
    with source.open_disk(after, ROOT) as export:
        assert content(export)[2 * MIB + 512 :][: len(WORDS)] == WORDS
    source.remove_snapshot(machine, after.ref)
    source.remove_snapshot(machine, before.ref)
    last = source.snapshot(machine, "last", owner("last"), quiesce=False)
    with source.open_disk(last, ROOT) as export:
        assert content(export)[: len(WORDS)] == WORDS
    again = source.changed(last, ROOT, after.disk(ROOT).change_id)
    assert isinstance(again, Changed)
    assert {extent.offset for extent in again.extents} <= {0, 2 * MIB}, "what was merged may be told once more"


def test_reverting_takes_it_back_and_change_ids_from_before_mean_nothing(source, machine):
    before = source.snapshot(machine, "before", owner("home"), quiesce=False)
    for _ in range(2):
        with source.open_disk_to_write(before, ROOT, SIZE) as export:
            put(export, MIB, WORDS)
        source.revert(machine, before.ref)
    assert source.power_state(machine) is PowerState.OFF
    again = source.find_snapshot(machine, owner("home"))
    assert again is not None
    source.remove_snapshot(machine, again.ref)
    after = source.snapshot(machine, "after", owner("after"), quiesce=False)
    with source.open_disk(after, ROOT) as export:
        assert not any(content(export)[MIB : 2 * MIB])
    assert isinstance(source.changed(after, ROOT, before.disk(ROOT).change_id), Unknown)


def test_a_volume_may_be_larger_than_the_disk_but_hold_no_more(source, machine):
    before = source.snapshot(machine, "before", owner("home"), quiesce=False)
    with source.open_disk_to_write(before, ROOT, SIZE + MIB) as export:
        assert export.probe().size == SIZE + MIB
        put(export, SIZE - 512, WORDS)
        put(export, SIZE, bytes(4096))
        with pytest.raises(nbd.Error, match="No space left"):
            put(export, SIZE, WORDS)


def test_whoever_writes_has_the_disk_alone(source, machine):
    before = source.snapshot(machine, "before", owner("home"), quiesce=False)
    with source.open_disk_to_write(before, ROOT, SIZE):
        with pytest.raises(Conflict) as refused, source.open_disk_to_write(before, ROOT, SIZE):
            pass
        assert refused.value.code == "file-locked"
        for locked in (source.power_on, lambda ref: source.revert(ref, before.ref)):
            with pytest.raises(Conflict) as refused:
                locked(machine)
            assert refused.value.code == "file-locked"


def test_what_isnt_the_newest_or_not_ours_isnt_written(source, machine):
    before = source.snapshot(machine, "before", owner("home"), quiesce=False)
    source.snapshot(machine, "newer", owner("newer"), quiesce=False)
    with pytest.raises(Conflict, match="is not at the snapshot"), source.open_disk_to_write(before, ROOT, SIZE):
        pass
    with pytest.raises(NotFound, match="has no snapshot snapshot-99999"):
        source.revert(machine, "snapshot-99999")
    with source._session.doing("take somebody's snapshot"):
        theirs = source._session.object(vim.VirtualMachine, machine)
        theirs.CreateSnapshot_Task(name="theirs", description="", memory=False, quiesce=False)
    found = source.machine(machine)
    assert found.power is PowerState.OFF


def test_what_cant_be_written_is_said_beforehand(vcenter, source, machine, source_over_ssh):
    source.check_way_back(machine)
    with source_over_ssh("esx1.lab") as over_ssh, pytest.raises(InvalidInput, match="which can't write them"):
        over_ssh.check_way_back(machine)
    served, _ = vcenter
    settings = replace(source._session.settings, vddk_libdir=None)
    with closing(VsphereSource(settings, served.password)) as bare, pytest.raises(InvalidInput, match="VDDK"):
        bare.check_way_back(machine)
