"""Checks that the guest still boots the way an earlier look at its machine's disks found.

A look takes as long as the start of the appliance, twice. What it has found of one moment of a machine holds for a
later one while nothing has changed on which it relied: the file systems, what fstab and the boot menu say, kernels and
their initramfs, the configuration of the network. All of that is in the signature that a look leaves.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple

import guestfs

from longshore.errors import ConversionError
from longshore.guests.appliance import Guest, mounted
from longshore.guests.boot_entries import default_entry
from longshore.guests.encrypted import all_devices
from longshore.guests.inspection import is_as_found
from longshore.guests.interfaces import network_configuration
from longshore.guests.misread import reason
from longshore.guests.report import GUEST_CHANGED, OperatingSystem

_TEXTS = ("/etc/os-release", "/usr/lib/os-release", "/etc/fstab", "/etc/crypttab")
_MODULES = "/lib/modules"
_OF_KERNELS = ("modules.builtin", "modules.dep")
_MOST_KERNELS = 64


def sign(guest: Guest) -> str:
    """Sign what a look relied on. Returns "" for a guest of which it can't be told: Windows keeps all of it in a
    registry that changes at every moment.

    Its file systems stay mounted.
    """
    if guest.system.family != "linux":
        return ""
    try:
        parts = [*_devices(guest), *_texts(guest), *_boot(guest)]
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 a guest's text may make any of it raise
        reason(error)  # for the log
        return ""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def require_as_found(handle: guestfs.GuestFS, system: OperatingSystem, signature: str, *, read_only: bool) -> Guest:
    """Mount the guest of a launched appliance, if it is still as a look has found it. `system` and `signature` are what
    a look has found and left.

    Raises ConversionError with the code GUEST_CHANGED, before anything is written by us.
    """
    with suppress(RuntimeError):
        if is_as_found(handle, system):
            guest = mounted(handle, system, read_only=read_only)
            if signature and sign(guest) == signature:
                return guest
    raise ConversionError("The guest has changed since its disks were looked into.", code=GUEST_CHANGED)


def _devices(guest: Guest) -> list[list[str]]:
    """Return what is on each device, by its UUID: names are given anew at each start. A swap that holds a suspended
    system shows."""
    found = []
    for device in all_devices(guest.files):
        said: dict[str, str] = {}
        with suppress(RuntimeError):  # there is nothing on it
            said = guest.files.blkid(device)  # in one call, each of which starts a program in the appliance
        found.append([said.get("TYPE", ""), said.get("UUID", "")])
    return sorted(found)


def _texts(guest: Guest) -> Iterator[list[str]]:
    yield from ([path, guest.text(path)] for path in _TEXTS if guest.has_file(path))
    yield from ([path, text] for path, text in sorted(network_configuration(guest).items()))


def _boot(guest: Guest) -> Iterator[object]:
    """Yield what the menu starts by itself, and of each kernel what tells its drivers: by the files' sizes and
    times."""
    files = guest.files
    entry = default_entry(guest)
    yield astuple(entry) if entry is not None else None
    if entry is not None and entry.initramfs:
        yield _stamp(guest, entry.initramfs)
    kernels = guest.names_in(_MODULES)
    if len(kernels) > _MOST_KERNELS:
        raise ConversionError("The guest has more kernels than it can boot.")
    for kernel in kernels:
        for name in _OF_KERNELS:
            path = f"{_MODULES}/{kernel}/{name}"
            if files.is_file(path, followsymlinks=True):
                yield _stamp(guest, path)


def _stamp(guest: Guest, path: str) -> list[object]:
    found = guest.files.statns(path)
    return [path, *(found[f"st_{name}"] for name in ("size", "mtime_sec", "mtime_nsec", "ctime_sec", "ctime_nsec"))]
