"""Reads what a host and its cluster give a machine, and what its guest is given to read."""

import re
from collections.abc import Iterator
from typing import Any

from pyVmomi import vim

from longshore.model.machine import HostFeatures
from longshore.providers.vsphere.properties import Properties

# Settings that VMware Tools write for the host to read, and no guest reads
_WRITTEN_BY_TOOLS = re.compile(
    r"guestinfo\.(?:vmtools|toolsinstall|detailed\.|driver\.|appinfo|gc\.|vmware\.|servicediscovery|deploypkg)"
)
_UNPROTECTED = "notConfigured"


def host_features(properties: Properties, rules: tuple[str, ...]) -> HostFeatures:
    """Return what a machine's host and cluster give it. `rules`: the names of those that are in force for it."""
    fault_tolerance = str(properties["runtime.faultToleranceState"] or _UNPROTECTED)
    cpu, memory = properties["config.cpuAffinity"], properties["config.memoryAffinity"]
    latency, flags = properties["config.latencySensitivity"], properties["config.flags"]
    managed = properties["config.managedBy"]
    return HostFeatures(
        fault_tolerance=fault_tolerance if fault_tolerance != _UNPROTECTED else "",
        cpu_affinity=bool(cpu is not None and cpu.affinitySet),
        memory_affinity=bool(memory is not None and memory.affinitySet),
        rules=rules,
        cpu_hot_add=bool(properties["config.cpuHotAddEnabled"]),
        memory_hot_add=bool(properties["config.memoryHotAddEnabled"]),
        ballooned_mib=properties["summary.quickStats.balloonedMemory"] or 0,
        latency_sensitive=latency is not None and latency.level == "high",
        memory_reserved=bool(properties["config.memoryReservationLockedToMax"]),
        limits=tuple(_limits(properties)),
        virtualizes=bool(properties["config.nestedHVEnabled"] or getattr(flags, "vbsEnabled", None)),
        guest_settings=tuple(_guest_settings(properties)),
        managed_by=" ".join(filter(None, (getattr(managed, name, "") for name in ("extensionKey", "type")))),
    )


def _guest_settings(properties: Properties) -> Iterator[str]:
    """Yield the names, never the values, of settings that vSphere gives the guest to read: guestinfo.* of the
    configuration, and properties of a vApp as far as it hands them over."""
    for option in properties["config.extraConfig"] or []:
        key = str(option.key)
        if key.lower().startswith("guestinfo.") and option.value and not _WRITTEN_BY_TOOLS.match(key.lower()):
            yield key
    vapp = properties["config.vAppConfig"]
    if vapp is not None and vapp.ovfEnvironmentTransport:
        yield from (f"vApp property {one.label or one.id}" for one in vapp.property or [])


def _limits(properties: Properties) -> Iterator[str]:
    """Yield what the machine may have at most, what its host keeps for it, and where it goes before or after others."""
    for what, unit, path in ("CPU", "MHz", "config.cpuAllocation"), ("memory", "MiB", "config.memoryAllocation"):
        told = what == "memory" and properties["config.memoryReservationLockedToMax"]
        yield from _allocated(what, unit, properties[path], reserved=not told)
        yield from _shares(what, getattr(properties[path], "shares", None))
    for device in properties["config.hardware.device"] or []:
        label = device.deviceInfo.label if device.deviceInfo else device.key
        if isinstance(device, vim.vm.device.VirtualDisk):
            allocation = device.storageIOAllocation
            most = getattr(allocation, "limit", None)
            if most is not None and most > 0:
                yield f"{label} at most {most} IOPS"
            yield from _shares(label, getattr(allocation, "shares", None))
        elif isinstance(device, vim.vm.device.VirtualEthernetCard):
            yield from _allocated(label, "Mbit/s", device.resourceAllocation)
            yield from _shares(label, getattr(device.resourceAllocation, "share", None))


def _allocated(what: str, unit: str, allocation: Any, *, reserved: bool = True) -> Iterator[str]:
    """Yield the limit and the reservation of an allocation. vSphere says -1 where there is no limit."""
    if (limit := getattr(allocation, "limit", None)) is not None and limit >= 0:
        yield f"{what} at most {limit} {unit}"
    if reserved and (kept := getattr(allocation, "reservation", None)):
        yield f"{what} at least {kept} {unit}"


def _shares(what: str, shares: Any) -> Iterator[str]:
    """Yield the weight that the machine has among others where there isn't enough for all, unless it is as any."""
    if shares is not None and shares.level != vim.SharesInfo.Level.normal:
        yield f"{what} with {shares.level} shares ({shares.shares})"
