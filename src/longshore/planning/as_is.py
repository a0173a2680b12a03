"""Concerns about a machine whose guest lands as it is."""

from collections.abc import Iterator, Sequence

from longshore.model.concern import Concern
from longshore.model.hardware import BootDrivers, Hardware
from longshore.model.machine import Machine
from longshore.planning.kinds import information, warning

AS_IS_HARDWARE = information(
    "as-is-hardware",
    "There is hardware on which the unchanged guest boots; it is named.",
)
AS_IS_UNDECIDED = warning(
    "as-is-undecided",
    "The machine's present hardware can't be had on the target, and what else the guest can boot from isn't known "
    "before its disks have been copied.",
    "If its disks hold no other driver, it is converted.",
)
AS_IS_NO_HARDWARE = warning(
    "as-is-no-hardware",
    "The guest can boot on no hardware that the target has.",
    "Only a conversion will do: --landing convert.",
)
AS_IS_DOUBT = warning(
    "as-is-doubt",
    "Something in the guest that decides about its hardware couldn't be read.",
    "A dry run tells whether it boots.",
)
AS_IS_NO_HOT_PLUG = information(
    "as-is-no-hot-plug",
    "The server's disks are on hardware that takes no further one while it runs.",
    "Stop the server to attach one, or convert it later.",
)
AS_IS_DISK_NAMES = warning(
    "as-is-disk-names",
    "Disks have other device names on the target than before.",
    "Look whether an application of the guest calls a disk by its name.",
)
AS_IS_NIC_MODEL = warning(
    "as-is-nic-model",
    "Network adapters become another model: the target gives all of a server the same.",
    "Nothing has to be done: the guest has the driver.",
)
AS_IS_WINDOWS_ADDRESSES = warning(
    "as-is-windows-addresses",
    "Windows takes the network adapters for new ones, and asks by DHCP for their addresses.",
    "The target gives the ports' addresses by DHCP; set other settings of the adapters by hand.",
)

_LATER = "; its disks are looked at once they have been copied."
_NO_HOT_PLUG = ("vmpvscsi", "sata", "ide")  # SCSI models and buses


def hardware_concerns(
    machine: Machine, drivers: BootDrivers, hardware: Hardware, present_models: Sequence[str]
) -> Iterator[Concern]:
    """Yield concerns about a machine for which there is hardware; `present_models` of its network adapters, as Nova
    calls them."""
    name, properties = machine.name, hardware.image_properties
    text = f"{name} can land as it is. {' '.join(hardware.reasons)}"
    if not drivers.inspected:
        text += f" That is judged by its present hardware{'.' if drivers.doubts else _LATER}"
    yield AS_IS_HARDWARE(name, text)
    for doubt in drivers.doubts:
        yield AS_IS_DOUBT(name, doubt)
    controller = properties.get("hw_scsi_model", properties["hw_disk_bus"])
    if controller in _NO_HOT_PLUG:
        yield AS_IS_NO_HOT_PLUG(name, f"No further disk can be attached to {name} while it runs.")
    beside = {bus for bus in hardware.disk_buses if bus is not None}
    if beside or properties["hw_disk_bus"] == "virtio":
        which = "The disks of" if not beside else "All disks but the first of"
        bus = next(iter(beside), "virtio")
        yield AS_IS_DISK_NAMES(name, f"{which} {name} get other device names: they are on {bus}.")
    if any(model != hardware.nic_model for model in present_models):
        models = ", ".join(sorted(set(present_models)))
        text = f"All network adapters of {name} become {hardware.nic_model}; now they are {models}."
        yield AS_IS_NIC_MODEL(name, text)
    if drivers.family == "windows" and machine.nics:
        yield AS_IS_WINDOWS_ADDRESSES(name, f"Windows takes the network adapters of {name} for new ones.")


def nothing_fits(machine: Machine, drivers: BootDrivers, why: str) -> Concern:
    """Return the concern that no hardware fits. `why`: sentences. As long as nobody has looked at the disks, it isn't
    the last word."""
    text = f"{machine.name} can't land as it is. {' '.join((why, *drivers.doubts))}"
    if drivers.inspected or drivers.doubts:
        return AS_IS_NO_HARDWARE(machine.name, text)
    return AS_IS_UNDECIDED(machine.name, f"{text} That is judged by its present hardware{_LATER}")
