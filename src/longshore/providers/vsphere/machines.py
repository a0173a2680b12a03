"""Translation of vSphere's description of a machine to `longshore.model`'s. Pure: the properties have been read
already."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

from pyVmomi import vim

from longshore.model.addresses import is_address, is_mac
from longshore.model.machine import (
    Devices,
    Disk,
    FileSystem,
    Firmware,
    Machine,
    Nic,
    PowerState,
    ToolsState,
)
from longshore.providers.vsphere.host_features import host_features
from longshore.providers.vsphere.places import Places, inventory_name
from longshore.providers.vsphere.platform import PLATFORM
from longshore.providers.vsphere.properties import Properties

MACHINE_PATHS = (
    *("name", "parent", "parentVApp", "resourcePool", "customValue"),
    "capability.changeTrackingSupported",
    "config.annotation",
    "config.bootOptions",
    "config.changeTrackingEnabled",
    "config.cpuAffinity",
    "config.cpuAllocation",
    "config.cpuHotAddEnabled",
    "config.extraConfig",
    "config.firmware",
    "config.flags",
    "config.guestFullName",
    "config.guestId",
    "config.hardware.device",
    "config.hardware.memoryMB",
    "config.hardware.numCPU",
    "config.hardware.numCoresPerSocket",
    "config.instanceUuid",
    "config.keyId",
    "config.latencySensitivity",
    "config.managedBy",
    "config.memoryAffinity",
    "config.memoryAllocation",
    "config.memoryHotAddEnabled",
    "config.memoryReservationLockedToMax",
    "config.nestedHVEnabled",
    "config.template",
    "config.uuid",
    "config.vAppConfig",
    "config.version",
    "guest.disk",
    "guest.hostName",
    "guest.net",
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "runtime.connectionState",
    "runtime.consolidationNeeded",
    "runtime.faultToleranceState",
    "runtime.host",
    "runtime.powerState",
    "snapshot",
    "summary.quickStats.balloonedMemory",
)

_NO_MAC = "00:00:00:00:00:00"  # of a machine that has never run; Neutron refuses it
_CONNECTED = "connected"
_POWER = {"poweredOn": PowerState.ON, "poweredOff": PowerState.OFF, "suspended": PowerState.SUSPENDED}

_Device = vim.vm.device
# The order in which a BIOS without settings of its own tries controllers; also the names the model uses
_CONTROLLERS = (
    (_Device.ParaVirtualSCSIController, 0, "pvscsi"),
    (_Device.VirtualLsiLogicSASController, 0, "lsilogic-sas"),
    (_Device.VirtualLsiLogicController, 0, "lsilogic"),
    (_Device.VirtualBusLogicController, 0, "buslogic"),
    (_Device.VirtualSCSIController, 0, "scsi"),
    (_Device.VirtualSATAController, 1, "sata"),
    (_Device.VirtualIDEController, 2, "ide"),
    (_Device.VirtualNVMEController, 3, "nvme"),
)
_NIC_MODELS = (
    (_Device.VirtualVmxnet3, "vmxnet3"),  # VirtualVmxnet3Vrdma is one too
    (_Device.VirtualVmxnet2, "vmxnet2"),
    (_Device.VirtualVmxnet, "vmxnet"),
    (_Device.VirtualE1000e, "e1000e"),
    (_Device.VirtualE1000, "e1000"),
    (_Device.VirtualPCNet32, "pcnet32"),
    (_Device.VirtualSriovEthernetCard, "sriov"),
)

# What is told of by itself, or holds nothing
_TOLD_OR_EMPTY = (
    *(_Device.VirtualController, _Device.VirtualDisk, _Device.VirtualEthernetCard, _Device.VirtualTPM),
    *(_Device.VirtualPCIPassthrough, _Device.VirtualUSB),
    *(_Device.VirtualKeyboard, _Device.VirtualPointingDevice, _Device.VirtualVideoCard, _Device.VirtualVMCIDevice),
    *(_Device.VirtualSoundCard, _Device.VirtualPrecisionClock, _Device.VirtualWDT),
)
_DRIVES = (_Device.VirtualCdrom, _Device.VirtualFloppy)


def machine(ref: Any, properties: Properties, places: Places) -> Machine:
    """Return the machine with its disks in boot order."""
    devices = list(properties["config.hardware.device"] or [])
    datacenter, folder = places.folder(properties["parent"] or properties["parentVApp"])
    host = properties["runtime.host"]
    boot = properties["config.bootOptions"]
    pool = properties["resourcePool"]
    connection = _connection(properties)
    found = tuple(disks(devices, boot, places))
    return Machine(
        ref=ref._moId,
        name=inventory_name(properties["name"] or ""),
        power=power_state(properties),
        cpus=properties["config.hardware.numCPU"] or 0,
        memory_mib=properties["config.hardware.memoryMB"] or 0,
        disks=found,
        nics=tuple(_nics(devices, properties, places)),
        firmware=Firmware.UEFI if properties["config.firmware"] == "efi" else Firmware.BIOS,
        secure_boot=bool(boot is not None and boot.efiSecureBootEnabled),
        encrypted=_is_encrypted(found, devices, properties),
        boots_first_from=_first_tried(boot),
        boot_order=tuple(_boot_order(boot, devices)),
        guest_id=properties["config.guestId"] or "",
        guest_name=properties["config.guestFullName"] or "",
        host_name=properties["guest.hostName"] or "",
        tools=_tools(properties),
        change_tracking=bool(properties["config.changeTrackingEnabled"]),
        can_track_changes=properties["capability.changeTrackingSupported"] is not False,
        folder=folder,
        cluster=places.cluster(host) if host is not None else "",
        host=places.name(host),
        connection=connection if connection != _CONNECTED else "",
        unreadable=properties["config.hardware.device"] is None,
        uuid=properties["config.uuid"] or "",
        instance_uuid=properties["config.instanceUuid"] or "",
        source_uuid=places.source_uuid,
        hardware_version=properties["config.version"] or "",
        annotation=properties["config.annotation"] or "",
        snapshots=tuple(inventory_name(node.name) for node in snapshot_tree(properties["snapshot"])),
        consolidation_needed=bool(properties["runtime.consolidationNeeded"]),
        template=bool(properties["config.template"]),
        cores_per_socket=properties["config.hardware.numCoresPerSocket"] or 1,
        datacenter=datacenter,
        pool=places.pool(pool) if pool is not None else "",
        attributes=_attributes(properties["customValue"], places),
        filesystems=tuple(_filesystems(properties["guest.disk"])),
        platform=PLATFORM,
        devices=_devices(devices, running=properties["runtime.powerState"] == "poweredOn"),
        host_features=host_features(properties, tuple(places.rules.get(ref._moId, ()))),
    )


def power_state(properties: Properties) -> PowerState:
    """Tell the power state by runtime.powerState and runtime.connectionState: what a host out of touch last said isn't
    believed."""
    if _connection(properties) != _CONNECTED:
        return PowerState.UNKNOWN
    return _POWER.get(str(properties["runtime.powerState"]), PowerState.UNKNOWN)


def snapshot_tree(info: Any) -> Iterator[Any]:
    """Yield every node of a machine's snapshot tree (the property `snapshot`, unset when there is none), parents
    first."""
    nodes = list(info.rootSnapshotList) if info is not None else []
    while nodes:
        node = nodes.pop(0)
        yield node
        nodes[:0] = list(node.childSnapshotList)


def disks(devices: list[Any], boot_options: Any, places: Places) -> Iterator[Disk]:
    """Yield the disks in the order the firmware tries them: the machine's own boot order, then controller, bus,
    unit."""
    controllers: dict[Any, Any] = {
        device.key: device for device in devices if isinstance(device, _Device.VirtualController)
    }
    chosen = [
        entry.deviceKey
        for entry in (boot_options.bootOrder if boot_options is not None else [])
        if isinstance(entry, vim.vm.BootOptions.BootableDiskDevice)
    ]

    def order(device: Any) -> tuple[int, int, int, int, int]:
        controller: Any = controllers.get(device.controllerKey)
        place = chosen.index(device.key) if device.key in chosen else len(chosen)
        bus = controller.busNumber if controller is not None else 0
        return place, _controller(controller)[0], bus, device.unitNumber or 0, device.key

    found = [device for device in devices if isinstance(device, _Device.VirtualDisk)]
    for position, device in enumerate(sorted(found, key=order)):
        yield _disk(device, position, controllers.get(device.controllerKey), places)


def capacity(device: Any) -> int:
    """Return the bytes of a VirtualDisk; old hosts know kibibytes only."""
    return int(device.capacityInBytes or device.capacityInKB * 1024)


def _controller(controller: Any) -> tuple[int, str]:
    for kind, rank, name in _CONTROLLERS:
        if isinstance(controller, kind):
            return rank, name
    return len(_CONTROLLERS), ""


def _disk(device: Any, position: int, controller: Any, places: Places) -> Disk:
    backing = device.backing
    location = getattr(backing, "fileName", None) or ""
    datastore = getattr(backing, "datastore", None)
    storage = places.name(datastore) or location.partition("]")[0].lstrip("[")
    mode = str(getattr(backing, "diskMode", None) or "persistent")
    if getattr(backing, "compatibilityMode", None) == "physicalMode":  # which snapshots leave out, whatever is said
        mode = "independent_persistent"
    bus_sharing = str(getattr(controller, "sharedBus", None) or "noSharing")
    return Disk(
        key=str(device.key),
        label=device.deviceInfo.label if device.deviceInfo is not None else f"Disk {device.key}",
        position=position,
        size=capacity(device),
        location=location,
        storage=storage,
        controller=_controller(controller)[1],
        bus=controller.busNumber if controller is not None else 0,
        unit=device.unitNumber or 0,
        thin=bool(getattr(backing, "thinProvisioned", False)),
        mode=mode,
        raw_device=isinstance(backing, _Device.VirtualDisk.RawDiskMappingVer1BackingInfo),
        shared=bus_sharing != "noSharing" or getattr(backing, "sharing", None) == "sharingMultiWriter",
        encrypted=getattr(backing, "keyId", None) is not None,
        storage_ref=datastore._moId if datastore is not None else "",
    )


def _nics(devices: list[Any], properties: Properties, places: Places) -> Iterator[Nic]:
    told = list(properties["guest.net"] or [])
    running = properties["runtime.powerState"] == "poweredOn"
    for device in devices:
        if not isinstance(device, _Device.VirtualEthernetCard):
            continue
        mac = (device.macAddress or "").lower()
        mac = mac if is_mac(mac) and mac != _NO_MAC else ""
        network, network_ref = _network(device.backing, places)
        host = getattr(properties["runtime.host"], "_moId", "")
        vlans = places.trunks.get(("", network_ref)) or places.trunks.get((host, network))
        slot = device.slotInfo
        yield Nic(
            key=str(device.key),
            label=device.deviceInfo.label if device.deviceInfo is not None else f"NIC {device.key}",
            mac=mac,
            network=network,
            network_ref=network_ref,
            model=next((name for kind, name in _NIC_MODELS if isinstance(device, kind)), ""),
            connected=_is_plugged(device, running=running),
            addresses=tuple(
                dict.fromkeys(
                    address
                    for entry in told
                    if entry.deviceConfigId == device.key or (mac and (entry.macAddress or "").lower() == mac)
                    for address in _as_written(entry.ipAddress or [])
                )
            ),
            pci_slot=slot.pciSlotNumber if isinstance(slot, _Device.VirtualDevice.PciBusSlotInfo) else None,
            subports=(f"VLANs {vlans}",) if vlans else (),
        )


def _as_written(told: Iterable[str]) -> Iterator[str]:
    """Yield addresses as everybody writes them, without the name of an interface: a guest can tell what it likes, and
    how it likes. Those that each interface makes up anew (fe80) are left out."""
    for text in told:
        address = text.partition("%")[0]
        if is_address(address) and not address.lower().startswith("fe80:"):
            yield str(ip_address(address))


def _network(backing: Any, places: Places) -> tuple[str, str]:
    """Return the name of the network that an adapter is on, and its reference; empty where nobody says."""
    card = _Device.VirtualEthernetCard
    if isinstance(backing, card.DistributedVirtualPortBackingInfo):
        key = backing.port.portgroupKey or ""
        return places.names.get(key, key), key
    if isinstance(backing, card.OpaqueNetworkBackingInfo):
        ref = places.opaque_networks.get(backing.opaqueNetworkId, "")
        return places.names.get(ref, backing.opaqueNetworkId), ref
    if isinstance(backing, card.NetworkBackingInfo):
        name = places.name(backing.network) or inventory_name(backing.deviceName or "")
        return name, str(getattr(backing.network, "_moId", ""))
    return "", ""


def _tools(properties: Properties) -> ToolsState:
    if properties["guest.toolsRunningStatus"] in ("guestToolsRunning", "guestToolsExecutingScripts"):
        return ToolsState.RUNNING
    if properties["guest.toolsVersionStatus2"] in (None, "guestToolsNotInstalled"):
        return ToolsState.NOT_INSTALLED
    return ToolsState.NOT_RUNNING


def _attributes(values: Any, places: Places) -> dict[str, str]:
    named = ((places.attributes.get(entry.key), getattr(entry, "value", "")) for entry in values or [])
    return {name: value for name, value in named if name and value}


def _filesystems(told: Any) -> Iterator[FileSystem]:
    """Yield the file systems that VMware Tools report; what has no size (proc, a CD-ROM drive) is none."""
    for entry in told or []:
        if entry.capacity:
            yield FileSystem(entry.diskPath or "", entry.capacity, entry.freeSpace or 0)


def _has_tpm(devices: list[Any]) -> bool:
    return any(isinstance(device, _Device.VirtualTPM) for device in devices)


def _is_encrypted(disks: tuple[Disk, ...], devices: list[Any], properties: Properties) -> bool:
    """A virtual TPM has vSphere encrypt the machine's own files; its disks are in clear unless they have keys, too."""
    keyed = any(disk.encrypted for disk in disks)
    return keyed or (properties["config.keyId"] is not None and not _has_tpm(devices))


def _connection(properties: Properties) -> str:
    return str(properties["runtime.connectionState"] or _CONNECTED)


def _is_plugged(device: Any, *, running: bool) -> bool:
    state = device.connectable
    return state is None or bool(state.connected if running else state.startConnected)


def _devices(devices: list[Any], *, running: bool) -> Devices:
    return Devices(
        vtpm=_has_tpm(devices),
        usb=any(isinstance(device, _Device.VirtualUSB) for device in devices),
        passthrough=sum(isinstance(device, _Device.VirtualPCIPassthrough) for device in devices),
        others=tuple(filter(None, (_left_behind(device, running=running) for device in devices))),
    )


def _left_behind(device: Any, *, running: bool) -> str:
    """Return the name of a device that is told of nowhere else and that not every machine has, with the file that is in
    it or behind it; empty for others, and for a drive with nothing in it."""
    file = getattr(device.backing, "fileName", None)
    if isinstance(device, _DRIVES):
        told = bool(file) and _is_plugged(device, running=running)
    else:
        told = not isinstance(device, _TOLD_OR_EMPTY)
    if not told:
        return ""
    label = device.deviceInfo.label if device.deviceInfo is not None else ""
    name = label or f"{type(device).__name__.rpartition('.')[2]} {device.key}"
    return f"{name} ({file})" if file else name


def _first_tried(boot_options: Any) -> str:
    """Return what the firmware tries before all disks, by the machine's own boot order; empty: nothing."""
    entry = next(iter(boot_options.bootOrder if boot_options is not None else []), None)
    if isinstance(entry, vim.vm.BootOptions.BootableEthernetDevice):
        return "a network adapter"
    return _drive(entry)


def _boot_order(boot_options: Any, devices: list[Any]) -> Iterator[str]:
    keys = {device.key for device in devices}
    for entry in boot_options.bootOrder if boot_options is not None else []:
        key = getattr(entry, "deviceKey", None)
        if key in keys:
            yield str(key)
        elif drive := _drive(entry):
            yield drive


def _drive(entry: Any) -> str:
    """Return the drive that an entry of a boot order means, in words; empty where it means something else."""
    kinds = vim.vm.BootOptions
    named = ((kinds.BootableCdromDevice, "a CD-ROM drive"), (kinds.BootableFloppyDevice, "a floppy drive"))
    return next((name for kind, name in named if isinstance(entry, kind)), "")
