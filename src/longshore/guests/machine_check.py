"""Whether this machine has what it takes to look into guests and to convert them."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import guestfs

from longshore.errors import LongshoreError
from longshore.guests.appliance_files import appliance_files
from longshore.guests.confined import ensure_confinement
from longshore.guests.virt_v2v import CONVERTER
from longshore.guests.windows_parts import windows_parts

ALL_GUESTS, WINDOWS_GUESTS = "all guests", "Windows guests"
_HOW = "docs/howto/windows.md says where from."


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that conversions need."""

    name: str
    needed_for: str  # ALL_GUESTS or WINDOWS_GUESTS
    ready: bool
    version: str = ""
    remark: str = ""  # what is wrong with it and what to do, or what is in it


def check_machine() -> list[Part]:
    """All that is needed, in the order in which it is used."""
    return [_libguestfs(), _bubblewrap(), _nbdkit(), _virt_v2v(), *_windows()]


def _libguestfs() -> Part:
    found = guestfs.GuestFS(python_return_dict=True).version()
    version = f"{found['major']}.{found['minor']}.{found['release']}"
    return _tried("libguestfs", version, appliance_files)


def _bubblewrap() -> Part:
    return _tried("bubblewrap", _version("bwrap", "--version"), ensure_confinement)


def _nbdkit() -> Part:
    version = _version("nbdkit", "--version")
    plugin = subprocess.run(["nbdkit", "nbd", "--version"], capture_output=True, check=False) if version else None
    if plugin is None or plugin.returncode != 0:
        return Part("nbdkit", ALL_GUESTS, False, version, "Install the package nbdkit, with its plugin nbd.")
    return Part("nbdkit", ALL_GUESTS, True, version)


def _virt_v2v() -> Part:
    if shutil.which(CONVERTER) is None:
        return Part("virt-v2v", ALL_GUESTS, False, remark=f"{CONVERTER} is missing: install the package virt-v2v.")
    return Part("virt-v2v", ALL_GUESTS, True, _version(CONVERTER, "--version"))


def _windows() -> Iterator[Part]:
    parts = windows_parts()
    fault = " ".join(parts.faults) or f"Windows guests can't be converted. {_HOW}"
    drivers = ", ".join(parts.drivers)
    remark = f"{parts.virtio_win}: {drivers}" if drivers else f"{parts.virtio_win} has no disk drivers (viostor) in it."
    ready = bool(drivers)
    yield Part("virtio-win", WINDOWS_GUESTS, ready, parts.version, remark if parts.virtio_win else fault)
    yield Part("rhsrvany", WINDOWS_GUESTS, bool(parts.first_boot), remark=parts.first_boot or fault)


def _tried(name: str, version: str, attempt: Callable[[], object]) -> Part:
    try:
        attempt()
    except LongshoreError as error:
        return Part(name, ALL_GUESTS, False, version, str(error))
    return Part(name, ALL_GUESTS, True, version)


def _version(program: str, *options: str) -> str:
    """The last word of the first line that it says; "" when it isn't installed."""
    if shutil.which(program) is None:
        return ""
    said = subprocess.run([program, *options], capture_output=True, text=True, check=False).stdout.split("\n")[0]
    return said.split()[-1] if said.split() else ""
