"""A machine's configuration and virtual devices, as the API shows them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from pyVmomi import vim

from .machine.qemu import nic_slot
from .managed import fill, now

Device = vim.vm.device
PCI_CONTROLLER, SCSI_CONTROLLER, FIRST_DISK, FIRST_NIC, SATA_CONTROLLER = 100, 1000, 2000, 4000, 15000
SCSI_SLOT, SATA_SLOT = 160, 33
_UUIDS = uuid.UUID("4c1f4b5c-7e4c-4d0b-9c83-8f2e6a0f3f11")

GUEST_NAMES = {
    "debian12_64Guest": "Debian GNU/Linux 12 (64-bit)",
    "debian13_64Guest": "Debian GNU/Linux 13 (64-bit)",
    "other5xLinux64Guest": "Other 5.x or later Linux (64-bit)",
    "windows2019srvNext_64Guest": "Microsoft Windows Server 2022 (64-bit)",
}


@dataclass(frozen=True)
class DiskSpec:
    datastore: str
    image: str | None = None
    """File below the lab's cache/guests; None: a disk that only the inventory knows, which can't be opened."""
    capacity: int | None = None
    """Bytes; only for a disk without an image."""


@dataclass(frozen=True)
class NicSpec:
    network: str
    mac: str


@dataclass(frozen=True)
class MachineSpec:
    """A machine as the inventory file, or a test, wants it."""

    name: str
    datacenter: str
    cluster: str
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...]
    folder: str = ""
    """Path below the datacenter's machine folder."""
    pool: str = ""
    host: str = ""
    memory_mib: int = 256
    cpus: int = 1
    cores_per_socket: int = 1
    guest_id: str = "other5xLinux64Guest"
    firmware: str = "bios"
    """bios or efi."""
    secure_boot: bool = False
    nvram: str | None = None
    """The firmware's variables that an efi machine with an image begins with: a file below the lab's cache/guests."""
    controller: str = "pvscsi"
    """Of all its disks: pvscsi or sata."""
    controllers: int = 1
    """How many of that kind: the first one has its disks, and others may be attached to all."""
    annotation: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    """CATEGORY/NAME each."""
    extra: dict[str, str] = field(default_factory=dict)
    """Further lines of its configuration file."""


@dataclass
class DiskView:
    """A virtual disk: the name it began with, the name it has now, and where."""

    key: int
    name: str
    current: str
    datastore: Any
    capacity: int
    uuid: str

    def name_for(self, snapshot_number: int) -> str:
        """Return the name of the file that comes with a snapshot."""
        return f"{self.name.removesuffix('.vmdk')}-{snapshot_number:06}.vmdk"


def _backing(disk: DiskView, name: str, change_id: str | None, parent: Any = None) -> Any:
    return Device.VirtualDisk.FlatVer2BackingInfo(
        fileName=name, datastore=disk.datastore, diskMode="persistent", thinProvisioned=True, writeThrough=False,
        split=False, uuid=disk.uuid, changeId=change_id, parent=parent, backingObjectId="", sharing="sharingNone",
    )  # fmt: skip


def disk_device(disk: DiskView, controller: str, name: str, change_id: str | None) -> Any:
    """The device of a disk on a controller of this kind, under the name it has now, or had at a snapshot."""
    parent = _backing(disk, disk.name, None) if name != disk.name else None
    unit = disk.key - FIRST_DISK
    return Device.VirtualDisk(
        key=disk.key,
        deviceInfo=vim.Description(label=f"Hard disk {unit + 1}", summary=f"{disk.capacity >> 10:,} KB"),
        controllerKey=SATA_CONTROLLER if controller == "sata" else SCSI_CONTROLLER,
        unitNumber=unit if controller == "sata" or unit < 7 else unit + 1,  # 7 is the SCSI controller's own
        capacityInKB=disk.capacity >> 10,
        capacityInBytes=disk.capacity,
        diskObjectId=f"{disk.uuid}-{disk.key}",
        shares=vim.SharesInfo(shares=1000, level="normal"),
        backing=_backing(disk, name, change_id, parent),
    )


def nic_device(index: int, mac: str, network_name: str, backing: Any) -> Any:
    return Device.VirtualVmxnet3(
        key=FIRST_NIC + index,
        deviceInfo=vim.Description(label=f"Network adapter {index + 1}", summary=network_name),
        controllerKey=PCI_CONTROLLER,
        unitNumber=7 + index,
        macAddress=mac,
        addressType="manual",
        wakeOnLanEnabled=True,
        connectable=Device.VirtualDevice.ConnectInfo(
            startConnected=True, allowGuestControl=True, connected=True, status="ok"
        ),
        slotInfo=Device.VirtualDevice.PciBusSlotInfo(pciSlotNumber=nic_slot(index)),
        backing=backing,
    )


def _disk_controller(kind: str, disk_keys: list[int], number: int = 0) -> Any:
    if kind == "sata":
        return Device.VirtualAHCIController(
            key=SATA_CONTROLLER, busNumber=0, deviceInfo=vim.Description(label="SATA controller 0", summary="AHCI"),
            controllerKey=PCI_CONTROLLER, unitNumber=24, device=disk_keys,
            slotInfo=Device.VirtualDevice.PciBusSlotInfo(pciSlotNumber=SATA_SLOT),
        )  # fmt: skip
    return Device.ParaVirtualSCSIController(
        key=SCSI_CONTROLLER + number, busNumber=number,
        deviceInfo=vim.Description(label=f"SCSI controller {number}", summary="VMware paravirtual SCSI"),
        controllerKey=PCI_CONTROLLER, unitNumber=3 + number, device=disk_keys, sharedBus="noSharing",
        scsiCtlrUnitNumber=7, hotAddRemove=True,
        slotInfo=Device.VirtualDevice.PciBusSlotInfo(pciSlotNumber=SCSI_SLOT + 32 * number),
    )  # fmt: skip


def _fixed_devices(controllers: list[Any], nic_keys: list[int]) -> list[Any]:
    def info(label: str) -> Any:
        return vim.Description(label=label, summary=label)

    return [
        Device.VirtualPCIController(
            key=PCI_CONTROLLER, busNumber=0, deviceInfo=info("PCI controller 0"),
            device=[500, *(controller.key for controller in controllers), *nic_keys],
        ),
        Device.VirtualPS2Controller(key=300, busNumber=0, deviceInfo=info("PS2 controller 0"), device=[600, 700]),
        Device.VirtualKeyboard(key=600, deviceInfo=info("Keyboard"), controllerKey=300, unitNumber=0),
        Device.VirtualPointingDevice(
            key=700, deviceInfo=info("Pointing device"), controllerKey=300, unitNumber=1,
            backing=Device.VirtualPointingDevice.DeviceBackingInfo(deviceName="", useAutoDetect=False,
                                                                  hostPointingDevice="autodetect"),
        ),
        Device.VirtualVideoCard(
            key=500, deviceInfo=info("Video card"), controllerKey=PCI_CONTROLLER, unitNumber=0, videoRamSizeInKB=16384,
            numDisplays=1, useAutoDetect=False, enable3DSupport=False,
        ),
        *controllers,
    ]  # fmt: skip


def devices(controller: str, disks: list[Any], nics: list[Any], controllers: int = 1) -> list[Any]:
    """Return all devices of a machine, whose disks are on controllers of this kind."""
    first = SATA_CONTROLLER if controller == "sata" else SCSI_CONTROLLER
    made = [
        _disk_controller(controller, [d.key for d in disks if d.controllerKey == first + number], number)
        for number in range(controllers)
    ]
    return [*_fixed_devices(made, [n.key for n in nics]), *disks, *nics]


def identity(kind: str, name: str) -> str:
    """The same UUID for the same thing in every life of the lab."""
    return str(uuid.uuid5(_UUIDS, f"{kind}:{name}"))


def configuration(spec: MachineSpec, device_list: list[Any]) -> Any:
    home = spec.disks[0].datastore
    return fill(
        vim.vm.ConfigInfo(
            name=spec.name,
            guestId=spec.guest_id,
            guestFullName=GUEST_NAMES.get(spec.guest_id, spec.guest_id),
            uuid=identity("bios", spec.name),
            instanceUuid=identity("instance", spec.name),
            version="vmx-20",
            firmware=spec.firmware,
            annotation=spec.annotation,
            template=False,
            changeTrackingEnabled=False,
            changeVersion="1",
            modified=now(),
            createDate=now(),
            files=vim.vm.FileInfo(
                vmPathName=f"[{home}] {spec.name}/{spec.name}.vmx",
                snapshotDirectory=f"[{home}] {spec.name}/",
                suspendDirectory=f"[{home}] {spec.name}/",
                logDirectory=f"[{home}] {spec.name}/",
            ),
            flags=vim.vm.FlagInfo(diskUuidEnabled=spec.extra.get("disk.EnableUUID", "TRUE") == "TRUE"),
            bootOptions=vim.vm.BootOptions(efiSecureBootEnabled=spec.secure_boot, bootDelay=0, enterBIOSSetup=False),
            extraConfig=[
                vim.option.OptionValue(key=key, value=value)
                for key, value in {"disk.EnableUUID": "TRUE", **spec.extra}.items()
            ],
            memoryHotAddEnabled=False,
            cpuHotAddEnabled=False,
            hardware=vim.vm.VirtualHardware(
                numCPU=spec.cpus, numCoresPerSocket=spec.cores_per_socket, memoryMB=spec.memory_mib, device=device_list
            ),
        )
    )
