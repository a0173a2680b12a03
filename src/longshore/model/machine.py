"""A virtual machine as a source cloud describes it: what has to arrive on the other side."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from longshore.errors import NotFound
from longshore.model.platform import Platform
from longshore.model.point import Consistency

# How the reference of a volume begins that no machine has: it is moved as a machine of this one disk and nothing else
VOLUME = "volume:"
_LONGEST_MARK = 255  # characters, as Nova takes of a value in metadata


class PowerState(StrEnum):
    ON = "on"
    OFF = "off"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"


class Firmware(StrEnum):
    BIOS = "bios"
    UEFI = "uefi"


class ToolsState(StrEnum):
    """The answer of VMware Tools, or whatever stands for them, to requests to freeze or shut down the guest."""

    RUNNING = "running"
    NOT_RUNNING = "not-running"
    NOT_INSTALLED = "not-installed"


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk of a machine. `position` is its place in boot order: 0 is the disk the machine boots from."""

    key: str  # the provider's own name for it, stable for the machine's life (vSphere: device key)
    label: str
    position: int
    size: int  # bytes
    location: str  # where its bytes live, in the provider's words (vSphere: "[datastore] folder/file.vmdk")
    storage: str  # datastore or volume type
    controller: str = ""  # pvscsi, lsilogic, sata, nvme, ide, virtio, …
    bus: int = 0
    unit: int = 0
    thin: bool = True
    mode: str = "persistent"  # VMware's disk mode: persistent, independent_persistent, …
    raw_device: bool = False  # a mapped LUN rather than a file
    shared: bool = False
    name: str = ""  # of its volume, if it is one; empty: the target names it after the machine
    image_properties: dict[str, str] = field(default_factory=dict)  # volume image metadata (hw_disk_bus, …)
    own_bus: str | None = None  # Nova's disk_bus, where that is another than the first disk's
    tracked: bool = True  # if the machine's changes are: False for a disk whose changes can't be
    encrypted: bool = False  # by the source, beneath the machine
    storage_ref: str = ""  # the datastore's own identifier, where names needn't be unique


@dataclass(frozen=True, slots=True)
class AllowedAddress:
    """A further address that a port may speak for: an allowed address pair."""

    address: str  # a single one or a range (CIDR)
    mac: str | None = None  # lower case, colons; None: the port's own


@dataclass(frozen=True, slots=True)
class Nic:
    key: str
    label: str
    mac: str  # lower case, colons
    network: str
    model: str = ""  # vmxnet3, e1000, virtio, …
    connected: bool = True
    addresses: tuple[str, ...] = ()  # as the guest reports them, without prefix length
    pci_slot: int | None = None  # VMware's slot number, after which a Linux guest names the interface
    security_groups: tuple[str, ...] | None = None  # names; None: the source has no such thing
    floating_addresses: dict[str, str] = field(default_factory=dict)  # floating IPs, by the address they lead to
    allowed_addresses: tuple[AllowedAddress, ...] = ()
    network_ref: str = ""  # the network's own identifier, where names needn't be unique
    subports: tuple[str, ...] = ()  # of the trunk that it is on: "VLAN 7", "VLANs 0-4094"
    port_features: tuple[str, ...] = ()  # what else its port has that no new one is given, in words


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One that the guest has mounted, as it tells."""

    path: str  # /var, C:\
    size: int  # bytes
    free: int  # bytes


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of an OpenStack server, or of a volume without one, beside its hardware, that it should have at the
    target too. Names are the source's."""

    key_name: str | None = None
    server_group: str | None = None
    availability_zone: str | None = None
    user_data: str | None = None  # as longshore.model.user_data tells it; None: none, or the source doesn't say
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    key_fingerprint: str | None = None  # of the key pair's public key; None: the source doesn't say


@dataclass(frozen=True, slots=True)
class Devices:
    """Devices beside disks and network adapters: they stay behind."""

    vtpm: bool = False
    usb: bool = False  # a device of the host's is plugged in
    passthrough: int = 0  # PCI devices of the host's that are the machine's own
    others: tuple[str, ...] = ()  # names of further ones that hold data, or are the host's


@dataclass(frozen=True, slots=True)
class HostFeatures:
    """Features that a machine's host and cluster give it. A server has it in another way, or not at all."""

    fault_tolerance: str = ""  # its state, in the source's word; empty: the machine isn't protected
    cpu_affinity: bool = False  # pinned to processors
    memory_affinity: bool = False  # pinned to NUMA nodes
    rules: tuple[str, ...] = ()  # names of those that tie it to hosts or machines, or keep it away from them
    cpu_hot_add: bool = False
    memory_hot_add: bool = False
    ballooned_mib: int = 0  # taken away by the host
    latency_sensitive: bool = False  # it has processors of its own, for latency's sake
    memory_reserved: bool = False  # all of it
    # What it, or a device of it, may have at most, has in any case, or has before others: "CPU at most 500 MHz"
    limits: tuple[str, ...] = ()
    virtualizes: bool = False  # its guest is given the processor's virtualization, for machines of its own, say
    guest_settings: tuple[str, ...] = ()  # names of what its guest is given to read; the values may be secret
    managed_by: str = ""  # the product that has made it and looks after it, as the source calls that


@dataclass(frozen=True, slots=True)
class ServerDetails:
    """Details that only a server in OpenStack has, and that nothing takes along by itself."""

    flavor: str = ""  # its name
    status: str = ""  # in Nova's word, if it is one in which no server can be moved
    locked: bool = False  # nobody but an administrator stops it
    ephemeral_gib: int = 0  # disks on its compute node only
    swap_mib: int = 0
    config_drive: bool = False
    unseen_volumes: int = 0  # that the account may not see
    port_security_off: bool = False  # for one of its ports
    relay: bool = False  # it is one of Longshore's own


@dataclass(frozen=True, slots=True)
class LooseVolume:
    """Properties of a volume that no machine has, beside those of any disk."""

    status: str = ""  # in Cinder's word; it can be moved when it is "available"
    bootable: bool = False
    read_only: bool = False


class Unreadable(StrEnum):
    """The reasons why a disk can't be read over SSH: no single file holds its bytes and nothing else."""

    RAW_DEVICE = "raw-device"
    NO_FILES = "no-files"
    LAYERS = "layers"
    FORMAT = "format"
    ENCRYPTED = "encrypted"

    @property
    def words(self) -> str:
        """Return the reason in words that follow "it can't be read: "."""
        return _UNREADABLE[self]


_UNREADABLE = {
    Unreadable.RAW_DEVICE: "it is a raw device mapping, not a file",
    Unreadable.NO_FILES: "it is on storage without files (vSAN, vVols)",
    Unreadable.LAYERS: "it is spread over several files, for the machine has snapshots or is a linked clone",
    Unreadable.FORMAT: "it isn't a flat file",
    Unreadable.ENCRYPTED: "its file is encrypted",
}


@dataclass(frozen=True, slots=True)
class OverSsh:
    """A machine whose disks are read as files of its host: whole ones, since no file tells what has changed in it."""

    host: str  # as it is connected to
    pinned: bool  # whether a key of that host is known, without which it isn't
    unreadable: dict[str, Unreadable] = field(default_factory=dict)  # disks that can't be, by their keys


class Doubt(StrEnum):
    """Oddities of a machine in files. Each is the code of the concern that it is to a plan."""

    MISSING = "file-bytes-missing"  # a disk's bytes aren't all there
    MANIFEST = "file-manifest-differs"  # a disk's bytes aren't those that were exported
    SECTORS = "file-sectors"  # a disk's partitions count in sectors of another size than a volume has
    OLDER = "file-older-state"  # a newer state of the same disk lies beside it
    SUSPENDED = "file-machine-suspended"  # a part of the machine's state was in its memory
    CLAIM = "file-claim-differs"  # a description says of a file what isn't so, and the file tells otherwise by itself
    UNUSED = "file-unused"  # an image in the package that no disk of a machine is
    UNKNOWN = "file-part-unknown"  # a part of the description that isn't understood
    UNSAID = "file-not-said"  # the description leaves something open, or ambiguous, and a choice was made
    EMPTY = "file-disk-empty"  # a disk is said to have no file
    LEFT = "file-left-behind"  # something beside disks and adapters

    @property
    def stops(self) -> bool:
        """Tell whether nothing is moved until the user accepts it."""
        return self in (Doubt.MISSING, Doubt.MANIFEST, Doubt.SECTORS, Doubt.OLDER, Doubt.SUSPENDED)


@dataclass(frozen=True, slots=True)
class FileDoubt:
    kind: Doubt
    subject: str  # the file or disk that it is about
    text: str  # a sentence


@dataclass(frozen=True, slots=True)
class AsOf:
    """The moment that a machine in a backup is shown at."""

    moment: datetime  # with its zone; what was written before is there
    consistency: Consistency
    of: str = ""  # the same for all backups of one machine, where that has no id of its own; empty: nothing tells


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine at one moment. Sizes in bytes unless the name says otherwise."""

    ref: str  # the provider's own identifier (vSphere: managed object id, OpenStack: server id)
    name: str
    power: PowerState
    cpus: int
    memory_mib: int
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    firmware: Firmware = Firmware.BIOS
    secure_boot: bool = False
    guest_id: str = ""  # vSphere's guestId, for example debian12_64Guest
    guest_name: str = ""
    host_name: str = ""  # as the guest calls itself
    tools: ToolsState = ToolsState.NOT_INSTALLED
    change_tracking: bool = False
    can_track_changes: bool = True  # False: the tracking can't be switched on
    folder: str = ""
    cluster: str = ""
    host: str = ""
    connection: str = ""  # why its host can't be asked, in the source's word (disconnected, orphaned); empty: it can
    unreadable: bool = False  # the source can't say what it consists of
    unreadable_because: str = ""  # a sentence, where the source says why
    encrypted: bool = False  # by the source: its disks arrive in clear, for an account that may decrypt them
    boots_first_from: str = ""  # what the firmware tries before any disk, in words; empty: a disk comes first
    # What its firmware was told to try, in that order: disks and adapters by their keys, drives in words
    boot_order: tuple[str, ...] = ()
    uuid: str = ""
    instance_uuid: str = ""  # that no other machine of the vCenter has
    source_uuid: str = ""  # of the vCenter itself: references and names count from there
    hardware_version: str = ""  # vmx-19
    annotation: str = ""
    tags: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()  # names of snapshots already there
    consolidation_needed: bool = False  # its disks have layers left over from removed snapshots
    template: bool = False
    cores_per_socket: int = 1
    datacenter: str = ""
    pool: str = ""  # resource pool: its path below the cluster's own
    attributes: dict[str, str] = field(default_factory=dict)  # the user's own fields (vSphere: custom attributes)
    filesystems: tuple[FileSystem, ...] = ()
    platform: Platform = field(kw_only=True)
    freezes: bool = False  # OpenStack: a snapshot of the running machine freezes its guest, or fails
    server_settings: ServerSettings = field(default_factory=ServerSettings)
    server: ServerDetails = field(default_factory=ServerDetails)
    loose_volume: LooseVolume = field(default_factory=LooseVolume)
    devices: Devices = field(default_factory=Devices)
    host_features: HostFeatures = field(default_factory=HostFeatures)
    over_ssh: OverSsh | None = None  # None: they aren't read that way
    streamed: bool = False  # its disks come each as a whole, in order: nobody reads here and there in them
    no_way: bool = False  # its source was told no way to read its disks
    proxy: bool = False  # others' disks are attached to it, and read there
    as_of: AsOf | None = None  # None: as it is now
    file_doubts: tuple[FileDoubt, ...] = ()

    def read_elsewhere(self) -> "Machine":
        """Return the machine without what is only so of how its source reads its disks."""
        return replace(self, over_ssh=None, streamed=False, no_way=False)

    @property
    def never_runs(self) -> bool:
        """Tell whether its source never runs machines: it is a file, or in a backup. Raises KeyError as
        `Platform.traits` does."""
        return self.as_of is not None or not self.platform.traits.runs

    @property
    def can_begin_tracking(self) -> bool:
        """Tell whether its source could say what changes from now on, and doesn't yet."""
        read_by_parts = self.over_ssh is None and not self.streamed
        possible = self.can_track_changes and read_by_parts and not self.never_runs
        return possible and not self.change_tracking

    def is_another_than(self, known: "Machine") -> bool:
        """Tell whether this is surely another machine than the one that is known, though it has its reference: neither
        UUID is the same."""
        told = self.instance_uuid and known.instance_uuid and self.instance_uuid != known.instance_uuid
        return bool(told) and not (self.uuid and self.uuid == known.uuid)

    @property
    def mark(self) -> str:
        """Return what a server says it was made from: the same where the machine is registered anew, and another one
        than that of any machine elsewhere, as far as its source tells. Of a backup it is the backup's reference."""
        if self.as_of is not None:
            return self.ref
        mark = "/".join(filter(None, (self.source_uuid, self.instance_uuid or self.ref)))
        return mark if len(mark) <= _LONGEST_MARK else sha256(mark.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SnapshotDisk:
    """One disk as a snapshot holds it."""

    key: str
    location: str
    size: int
    change_id: str | None  # None: the source doesn't track changes of this disk


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All disks of a machine at one moment. Plain data: it is kept in workflow state and survives restarts."""

    ref: str
    machine_ref: str
    name: str
    disks: tuple[SnapshotDisk, ...]
    quiesced: bool = False
    one_moment: bool = True  # False: each disk is as it was at a moment of its own, some seconds apart
    # The source can tell what changed since only while this snapshot is there: it stays until the next one is copied
    is_base: bool = False

    def disk(self, key: str) -> SnapshotDisk:
        """Return the disk with this key. Raises NotFound when the snapshot has none such."""
        for disk in self.disks:
            if disk.key == key:
                return disk
        raise NotFound(f"The snapshot of {self.machine_ref} has no disk {key}.")
