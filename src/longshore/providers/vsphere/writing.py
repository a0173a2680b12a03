"""Writing a machine's disks while it is off, above a snapshot that keeps what they held: the rules, and VDDK's way.

By VMware's rules a disk below a snapshot isn't written, nor one that a running machine has open; and from the first
write on, change tracking misreports what comes after earlier change ids.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyVmomi import vim

from longshore.blocks.exports import Export, reaching, serve_nbdkit
from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.model.machine import PowerState, Snapshot
from longshore.providers.vsphere import disks
from longshore.providers.vsphere.machines import capacity, power_state
from longshore.providers.vsphere.properties import read
from longshore.providers.vsphere.session import VsphereSession

_PATHS = ("runtime.powerState", "runtime.connectionState", "snapshot", "config.hardware.device")


def check(session: VsphereSession, machine_ref: str) -> None:
    """Check that the machine's disks can be written. Raises NotFound, InvalidInput for a disk that snapshots leave out,
    Conflict while disks wait to be consolidated."""
    with session.doing(f"look whether the disks of {machine_ref} can be written"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        now = read(session, machine, ("config.hardware.device", "runtime.consolidationNeeded"))
    for device in now["config.hardware.device"] or []:
        if isinstance(device, vim.vm.device.VirtualDisk):
            mode = getattr(device.backing, "diskMode", "") or ""
            if mode.startswith("independent"):
                label = getattr(device.deviceInfo, "label", "A disk")
                raise InvalidInput(
                    f"{label} of {machine_ref} is independent ({mode}): no snapshot would keep what it holds.",
                    advice="Make the disk dependent, while the machine is off.",
                )
    if now["runtime.consolidationNeeded"]:
        raise Conflict(f"The disks of {machine_ref} need to be consolidated.", advice="Do that in vCenter first.")


@contextmanager
def serve(session: VsphereSession, snapshot: Snapshot, disk_key: str, size: int) -> Iterator[Export]:
    """Serve a disk for writing through VDDK. Raises NotFound, what `newest` and `disks.serve` do."""
    for device in newest(session, snapshot):
        if str(device.key) == disk_key:
            location = str(getattr(device.backing, "fileName", ""))
            with disks.serve_to_write(session, snapshot.machine_ref, location, capacity(device), size) as export:
                yield export
            return
    raise NotFound(f"{snapshot.machine_ref} has no disk {disk_key}.")


@contextmanager
def as_large_as(export: Export, size: int, shown: int) -> Iterator[Export]:
    """Serve a disk of `size` bytes as one of `shown` bytes if that is more: what lies beyond its end is read as zero,
    and may only be that."""
    if shown <= size:
        yield export
        return
    once = {**reaching(export.uri), "shared": "true", "truncate": str(shown)}
    with serve_nbdkit("nbd", once, filters=("truncate",), read_only=False, threads=disks.THREADS) as larger:
        yield larger


def newest(session: VsphereSession, snapshot: Snapshot) -> list[Any]:
    """Return a machine's disks, with the layers above its snapshot that may be written. Raises NotFound, Conflict when
    the machine isn't off or has a newer snapshot."""
    ref = snapshot.machine_ref
    with session.doing(f"find the disks of {ref}"):
        now = read(session, session.object(vim.VirtualMachine, ref), _PATHS)
    if power_state(now) is not PowerState.OFF:
        raise Conflict(f"{ref} isn't off: its disks aren't written.", advice="Power it off.")
    current = now["snapshot"].currentSnapshot if now["snapshot"] else None
    if current is None or current._moId != snapshot.ref:
        raise Conflict(
            f"{ref} is not at the snapshot {snapshot.ref} any more, which keeps what its disks held.",
            advice="Somebody has taken another snapshot, or reverted to one. Begin anew.",
        )
    return [one for one in now["config.hardware.device"] or [] if isinstance(one, vim.vm.device.VirtualDisk)]
