"""What a machine can have about it that a migration has to look out for, each by a name, for machines of paper too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyVmomi import vim

from .managed import fill, now
from .places import Cluster, DistributedPortGroup, Folder, Host, Network
from .virtual_machine import VirtualMachine

D = vim.vm.device
Change = Callable[[VirtualMachine], None]


def _set(**changes: Any) -> Change:
    return lambda machine: machine.set(**changes)


def _device(make: Callable[[], Any]) -> Change:
    return lambda machine: machine.set(config__hardware__device=[*_devices(machine), fill(make())])


def _devices(machine: VirtualMachine) -> list[Any]:
    return list(machine.properties["config"].hardware.device)


def _first_disk(change: Callable[[Any], None]) -> Change:
    def apply(machine: VirtualMachine) -> None:
        change(next(device for device in _devices(machine) if isinstance(device, D.VirtualDisk)))
        machine.touch()

    return apply


def _no_size(disk: Any) -> None:
    disk.capacityInBytes = disk.capacityInKB = 0


def _raw(disk: Any) -> None:
    old = disk.backing
    disk.backing = D.VirtualDisk.RawDiskMappingVer1BackingInfo(
        fileName=old.fileName, datastore=old.datastore, diskMode="persistent", compatibilityMode="virtualMode",
        lunUuid="0200000000600508", deviceName="vml.0200000000600508",
    )  # fmt: skip


def _physical(disk: Any) -> None:
    _raw(disk)
    disk.backing.compatibilityMode = "physicalMode"


def _independent(disk: Any) -> None:
    disk.backing.diskMode = "independent_persistent"


def _multi_writer(disk: Any) -> None:
    disk.backing.sharing = "sharingMultiWriter"


def _bus_sharing(machine: VirtualMachine) -> None:
    for device in _devices(machine):
        if isinstance(device, D.VirtualSCSIController):
            device.sharedBus = "physicalSharing"
    machine.touch()


def _limited(disk: Any) -> None:
    disk.storageIOAllocation = vim.StorageResourceManager.IOAllocationInfo(limit=300)


def _layers(disk: Any) -> None:
    """As after a snapshot, or in a linked clone."""
    disk.backing.parent = fill(D.VirtualDisk.FlatVer2BackingInfo(fileName="[datastore1] base/base.vmdk", diskMode=""))


def _no_disks(machine: VirtualMachine) -> None:
    machine.set(config__hardware__device=[d for d in _devices(machine) if not isinstance(d, D.VirtualDisk)])


def _sriov(machine: VirtualMachine) -> None:
    """Its first adapter becomes one."""
    devices = _devices(machine)
    index = next(i for i, device in enumerate(devices) if isinstance(device, D.VirtualEthernetCard))
    old = devices[index]
    devices[index] = D.VirtualSriovEthernetCard(
        key=old.key, deviceInfo=old.deviceInfo, controllerKey=old.controllerKey, unitNumber=old.unitNumber,
        macAddress=old.macAddress, addressType=old.addressType, connectable=old.connectable, slotInfo=old.slotInfo,
        backing=old.backing,
    )  # fmt: skip
    machine.set(config__hardware__device=devices)


def _on_trunk(machine: VirtualMachine) -> None:
    """The machine's first adapter is on a new port group of a distributed switch, which is a trunk."""
    context, name = machine.context, f"trunk of {machine.spec.name}"
    beside = next(context.of_type(DistributedPortGroup))
    group = DistributedPortGroup(context, name, beside.properties["parent"], beside.switch, 0)
    group.properties["config"].defaultPortConfig.vlan = vim.dvs.VmwareDistributedVirtualSwitch.TrunkVlanSpec(
        vlanId=[vim.NumericRange(start=0, end=4094)], inherited=False
    )
    _connect(machine, group)


def _on_trunk_of_a_host(machine: VirtualMachine) -> None:
    """The machine's first adapter is on a new port group of its host's own, which is a trunk."""
    context, name = machine.context, f"trunk of {machine.spec.name}"
    network = Network(context, name, next(context.of_type(Network)).properties["parent"], 4095)
    for host in context.of_type(Host):
        if host.ref == machine.properties["runtime"].host:
            spec = vim.host.PortGroup.Specification(
                name=name, vlanId=network.vlan, vswitchName="vSwitch0", policy=vim.host.NetworkPolicy()
            )
            host.properties["config"].network.portgroup.append(fill(vim.host.PortGroup(spec=spec)))
    _connect(machine, network)


def _connect(machine: VirtualMachine, network: DistributedPortGroup | Network) -> None:
    """Show a new network, and connect the machine's first adapter to it."""
    folder = machine.context.objects[network.properties["parent"]._moId]
    assert isinstance(folder, Folder)
    folder.add(network.ref)
    card = next(device for device in _devices(machine) if isinstance(device, D.VirtualEthernetCard))
    card.backing = network.backing()
    machine.touch()


def _snapshot(machine: VirtualMachine) -> None:
    node = vim.vm.SnapshotTree(
        snapshot=vim.vm.Snapshot("snapshot-900"), vm=machine.ref, name="before the update", description="", id=1,
        createTime=now(), state="poweredOff", quiesced=False,
    )  # fmt: skip
    machine.set(snapshot=vim.vm.SnapshotInfo(currentSnapshot=node.snapshot, rootSnapshotList=[node]))


def _rule(machine: VirtualMachine) -> None:
    """A rule of its cluster ties it to hosts."""
    host = machine.properties["runtime"].host
    for cluster in machine.context.of_type(Cluster):
        if host in cluster.properties["host"]:
            known = cluster.properties["configurationEx"]
            group, hosts = f"vms of {machine.spec.name}", f"hosts of {machine.spec.name}"
            rule = vim.cluster.VmHostRuleInfo(
                name=f"{machine.spec.name} stays", enabled=True, mandatory=True, vmGroupName=group,
                affineHostGroupName=hosts,
            )  # fmt: skip
            known.group = [
                *known.group,
                vim.cluster.VmGroup(name=group, vm=[machine.ref]),
                vim.cluster.HostGroup(name=hosts, host=[host]),
            ]
            known.rule = [*known.rule, rule]
            cluster.touch()


def _tpm(machine: VirtualMachine) -> None:
    """vSphere encrypts the files of such a machine, and leaves its disks as they are."""
    machine.set(
        config__hardware__device=[*_devices(machine), fill(D.VirtualTPM(key=11000))],
        config__keyId=vim.encryption.CryptoKeyId(keyId="key-1"),
    )


def _full(machine: VirtualMachine) -> None:
    told = vim.vm.GuestInfo.DiskInfo(diskPath="/", capacity=8 << 30, freeSpace=20 << 20)
    machine.set(guest__disk=[told])


def _ballooned(machine: VirtualMachine) -> None:
    machine.ballooned_mib = 512
    machine.touch()


ODDITIES: dict[str, Change] = {
    "template": _set(config__template=True),
    "suspended": _set(runtime__powerState="suspended"),
    "disconnected host": _set(runtime__connectionState="disconnected"),
    "orphaned": _set(runtime__connectionState="orphaned", config=None),
    "fault tolerance": _set(runtime__faultToleranceState="running"),
    "encrypted": _set(config__keyId=vim.encryption.CryptoKeyId(keyId="key-1")),
    "pci passthrough": _device(lambda: D.VirtualPCIPassthrough(key=13000)),
    "sriov": _sriov,
    "usb": _device(lambda: D.VirtualUSB(key=7100, connected=True, vendor=1, product=2)),
    "vtpm": _tpm,
    "cpu affinity": _set(config__cpuAffinity=vim.vm.AffinityInfo(affinitySet=[0, 1])),
    "memory affinity": _set(config__memoryAffinity=vim.vm.AffinityInfo(affinitySet=[0])),
    "host affinity": _rule,
    "cpu hot add": _set(config__cpuHotAddEnabled=True),
    "memory hot add": _set(config__memoryHotAddEnabled=True),
    "ballooning": _ballooned,
    "guest settings": _set(
        config__extraConfig=[vim.option.OptionValue(key="guestinfo.userdata", value="c2VjcmV0")],
        config__vAppConfig=fill(vim.vApp.VmConfigInfo(ovfEnvironmentTransport=["iso"])),
    ),
    "managed": _set(config__managedBy=vim.ext.ManagedByInfo(extensionKey="com.vmware.vim.eam", type="cluster-agent")),
    "latency sensitive": _set(config__latencySensitivity=vim.LatencySensitivity(level="high")),
    "memory reserved": _set(config__memoryReservationLockedToMax=True),
    "limits": _set(config__cpuAllocation=vim.ResourceAllocationInfo(limit=500, reservation=100)),
    "shares": _set(config__cpuAllocation=vim.ResourceAllocationInfo(shares=vim.SharesInfo(level="high", shares=2000))),
    "limit of a disk": _first_disk(_limited),
    "trunk": _on_trunk,
    "trunk of a host": _on_trunk_of_a_host,
    "disc in a drive": _device(
        lambda: D.VirtualCdrom(
            key=3000,
            backing=D.VirtualCdrom.IsoBackingInfo(fileName="[datastore1] a.iso"),
            connectable=D.VirtualDevice.ConnectInfo(connected=True, startConnected=True, allowGuestControl=True),
        )
    ),
    "serial port to a file": _device(
        lambda: D.VirtualSerialPort(
            key=9000, backing=D.VirtualSerialPort.FileBackingInfo(fileName="[datastore1] a.log"), yieldOnPoll=True
        )
    ),
    "snapshot": _snapshot,
    "consolidation needed": _set(runtime__consolidationNeeded=True),
    "tracking unsupported": _set(capability__changeTrackingSupported=False),
    "no disks": _no_disks,
    "disk of zero size": _first_disk(_no_size),
    "raw device": _first_disk(_raw),
    "physical raw device": _first_disk(_physical),
    "layered disk": _first_disk(_layers),
    "independent disk": _first_disk(_independent),
    "multi-writer disk": _first_disk(_multi_writer),
    "bus sharing": _bus_sharing,
    "boots from network": _set(
        config__bootOptions=vim.vm.BootOptions(bootOrder=[vim.vm.BootOptions.BootableEthernetDevice(deviceKey=4000)])
    ),
    "uefi": _set(config__firmware="efi"),
    "secure boot": _set(
        config__firmware="efi", config__bootOptions=vim.vm.BootOptions(efiSecureBootEnabled=True, bootDelay=0)
    ),
    "tools stopped": _set(guest__toolsRunningStatus="guestToolsNotRunning"),
    "no host name": _set(guest__hostName=None),
    "no address": _set(guest__net=[]),
    "freebsd": _set(config__guestId="freebsd13_64Guest", config__guestFullName="FreeBSD 13 (64-bit)"),
    "windows": _set(config__guestId="windows2019srvNext_64Guest", config__guestFullName="Windows Server 2022"),
    "unknown system": _set(config__guestId="otherGuest64", config__guestFullName="Other (64-bit)"),
    "full file system": _full,
}
