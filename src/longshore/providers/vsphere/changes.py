"""Changed block tracking: what a guest wrote between two moments, or the honest answer that vSphere can't tell."""

import time
from typing import Any

from pyVmomi import vim, vmodl

from longshore.model.changes import Changed, Changes, Unknown
from longshore.model.extents import Extent, intersect, merge
from longshore.model.machine import Snapshot
from longshore.providers.vsphere.faults import words
from longshore.providers.vsphere.session import VsphereSession

PAUSES = (1.0, 3.0, 6.0)  # seconds before each further try
# What no second try changes
_LASTING = (
    vim.fault.FileFault,  # vSphere's word for a change id that it doesn't know
    vim.fault.NoPermission,
    vim.fault.NotFound,
    vmodl.fault.InvalidArgument,
    vmodl.fault.ManagedObjectNotFound,
    vmodl.fault.NotSupported,
)


def between(session: VsphereSession, since: str, snapshot: Snapshot, disk_key: str) -> Changes:
    """Return what was written to a disk between the change id `since` and the snapshot.

    Any fault of vSphere's makes the answer Unknown, with its words as the reason; one that may pass is waited for a
    moment first, since to read whole disks instead takes hours. Raises Unreachable and AccessDenied when nothing was
    answered at all: asking again later may do.
    """
    disk = snapshot.disk(disk_key)
    reason = _refusal(since, disk.change_id)
    if reason:
        return Unknown(reason)
    extents: list[Extent] = []
    offset = 0
    with session.doing(f"tell what changed on disk {disk_key} of {snapshot.machine_ref}"):
        machine = session.object(vim.VirtualMachine, snapshot.machine_ref)
        moment = session.object(vim.vm.Snapshot, snapshot.ref)
        while offset < disk.size:
            try:
                page = _page(machine, snapshot=moment, deviceKey=int(disk_key), startOffset=offset, changeId=since)
            except vmodl.MethodFault as fault:
                return Unknown(f"{session.label} said: {words(fault)}.")
            extents += [Extent(area.start, area.length) for area in page.changedArea or []]
            reached = page.startOffset + page.length
            if reached <= offset:
                return Unknown(f"{session.label} told nothing about the disk from byte {offset} on.")
            offset = reached
    return Changed(tuple(intersect(merge(extents), [Extent(0, disk.size)])))


def _page(machine: Any, **asked: Any) -> Any:
    for pause in PAUSES:
        try:
            return machine.QueryChangedDiskAreas(**asked)
        except _LASTING:
            raise
        except vmodl.MethodFault:
            time.sleep(pause)
    return machine.QueryChangedDiskAreas(**asked)


def _refusal(since: str, now: str | None) -> str:
    """Return why two change ids ("<uuid>/<number>") can't be compared; empty when they can."""
    if not now:
        return "Change tracking is off for this disk."
    life, slash, number = since.rpartition("/")
    if not slash or not number.isdigit():
        return f"{since!r} isn't a change id."
    life_now, _, number_now = now.rpartition("/")
    if life != life_now:
        return "Change tracking was reset since: the earlier change id belongs to another life of the disk."
    if number_now.isdigit() and int(number) > int(number_now):
        return "The earlier change id is newer than the snapshot: the machine was reverted."
    return ""
