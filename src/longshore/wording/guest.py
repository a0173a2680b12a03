"""The findings on a machine's disks, as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from longshore.wording.figures import size

LOOKED_AT = "looked at"  # the label of the moment
# What is worth a word where it was found, and the word
_FOUND = {
    "hibernated": "hibernated",
    "fast_startup": "fast startup",
    "vmware_tools": "VMware Tools",
    "guest_agent": "QEMU guest agent",
    "serial_console": "serial console",
    "selinux_enforcing": "SELinux enforcing",
    "cloud_init": "cloud-init",
}
_WHERE = {
    "suspended": "suspended to",
    "luks": "encrypted (LUKS)",
    "bitlocker": "encrypted (BitLocker)",
    "dynamic_disks": "dynamic disks",
}


def guest_rows(guest: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yield a label and a few words for each finding; nothing where nobody has looked.

    `guest`: as a migration's result has it, GuestFindings as JSON and `looked_at`.
    """
    if guest is None:
        return
    yield from (row for row in _rows(guest) if row[1])


def _rows(guest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    drivers = guest["drivers"]
    yield LOOKED_AT, str(guest["looked_at"])
    yield "systems", "\n".join(_system(system) for system in guest["systems"])
    yield "not looked into", guest["why_not"]
    yield "boots from", ", ".join(drivers["boot"])
    yield "network drivers", ", ".join(drivers["network"])
    yield "room", "\n".join(f"{f['path']}: {size(f['free'])} of {size(f['size'])} free" for f in guest["file_systems"])
    there = [word for name, word in _FOUND.items() if guest[name]]
    there += [f"{words} {', '.join(guest[name])}" for name, words in _WHERE.items() if guest[name]]
    yield "found", ", ".join(there)
    yield "pending reboot", "; ".join(guest["pending_reboot"])
    yield "static addresses", ", ".join(address for one in guest["static_addresses"] for address in one["addresses"])
    yield "doubts", "\n".join([*guest["doubts"], *drivers["doubts"]])


def _system(system: Mapping[str, Any]) -> str:
    return f"{system['product'] or system['distribution']}, {system['architecture']}, on {system['root']}"


def concern_lines(concerns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each concern, blockers first."""
    order = ("blocker", "warning", "information")
    for concern in sorted(concerns, key=lambda c: order.index(c["severity"])):
        said = " ".join(filter(None, (concern["text"], concern["advice"])))
        yield f"{concern['severity']}: {said} ({concern['code']})"
