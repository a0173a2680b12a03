"""Findings in a Windows guest's registry and files beside its drivers: its build, updates under way, tools,
addresses."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace

from longshore.guests.appliance import Guest
from longshore.guests.registry import Hive, Key, software_hive, system_hive
from longshore.guests.windows_boot import services
from longshore.guests.windows_first_boot import SAN_POLICY
from longshore.model.guest import GuestFindings, StaticAddresses

_CURRENT_VERSION = ("Microsoft", "Windows NT", "CurrentVersion")
_SERVICING = ("Microsoft", "Windows", "CurrentVersion", "Component Based Servicing")
_UPDATE = ("Microsoft", "Windows", "CurrentVersion", "WindowsUpdate", "Auto Update")
# Services by what they serve; one is there as long as it isn't removed
_VMWARE_TOOLS, _AGENT, _CLOUD_INIT = "vmtools", ("qemu-ga", "qemu guest agent"), "cloudbase-init"
_DOMAIN_CONTROLLER = "lanmannt"  # Windows' kind of product: others are servernt and winnt
_LETTER = re.compile(r"\\DosDevices\\([A-Za-z]:)")
# What a letter is bound to: a disk's signature and an offset on it, or the GUID of a GPT's partition. A dynamic
# volume's looks as the latter does; what is longer names a device by its place, as of CD drives
_BY_SIGNATURE, _BY_GUID = 12, b"DMIO:ID:"
_PENDING_FILES = "pending.xml"


def windows_findings(guest: Guest, found: GuestFindings) -> GuestFindings:
    """Return `found` and what is added to it; a registry that can't be read is a doubt."""
    try:
        with software_hive(guest) as hive:
            build = hive.text(hive.key(*_CURRENT_VERSION), "CurrentBuildNumber")
            pending = list(_pending(hive))
        with system_hive(guest) as hive:
            running = services(hive)
            fast_startup = hive.number(hive.key("Control", "Session Manager", "Power"), "HiberbootEnabled") == 1
            addresses = tuple(_static_addresses(hive))
            kind = hive.text(hive.key("Control", "ProductOptions"), "ProductType")
            san_policy = hive.number(hive.key(*SAN_POLICY[:-1]), SAN_POLICY[-1])
            lost = tuple(_lost_letters(guest, hive, found))
    except RuntimeError as why:
        return replace(found, doubts=(*found.doubts, f"The guest's registry couldn't be read: {why}."))
    if _has_pending_files(guest):
        pending.append("an update is half installed")
    return replace(
        found,
        systems=tuple(replace(system, build=build) for system in found.systems),
        pending_reboot=tuple(pending),
        fast_startup=fast_startup,
        vmware_tools=_VMWARE_TOOLS in running,
        guest_agent=any(name in running for name in _AGENT),
        cloud_init=_CLOUD_INIT in running,
        static_addresses=addresses,
        domain_controller=kind.lower() == _DOMAIN_CONTROLLER,
        san_policy=san_policy,
        lost_letters=lost,
    )


def _pending(software: Hive) -> Iterator[str]:
    """Yield why Windows wants to be started again."""
    if software.key(*_SERVICING, "RebootPending") is not None:
        yield "parts of it were added or removed"
    if software.key(*_UPDATE, "RebootRequired") is not None:
        yield "updates were installed"


def _has_pending_files(guest: Guest) -> bool:
    directory = guest.files.case_sensitive_path(f"{guest.files.inspect_get_windows_systemroot(guest.system.root)}")
    path = f"{directory}/WinSxS"
    return bool(guest.files.is_dir(path)) and bool(guest.files.is_file(f"{path}/{_PENDING_FILES}"))


def _lost_letters(guest: Guest, system: Hive, found: GuestFindings) -> Iterator[str]:
    """Others are bound to what is on the disks themselves, and stay."""
    there = {f"{letter}:".upper() for letter in guest.files.inspect_get_drive_mappings(guest.system.root)}
    for name, content in system.values(system.in_file("MountedDevices")):
        letter = _LETTER.fullmatch(name)
        of_disk = len(content) == _BY_SIGNATURE or (content.startswith(_BY_GUID) and not found.dynamic_disks)
        if letter and of_disk and letter[1].upper() not in there:
            yield letter[1].upper()


def _static_addresses(system: Hive) -> Iterator[StaticAddresses]:
    """Yield the addresses of interfaces that don't ask by DHCP."""
    for name, key in system.children(system.key("Services", "Tcpip", "Parameters", "Interfaces")):
        if system.number(key, "EnableDHCP") == 0:
            addresses = tuple(_addresses(system, key))
            if addresses:
                yield StaticAddresses(
                    interface=name,
                    addresses=addresses,
                    gateways=system.texts(key, "DefaultGateway"),
                    name_servers=tuple(system.text(key, "NameServer").replace(",", " ").split()),
                )


def _addresses(system: Hive, interface: Key) -> Iterator[str]:
    """Yield addresses with prefix length; those that aren't any, as 0.0.0.0 of an adapter without a network, are left
    out."""
    pairs = zip(system.texts(interface, "IPAddress"), system.texts(interface, "SubnetMask"), strict=False)
    for address, mask in pairs:
        try:
            known = ipaddress.ip_interface(f"{address}/{mask}")
        except ValueError:
            continue
        if not known.ip.is_unspecified:
            yield str(known)
