"""The hardware that an unchanged guest would boot on: its drivers, and what in it depends on the hardware it has now.

Looked up on its disks, read-only, before it is decided how it lands.
"""

from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import replace

from longshore.guests.appliance import Guest
from longshore.guests.efi import has_fallback_loader
from longshore.guests.encrypted import all_devices, encrypted_below
from longshore.guests.interfaces import names_to_keep
from longshore.guests.linux_boot import linux_drivers
from longshore.guests.report import NicName
from longshore.guests.windows_boot import windows_drivers
from longshore.model.hardware import BootDrivers


def find_drivers(guest: Guest, nics: Sequence[NicName]) -> BootDrivers:
    """Find what the guest can boot from and talk through. The guest's file systems aren't mounted any more after it."""
    system = guest.system
    linux = system.family == "linux"
    if linux:
        found = linux_drivers(guest)
    elif system.family == "windows":
        found = windows_drivers(guest)
    else:
        found = BootDrivers(True, doubts=(f"What {system.product} can boot from isn't known to Longshore.",))
    return replace(
        found,
        family=system.family,
        system=system.product,
        root_disks=_root_disks(guest),
        interface_names=tuple(sorted(names_to_keep(guest, nics))) if linux else (),
        mounts=system.mounts,
        uuids=system.uuids,
        fallback_loader=has_fallback_loader(guest),
    )


def _root_disks(guest: Guest) -> tuple[int, ...]:
    """Return the positions of the disks without which the root file system, and /usr if it is one of its own, can't be
    mounted."""
    devices = {guest.system.mounts[place] for place in ("/", "/usr") if place in guest.system.mounts}
    positions: set[int] = set()
    for device in devices or {guest.system.root}:
        try:
            guest.files.vfs_type(device)
        except RuntimeError:  # fstab may call /usr by a name that nothing has here
            continue
        positions.update(_disks_below(guest, device))
    return tuple(sorted(positions | {0}))  # the first holds the boot loader in any case


def _disks_below(guest: Guest, device: str) -> set[int]:
    """Return the disks below a volume. A volume group is there only with all its disks, and an array with enough of
    them: all are taken to be needed."""
    files = guest.files
    device = _device_of(guest, device)
    if encrypted := encrypted_below(files, device):
        return _disks_below(guest, encrypted)
    if device.startswith("/dev/md"):
        return set(range(len(files.list_devices())))  # it isn't worth finding out which
    if files.is_lv(device):
        group = files.lvm_canonical_lv_name(device).split("/")[2]
        members = set(files.vgpvuuids(group))
        return {position for part in _physical_volumes(guest, members) for position in _disks_below(guest, part)}
    return {files.device_index(guest.disk_of(device))}


def _physical_volumes(guest: Guest, uuids: Set[str]) -> Iterator[str]:
    """Yield the group's physical volumes that are there: a group may have lost a disk."""
    for volume in guest.files.pvs():
        with suppress(RuntimeError):
            if guest.files.pvuuid(volume) in uuids:
                yield volume


def _device_of(guest: Guest, mountable: str) -> str:
    """Return the device of the file system that a subvolume (btrfsvol:/dev/sda1/@) is of.

    libguestfs' own mountable_device tells the disk's name in this run of the appliance, and then takes it for another.
    """
    files = guest.files
    there = (device for device in all_devices(files) if mountable.startswith(f"btrfsvol:{device}/"))
    return next(there, mountable)
