"""Findings in a Linux guest's files beside its drivers: tools of its clouds, its console, what watches over its
files."""

import re
from collections.abc import Iterator
from dataclasses import replace

from longshore.guests.appliance import Guest
from longshore.guests.disk_filters import DEVICES_FILE, known_by_hardware
from longshore.guests.interfaces import bound_to_hardware
from longshore.model.guest import GuestFindings

_VMWARE_TOOLS = (
    "/usr/bin/vmtoolsd",
    "/usr/sbin/vmtoolsd",
    "/usr/bin/vmware-toolbox-cmd",
    "/etc/vmware-tools/services.sh",
)
_AGENT = ("/usr/bin/qemu-ga", "/usr/sbin/qemu-ga", "/sbin/qemu-ga")
_CLOUD_INIT = ("/usr/bin/cloud-init", "/bin/cloud-init")
_CLOUD_INIT_OFF = "/etc/cloud/cloud-init.disabled"
_SELINUX = "/etc/selinux/config"
# Where a kernel's command line is written, or who logs in on which terminal
_CONSOLES = (
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/grub/grub.conf",
    "/boot/grub/menu.lst",
    "/boot/grub2/grubenv",
    "/etc/kernel/cmdline",
    "/etc/inittab",
)
_ENTRIES = "/boot/loader/entries"
_LOADERS = "/boot/efi/EFI"
_LOGINS = "/etc/systemd/system/getty.target.wants"
_SERIAL = re.compile(r"^[^#\n]*\b(?:console=ttyS\d|(?:respawn|once):.*\bttyS\d)", re.MULTILINE)


def linux_findings(guest: Guest, found: GuestFindings) -> GuestFindings:
    """Return `found` and what is added to it. Nothing of it stands in the way of others that can't be read."""
    files = guest.files
    return replace(
        found,
        vmware_tools=_any_file(guest, _VMWARE_TOOLS),
        guest_agent=_any_file(guest, _AGENT),
        serial_console=_has_serial_console(guest),
        selinux_enforcing=re.search(r"(?m)^\s*SELINUX\s*=\s*enforcing\b", _text(guest, _SELINUX)) is not None,
        doubts=(*found.doubts, *_of_lvm(guest), *filter(None, [bound_to_hardware(guest)])),
        cloud_init=_any_file(guest, _CLOUD_INIT) and not files.exists(_CLOUD_INIT_OFF),
    )


def _of_lvm(guest: Guest) -> Iterator[str]:
    if names := known_by_hardware(guest):
        yield (
            f"Its {DEVICES_FILE} lists disks by what their hardware calls them ({', '.join(names)}): unless it is "
            "converted, which removes that file, volume groups may not come up on the target. There, in the guest: "
            "vgimportdevices -a."
        )


def _any_file(guest: Guest, paths: tuple[str, ...]) -> bool:
    return any(guest.files.is_file(path, followsymlinks=True) for path in paths)


def _has_serial_console(guest: Guest) -> bool:
    if any("@ttyS" in name for name in guest.names_in(_LOGINS)):
        return True
    return any(_SERIAL.search(_text(guest, path)) for path in _console_files(guest))


def _console_files(guest: Guest) -> Iterator[str]:
    yield from _CONSOLES
    yield from (f"{_ENTRIES}/{name}" for name in guest.names_in(_ENTRIES) if name.endswith(".conf"))
    yield from (f"{_LOADERS}/{name}/grub.cfg" for name in guest.names_in(_LOADERS))


def _text(guest: Guest, path: str) -> str:
    """Read a text; "" for what isn't there, or too long to be what its name says."""
    if not guest.has_file(path) or guest.files.filesize(path) > 1 << 20:
        return ""
    return guest.text(path)
