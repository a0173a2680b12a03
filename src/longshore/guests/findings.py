"""What a machine's disks tell before anything on them is changed, found in one run of the appliance."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

import guestfs

from longshore.errors import ConversionError
from longshore.guests.appliance import Guest, mounted
from longshore.guests.as_found import sign
from longshore.guests.drivers import find_drivers
from longshore.guests.encrypted import LUKS, all_devices, is_bound_to_network, is_open
from longshore.guests.inspection import find_systems, the_one
from longshore.guests.linux_findings import linux_findings
from longshore.guests.report import NicName, OperatingSystem
from longshore.guests.windows_findings import windows_findings
from longshore.model.guest import FoundSystem, GuestFindings
from longshore.model.hardware import BootDrivers
from longshore.model.machine import FileSystem

# Content of a device, as libblkid calls it
_BITLOCKER, _SUSPENDED, _NTFS = "BitLocker", "swsuspend", "ntfs"
# What ntfs-3g.probe ends with
_HIBERNATED, _UNCLEAN = 14, 15
_LDM_MBR_TYPE = 0x42
_LDM_GPT_TYPES = (UUID("5808C8AA-7E8F-42E0-85D2-E1E90434CFB3"), UUID("AF9B60A0-1431-4F62-BC68-3311714A69AD"))
_SECTOR = 512  # bytes
_TABLE_SIZE = 34 * _SECTOR  # of a GPT with what stands before it


def find(handle: guestfs.GuestFS, nics: Sequence[NicName]) -> GuestFindings:
    """Of a launched appliance's disks. What can't be found out is a doubt, never an error."""
    found = _of_devices(handle)
    try:
        systems = find_systems(handle)
        found = replace(found, systems=tuple(map(_told, systems)))
        system = the_one(systems)
    except ConversionError as why:
        return _not_inspected(found, why.message)
    try:
        guest = mounted(handle, system, read_only=True)
    except RuntimeError as why:
        return _not_inspected(found, f"The guest's file systems couldn't be mounted: {why}.")
    found = replace(found, inspected=True, root_in_fstab=system.root_in_fstab)
    try:
        found = replace(found, file_systems=tuple(_rooms(guest)))
        found = _of_files(guest, found)
    except RuntimeError as why:
        found = replace(found, doubts=(*found.doubts, f"What is on the guest's disks couldn't all be read: {why}."))
    return replace(found, signature=sign(guest), drivers=_drivers(guest, nics))


def _of_files(guest: Guest, found: GuestFindings) -> GuestFindings:
    if guest.system.family == "linux":
        return linux_findings(guest, found)
    if guest.system.family == "windows":
        return windows_findings(guest, found)
    return found


def _not_inspected(found: GuestFindings, why: str) -> GuestFindings:
    """A guest that lands as it is then goes by its present hardware, and why is said there."""
    drivers = BootDrivers(inspected=False, doubts=(f"{why} So its interfaces' names can't be kept.",))
    return replace(found, why_not=why, drivers=drivers)


def _of_devices(handle: guestfs.GuestFS) -> GuestFindings:
    """What shows without mounting anything, of any number of systems."""
    contents = {device: handle.vfs_type(device) for device in all_devices(handle)}
    luks = _of_kind(contents, LUKS)
    locked = [device for device in luks if not is_open(handle, device)]
    probed = {device: handle.ntfs_3g_probe(True, device) for device, kind in contents.items() if kind == _NTFS}
    return GuestFindings(
        luks=luks,
        unlocked=tuple(device for device in luks if device not in locked),
        network_bound=tuple(device for device in locked if is_bound_to_network(handle, device)),
        bitlocker=_of_kind(contents, _BITLOCKER),
        suspended=_of_kind(contents, _SUSPENDED),
        hibernated=_HIBERNATED in probed.values(),
        dirty=tuple(device for device, status in probed.items() if status == _UNCLEAN),
        dynamic_disks=tuple(device for device in handle.list_devices() if _is_dynamic(handle, device)),
    )


def _of_kind(contents: dict[str, str], kind: str) -> tuple[str, ...]:
    return tuple(device for device, found in contents.items() if found == kind)


def _is_dynamic(handle: guestfs.GuestFS, disk: str) -> bool:
    """Whether its partition table says that Windows' Logical Disk Manager has it: read at once, not entry by entry."""
    start = bytes(handle.pread_device(disk, _TABLE_SIZE, 0))
    if start[510:512] != b"\x55\xaa":
        return False
    if start[_SECTOR : _SECTOR + 8] == b"EFI PART":
        entries = range(2 * _SECTOR, len(start) - 15, 128)
        return any(UUID(bytes_le=start[entry : entry + 16]) in _LDM_GPT_TYPES for entry in entries)
    return _LDM_MBR_TYPE in (start[entry + 4] for entry in range(446, 510, 16))


def _told(system: OperatingSystem) -> FoundSystem:
    return FoundSystem(
        root=system.root,
        family=system.family,
        distribution=system.distribution,
        version=system.version,
        product=system.product,
        architecture=system.architecture,
        variant=system.variant,
        package_format=system.package_format,
        host_name=system.host_name,
    )


def _rooms(guest: Guest) -> Iterator[FileSystem]:
    """As a machine's tools tell it: Windows' root is its drive C:."""
    for place in sorted(guest.files.mountpoints().values()):
        figures = guest.files.statvfs(place)
        size, free = figures["blocks"] * figures["frsize"], figures["bavail"] * figures["frsize"]
        yield FileSystem("C:\\" if guest.system.family == "windows" and place == "/" else place, size, free)


def _drivers(guest: Guest, nics: Sequence[NicName]) -> BootDrivers:
    """The last to be looked for: no file system is mounted any more after it."""
    try:
        return find_drivers(guest, nics)
    except ConversionError as why:
        said = why.message
    except RuntimeError as why:
        said = str(why)
    return BootDrivers(inspected=False, doubts=(f"What the guest can boot from couldn't be found out: {said}.",))
