"""Hardware for a guest that lands as it is: what Nova can emulate, and of that what the guest can boot from.

Nova gives a server one model of disk controller and one of network adapter, by properties of its image. As tried on
QEMU 7.2, libvirt 9.0 and Nova 26:

- pvscsi takes one disk, a second one ends in an error; others have to go on another bus, the root disk first of all.
- "lsilogic" is a 53c895a, not the 53c1030 of VMware: a guest that knows only the latter (mptspi) sees no disk.
  VMware's LSI SAS (lsisas1068, mptsas) and BusLogic can't be had at all: the server ends in an error, or sees no disk.
- OVMF, the UEFI firmware, boots from SATA and virtio only.
- IDE takes four disks, and only the machine type pc has it.

Which of it a given cloud really has can't be asked for; a dry run tells.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from longshore.model.concern import Concern
from longshore.model.hardware import BootDrivers, Hardware
from longshore.model.machine import Firmware, Machine
from longshore.planning.as_is import hardware_concerns, nothing_fits


@dataclass(frozen=True, slots=True)
class _Bus:
    """A way to attach disks that Nova can emulate, and what a guest needs for it."""

    name: str  # for people
    driver: str
    bus: str  # Nova's hw_disk_bus, or disk_bus of one disk
    scsi_model: str | None = None
    most: int = 25  # disks; Nova's own limit is 26 with the config drive
    uefi: bool = False  # OVMF boots from it
    pc_only: bool = False
    names: tuple[str, ...] = ("/dev/sd", "/dev/hd")  # what disks are called on it; hd by kernels before 2.6.20


_PVSCSI = _Bus("pvscsi", "vmw_pvscsi", "scsi", "vmpvscsi", most=1)
_SATA = _Bus("SATA", "ahci", "sata", uefi=True)
_VIRTIO = _Bus("virtio", "virtio_blk", "virtio", uefi=True, names=("/dev/vd",))
_LSI = _Bus("LSI 53c895a", "sym53c8xx", "scsi", "lsilogic", most=7)
_MEGASAS = _Bus("MegaRAID SAS", "megaraid_sas", "scsi", "lsisas1078")
_IDE = _Bus("IDE", "ata_piix", "ide", most=3, pc_only=True)  # the fourth place is for a config drive

# All disks on one bus: what VMware has comes first, then what keeps the disks' names, then what doesn't
_UNIFORM = (_PVSCSI, _SATA, _MEGASAS, _LSI, _IDE, _VIRTIO)
# The root disk on pvscsi and the others elsewhere. virtio comes first: its names can't be mixed up with the root disk's
_BESIDE = (_VIRTIO, _SATA, _IDE)

# The names of drivers for the models that Nova's hw_vif_model knows, in order of preference
_NIC_MODELS = {
    "vmxnet3": "vmxnet3",
    "e1000e": "e1000e",
    "e1000": "e1000",
    "virtio": "virtio_net",
    "pcnet": "pcnet32",
}
_FOREIGN_NIC_NAMES = {"pcnet32": "pcnet"}  # VMware's name: Nova's

_CONTROLLER_DRIVERS = {
    "pvscsi": "vmw_pvscsi",
    "lsilogic": "mptspi",
    "lsilogic-sas": "mptsas",
    "buslogic": "BusLogic",
    "sata": "ahci",
    "ide": "ata_piix",
    "nvme": "nvme",
    "virtio": "virtio_blk",
}
_LINUX = ("linux", "debian", "ubuntu", "rhel", "centos", "sles", "suse", "fedora", "rocky", "alma", "photon", "coreos")

_BY_PLACE = "/dev/disk/by-"  # by the adapter's place, or the disk's serial number: both are others on the target


def firmware_properties(machine: Machine) -> dict[str, str]:
    """Return image properties for the machine's firmware, however it lands: none for BIOS, which is every cloud's
    default.

    Secure boot needs the machine type q35; pc has no protected memory for the firmware's variables.
    """
    if machine.firmware is not Firmware.UEFI:
        return {}
    if machine.secure_boot:
        return {"hw_firmware_type": "uefi", "hw_machine_type": "q35", "os_secure_boot": "required"}
    return {"hw_firmware_type": "uefi"}


def system_properties(family: str) -> dict[str, str]:
    """Return image properties for the guest's operating system, on whatever hardware: Nova gives Windows a clock in
    local time and what Hyper-V would tell it, without which its timers cost much."""
    return {"os_type": "windows"} if family == "windows" else {}


def likely_drivers(machine: Machine) -> BootDrivers:
    """Return what can be said before anyone has looked at the disks: the guest boots from the controllers that it
    has."""
    controllers = [_CONTROLLER_DRIVERS[d.controller] for d in machine.disks if d.controller in _CONTROLLER_DRIVERS]
    root = [_CONTROLLER_DRIVERS[d.controller] for d in machine.disks[:1] if d.controller in _CONTROLLER_DRIVERS]
    networks = [_NIC_MODELS[model] for model in _present_models(machine) if model in _NIC_MODELS]
    guest = machine.guest_id.lower()
    linux = any(name in guest for name in _LINUX)
    return BootDrivers(
        inspected=False,
        family="windows" if guest.startswith("win") else "linux" if linux else "",
        system=machine.guest_name,
        boot=tuple(dict.fromkeys(root)),
        later=tuple(dict.fromkeys(controllers)),
        network=tuple(dict.fromkeys(networks)),
    )


def choose_hardware(machine: Machine, drivers: BootDrivers) -> tuple[Hardware | None, list[Concern]]:
    """Choose hardware on which the unchanged guest boots, and what should be said about it.

    None means that only a conversion will do; a concern with the code `as-is-no-hardware` says why. While the disks
    haven't been inspected that is `as-is-undecided`, for the guest may know more than the hardware it has now. Where
    they can't be, its present hardware decides, and nothing on them is changed.
    """
    if not drivers.inspected:
        drivers = replace(likely_drivers(machine), doubts=drivers.doubts)
    refusals: list[str] = []
    chosen = _choose_disks(machine, drivers, refusals)
    nic_model = _nic_model(machine, drivers)
    if machine.nics and nic_model is None:
        refusals.append("It has no driver for a network adapter that Nova emulates.")
    if chosen is None or refusals:
        return None, [nothing_fits(machine, drivers, " ".join(refusals))]
    root, beside = chosen
    properties = firmware_properties(machine) | system_properties(drivers.family)
    if root.pc_only or (beside is not None and beside.pc_only):
        properties["hw_machine_type"] = "pc"
    properties["hw_disk_bus"] = root.bus
    if root.scsi_model is not None:
        properties["hw_scsi_model"] = root.scsi_model
    if nic_model is not None:
        properties["hw_vif_model"] = nic_model
    buses = tuple(None if beside is None or disk.position == 0 else beside.bus for disk in machine.disks)
    reasons = tuple(_reasons(chosen, nic_model))
    hardware = Hardware(properties, buses, nic_model, _needs_finish(machine, drivers), reasons)
    return hardware, list(hardware_concerns(machine, drivers, hardware, _present_models(machine)))


def _choose_disks(machine: Machine, drivers: BootDrivers, refusals: list[str]) -> tuple[_Bus, _Bus | None] | None:
    """Choose (the root disk's bus, that of the others when it is another)."""
    bound = [name for name in drivers.device_names if name.startswith(_BY_PLACE)]
    named = drivers.device_names
    if bound:
        refusals.append(f"Its configuration names disks by their place or serial number ({', '.join(bound)}).")
        return None
    if lost := [name for name in named if not any(name.startswith(bus.names) for bus in _UNIFORM)]:
        refusals.append(
            f"Its configuration gives disks names that they have nowhere on the target ({', '.join(lost)})."
        )
        return None
    count = len(machine.disks)
    usable = [bus for bus in _UNIFORM if _can_boot(bus, machine, drivers, named)]
    for bus in usable:
        if count <= bus.most:
            return bus, None
    if _PVSCSI in usable and not named:
        early = drivers.boot if len(drivers.root_disks) > 1 else (*drivers.boot, *drivers.later)
        for bus in _BESIDE:
            if bus.driver in early and count - 1 <= bus.most and not (bus.pc_only and machine.secure_boot):
                return _PVSCSI, bus
    refusals.append(_why_not(machine, drivers, usable, named))
    return None


def _can_boot(bus: _Bus, machine: Machine, drivers: BootDrivers, named: Sequence[str]) -> bool:
    if machine.firmware is Firmware.UEFI and not bus.uefi:
        return False
    if bus.pc_only and machine.secure_boot:
        return False
    return bus.driver in drivers.boot and all(name.startswith(bus.names) for name in named)


def _why_not(machine: Machine, drivers: BootDrivers, usable: Sequence[_Bus], named: Sequence[str]) -> str:
    known = ", ".join(drivers.boot) or "none"
    names = f"other names than its configuration calls them by ({', '.join(named)})"
    if usable:
        limits = " and ".join(f"{bus.most} on {bus.name}" for bus in usable)
        beside = (
            f"on another bus beside it they would get {names}" if named else "it has no driver for another beside it"
        )
        return f"It has {len(machine.disks)} disks; of the buses it can boot from, Nova takes {limits}, and {beside}."
    if named and _VIRTIO.driver in drivers.boot:
        return f"Of what the target emulates it can boot from virtio only, and there its disks would get {names}."
    if machine.firmware is Firmware.UEFI:
        return (
            f"It boots by UEFI, which wants SATA (ahci) or virtio (virtio_blk); its drivers for booting are: {known}."
        )
    return f"None of its drivers for booting ({known}) is for a disk controller that Nova emulates."


def _nic_model(machine: Machine, drivers: BootDrivers) -> str | None:
    """Nova gives all adapters of a server one model: the present one of the first adapter, if it may be."""
    if not machine.nics:
        return None
    candidates = [model for model, driver in _NIC_MODELS.items() if driver in drivers.network]
    return next((model for model in _present_models(machine) if model in candidates), next(iter(candidates), None))


def _present_models(machine: Machine) -> list[str]:
    """Return the models of its network adapters, as Nova calls them."""
    return [_FOREIGN_NIC_NAMES.get(nic.model, nic.model) for nic in machine.nics]


def _needs_finish(machine: Machine, drivers: BootDrivers) -> bool:
    """Tell whether anything on the disks has to be changed after all: interface names, or the loader UEFI falls back
    to."""
    loader_missing = machine.firmware is Firmware.UEFI and drivers.fallback_loader is False
    return bool(drivers.interface_names) or loader_missing


def _reasons(chosen: tuple[_Bus, _Bus | None], nic_model: str | None) -> Iterator[str]:
    root, beside = chosen
    if beside is None:
        yield f"Its disks are on {root.name}, for which it has the driver {root.driver} when it boots."
    else:
        yield (
            f"Its root disk is on {root.name} (driver {root.driver}), which takes one disk only in Nova; "
            f"the others are on {beside.name} (driver {beside.driver})."
        )
    if nic_model is not None:
        yield f"Its network adapters are {nic_model} (driver {_NIC_MODELS[nic_model]})."
