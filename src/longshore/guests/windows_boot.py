"""The drivers that a Windows guest boots from: its registry says to load them before anything else."""

from longshore.guests.appliance import Guest
from longshore.guests.registry import Hive, Key, system_hive
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
    """Return the drivers by the services in the registry, which Windows reads before it has looked for hardware.

    A service with a StartOverride was found not to be needed on the present hardware, and isn't started at boot.
    """
    try:
        with system_hive(guest) as hive:
            started = services(hive)
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


def services(hive: Hive) -> dict[str, int]:
    """Return when each service of SYSTEM is started, by its name in lower case."""
    found = ((name.lower(), _start(hive, key)) for name, key in hive.children(hive.key("Services")))
    return {name: start for name, start in found if start is not None}


def _start(hive: Hive, service: Key) -> int | None:
    start = hive.number(service, "Start")
    override = hive.key("StartOverride", below=service)
    if start is not None and override is not None:
        overridden = hive.number(override, "0")
        return start if overridden is None else overridden
    return start
