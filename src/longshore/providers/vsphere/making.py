"""A machine that is made anew where one was: the same hardware in the same place, with disks that hold nothing.

It says whose it is in its own configuration, so that a second run finds it and no other one is ever deleted.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim, vmodl

from longshore.errors import Conflict, InvalidInput
from longshore.model.machine import Disk, Firmware, Machine, Nic
from longshore.model.target import Owner
from longshore.providers.vsphere.machines import capacity
from longshore.providers.vsphere.places import NAMES_PAGE, Places, folder_called, inventory_name, kept_name, read_places
from longshore.providers.vsphere.properties import Properties, read, sweep
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.tasks import await_earlier, result

CREATE_TIMEOUT = 15 * 60.0  # seconds; thick disks are only allocated, not written
MARK = "longshore.owner"  # a setting of what was made: whose it is
_BELOW_GENERATED = "00:50:56:40"  # MACs of VMware's from here on are its own to give, not a user's

_Device = vim.vm.device
_CONTROLLERS = {
    "pvscsi": _Device.ParaVirtualSCSIController,
    "lsilogic-sas": _Device.VirtualLsiLogicSASController,
    "lsilogic": _Device.VirtualLsiLogicController,
    "buslogic": _Device.VirtualBusLogicController,
    "sata": _Device.VirtualAHCIController,
    "nvme": _Device.VirtualNVMEController,
}
_NICS = {
    "vmxnet3": _Device.VirtualVmxnet3,
    "vmxnet2": _Device.VirtualVmxnet2,
    "e1000e": _Device.VirtualE1000e,
    "e1000": _Device.VirtualE1000,
    "pcnet32": _Device.VirtualPCNet32,
}


@dataclass(frozen=True, slots=True)
class _Place:
    folder: Any
    pool: Any
    host: Any  # None: the cluster chooses
    backings: dict[str, Any]  # of network adapters, by the networks' references, and names that only one has

    def backing(self, nic: Nic) -> Any:
        """Return an adapter's backing. Raises InvalidInput where its network is gone, and several have its name."""
        found = self.backings.get(nic.network_ref) or self.backings.get(nic.network)
        if found is None:
            raise InvalidInput(
                f"Several networks are called {nic.network} now, and the one that {nic.label} was on isn't among them.",
                advice="Rename the others, or make the machine by hand, and fail back to it.",
            )
        return found


def check(session: VsphereSession, like: Machine) -> None:
    """Raise InvalidInput for a place or hardware that there isn't, Conflict when the name is taken."""
    with session.doing(f"look where {like.name} was"):
        place = _place(session, like)
        _spec(like, place, Owner("", ""))
        if session.content.searchIndex.FindChild(entity=place.folder, name=kept_name(like.name)) is not None:
            raise _taken(like)


def create(session: VsphereSession, like: Machine, owner: Owner) -> str:
    """Make a machine, and return its reference: that of the machine of this owner that is there already, if there is
    one.

    Raises what `check` does, and InvalidInput where vCenter makes its disks other ones.
    """
    with session.doing(f"make a machine like {like.name}"):
        await_earlier(session, session.content.taskManager, "createvm", CREATE_TIMEOUT)
        if (found := _find(session, like.name, owner)) is not None:
            return str(found._moId)
        place = _place(session, like)
        try:
            task = place.folder.CreateVM_Task(config=_spec(like, place, owner), pool=place.pool, host=place.host)
            made = result(session, task, CREATE_TIMEOUT)
        except vim.fault.DuplicateName:
            raise _taken(like) from None
        devices = read(session, made, ["config.hardware.device"])["config.hardware.device"] or []
        disks = {str(one.key): capacity(one) for one in devices if isinstance(one, _Device.VirtualDisk)}
        if disks != {disk.key: disk.size for disk in like.disks}:
            result(session, made.Destroy_Task(), CREATE_TIMEOUT)
            raise InvalidInput(f"The disks of a machine like {like.name} would be other ones than those it had.")
        return str(made._moId)


def set_boot_order(session: VsphereSession, machine_ref: str, like: Machine) -> tuple[str, ...]:
    """Have a machine that was made like another one boot in that one's order. Return what of that it doesn't have, in
    words."""
    kinds = vim.vm.BootOptions
    with session.doing(f"set the boot order of {like.name}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        devices = read(session, machine, ["config.hardware.device"])["config.hardware.device"] or []
        cards = (one.key for one in devices if isinstance(one, _Device.VirtualEthernetCard))
        has = {disk.key: kinds.BootableDiskDevice(deviceKey=int(disk.key)) for disk in like.disks}
        # Adapters' keys follow from nothing but their order
        for nic, key in zip(like.nics, cards, strict=False):
            has[nic.key] = kinds.BootableEthernetDevice(deviceKey=key)
        if order := [has[key] for key in like.boot_order if key in has]:
            changed = vim.vm.ConfigSpec(bootOptions=kinds(bootOrder=order))
            result(session, machine.ReconfigVM_Task(changed), CREATE_TIMEOUT)
    return tuple(key for key in like.boot_order if key not in has)


def find(session: VsphereSession, name: str, owner: Owner) -> str | None:
    """Find the machine of this owner. One that is being made is waited for, so that None is the last word."""
    with session.doing(f"look for the machine made as {name}"):
        await_earlier(session, session.content.taskManager, "createvm", CREATE_TIMEOUT)
        found = _find(session, name, owner)
        return str(found._moId) if found is not None else None


def delete(session: VsphereSession, machine_ref: str, owner: Owner) -> None:
    """Delete a machine with its disks. Raises Conflict when it runs, or isn't this owner's."""
    with session.doing(f"delete {machine_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        try:
            if _owner(read(session, machine, ["config.extraConfig"])["config.extraConfig"]) != owner.tag:
                raise Conflict(f"{machine_ref} isn't Longshore's, so it stays.")
            result(session, machine.Destroy_Task(), CREATE_TIMEOUT)
        except vmodl.fault.ManagedObjectNotFound:
            pass  # someone was faster


# Where


def _place(session: VsphereSession, like: Machine) -> _Place:
    """Find the place where a machine was. Raises InvalidInput for what isn't there any more."""
    places = read_places(session)
    datacenter = next((moid for moid in places.datacenters if places.names[moid] == like.datacenter), None)
    if datacenter is None:
        raise _missing(like, f"datacenter {like.datacenter}")
    folder = folder_called(session, session.object(vim.Datacenter, datacenter), like.folder)
    if folder is None:
        raise _missing(like, f"folder {like.folder}")
    pool, host = _compute(session, like, places)
    there = {places.names[moid] for moid in places.storage_kinds if _is_in(session, places, moid, like)}
    for disk in like.disks:
        if disk.storage not in there:
            raise _missing(like, f"datastore {disk.storage}")
    place = _Place(folder, pool, host, dict(_backings(session, like, places)))
    for nic in like.nics:
        place.backing(nic)
    return place


def _compute(session: VsphereSession, like: Machine, places: Places) -> tuple[Any, Any]:
    """Return its resource pool, and its host, if that is there."""
    named = (moid for moid in places.clusters if places.names[moid] == like.cluster)
    cluster = next((moid for moid in named if _is_in(session, places, moid, like)), None)
    if cluster is None:
        raise _missing(like, f"cluster {like.cluster}")
    now = read(session, session.object(vim.ClusterComputeResource, cluster), ["resourcePool", "host"])
    top = now["resourcePool"]
    for moid in places.pools:
        pool = session.object(vim.ResourcePool, moid)
        if places.pool(pool) == like.pool and places.top_pool(moid) == top._moId:
            host = next((host for host in now["host"] or [] if places.names.get(host._moId) == like.host), None)
            return pool, host
    raise _missing(like, f"resource pool {like.pool}")


def _is_in(session: VsphereSession, places: Places, moid: str, like: Machine) -> bool:
    return places.datacenter(session.object(vim.ManagedEntity, moid)) == like.datacenter


def _backings(session: VsphereSession, like: Machine, places: Places) -> Iterator[tuple[str, Any]]:
    """Yield the backings of networks, by references, and by names that only one has."""
    wanted = {nic.network for nic in like.nics}
    found: dict[str, list[Any]] = defaultdict(list)
    for ref, properties in sweep(session, {vim.Network: ("name", "summary")}, page=NAMES_PAGE):
        name = inventory_name(properties["name"] or "")
        if name in wanted and places.datacenter(ref) == like.datacenter:
            found[name].append(backing := adapter_backing(session, ref, properties))
            yield ref._moId, backing
    for name, backings in found.items():
        if len(backings) == 1:
            yield name, backings[0]
    for name in sorted(wanted - set(found)):
        raise _missing(like, f"network {name}")


def adapter_backing(session: VsphereSession, ref: Any, properties: Properties) -> Any:
    """Return the backing of an adapter in a network, which was read with its PLACE_PATHS."""
    card = _Device.VirtualEthernetCard
    if isinstance(ref, vim.dvs.DistributedVirtualPortgroup):
        group = read(session, ref, ["key", "config.distributedVirtualSwitch"])
        uuid = read(session, group["config.distributedVirtualSwitch"], ["uuid"])["uuid"]
        port = vim.dvs.PortConnection(portgroupKey=group["key"], switchUuid=uuid)
        return card.DistributedVirtualPortBackingInfo(port=port)
    if isinstance(ref, vim.OpaqueNetwork):
        summary = properties["summary"]
        return card.OpaqueNetworkBackingInfo(
            opaqueNetworkId=summary.opaqueNetworkId, opaqueNetworkType=summary.opaqueNetworkType
        )
    return card.NetworkBackingInfo(deviceName=properties["name"], network=ref)


# What


def _spec(like: Machine, place: _Place, owner: Owner) -> Any:
    """Describe the machine to be made. Raises InvalidInput for hardware that isn't made anew."""
    if like.devices.vtpm or like.encrypted:
        raise InvalidInput(f"{like.name} was encrypted, or had a TPM: what was in that can't be made anew.")
    return vim.vm.ConfigSpec(
        name=kept_name(like.name),
        guestId=like.guest_id or None,
        version=like.hardware_version or None,
        annotation=like.annotation,
        firmware="efi" if like.firmware is Firmware.UEFI else "bios",
        bootOptions=vim.vm.BootOptions(efiSecureBootEnabled=like.secure_boot),
        numCPUs=like.cpus,
        numCoresPerSocket=like.cores_per_socket,
        memoryMB=like.memory_mib,
        files=vim.vm.FileInfo(vmPathName=f"[{like.disks[0].storage}]"),
        extraConfig=[
            vim.option.OptionValue(key=MARK, value=owner.tag),
            vim.option.OptionValue(key="disk.EnableUUID", value="TRUE"),
        ],
        deviceChange=[*_disks(like), *(_nic(like, nic, place, number) for number, nic in enumerate(like.nics))],
    )


def _disks(like: Machine) -> Iterator[Any]:
    """Yield controllers, and disks at the same places on them: vCenter's keys of disks follow from those."""
    controllers: dict[tuple[str, int], int] = {}
    for disk in like.disks:
        where = disk.controller, disk.bus
        if where not in controllers:
            controllers[where] = -1 - len(controllers)
            if disk.controller == "ide":  # every machine has two of them, with these keys
                controllers[where] = 200 + disk.bus
                continue
            kind = _CONTROLLERS.get(disk.controller)
            if kind is None:
                raise InvalidInput(f"{disk.label} of {like.name} was on a controller that isn't made anew.")
            shared = {"sharedBus": "noSharing"} if issubclass(kind, _Device.VirtualSCSIController) else {}
            yield added(kind(key=controllers[where], busNumber=disk.bus, **shared))
    for number, disk in enumerate(like.disks):
        yield _disk(like, disk, controllers[disk.controller, disk.bus], -100 - number)


def _disk(like: Machine, disk: Disk, controller: int, key: int) -> Any:
    if disk.raw_device or disk.shared or disk.mode != "persistent":
        raise InvalidInput(f"{disk.label} of {like.name} was raw, shared or {disk.mode}: that isn't made anew.")
    return new_disk(key, (controller, disk.unit), disk.size, disk.storage, thin=disk.thin)


def new_disk(key: int, place: tuple[int, int], size: int, datastore: str, *, thin: bool) -> Any:
    """Describe a disk that is made with its machine. `place`: a controller's key and a unit there."""
    backing = _Device.VirtualDisk.FlatVer2BackingInfo(
        fileName=f"[{datastore}]", diskMode="persistent", thinProvisioned=thin
    )
    controller, unit = place
    disk = _Device.VirtualDisk(
        key=key,
        controllerKey=controller,
        unitNumber=unit,
        capacityInBytes=size,
        capacityInKB=size >> 10,
        backing=backing,
    )
    return _Device.VirtualDeviceSpec(operation="add", fileOperation="create", device=disk)


def _nic(like: Machine, nic: Nic, place: _Place, number: int) -> Any:
    kind = _NICS.get(nic.model)
    if kind is None:
        raise InvalidInput(f"{nic.label} of {like.name} was a kind of adapter that isn't made anew.")
    own = nic.mac.startswith("00:50:56") and nic.mac >= _BELOW_GENERATED
    return added(
        kind(
            key=-200 - number,
            macAddress=nic.mac,
            addressType="assigned" if own else "manual",
            backing=place.backing(nic),
            connectable=plugged(on=nic.connected),
        )
    )


def plugged(*, on: bool) -> Any:
    """Describe whether an adapter is connected, now and when the machine starts."""
    return _Device.VirtualDevice.ConnectInfo(startConnected=on, allowGuestControl=True, connected=on)


def added(device: Any) -> Any:
    return _Device.VirtualDeviceSpec(operation="add", device=device)


# Whose


def _find(session: VsphereSession, name: str, owner: Owner) -> Any:
    for ref, properties in sweep(session, {vim.VirtualMachine: ("name",)}, page=NAMES_PAGE):
        if inventory_name(properties["name"] or "") != name:
            continue
        try:
            if _owner(read(session, ref, ["config.extraConfig"])["config.extraConfig"]) == owner.tag:
                return ref
        except vmodl.fault.ManagedObjectNotFound:
            continue
    return None


def _owner(extra: Sequence[Any] | None) -> str | None:
    return next((str(one.value) for one in extra or [] if one.key == MARK), None)


def _missing(like: Machine, what: str) -> InvalidInput:
    return InvalidInput(f"{like.name} can't be made anew where it was: there is no {what}.", advice="Make that first.")


def _taken(like: Machine) -> Conflict:
    return Conflict(f"There is something called {like.name} where it was.", advice="Rename or remove that first.")
