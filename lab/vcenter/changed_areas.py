"""QueryChangedDiskAreas, with VMware's rules.

A change id is a tracking's epoch and the number of a point in it: `52 de … /4`. "*" asks for what is allocated. An id
from another tracking, from before a reset or from the future is a FileFault, never an empty answer. Answers come in
pages: a client goes on where the last page ended.
"""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from .machine.chain import Chain
from .machine.extents import Extent, allocated, union
from .managed import ApiFault, invalid_argument

PAGE = 8
"""Areas in one answer. Real ones hold some 2,000; a small page makes small disks exercise a client's paging."""

DiskChangeInfo = vim.VirtualMachine.DiskChangeInfo


def unknown_change(disk_name: str) -> ApiFault:
    return ApiFault(vim.fault.FileFault(file=disk_name), f"Error caused by file {disk_name}")


def changed_since(chain: Chain, disk_name: str, change_id: str, upto: int | None) -> list[Extent]:
    """The areas changed from a change id to a point (or now). Raises ApiFault for ids that mean nothing here."""
    epoch, slash, number = change_id.rpartition("/")
    if not slash or not number.isdigit():
        raise invalid_argument("changeId")
    if epoch != chain.epoch or not 1 <= int(number) <= (chain.seq if upto is None else upto):
        raise unknown_change(disk_name)
    return chain.changed(int(number), upto)


def allocated_areas(layers: list[str]) -> list[Extent]:
    return union(allocated(layer) for layer in layers)


def without(areas: list[Extent], left_out: list[Extent]) -> list[Extent]:
    """Return the areas less what is left out of them."""
    for start, length in left_out:
        end = start + length
        before = [(s, min(n, start - s)) for s, n in areas if s < start]
        areas = before + [(max(s, end), s + n - max(s, end)) for s, n in areas if s + n > end]
    return sorted(areas)


def page(areas: list[Extent], offset: int, size: int) -> Any:
    """The part of the areas from `offset` on that fits in one answer, for a disk of `size` bytes."""
    wanted = [(max(s, offset), min(s + n, size) - max(s, offset)) for s, n in areas if s + n > offset and s < size]
    length = wanted[PAGE][0] - offset if len(wanted) > PAGE else size - offset
    extents = [DiskChangeInfo.DiskChangeExtent(start=s, length=n) for s, n in wanted[:PAGE]]
    return DiskChangeInfo(startOffset=offset, length=length, changedArea=extents)
