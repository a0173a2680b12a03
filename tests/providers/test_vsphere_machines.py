"""vSphere's description of a machine, turned into the model's."""

import pytest
from pyVmomi import vim

from longshore.model.machine import Devices, FileSystem, Firmware, HostFeatures, PowerState, ToolsState
from longshore.model.request import MigrationRequest
from longshore.planning.machine_checks import machine_concerns
from longshore.providers.vsphere.machines import MACHINE_PATHS, machine, snapshot_tree
from longshore.providers.vsphere.places import Places, inventory_name

D = vim.vm.device
BACK = D.VirtualDisk.FlatVer2BackingInfo


@pytest.fixture
def places() -> Places:
    known = Places()
    root = vim.Folder("group-d1")
    datacenter, hidden = vim.Datacenter("datacenter-2"), vim.Folder("group-v3")
    prod, web = vim.Folder("group-v4"), vim.Folder("group-v5")
    known.add(root, {"name": "Datacenters", "parent": None})
    known.add(datacenter, {"name": "DC0", "parent": root})
    known.add(hidden, {"name": "vm", "parent": datacenter})
    known.add(prod, {"name": "Prod", "parent": hidden})
    known.add(web, {"name": "Web%2fShop", "parent": prod})
    known.add(vim.VirtualApp("resgroup-v9"), {"name": "Shop", "parentFolder": prod, "parentVApp": None})
    known.add(vim.ClusterComputeResource("domain-c7"), {"name": "Cluster A"})
    known.add(vim.ComputeResource("domain-s8"), {"name": "esx2.test"})
    known.add(vim.HostSystem("host-9"), {"name": "esx1.test", "parent": vim.ClusterComputeResource("domain-c7")})
    known.add(vim.HostSystem("host-10"), {"name": "esx2.test", "parent": vim.ComputeResource("domain-s8")})
    known.add(vim.Network("network-11"), {"name": "VM Network", "summary": vim.Network.Summary(name="VM Network")})
    group = vim.dvs.DistributedVirtualPortgroup("dvportgroup-12")
    known.add(group, {"name": "DMZ", "summary": vim.Network.Summary(name="DMZ")})
    nsx = vim.OpaqueNetwork.Summary(name="seg", opaqueNetworkId="nsx-1", opaqueNetworkType="nsx.LogicalSwitch")
    known.add(vim.OpaqueNetwork("network-o13"), {"name": "seg", "summary": nsx})
    known.add(vim.Datastore("datastore-10"), {"name": "datastore1"})
    return known


def properties(devices=(), **given):
    found = dict.fromkeys(MACHINE_PATHS)
    found |= {
        "name": "web01",
        "parent": vim.Folder("group-v5"),
        "runtime.host": vim.HostSystem("host-9"),
        "runtime.powerState": "poweredOn",
        "runtime.connectionState": "connected",
        "config.hardware.device": list(devices),
        "config.hardware.numCPU": 2,
        "config.hardware.memoryMB": 1024,
    }
    return found | {key.replace("__", "."): value for key, value in given.items()}


def described(places, devices=(), **given):
    return machine(vim.VirtualMachine("vm-42"), properties(devices, **given), places)


def disk(key, controller, unit, backing=None, size=1 << 30):
    return D.VirtualDisk(
        key=key,
        controllerKey=controller,
        unitNumber=unit,
        capacityInBytes=size,
        capacityInKB=size >> 10,
        deviceInfo=vim.Description(label=f"Hard disk {key}", summary=""),
        backing=backing
        or BACK(
            fileName=f"[datastore1] web01/{key}.vmdk",
            diskMode="persistent",
            datastore=vim.Datastore("datastore-10"),
            thinProvisioned=True,
        ),
    )


def test_where_it_is(places):
    found = described(places)
    assert (found.folder, found.cluster, found.host) == ("Prod/Web/Shop", "Cluster A", "esx1.test")
    assert found.datacenter == "DC0"


def test_in_a_vapp_it_is_below_the_vapps_folder(places):
    found = described(places, parent=None, parentVApp=vim.VirtualApp("resgroup-v9"))
    assert found.folder == "Prod/Shop"


def test_a_host_of_its_own_is_no_cluster(places):
    assert described(places, runtime__host=vim.HostSystem("host-10")).cluster == ""


def test_a_folder_that_may_not_be_read_ends_the_path(places):
    assert described(places, parent=vim.Folder("group-v99")).folder == ""


def test_disks_come_in_the_order_the_firmware_tries_them(places):
    devices = [
        disk(2016, 1001, 0),
        disk(3000, 200, 0),
        disk(31000, 31000, 0),
        disk(16000, 15000, 3),
        disk(2001, 1000, 1),
        disk(2000, 1000, 0),
        D.VirtualIDEController(key=200, busNumber=0),
        D.VirtualNVMEController(key=31000, busNumber=0),
        D.VirtualAHCIController(key=15000, busNumber=0),
        D.ParaVirtualSCSIController(key=1000, busNumber=0, sharedBus="noSharing"),
        D.VirtualLsiLogicSASController(key=1001, busNumber=1, sharedBus="noSharing"),
    ]
    found = described(places, devices).disks
    assert [entry.key for entry in found] == ["2000", "2001", "2016", "16000", "3000", "31000"]
    assert [entry.position for entry in found] == list(range(6))
    assert [entry.controller for entry in found] == ["pvscsi", "pvscsi", "lsilogic-sas", "sata", "ide", "nvme"]
    assert [(entry.bus, entry.unit) for entry in found][:4] == [(0, 0), (0, 1), (1, 0), (0, 3)]


def test_the_machines_own_boot_order_goes_first(places):
    devices = [disk(2000, 1000, 0), disk(2001, 1000, 1), disk(2002, 1000, 2), D.ParaVirtualSCSIController(key=1000)]
    boot = vim.vm.BootOptions(
        bootOrder=[
            vim.vm.BootOptions.BootableEthernetDevice(deviceKey=4000),
            vim.vm.BootOptions.BootableDiskDevice(deviceKey=2002),
            vim.vm.BootOptions.BootableDiskDevice(deviceKey=2001),
        ]
    )
    found = described(places, devices, config__bootOptions=boot).disks
    assert [entry.key for entry in found] == ["2002", "2001", "2000"]


def test_what_it_has_before_others_and_at_most_is_told_unless_it_is_as_any(places):
    def shares(level, number):
        return vim.SharesInfo(level=level, shares=number)

    allocation = D.VirtualEthernetCard.ResourceAllocation
    one = disk(2000, 1000, 0)
    one.storageIOAllocation = vim.StorageResourceManager.IOAllocationInfo(limit=-1, shares=shares("custom", 700))
    cards = [
        D.VirtualVmxnet3(key=4000, resourceAllocation=allocation(limit=100, reservation=0, share=shares("low", 25))),
        D.VirtualVmxnet3(key=4001, resourceAllocation=allocation(limit=-1, reservation=5, share=shares("normal", 50))),
    ]
    found = described(
        places,
        [one, *cards, D.ParaVirtualSCSIController(key=1000)],
        config__cpuAllocation=vim.ResourceAllocationInfo(limit=-1, reservation=0, shares=shares("high", 2000)),
        config__memoryAllocation=vim.ResourceAllocationInfo(limit=-1, reservation=0, shares=shares("normal", 5120)),
    )
    assert found.host_features.limits == (
        "CPU with high shares (2000)",
        "Hard disk 2000 with custom shares (700)",
        "4000 at most 100 Mbit/s",
        "4000 with low shares (25)",
        "4001 at least 5 Mbit/s",
    )


def test_the_boot_order_names_devices_that_are_there_and_drives(places):
    kinds = vim.vm.BootOptions
    entries = [kinds.BootableCdromDevice(), *(kinds.BootableDiskDevice(deviceKey=key) for key in (2009, 2000))]
    devices = [disk(2000, 1000, 0), D.ParaVirtualSCSIController(key=1000)]
    boot = kinds(bootOrder=[*entries, kinds.BootableFloppyDevice()])
    found = described(places, devices, config__bootOptions=boot)
    assert found.boot_order == ("a CD-ROM drive", "2000", "a floppy drive")
    assert found.boots_first_from == "a CD-ROM drive"


def test_a_disks_details(places):
    (found,) = described(places, [disk(2000, 1000, 0), D.ParaVirtualSCSIController(key=1000)]).disks
    assert (found.size, found.storage, found.thin, found.mode) == (1 << 30, "datastore1", True, "persistent")
    assert found.storage_ref == "datastore-10"
    assert found.location == "[datastore1] web01/2000.vmdk"
    assert not found.raw_device
    assert not found.shared


def test_disks_that_need_care(places):
    rdm = D.VirtualDisk.RawDiskMappingVer1BackingInfo(fileName="[other ds] a.vmdk", diskMode="independent_persistent")
    multi = BACK(fileName="[datastore1] b.vmdk", diskMode="persistent", sharing="sharingMultiWriter")
    devices = [
        disk(2000, 1000, 0, rdm),
        disk(2001, 1000, 1, multi),
        disk(2016, 1001, 0),
        D.ParaVirtualSCSIController(key=1000, busNumber=0, sharedBus="noSharing"),
        D.ParaVirtualSCSIController(key=1001, busNumber=1, sharedBus="physicalSharing"),
    ]
    raw, writers, bus = described(places, devices).disks
    assert (raw.raw_device, raw.mode, raw.storage, raw.shared) == (True, "independent_persistent", "other ds", False)
    assert writers.shared
    assert bus.shared


def test_size_from_an_old_host_is_in_kibibytes(places):
    old = disk(2000, 1000, 0)
    old.capacityInBytes = None
    assert described(places, [old]).disks[0].size == 1 << 30


CARD = D.VirtualEthernetCard


@pytest.mark.parametrize(
    ("backing", "network", "ref"),
    [
        (CARD.NetworkBackingInfo(deviceName="old name", network=vim.Network("network-11")), "VM Network", "network-11"),
        (CARD.NetworkBackingInfo(deviceName="elsewhere"), "elsewhere", ""),
        (
            CARD.DistributedVirtualPortBackingInfo(
                port=vim.dvs.PortConnection(switchUuid="50 1e", portgroupKey="dvportgroup-12")
            ),
            "DMZ",
            "dvportgroup-12",
        ),
        (
            CARD.OpaqueNetworkBackingInfo(opaqueNetworkId="nsx-1", opaqueNetworkType="nsx.LogicalSwitch"),
            "seg",
            "network-o13",
        ),
        (None, "", ""),
    ],
)
def test_the_network_a_nic_is_on(places, backing, network, ref):
    nic = D.VirtualVmxnet3(key=4000, macAddress="00:50:56:AB:CD:01", backing=backing)
    found = described(places, [nic]).nics[0]
    assert (found.network, found.network_ref) == (network, ref)


def test_a_nic(places):
    nic = D.VirtualVmxnet3(
        key=4000,
        macAddress="00:50:56:AB:CD:01",
        deviceInfo=vim.Description(label="Network adapter 1", summary=""),
        slotInfo=D.VirtualDevice.PciBusSlotInfo(pciSlotNumber=192),
        connectable=D.VirtualDevice.ConnectInfo(startConnected=True, connected=False, allowGuestControl=True),
    )
    told = [
        vim.vm.GuestInfo.NicInfo(
            deviceConfigId=4000,
            connected=True,
            ipAddress=["10.20.30.41", "2001:DB8:0::1", "fe80::250:56ff:feab:cd01", "unknown", "10.0.0.300"],
        ),
        # An interface above it tells the same once more, in its own way
        vim.vm.GuestInfo.NicInfo(
            deviceConfigId=-1,
            connected=True,
            macAddress="00:50:56:ab:cd:01",
            ipAddress=["10.20.30.41", "2001:db8::1%br0", "fe80::1%br0"],
        ),
        vim.vm.GuestInfo.NicInfo(deviceConfigId=-1, connected=True, ipAddress=["172.17.0.1"]),  # a bridge in the guest
    ]
    (on,) = described(places, [nic], guest__net=told).nics
    assert (on.key, on.mac, on.model, on.pci_slot) == ("4000", "00:50:56:ab:cd:01", "vmxnet3", 192)
    assert on.addresses == ("10.20.30.41", "2001:db8::1")
    assert not on.connected
    nic.macAddress = "00:00:00:00:00:00"  # of one that has never run: no other machine's either
    assert described(places, [nic]).nics[0].mac == ""
    nic.macAddress = "00:50:56:AB:CD:01"
    (off,) = described(places, [nic], runtime__powerState="poweredOff").nics
    assert off.connected
    assert off.addresses == ()


@pytest.mark.parametrize(
    ("state", "connection", "expected"),
    [
        ("poweredOn", "connected", PowerState.ON),
        ("poweredOff", "connected", PowerState.OFF),
        ("suspended", "connected", PowerState.SUSPENDED),
        ("poweredOff", "disconnected", PowerState.UNKNOWN),
        ("poweredOff", "inaccessible", PowerState.UNKNOWN),
    ],
)
def test_power(places, state, connection, expected):
    found = described(places, runtime__powerState=state, runtime__connectionState=connection)
    assert found.power is expected
    assert (found.connection or "connected") == connection


@pytest.mark.parametrize(
    ("running", "version", "expected"),
    [
        ("guestToolsRunning", "guestToolsCurrent", ToolsState.RUNNING),
        ("guestToolsExecutingScripts", "guestToolsUnmanaged", ToolsState.RUNNING),
        ("guestToolsNotRunning", "guestToolsCurrent", ToolsState.NOT_RUNNING),
        ("guestToolsNotRunning", "guestToolsNotInstalled", ToolsState.NOT_INSTALLED),
        (None, None, ToolsState.NOT_INSTALLED),
    ],
)
def test_tools(places, running, version, expected):
    found = described(places, guest__toolsRunningStatus=running, guest__toolsVersionStatus2=version)
    assert found.tools is expected


def test_a_machine_whose_configuration_is_gone_is_still_told(places):
    """Orphaned and inaccessible machines have no configuration at all."""
    bare = dict.fromkeys(MACHINE_PATHS) | {"name": "ghost", "runtime.connectionState": "orphaned"}
    found = machine(vim.VirtualMachine("vm-1"), bare, places)
    assert (found.name, found.power, found.disks) == ("ghost", PowerState.UNKNOWN, ())
    assert (found.connection, found.unreadable) == ("orphaned", True)


def test_what_preflight_has_to_know(places):
    devices = [D.VirtualTPM(key=11000), D.VirtualPCIPassthrough(key=13000), D.VirtualUSB(key=7000)]
    devices += [D.VirtualSriovEthernetCard(key=4000, macAddress="00:50:56:00:00:01")]
    told = described(
        places,
        devices,
        config__firmware="efi",
        config__bootOptions=vim.vm.BootOptions(efiSecureBootEnabled=True),
        config__cpuAffinity=vim.vm.AffinityInfo(affinitySet=[1, 2]),
        config__memoryAffinity=vim.vm.AffinityInfo(affinitySet=[]),
        config__cpuHotAddEnabled=True,
        config__memoryHotAddEnabled=False,
        runtime__consolidationNeeded=True,
        runtime__faultToleranceState="running",
        summary__quickStats__balloonedMemory=64,
        guest__disk=[
            vim.vm.GuestInfo.DiskInfo(diskPath="/", capacity=1000, freeSpace=500),
            vim.vm.GuestInfo.DiskInfo(diskPath="/var", capacity=1000, freeSpace=30),
            vim.vm.GuestInfo.DiskInfo(diskPath="/proc", capacity=0, freeSpace=0),
        ],
    )
    assert (told.firmware, told.secure_boot) == (Firmware.UEFI, True)
    assert told.nics[0].model == "sriov"
    assert (told.consolidation_needed, told.connection, told.unreadable) == (True, "", False)
    assert told.devices == Devices(vtpm=True, usb=True, passthrough=1)
    assert told.host_features == HostFeatures("running", cpu_affinity=True, cpu_hot_add=True, ballooned_mib=64)
    assert told.filesystems == (FileSystem("/", 1000, 500), FileSystem("/var", 1000, 30))


def test_devices_that_hold_data_or_are_the_hosts_are_named(places):
    """An NVDIMM has a file system on it as a disk has; of a port of the host hangs what licenses a program."""
    serial, parallel = D.VirtualSerialPort, D.VirtualParallelPort
    in_drive = D.VirtualCdrom.IsoBackingInfo(fileName="[ds] a.iso")
    devices = [
        D.VirtualNVDIMM(key=18000, deviceInfo=vim.Description(label="NVDIMM 1", summary="")),
        D.VirtualSCSIPassthrough(key=2001),
        serial(key=9000, backing=serial.FileBackingInfo(fileName="[ds] a.log")),
        parallel(key=10000, backing=parallel.DeviceBackingInfo(deviceName="/dev/parport0")),
        *(D.VirtualVMCIDevice(key=12000), D.VirtualKeyboard(key=600), D.VirtualCdrom(key=3002)),
        D.VirtualCdrom(key=3000, backing=in_drive, connectable=D.VirtualDevice.ConnectInfo(connected=True)),
        D.VirtualCdrom(key=3001, backing=in_drive, connectable=D.VirtualDevice.ConnectInfo(connected=False)),
        D.VirtualNVDIMMController(key=6000),
    ]
    told = described(places, devices)
    ports = ("VirtualSerialPort 9000 ([ds] a.log)", "VirtualParallelPort 10000")
    left = ("NVDIMM 1", "VirtualSCSIPassthrough 2001", *ports, "VirtualCdrom 3000 ([ds] a.iso)")
    assert told.devices.others == left
    (said,) = [c.text for c in machine_concerns(told, MigrationRequest()) if c.code == "device-left-behind"]
    assert ", ".join(left) in said


@pytest.mark.parametrize(
    "given", [{"config__nestedHVEnabled": True}, {"config__flags": vim.vm.FlagInfo(vbsEnabled=True)}]
)
def test_a_guest_that_is_given_virtualization_is_told_of(places, given):
    told = described(places, [disk(2000, 1000, 0)], **given)
    assert [c.code for c in machine_concerns(told, MigrationRequest())] == ["virtualizes"]
    given = {"config__nestedHVEnabled": False, "config__flags": vim.vm.FlagInfo()}
    assert not described(places, [disk(2000, 1000, 0)], **given).host_features.virtualizes


def test_settings_that_the_guest_is_given_are_named_and_their_values_are_not(places):
    settings = {"guestinfo.userdata": "c2VjcmV0", "guestinfo.vmtools.buildNumber": "1", "disk.EnableUUID": "TRUE"}
    vapp = vim.vApp.VmConfigInfo(
        ovfEnvironmentTransport=["com.vmware.guestInfo"],
        property=[vim.vApp.PropertyInfo(key=0, id="admin_password", value="secret")],
    )
    extra = [vim.option.OptionValue(key=key, value=value) for key, value in settings.items()]
    told = described(places, [disk(2000, 1000, 0)], config__extraConfig=extra, config__vAppConfig=vapp)
    assert told.host_features.guest_settings == ("guestinfo.userdata", "vApp property admin_password")
    (said,) = machine_concerns(told, MigrationRequest())
    assert (said.code, said.severity.value) == ("guest-settings-left", "warning")
    assert "guestinfo.userdata, vApp property admin_password" in said.text
    assert "secret" not in repr(told)
    vapp.ovfEnvironmentTransport = []  # then it hands nothing over
    assert described(places, config__vAppConfig=vapp).host_features.guest_settings == ()


def test_what_is_encrypted_for_a_virtual_tpm_is_not_the_disks(places):
    key = vim.encryption.CryptoKeyId(keyId="key-1")
    tpm, clear = D.VirtualTPM(key=11000), disk(2000, 1000, 0)
    keyed = disk(2000, 1000, 0, BACK(fileName="[datastore1] web01/a.vmdk", diskMode="persistent", keyId=key))
    encrypted = [
        described(places, devices, config__keyId=key).encrypted for devices in ([clear], [tpm, clear], [tpm, keyed])
    ]
    assert encrypted == [True, False, True]


def test_snapshots_parents_first(places):
    def node(name, *below):
        return vim.vm.SnapshotTree(name=name, childSnapshotList=list(below))

    info = vim.vm.SnapshotInfo(rootSnapshotList=[node("a", node("b", node("c")), node("d")), node("e%2f")])
    assert [entry.name for entry in snapshot_tree(info)] == ["a", "b", "c", "d", "e%2f"]
    assert described(places, snapshot=info).snapshots == ("a", "b", "c", "d", "e/")


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ("web01", "web01"),
        ("a%2fb", "a/b"),
        ("a%5Cb", "a\\b"),
        ("100%25", "100%"),
        ("%1b%5d0;x%07", "%1b%5d0;x%07"),
        ("%252f", "%2f"),
        ("%e2%80%ae", "%e2%80%ae"),
    ],
)
def test_names_as_people_wrote_them(kept, shown):
    assert inventory_name(kept) == shown
