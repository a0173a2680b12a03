"""Disks that LUKS encrypts, opened in the appliance with the keys that were given for them.

A key is a text, a passphrase as a rule. It goes to the appliance as libguestfs passes keys, never on a command line.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import guestfs

from longshore.errors import ConversionError

LUKS = "crypto_LUKS"  # as libblkid calls it
_OPENED = "/dev/mapper/luks-"  # and then the device's UUID: by this name a guest's own fstab may call it
# LUKS 2 keeps its tokens as JSON behind the first header, 12 KiB of it as cryptsetup makes it
_TOKENS_AT, _TOKENS_SIZE = 4096, 12288  # bytes
_CLEVIS = b'"clevis"'


def unlock(handle: guestfs.GuestFS, keys: Sequence[str]) -> dict[str, str]:
    """Open what the keys open, and the volume groups on it. By the UUID of each device that is open now: its key.

    Raises ConversionError when this machine can't open any.
    """
    encrypted = luks_devices(handle) if keys else []
    if encrypted and not handle.feature_available(["luks"]):
        raise ConversionError(
            "Encrypted disks can't be opened on this machine: libguestfs' appliance has no cryptsetup.",
            advice="Build the converter again: longshore converter build --again.",
        )
    opened = {}
    for device in encrypted:
        uuid = handle.vfs_uuid(device)
        for key in keys:
            with suppress(RuntimeError):  # another device's key
                handle.cryptsetup_open(device, key, f"{_OPENED}{uuid}".rpartition("/")[2])
                opened[uuid] = key
                break
    if opened:
        handle.lvm_scan(True)
    return opened


def luks_devices(handle: guestfs.GuestFS) -> list[str]:
    found = []
    for device in all_devices(handle):
        with suppress(RuntimeError):  # one that isn't there, as a logical volume that isn't activated
            if handle.vfs_type(device) == LUKS:
                found.append(device)
    return found


def all_devices(handle: guestfs.GuestFS) -> Iterator[str]:
    """Yield all devices on which there may be something; the appliance's own list of file systems leaves encrypted ones
    out."""
    yield from handle.list_devices()
    yield from handle.list_partitions()
    yield from handle.list_md_devices()
    yield from handle.lvs()
    yield from opened_devices(handle)


def opened_devices(handle: guestfs.GuestFS) -> list[str]:
    return [device for device in handle.list_dm_devices() if device.startswith(_OPENED)]


def is_open(handle: guestfs.GuestFS, device: str) -> bool:
    """Tell whether a key has opened this encrypted device."""
    return f"{_OPENED}{handle.vfs_uuid(device)}" in opened_devices(handle)


def encrypted_below(handle: guestfs.GuestFS, opened: str) -> str | None:
    """Return the encrypted device that was opened as this one; None for any other."""
    if not opened.startswith(_OPENED):
        return None
    uuid = opened.removeprefix(_OPENED)
    return next(device for device in luks_devices(handle) if handle.vfs_uuid(device) == uuid)


def is_bound_to_network(handle: guestfs.GuestFS, device: str) -> bool:
    """Tell whether Clevis has a key for this encrypted device, from a server in the machine's network as a rule."""
    return _CLEVIS in bytes(handle.pread_device(device, _TOKENS_SIZE, _TOKENS_AT))
