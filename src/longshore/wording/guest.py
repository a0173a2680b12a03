"""The findings on a machine's disks, as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from longshore.wording.doubts import doubt_in_words
from longshore.wording.figures import size
from longshore.wording.texts import _, marked

LOOKED_AT = marked("looked at")  # the label of the moment
# What is worth a word where it was found, and the word
_FOUND = {
    "hibernated": marked("hibernated"),
    "fast_startup": marked("fast startup"),
    "vmware_tools": "VMware Tools",
    "guest_agent": marked("QEMU guest agent"),
    "serial_console": marked("serial console"),
    "selinux_enforcing": marked("SELinux enforcing"),
    "cloud_init": "cloud-init",
}
_WHERE = {
    "suspended": marked("suspended to"),
    "luks": marked("encrypted (LUKS)"),
    "bitlocker": marked("encrypted (BitLocker)"),
    "dynamic_disks": marked("dynamic disks"),
}


def guest_rows(guest: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yield a label and a few words for each finding; nothing where nobody has looked. Labels are translated where they
    are shown.

    `guest`: as a migration's result has it, GuestFindings as JSON and `looked_at`.
    """
    if guest is None:
        return
    yield from (row for row in _rows(guest) if row[1])


def _rows(guest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    drivers = guest["drivers"]
    yield LOOKED_AT, str(guest["looked_at"])
    yield marked("systems"), "\n".join(_system(system) for system in guest["systems"])
    yield marked("not looked into"), doubt_in_words(guest["why_not"])
    yield marked("boots from"), ", ".join(drivers["boot"])
    yield marked("network drivers"), ", ".join(drivers["network"])
    yield marked("room"), "\n".join(_free(f) for f in guest["file_systems"])
    there = [_(word) for name, word in _FOUND.items() if guest[name]]
    there += [f"{_(words)} {', '.join(guest[name])}" for name, words in _WHERE.items() if guest[name]]
    yield marked("found"), ", ".join(there)
    yield marked("pending reboot"), "; ".join(guest["pending_reboot"])
    yield (
        marked("static addresses"),
        ", ".join(address for one in guest["static_addresses"] for address in one["addresses"]),
    )
    yield marked("doubts"), "\n".join(map(doubt_in_words, (*guest["doubts"], *drivers["doubts"])))


def _system(system: Mapping[str, Any]) -> str:
    told = {"product": system["product"] or system["distribution"], "root": system["root"]}
    return _("%(product)s, %(architecture)s, on %(root)s") % {**told, "architecture": system["architecture"]}


def _free(system: Mapping[str, Any]) -> str:
    room = {"path": system["path"], "free": size(system["free"]), "size": size(system["size"])}
    return _("%(path)s: %(free)s of %(size)s free") % room


def concern_lines(concerns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each concern, blockers first."""
    order = ("blocker", "warning", "information")
    for concern in sorted(concerns, key=lambda c: order.index(c["severity"])):
        said = " ".join(filter(None, (concern["text"], concern["advice"])))
        yield f"{concern['severity']}: {said} ({concern['code']})"
