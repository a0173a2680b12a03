"""Findings on a machine's disks before anything on them is changed, in one run of the appliance."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar
from uuid import UUID

import guestfs

from longshore.errors import ConversionError
from longshore.guests.addressing.writing import unwritable_in
from longshore.guests.appliance import Guest, mounted
from longshore.guests.as_found import sign
from longshore.guests.before_conversion import what_converting_meets
from longshore.guests.drivers import find_drivers
from longshore.guests.efi import on_another_disk
from longshore.guests.encrypted import LUKS, all_devices, is_bound_to_network, is_open
from longshore.guests.inspection import find_systems, the_one
from longshore.guests.interfaces import unsure_names
from longshore.guests.linux_findings import linux_findings
from longshore.guests.misread import reason
from longshore.guests.report import NicName, alike
from longshore.guests.windows_findings import windows_findings
from longshore.model.addresses import AdapterInGuest
from longshore.model.guest import FoundSystem, GuestFindings
from longshore.model.hardware import BootDrivers
from longshore.model.machine import FileSystem

# Content of a device, as libblkid calls it
_BITLOCKER, _SUSPENDED, _NTFS = "BitLocker", "swsuspend", "ntfs"
_OF_LINUX = ("ext2", "ext3", "ext4", "xfs", "btrfs")
_CLOSED = ("bcache", "vdo", "zfs_member")  # below which there may be a system, and that nothing in the appliance opens
_OSTREE = "/ostree/deploy"
# What ntfs-3g.probe ends with
_HIBERNATED, _UNCLEAN = 14, 15
_LDM_MBR_TYPE = 0x42
_LDM_GPT_TYPES = (UUID("5808C8AA-7E8F-42E0-85D2-E1E90434CFB3"), UUID("AF9B60A0-1431-4F62-BC68-3311714A69AD"))
_SECTOR = 512  # bytes
_TABLE_SIZE = 34 * _SECTOR  # of a GPT with what stands before it
_LOOKS = {"linux": (linux_findings, what_converting_meets), "windows": (windows_findings,)}
_T = TypeVar("_T")


def find(handle: guestfs.GuestFS, nics: Sequence[NicName], adapters: Sequence[AdapterInGuest] = ()) -> GuestFindings:
    """Find what a launched appliance's disks tell. What can't be found out is a doubt, never an error.

    Raises MemoryError alone.
    """
    found, why = _tried(lambda: _of_devices(handle))
    if found is None:
        return _not_inspected(GuestFindings(), f"The guest's disks couldn't be read: {why}.")
    try:
        systems = find_systems(handle)
        found = replace(found, systems=tuple(alike(FoundSystem, system) for system in systems))
        system = the_one(systems)
    except ConversionError as none:
        return _not_inspected(found, f"{none.message}{_why_none(handle, found)}")
    guest, why = _tried(lambda: mounted(handle, system, read_only=True))
    if guest is None:
        return _not_inspected(found, f"The guest's file systems couldn't be mounted: {why}.")
    found = replace(found, inspected=True, root_in_fstab=system.root_in_fstab)
    for look in (_of_file_systems, *_LOOKS.get(guest.system.family, ())):
        more, why = _tried(partial(look, guest, found))
        doubt = f"What is on the guest's disks couldn't all be read: {why}."
        found = more or replace(found, doubts=tuple(dict.fromkeys((*found.doubts, doubt))))
    if guest.system.family == "linux":
        unwritable, why = _tried(partial(unwritable_in, guest, adapters)) if adapters else ({}, "")
        unwritable = {adapter.old_mac: why for adapter in adapters} if unwritable is None else unwritable
        unsure, _ = _tried(partial(unsure_names, guest, nics))
        found = replace(found, unaddressable=unwritable, doubts=(*found.doubts, *filter(None, [unsure])))
    return replace(found, signature=sign(guest), drivers=_drivers(guest, nics))


def _tried(task: Callable[[], _T]) -> tuple[_T | None, str]:
    """Return (what it found, ""), or (None, why it couldn't)."""
    try:
        return task(), ""
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 a guest's text may make any of it raise
        return None, reason(error)


def _of_file_systems(guest: Guest, found: GuestFindings) -> GuestFindings:
    return replace(found, file_systems=tuple(_rooms(guest)), doubts=(*found.doubts, *on_another_disk(guest)))


def _why_none(handle: guestfs.GuestFS, found: GuestFindings) -> str:
    """Return what stands in the way of finding a system, as far as that shows; it begins with a blank."""
    if found.systems:
        return ""
    said = []
    for device in all_devices(handle):
        kind, _ = _tried(partial(handle.vfs_type, device))
        if kind in _CLOSED:
            said.append(f" {device} holds {kind}, which can't be opened here.")
        if kind not in _OF_LINUX:
            continue
        _, why = _tried(partial(handle.mount_ro, device, "/"))
        if why:
            said.append(f" {device} holds {kind} that can't be mounted here: {why}.")
        elif handle.is_dir(_OSTREE):
            said.append(f" {device} holds a system of ostree (image mode, CoreOS), which virt-v2v doesn't know.")
        handle.umount_all()
    return "".join(said)


def _not_inspected(found: GuestFindings, why: str) -> GuestFindings:
    """Return findings without a look: a guest that lands as it is then goes by its present hardware, and why is said
    there."""
    drivers = BootDrivers(inspected=False, doubts=(f"{why} So its interfaces' names can't be kept.",))
    return replace(found, why_not=why, drivers=drivers)


def _of_devices(handle: guestfs.GuestFS) -> GuestFindings:
    """Find what shows without mounting anything, of any number of systems. One that can't be read leaves the others
    be."""
    doubts: dict[str, str] = {}

    def asked(device: str, ask: Callable[[], _T]) -> _T | None:
        found, why = _tried(ask)
        if why:
            doubts.setdefault(device, f"{device} couldn't be read, so what is on it isn't known: {why}.")
        return found

    contents = {device: asked(device, partial(handle.vfs_type, device)) or "" for device in all_devices(handle)}
    luks = _of_kind(contents, LUKS)
    locked = [device for device in luks if not asked(device, partial(is_open, handle, device))]
    ntfs = _of_kind(contents, _NTFS)
    probed = {device: asked(device, partial(handle.ntfs_3g_probe, True, device)) for device in ntfs}
    return GuestFindings(
        luks=luks,
        unlocked=tuple(device for device in luks if device not in locked),
        network_bound=tuple(d for d in locked if asked(d, partial(is_bound_to_network, handle, d))),
        bitlocker=_of_kind(contents, _BITLOCKER),
        suspended=_of_kind(contents, _SUSPENDED),
        hibernated=_HIBERNATED in probed.values(),
        dirty=tuple(device for device, status in probed.items() if status == _UNCLEAN),
        dynamic_disks=tuple(d for d in handle.list_devices() if asked(d, partial(_is_dynamic, handle, d))),
        doubts=tuple(doubts.values()),
    )


def _of_kind(contents: dict[str, str], kind: str) -> tuple[str, ...]:
    return tuple(device for device, found in contents.items() if found == kind)


def _is_dynamic(handle: guestfs.GuestFS, disk: str) -> bool:
    """Tell whether a disk's partition table says that Windows' Logical Disk Manager has it: read at once, not entry by
    entry."""
    start = bytes(handle.pread_device(disk, _TABLE_SIZE, 0))
    if start[510:512] != b"\x55\xaa":
        return False
    if start[_SECTOR : _SECTOR + 8] == b"EFI PART":
        entries = range(2 * _SECTOR, len(start) - 15, 128)
        return any(UUID(bytes_le=start[entry : entry + 16]) in _LDM_GPT_TYPES for entry in entries)
    return _LDM_MBR_TYPE in (start[entry + 4] for entry in range(446, 510, 16))


def _rooms(guest: Guest) -> Iterator[FileSystem]:
    """Yield the room on each file system, as a machine's tools tell it: Windows' root is its drive C:."""
    for place in sorted(guest.files.mountpoints().values()):
        figures = guest.files.statvfs(place)
        size, free = figures["blocks"] * figures["frsize"], figures["bavail"] * figures["frsize"]
        yield FileSystem("C:\\" if guest.system.family == "windows" and place == "/" else place, size, free)


def _drivers(guest: Guest, nics: Sequence[NicName]) -> BootDrivers:
    """Find the drivers, last of all: no file system is mounted any more after it."""
    found, why = _tried(lambda: find_drivers(guest, nics))
    doubt = f"What the guest can boot from couldn't be found out: {why}."
    return found or BootDrivers(inspected=False, doubts=(doubt,))
