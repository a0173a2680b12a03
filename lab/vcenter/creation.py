"""Machines that clients make: what a CreateVM_Task asks for, as the inventory wants it.

As VMware documents them: a configuration names the machine and where its files go; devices are added with keys of the
client's own, below zero, by which others refer to them; a disk is made with its file, or names one that is there; an
address that is set by hand is none of those that vCenter gives out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyVmomi import vim, vmodl

from .managed import ApiFault, ManagedObject, invalid_argument

if TYPE_CHECKING:
    from .context import Context

Device = vim.vm.device
GIVEN_OUT = "00:50:56:40"
"""From here on vCenter itself gives addresses out."""


def imported_machine(context: Context, folder: ManagedObject, config: Any, pool: Any, host: Any) -> dict[str, Any]:
    """Return a machine as `wanted_machine` does, with disks that hold nothing, and can't be opened, until they are
    uploaded."""
    wanted = wanted_machine(context, folder, config, pool, host)
    sizes = [change.device.capacityInBytes for change in config.deviceChange if change.fileOperation == "create"]
    disks = [
        {"datastore": disk["datastore"], "capacity": size} for disk, size in zip(wanted["disks"], sizes, strict=True)
    ]
    return wanted | {"disks": disks, "extra": {"disk.EnableUUID": "FALSE", **wanted["extra"]}}


def wanted_machine(context: Context, folder: ManagedObject, config: Any, pool: Any, host: Any) -> dict[str, Any]:
    """As inventory.yaml describes a machine."""
    if not config.name:
        raise invalid_argument("config.name")
    if config.files is None or not (config.files.vmPathName or "").startswith("["):
        raise invalid_argument("config.files.vmPathName")
    if config.firmware == "efi":
        raise ApiFault(vmodl.fault.NotSupported(), "This vCenter makes machines with a BIOS alone.")
    found = context.objects.get(pool._moId)
    if found is None:
        raise ApiFault(vmodl.fault.ManagedObjectNotFound(obj=pool), "The resource pool does not exist.")
    added = [_added(change) for change in config.deviceChange]
    controllers = {one.key: one for one, _ in added if isinstance(one, Device.VirtualController)}
    disks = [(one, made) for one, made in added if isinstance(one, Device.VirtualDisk)]
    nics = [one for one, _ in added if isinstance(one, Device.VirtualEthernetCard)]
    return {
        "name": config.name,
        "datacenter": _above(context, folder, vim.Datacenter).get("name"),
        "folder": _path(context, folder),
        "cluster": _above(context, found, vim.ClusterComputeResource).get("name"),
        "pool": _pool(context, found),
        "host": context.objects[host._moId].get("name") if host else "",
        "memory_mib": config.memoryMB,
        "cpus": config.numCPUs,
        "cores_per_socket": config.numCoresPerSocket or 1,
        "guest_id": config.guestId or "otherGuest64",
        "annotation": config.annotation or "",
        "controller": _controller(controllers, disks),
        "controllers": len(controllers),
        "disks": [_disk(context, one, made) for one, made in disks],
        "nics": [_nic(context, one) for one in nics],
        "extra": {str(option.key): str(option.value) for option in config.extraConfig},
    }


def _added(change: Any) -> tuple[Any, bool]:
    """A device, and whether its file is made with it."""
    if change.operation != "add":
        raise invalid_argument("config.deviceChange.operation")
    return change.device, change.fileOperation == "create"


def _controller(controllers: dict[int, Any], disks: list[tuple[Any, bool]]) -> str:
    """Return the kind of the controllers. All disks of a machine of this vCenter are on its first one, side by side."""
    first = next((key for key, one in controllers.items() if one.busNumber == 0), None)
    for number, (disk, _) in enumerate(disks):
        if disk.controllerKey not in controllers:
            raise invalid_argument("config.deviceChange.device.controllerKey")
        sata = isinstance(controllers[disk.controllerKey], Device.VirtualSATAController)
        if disk.controllerKey != first or disk.unitNumber != (number if sata or number < 7 else number + 1):
            raise ApiFault(vmodl.fault.NotSupported(), "This vCenter has disks side by side on one controller alone.")
    if sorted(one.busNumber for one in controllers.values()) != list(range(len(controllers))):
        raise ApiFault(vim.fault.InvalidDeviceSpec(), "Buses of controllers are counted from 0.")
    if len({type(one) for one in controllers.values()}) != 1:
        raise ApiFault(vmodl.fault.NotSupported(), "This vCenter has machines with one kind of controller alone.")
    one = next(iter(controllers.values()))
    if isinstance(one, Device.VirtualAHCIController):
        return "sata"
    if not isinstance(one, Device.ParaVirtualSCSIController):
        raise ApiFault(vmodl.fault.NotSupported(), f"This vCenter makes no {type(one).__name__}.")
    return "pvscsi"


def _disk(context: Context, disk: Any, made: bool) -> dict[str, Any]:
    name = disk.backing.fileName or ""
    datastore = name.partition("]")[0].lstrip("[")
    if context.inventory.datastore_named(datastore) is None:
        raise ApiFault(vim.fault.InvalidDatastorePath(datastorePath=name), f"Invalid datastore path '{name}'.")
    if not made:
        raise ApiFault(vim.fault.FileNotFound(file=name), f"File {name} was not found")
    size = disk.capacityInBytes or (disk.capacityInKB or 0) << 10
    if size <= 0:
        raise invalid_argument("config.deviceChange.device.capacityInKB")
    empty = context.settings.images / f"empty-{size}.raw"
    with empty.open("ab") as file:
        file.truncate(size)
    return {"datastore": datastore, "image": empty.name}


def _nic(context: Context, nic: Any) -> dict[str, Any]:
    mac = (nic.macAddress or "").lower()
    if nic.addressType == "generated":
        number = int(context.new_id("generated").rpartition("-")[2])
        mac = f"00:50:56:8f:{number >> 8:02x}:{number & 255:02x}"
    if nic.addressType == "manual" and mac.startswith("00:50:56") and mac >= GIVEN_OUT:
        raise invalid_argument("config.deviceChange.device.macAddress")
    network = getattr(nic.backing, "deviceName", None)
    if network is None or not isinstance(nic, Device.VirtualVmxnet3):
        raise ApiFault(
            vmodl.fault.NotSupported(), "This vCenter makes VMXNET 3 adapters on port groups of hosts alone."
        )
    return {"network": network, "mac": mac}


def _above(context: Context, place: ManagedObject, kind: Any) -> ManagedObject:
    while not isinstance(place.ref, kind):
        place = context.objects[place.properties["parent"]._moId]
    return place


def _path(context: Context, folder: ManagedObject) -> str:
    """Below the datacenter's machine folder."""
    names: list[str] = []
    while isinstance(folder.ref, vim.Folder):
        names.append(str(folder.get("name")))
        folder = context.objects[folder.properties["parent"]._moId]
    return "/".join(reversed(names[:-1]))


def _pool(context: Context, pool: ManagedObject) -> str:
    above = context.objects[pool.properties["parent"]._moId]
    return str(pool.get("name")) if isinstance(above.ref, vim.ResourcePool) else ""
