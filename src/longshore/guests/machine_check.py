"""Checks whether this machine has what it takes to look into guests and to convert them."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from longshore.border.texts import some
from longshore.errors import ConversionError, LongshoreError
from longshore.guests.confined import try_confinement
from longshore.guests.converter.build import recipe_digest
from longshore.guests.converter.tree import Converter, current
from longshore.guests.converter.updates import waiting
from longshore.guests.start import start_appliance
from longshore.guests.windows_parts import TOLD_APART, windows_parts

ALL_GUESTS, WINDOWS_GUESTS = "all guests", "Windows guests"
_HOW = "docs/howto/windows.md says where from."
_NAMED = 4  # packages of which updates wait; of more, how many there are


@dataclass(frozen=True, slots=True)
class ConversionNeed:
    """One thing that conversions need."""

    name: str
    needed_for: str  # ALL_GUESTS or WINDOWS_GUESTS
    ready: bool
    version: str = ""
    remark: str = ""  # what is wrong with it and what to do, or what is in it


def check_machine() -> list[ConversionNeed]:
    """Return all parts that are needed, in the order in which they are used. Takes as long as an appliance needs to
    start."""
    parts = [_bubblewrap(), _nbdkit()]
    try:
        converter = current()
    except ConversionError as error:
        return [*parts, ConversionNeed("converter", ALL_GUESTS, False, "", str(error)), *_windows()]
    return [*parts, _converter(converter), _appliance(converter), *_windows()]


def _bubblewrap() -> ConversionNeed:
    version = _version("bwrap", "--version")
    try:
        try_confinement(Path("/"))
    except LongshoreError as error:
        return ConversionNeed("bubblewrap", ALL_GUESTS, False, version, str(error))
    return ConversionNeed("bubblewrap", ALL_GUESTS, True, version)


def _nbdkit() -> ConversionNeed:
    version = _version("nbdkit", "--version")
    plugin = subprocess.run(["nbdkit", "nbd", "--version"], capture_output=True, check=False) if version else None
    if plugin is None or plugin.returncode != 0:
        return ConversionNeed("nbdkit", ALL_GUESTS, False, version, "Install the package nbdkit, with its plugin nbd.")
    return ConversionNeed("nbdkit", ALL_GUESTS, True, version)


def _converter(converter: Converter) -> ConversionNeed:
    """Return which converter is there, how old it is, and what it can't do."""
    remarks = [f"{converter.root}, Debian's packages of {time.strftime('%Y-%m-%d', time.gmtime(converter.made))}."]
    if converter.recipe != recipe_digest():
        remarks.append("Another version of Longshore has made it: run longshore converter build.")
    try:
        updates = waiting(converter)
    except LongshoreError as error:
        remarks.append(f"Whether security updates wait isn't known: {error.message}")
    else:
        if updates:
            remarks.append(f"Security updates wait for {some(updates, _NAMED)}: run longshore converter build --again.")
        else:
            remarks.append("No security updates wait.")
    known = windows_parts().converter_knows
    if unknown := [version for version in TOLD_APART if version not in known]:
        remarks.append(f"It has no drivers for Windows of {', '.join(unknown)}.")
    return ConversionNeed("converter", ALL_GUESTS, True, f"virt-v2v {converter.version('virt-v2v')}", " ".join(remarks))


def _appliance(converter: Converter) -> ConversionNeed:
    """Start the appliance for real: neither its files nor those of KVM tell whether it does."""
    library = f"libguestfs {converter.version('libguestfs0t64')}"
    try:
        started = start_appliance(converter.root)
    except LongshoreError as error:
        return ConversionNeed("appliance", ALL_GUESTS, False, library, str(error))
    took = f"Started in {started.seconds:.0f} s"
    if started.by_kvm:
        remark = f"{took}, by KVM."
    elif started.why_not:
        remark = (
            f"{took}, without KVM: /dev/kvm can be opened, but nothing boots by it. Conversions take ten times as long."
        )
    else:
        remark = f"{took}, without KVM, which this user may not open or has turned off: conversions take ten times as "
        remark += "long."
    return ConversionNeed("appliance", ALL_GUESTS, True, f"libguestfs {started.library}", remark)


def _windows() -> Iterator[ConversionNeed]:
    parts = windows_parts()
    fault = " ".join(parts.faults) or f"Windows guests can't be converted. {_HOW}"
    drivers = ", ".join(parts.drivers)
    remark = f"{parts.virtio_win}: {drivers}" if drivers else f"{parts.virtio_win} has no disk drivers (viostor) in it."
    ready = bool(drivers)
    yield ConversionNeed("virtio-win", WINDOWS_GUESTS, ready, parts.version, remark if parts.virtio_win else fault)
    yield ConversionNeed("rhsrvany", WINDOWS_GUESTS, bool(parts.first_boot), remark=parts.first_boot or fault)


def _version(program: str, *options: str) -> str:
    """Return the last word of the first line that a program says; "" when it isn't installed."""
    if shutil.which(program) is None:
        return ""
    said = subprocess.run([program, *options], capture_output=True, text=True, check=False).stdout.split("\n")[0]
    return said.split()[-1] if said.split() else ""
