"""The drivers in the initramfs that a Linux guest boots from by default, and disks that it calls by name."""

import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from longshore.guests.appliance import Guest
from longshore.guests.boot_entries import INITRAMFS, default_entry
from longshore.guests.disk_filters import listed_disks, multipath_names
from longshore.guests.fstab import crypttab, fstab, is_by_hardware, mount_units, of_command_line
from longshore.guests.initramfs import LARGEST_PACKED, NotAnInitramfs, file_names
from longshore.model.hardware import BootDrivers

# Drivers of adapters that VMware has or Nova emulates; the others are of no interest
STORAGE = (
    *("vmw_pvscsi", "ahci", "ata_piix", "mptspi", "mptsas", "BusLogic", "nvme"),
    *("sym53c8xx", "megaraid_sas", "virtio_blk", "virtio_scsi"),
)
NETWORK = ("vmxnet3", "e1000e", "e1000", "virtio_net", "pcnet32")
# What a driver is useless without, and what can be left out of an initramfs separately
_NEEDS = {"virtio_blk": "virtio_pci", "virtio_scsi": "virtio_pci", "virtio_net": "virtio_pci"}
_WITHOUT_DISKS = ("virtio_blk", "nvme")  # their disks need no sd_mod

_MODULE = re.compile(r"(?:^|/)lib/modules/(?P<kernel>[^/]+)/(?:.*/)?(?P<name>[^/]+)\.ko(?:\.\w+)?$")


def linux_drivers(guest: Guest) -> BootDrivers:
    """Return the storage and network drivers, and devices called by names that depend on the hardware."""
    entry = default_entry(guest)
    doubts = []
    held: set[str] = set()
    kernels: set[str] = set()
    if entry is None or not entry.initramfs:
        doubts.append("Which kernel the guest boots couldn't be found out, so what it can boot from isn't known.")
    else:
        try:
            held, kernels = _in_initramfs(guest, entry.initramfs)
        except NotAnInitramfs as why:
            doubts.append(f"The guest's {entry.initramfs} couldn't be read: {why}.")
        if match := INITRAMFS.match(PurePosixPath(entry.initramfs).name):
            kernels.add(match["kernel"])
    if entry is not None and not entry.sure:
        doubts.append("Which entry of its boot menu the guest starts isn't clear; the likeliest was looked at.")
    built_in, modules = set[str](), set[str]()
    for kernel in kernels:
        built_in |= _listed(guest, f"/lib/modules/{kernel}/modules.builtin")
        modules |= _listed(guest, f"/lib/modules/{kernel}/modules.dep")
    there = held | built_in
    named = dict[str, bool]()
    for name, needed in _names_by_hardware(guest, entry.options if entry else ""):
        named[name] = needed or named.get(name, False)
    listed = tuple(dict.fromkeys(listed_disks(guest)))
    return BootDrivers(
        inspected=True,
        boot=_usable(STORAGE, there),
        later=_usable(STORAGE, there | modules),
        network=_usable(NETWORK, there | modules),
        device_names=tuple(dict.fromkeys((*named, *listed))),
        needed_names=tuple(name for name, needed in named.items() if needed),
        lasting_names=(
            *(line.device for line in mount_units(guest) if is_by_hardware(line.device)),
            *listed,
        ),
        doubts=tuple(doubts),
    )


def _usable(wanted: Iterable[str], there: set[str]) -> tuple[str, ...]:
    def complete(name: str) -> bool:
        disk = name in STORAGE and name not in _WITHOUT_DISKS
        return name in there and _NEEDS.get(name, name) in there and (not disk or "sd_mod" in there)

    return tuple(name for name in wanted if complete(name))


def _in_initramfs(guest: Guest, path: str) -> tuple[set[str], set[str]]:
    """Return (modules, kernel versions they are for). Raises NotAnInitramfs."""
    if guest.files.filesize(path) > LARGEST_PACKED:
        raise NotAnInitramfs(f"it is larger than {LARGEST_PACKED >> 20} MiB")
    with tempfile.TemporaryDirectory(prefix="longshore-") as directory:
        copy = Path(directory) / "initramfs"
        guest.files.download(path, str(copy))
        matches = [match for name in file_names(copy) if (match := _MODULE.search(name))]
    return {_module(match["name"]) for match in matches}, {match["kernel"] for match in matches}


def _listed(guest: Guest, path: str) -> set[str]:
    """Return the modules in modules.builtin or modules.dep."""
    if not guest.has_file(path):
        return set()
    lines = guest.text(path).splitlines()
    names = (PurePosixPath(line.partition(":")[0]).name.partition(".ko")[0] for line in lines)
    return {_module(name) for name in names if name}


def _module(name: str) -> str:
    """Files have hyphens where the kernel has underscores."""
    return name.replace("-", "_")


# What it calls by name


def names_by_hardware(guest: Guest) -> tuple[str, ...]:
    """Return the devices that fstab, crypttab, units, LVM's filter, arrays or the default kernel's command line call by
    names that depend on the hardware."""
    entry = default_entry(guest)
    named = (name for name, _ in _names_by_hardware(guest, entry.options if entry else ""))
    return tuple(dict.fromkeys((*named, *listed_disks(guest))))


def _names_by_hardware(guest: Guest, options: str) -> Iterator[tuple[str, bool]]:
    """Yield (name, whether the guest doesn't boot without that device)."""
    named = list(of_command_line(options))
    lines = (*fstab(guest), *crypttab(guest), *mount_units(guest))
    named += [(device, line.needed) for line in lines if line.at_boot for device in line.devices]
    aliases = multipath_names(guest)
    yield from (
        (device, needed) for device, needed in named if is_by_hardware(device) or aliases.fullmatch(device) is not None
    )
