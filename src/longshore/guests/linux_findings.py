"""Findings in a Linux guest's files beside its drivers: tools of its clouds, its console, what watches over its
files."""

import re
from collections.abc import Iterator
from dataclasses import replace

from longshore.guests.addressing.choosing import vlans_of
from longshore.guests.agents import PROGRAMS
from longshore.guests.appliance import Guest
from longshore.guests.boot_entries import boot_files
from longshore.guests.disk_filters import DEVICES_FILE, doubts_of_names, known_by_hardware
from longshore.guests.interfaces import bound_to_hardware, network_configuration
from longshore.guests.selinux import mode
from longshore.model.agents import Agent
from longshore.model.guest import GuestFindings

_VMWARE_TOOLS = (
    "/usr/bin/vmtoolsd",
    "/usr/sbin/vmtoolsd",
    "/usr/bin/vmware-toolbox-cmd",
    "/etc/vmware-tools/services.sh",
)
_CLOUD_INIT_OFF = "/etc/cloud/cloud-init.disabled"
# Where a kernel's command line is written besides what boots, or who logs in on which terminal
_CONSOLES = ("/etc/kernel/cmdline", "/etc/inittab")
_LOGINS = "/etc/systemd/system/getty.target.wants"
_SERIAL = re.compile(r"^[^#\n]*\b(?:console=ttyS\d|(?:respawn|once):.*\bttyS\d)", re.MULTILINE)


def linux_findings(guest: Guest, found: GuestFindings) -> GuestFindings:
    """Return `found` and what is added to it. Nothing of it stands in the way of others that can't be read."""
    return replace(
        found,
        vmware_tools=any(map(guest.has_file, _VMWARE_TOOLS)),
        guest_agent=any(map(guest.has_file, PROGRAMS[Agent.QEMU])),
        vlans=vlans_of(network_configuration(guest)),
        serial_console=_has_serial_console(guest),
        selinux_enforcing=mode(guest) == "enforcing",
        doubts=(
            *(*found.doubts, *_of_lvm(guest), *doubts_of_names(guest)),
            *filter(None, [bound_to_hardware(guest)]),
        ),
        cloud_init=any(map(guest.has_file, PROGRAMS[Agent.CLOUD_INIT])) and not guest.files.exists(_CLOUD_INIT_OFF),
    )


def _of_lvm(guest: Guest) -> Iterator[str]:
    if names := known_by_hardware(guest):
        yield (
            f"Its {DEVICES_FILE} lists disks by what their hardware calls them ({', '.join(names)}): unless it is "
            "converted, which removes that file, volume groups may not come up on the target. There, in the guest: "
            "vgimportdevices -a."
        )


def _has_serial_console(guest: Guest) -> bool:
    if any("@ttyS" in name for name in guest.names_in(_LOGINS)):
        return True
    return any(_SERIAL.search(guest.settings(path)) for path in (*boot_files(guest), *_CONSOLES))
