"""Changed areas: complete when told, Unknown when anything is odd, never empty for "can't tell"."""

from contextlib import nullcontext
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyVmomi import vim, vmodl

from longshore.errors import NotFound
from longshore.model.changes import Changed, Unknown
from longshore.model.extents import Extent
from longshore.model.machine import Snapshot, SnapshotDisk
from longshore.providers.vsphere import changes
from longshore.providers.vsphere.changes import between

LIFE = "52 3c 9a 00 11 22 33 44-55 66 77 88 99 aa bb cc"
OTHER = "52 3c 9a 00 11 22 33 44-55 66 77 88 99 aa bb cd"
SIZE = 100 << 20


def snapshot(change_id: str | None) -> Snapshot:
    return Snapshot("snapshot-2", "vm-1", "s", (SnapshotDisk("2000", "[ds] a.vmdk", SIZE, change_id),))


class Machine:
    """Answers QueryChangedDiskAreas from a list of pages: (start, length, areas), or a fault."""

    def __init__(self, *pages: object) -> None:
        self.pages = list(pages)
        self.asked: list[dict] = []

    def QueryChangedDiskAreas(self, **asked):
        self.asked.append(asked)
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        start, length, areas = page
        info = vim.VirtualMachine.DiskChangeInfo
        told = [info.DiskChangeExtent(start=at, length=size) for at, size in areas]
        return info(startOffset=start, length=length, changedArea=told)


def ask(machine: Machine, since: str = f"{LIFE}/1", now: str | None = f"{LIFE}/2"):
    session = SimpleNamespace(label="vc", doing=lambda what: nullcontext(), object=lambda kind, ref: machine)
    return between(session, since, snapshot(now), "2000")


def test_all_pages_are_asked_for():
    machine = Machine((0, 40 << 20, [(0, 65536), (1 << 20, 65536)]), (40 << 20, 60 << 20, [(50 << 20, 65536)]))
    assert ask(machine) == Changed((Extent(0, 65536), Extent(1 << 20, 65536), Extent(50 << 20, 65536)))
    assert [asked["startOffset"] for asked in machine.asked] == [0, 40 << 20]
    assert {asked["changeId"] for asked in machine.asked} == {f"{LIFE}/1"}
    assert {asked["deviceKey"] for asked in machine.asked} == {2000}


def test_nothing_written_is_told_as_nothing():
    assert ask(Machine((0, SIZE, []))) == Changed(())


def test_the_same_moment_twice():
    assert ask(Machine((0, SIZE, [])), since=f"{LIFE}/2") == Changed(())


def test_an_area_that_begins_on_the_page_before_is_merged():
    machine = Machine((0, 10 << 20, [(9 << 20, 1 << 20)]), (10 << 20, 90 << 20, [(10 << 20, 1 << 20)]))
    assert ask(machine) == Changed((Extent(9 << 20, 2 << 20),))


@pytest.mark.parametrize(
    "fault",
    [
        vim.fault.FileFault(file="[ds] a.vmdk", msg="Error caused by file [ds] a.vmdk"),
        vmodl.fault.InvalidArgument(invalidProperty="changeId", msg="A specified parameter was not correct: changeId"),
        vmodl.fault.ManagedObjectNotFound(msg="The object has already been deleted"),
        vmodl.fault.NotSupported(msg="The operation is not supported on the object."),
        vim.fault.NotFound(),
    ],
)
@pytest.mark.parametrize("page", [0, 1])
def test_any_fault_on_any_page_makes_it_unknown(fault, page):
    before = [(0, 40 << 20, [(0, 65536)])][:page]
    answer = ask(Machine(*before, fault))
    assert isinstance(answer, Unknown)
    assert (fault.msg or "NotFound").rstrip(".") in answer.reason


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(changes, "PAUSES", (0.0, 0.0))


PASSING = [vmodl.fault.HostCommunication(msg="Unable to communicate"), vmodl.fault.SystemError(reason="busy")]


def test_a_fault_that_passes_costs_no_comparison(quick):
    machine = Machine(*PASSING, (0, SIZE, [(0, 65536)]))
    assert ask(machine) == Changed((Extent(0, 65536),))


def test_a_fault_that_stays_makes_it_unknown_and_one_that_cannot_pass_at_once(quick):
    assert isinstance(ask(Machine(*PASSING, PASSING[0])), Unknown)
    lasting = Machine(vim.fault.FileFault(file="[ds] a.vmdk", msg="Error caused by file"))
    assert isinstance(ask(lasting), Unknown)
    assert len(lasting.asked) == 1


@pytest.mark.parametrize(
    ("since", "now", "reason"),
    [
        (f"{LIFE}/1", None, "tracking is off"),
        (f"{LIFE}/1", "", "tracking is off"),
        ("", f"{LIFE}/2", "isn't a change id"),
        ("*", f"{LIFE}/2", "isn't a change id"),
        ("nonsense", f"{LIFE}/2", "isn't a change id"),
        (f"{OTHER}/1", f"{LIFE}/2", "was reset"),
        (f"{LIFE}/3", f"{LIFE}/2", "reverted"),
    ],
)
def test_change_ids_that_cant_be_compared_are_not_even_asked_about(since, now, reason):
    machine = Machine()
    answer = ask(machine, since, now)
    assert isinstance(answer, Unknown)
    assert reason in answer.reason
    assert machine.asked == []


@pytest.mark.parametrize("length", [0, -5])
def test_a_page_that_leads_nowhere_is_unknown(length):
    assert isinstance(ask(Machine((0, 1 << 20, []), (1 << 20, length, []))), Unknown)


def test_a_disk_the_snapshot_doesnt_hold():
    with pytest.raises(NotFound):
        between(None, f"{LIFE}/1", snapshot(f"{LIFE}/2"), "2001")


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=30), st.randoms())
def test_what_is_told_is_sorted_and_covers_the_same_bytes(areas, random):
    """vSphere's own order isn't relied on, nor that areas end with the disk."""
    areas = [(start << 20, length << 20) for start, length in areas]
    random.shuffle(areas)
    answer = ask(Machine((0, SIZE, areas)))
    covered = {block for extent in answer.extents for block in range(extent.offset >> 20, extent.end >> 20)}
    told = {block for start, length in areas for block in range(start >> 20, (start + length) >> 20)}
    assert covered == {block for block in told if block < SIZE >> 20}
    assert all(extent.length > 0 for extent in answer.extents)
    assert all(first.end < second.offset for first, second in pairwise(answer.extents))
