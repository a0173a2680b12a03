"""What a Windows guest boots from: the drivers that its registry says to load before anything else."""

from collections.abc import Iterator
from contextlib import suppress

from longshore.guests.appliance import Guest
from longshore.model.hardware import BootDrivers

# Windows' services by the names of Linux' modules for the same hardware
_STORAGE = {
    "pvscsi": "vmw_pvscsi",
    "storahci": "ahci",
    "msahci": "ahci",  # Windows 7, Server 2008 R2
    "intelide": "ata_piix",
    "lsi_scsi": "mptspi",
    "lsi_sas": "mptsas",
    "symc8xx": "sym53c8xx",
    "megasas": "megaraid_sas",
    "stornvme": "nvme",
    "viostor": "virtio_blk",
    "vioscsi": "virtio_scsi",
}
_NETWORK = {
    "vmxnet3ndis6": "vmxnet3",
    "vmxnet3ndis5": "vmxnet3",
    "e1iexpress": "e1000e",
    "e1i65x64": "e1000e",
    "e1g60": "e1000",
    "e1g6032e": "e1000",
    "netkvm": "virtio_net",
}
_AT_BOOT = 0
_DISABLED = 4


def windows_drivers(guest: Guest) -> BootDrivers:
    """Drivers by the services in the registry, which Windows reads before it has looked for hardware.

    A service with a StartOverride was found not to be needed on the present hardware, and isn't started at boot.
    """
    files = guest.files
    started: dict[str, int] = {}
    try:
        files.hivex_open(files.inspect_get_windows_system_hive(guest.system.root))
        try:
            for node in _services(guest):
                start = _start(guest, node)
                if start is not None:
                    started[files.hivex_node_name(node).lower()] = start
        finally:
            files.hivex_close()
    except RuntimeError as why:
        doubt = f"The guest's registry couldn't be read ({why}), so what it can boot from isn't known."
        return BootDrivers(True, doubts=(doubt,))
    return BootDrivers(
        inspected=True,
        boot=_named(_STORAGE, {name for name, start in started.items() if start == _AT_BOOT}),
        later=_named(_STORAGE, {name for name, start in started.items() if start != _DISABLED}),
        network=_named(_NETWORK, {name for name, start in started.items() if start != _DISABLED}),
    )


def _named(known: dict[str, str], services: set[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(driver for service, driver in known.items() if service in services))


def _services(guest: Guest) -> Iterator[int]:
    files = guest.files
    node = files.hivex_root()
    for name in (files.inspect_get_windows_current_control_set(guest.system.root), "Services"):
        node = files.hivex_node_get_child(node, name)
        if not node:
            return
    for child in files.hivex_node_children(node):
        yield child["hivex_node_h"]


def _start(guest: Guest, node: int) -> int | None:
    files = guest.files
    start = _number(guest, node, "Start")
    override = files.hivex_node_get_child(node, "StartOverride")
    if start is not None and override:
        overridden = _number(guest, override, "0")
        return start if overridden is None else overridden
    return start


def _number(guest: Guest, node: int, name: str) -> int | None:
    """A DWORD; None when it isn't there."""
    with suppress(RuntimeError):
        value = guest.files.hivex_node_get_value(node, name)
        if value:
            return int.from_bytes(guest.files.hivex_value_value(value)[:4], "little")
    return None
