"""Machines that somebody has recorded, and strangers could have written: in points of vaults, exports, snapshots'
marks."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from longshore.model.addresses import is_address, is_mac
from longshore.model.forms import form
from longshore.model.machine import AllowedAddress, Machine, Nic


def read_machine(told: Any) -> Machine:
    """Read a machine from plain data. Raises ValueError for what is none, and for one of a kind that isn't known here.

    What was never an address isn't taken for one: planning computes with them, and one machine would end the check of
    all.
    """
    machine: Machine = form(Machine).validate_python(told)
    if not machine.platform.is_declared:
        raise ValueError("it is a machine of a kind that isn't known")
    if len({disk.key for disk in machine.disks}) != len(machine.disks):
        raise ValueError("two of its disks have one key")
    return replace(machine, nics=tuple(map(_plain, machine.nics)))


def _plain(nic: Nic) -> Nic:
    """Return an adapter without what can't be its addresses."""
    mac = nic.mac.lower()
    return replace(
        nic,
        mac=mac if is_mac(mac) else "",
        addresses=tuple(filter(is_address, nic.addresses)),
        allowed_addresses=tuple(filter(_is_allowed, nic.allowed_addresses)),
    )


def _is_allowed(one: AllowedAddress) -> bool:
    try:
        ip_network(one.address, strict=False)
    except ValueError:
        return False
    return one.mac is None or is_mac(one.mac)
