"""Disks of other machines as a proxy has them: which files, in which mode, at which slots.

For reading it gets what a snapshot holds, in a mode in which nothing is ever written to the files. For writing it gets
the newest layers of a machine that is off: then the platform lets nobody else open them, nor the machine be powered on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pyVmomi import vim

from longshore.providers.vsphere.machines import capacity
from longshore.providers.vsphere.properties import Properties, read
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.snapshots import held_devices, is_held

DISK = vim.vm.device.VirtualDisk
_UNITS = 16  # of a SCSI controller, its own among them; newer ones have more, which nobody needs to know of


class Mode(StrEnum):
    """The modes in which disks are attached, in vSphere's words. No snapshot of the proxy affects either."""

    READING = "independent_nonpersistent"  # nothing is ever written to the file, nor kept of what a guest writes
    WRITING = "independent_persistent"


@dataclass(frozen=True, slots=True)
class HeldDisk:
    """A disk of a machine at a moment: the head of its files then."""

    key: str
    file: str
    uuid: str
    size: int  # bytes
    backing: Any  # the type of its backing
    datastore: Any

    @property
    def names(self) -> tuple[str, str]:
        """Return the names that udev may give it in the proxy."""
        digits = _digits(self.uuid)
        return f"wwn-0x{digits}", f"scsi-3{digits}"


class DiskChange:
    """A disk that a proxy gets or gives back. There is no word in it on the disk's file: that is never made, and never
    deleted."""

    def __init__(self, operation: str, device: Any) -> None:
        self.spec = vim.vm.device.VirtualDeviceSpec(operation=operation, device=device)

    @classmethod
    def attach(cls, disk: HeldDisk, mode: Mode, slot: tuple[int, int], number: int) -> DiskChange:
        """`slot`: a controller and one of its units; `number`: of the disk among those of the call."""
        controller, unit = slot
        backing = disk.backing(fileName=disk.file, diskMode=mode.value)
        return cls("add", DISK(key=-1 - number, controllerKey=controller, unitNumber=unit, backing=backing))

    @classmethod
    def detach(cls, device: Any) -> DiskChange:
        return cls("remove", DISK(key=device.key))


def held_disks(session: VsphereSession, machine_ref: str, snapshot_ref: str) -> list[HeldDisk]:
    """Return a snapshot's disks as vCenter tells them now: files may be moved. Raises NotFound when it is gone."""
    with session.doing(f"tell where the disks of {machine_ref} are"):
        return disks_of(held_devices(session, machine_ref, snapshot_ref))


def newest_files(session: VsphereSession, machine_ref: str) -> list[str]:
    """Return the files that a machine's disks are written to. Raises NotFound when it is gone."""
    with session.doing(f"tell where the disks of {machine_ref} are"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        return [disk.file for disk in disks_of(read(session, machine, ["config.hardware.device"]).popitem()[1])]


def disks_of(devices: Iterable[Any] | None) -> list[HeldDisk]:
    """Return the disks among these devices, without those that snapshots leave out."""
    return [
        HeldDisk(
            key=str(device.key),
            file=_file(device),
            uuid=getattr(device.backing, "uuid", None) or "",
            size=capacity(device),
            backing=type(device.backing),
            datastore=getattr(device.backing, "datastore", None),
        )
        for device in devices or []
        if is_held(device)
    ]


# In the proxy


def elsewhere(now: Properties) -> dict[str, Any]:
    """Return the disks whose files aren't where the machine's own are, by these."""
    home = _folder(now["config.files.vmPathName"] or "")
    disks = [device for device in now["config.hardware.device"] or [] if isinstance(device, DISK)]
    return {_file(disk): disk for disk in disks if _folder(_file(disk)) != home}


def foreign(now: Properties) -> dict[str, Any]:
    """Return those of them that are attached as Longshore does it."""
    return {file: disk for file, disk in elsewhere(now).items() if mode_of(disk) is not None}


def mode_of(device: Any) -> Mode | None:
    """Return the mode in which a disk is attached; None for one that Longshore never uses."""
    mode = getattr(device.backing, "diskMode", "")
    return Mode(mode) if mode in list(Mode) else None


def free_slots(now: Properties) -> Iterator[tuple[int, int]]:
    """Yield controllers and their units that nothing is at."""
    devices = now["config.hardware.device"] or []
    taken = {(device.controllerKey, device.unitNumber) for device in devices}
    controllers = [device for device in devices if isinstance(device, vim.vm.device.VirtualSCSIController)]
    for controller in sorted(controllers, key=lambda one: one.busNumber):
        for unit in range(_UNITS):
            if unit != controller.scsiCtlrUnitNumber and (controller.key, unit) not in taken:
                yield controller.key, unit


def writable(disks: Iterable[tuple[str, int]]) -> str:
    """Return disks, by their UUIDs and units, as the proxy's program is told which of those that it has may be written:
    no other is."""
    return " ".join(sorted(f"{_digits(uuid)}:{unit}" for uuid, unit in disks))


def stores(disks: Sequence[HeldDisk]) -> list[Any]:
    """Return the datastores that disks are on, each once."""
    return list({disk.datastore._moId: disk.datastore for disk in disks if disk.datastore is not None}.values())


def is_written_by(host: Any, mounts: Any) -> bool:
    """Tell whether a host may write to the datastore with these mounts, as a disk's redo log needs it. One of another
    datacenter never does: what both have are two datastores."""
    found = [mount.mountInfo for mount in mounts or [] if mount.key == host]
    return any(one.accessMode == "readWrite" and one.mounted and one.accessible is not False for one in found)


def _digits(uuid: str) -> str:
    return uuid.replace("-", "").lower()


def _file(device: Any) -> str:
    return str(getattr(device.backing, "fileName", ""))


def _folder(file: str) -> str:
    return file.rpartition("/")[0]
