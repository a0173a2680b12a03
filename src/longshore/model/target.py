"""The things on the target side: where a machine lands, and what makes it up."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from longshore.model.machine import AllowedAddress

# In the metadata of a server, or of a volume that no server has: mark of the machine, or reference of the volume, that
# it was made from
SOURCE = "longshore:source"
DISK_BUS = "longshore:disk-bus"  # metadata of a volume that isn't on its server's own bus: nobody else tells it


@dataclass(frozen=True, slots=True)
class Owner:
    """The workflow and step that a thing outside belongs to.

    Written into the thing's metadata before anything else happens to it, so that a second run of the same step finds it
    instead of making another, and clean-up never touches what isn't ours.
    """

    workflow: str  # the migration's id
    step: str  # unique within the workflow, for example "volume-2000"

    @property
    def tag(self) -> str:
        return f"{self.workflow}/{self.step}"


@dataclass(frozen=True, slots=True)
class VolumeRequest:
    name: str
    size: int  # bytes; rounded up to what the cloud can make
    volume_type: str | None
    bootable: bool = False
    availability_zone: str | None = None
    image_properties: dict[str, str] = field(default_factory=dict)  # volume image metadata (hw_disk_bus, …)
    image_id: str | None = None  # what it holds at first; without this and a snapshot: zeroes
    snapshot_id: str | None = None
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)  # given to it when it is finished
    read_only: bool = False  # for servers, once it is finished


@dataclass(frozen=True, slots=True)
class Volume:
    id: str
    name: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class VolumeSnapshot:
    id: str
    volume_id: str


@dataclass(frozen=True, slots=True)
class MarkedVolume:
    """A volume of the project, with what it says of itself."""

    id: str
    size: int  # bytes
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class MarkedSnapshot:
    id: str
    volume_id: str
    size: int  # bytes, of its volume when it was taken
    usable: bool
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Marked:
    """Volumes of a project and their snapshots that carry some mark."""

    volumes: tuple[MarkedVolume, ...]
    snapshots: tuple[MarkedSnapshot, ...]


@dataclass(frozen=True, slots=True)
class PortRequest:
    name: str
    network_id: str
    mac: str | None
    fixed_addresses: tuple[str, ...] = ()  # empty: the cloud chooses
    security_groups: tuple[str, ...] | None = None  # names or ids; None: the project's default
    subnet_id: str | None = None  # out of which the cloud chooses an address; None: any of the network's
    allowed_addresses: tuple[AllowedAddress, ...] = ()
    plugged: bool = True  # False: it is down, as if no cable were in it


@dataclass(frozen=True, slots=True)
class Port:
    id: str
    mac: str
    addresses: tuple[str, ...]
    network_id: str
    in_use: bool = False  # by a server, a router, …


@dataclass(frozen=True, slots=True)
class ServerPort:
    """A port that a server has, and what another one like it is asked for with."""

    id: str
    server_id: str
    like: PortRequest
    floating: dict[str, str] = field(default_factory=dict)  # floating IPs, by the address they lead to


@dataclass(frozen=True, slots=True)
class ServerRequest:
    name: str
    flavor_id: str
    volume_ids: tuple[str, ...]  # in boot order, the first is booted from
    port_ids: tuple[str, ...]
    availability_zone: str | None = None
    key_name: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    server_group: str | None = None  # name or id
    user_data: str | None = None  # for cloud-init, as longshore.model.user_data tells it
    tags: tuple[str, ...] = ()
    description: str = ""
    config_drive: bool = False
    disk_buses: tuple[str | None, ...] = ()  # one for each volume, None: as its image properties say; empty: all None


@dataclass(frozen=True, slots=True)
class Server:
    id: str
    name: str
    status: str  # in Nova's words: ACTIVE, SHUTOFF, ERROR, …

    @property
    def is_off(self) -> bool:
        return self.status == "SHUTOFF"


@dataclass(frozen=True, slots=True)
class Present:
    """A server, or a volume, that is there already."""

    id: str
    name: str
    source: str | None  # mark or reference of what Longshore made it from


@dataclass(frozen=True, slots=True)
class FloatingAddress:
    id: str
    address: str
    network_id: str  # external
    port_id: str | None  # None: it is free


@dataclass(frozen=True, slots=True)
class Flavor:
    id: str
    name: str
    cpus: int
    memory_mib: int
    disk_gib: int
    tpm: str = ""  # the version of the virtual TPM that its servers get; empty: they have none
    narrowing: tuple[str, ...] = ()  # extra specs by which its servers can run on some hosts alone, or take a device
    most_sockets: int | None = None  # that an image may ask for; None: any number
    most_cores: int | None = None  # of each socket, likewise


@dataclass(frozen=True, slots=True)
class Subnet:
    id: str
    cidr: str
    allows_dhcp: bool
    name: str = ""
    gateway: str = ""  # "": it has none
    automatic: bool = (
        False  # its addresses follow from the ports' MACs (SLAAC, stateless DHCPv6), and none can be asked for
    )


@dataclass(frozen=True, slots=True)
class Network:
    id: str
    name: str
    shared: bool
    owned: bool  # by the project we act in, or we act as one who may do more: MACs and addresses may be chosen
    subnets: tuple[Subnet, ...]
    vlan: int | None = None  # None: none, or the cloud doesn't tell a plain member
    own_macs_only: bool = False  # ports may not be bound that speak with other MACs than their own
    port_security: bool = True  # of new ports; without it they can have neither security groups nor allowed addresses


@dataclass(frozen=True, slots=True)
class Taken:
    """The MACs and addresses, of those asked about, that a network's ports have already."""

    macs: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    may_choose: bool | None = (
        None  # MACs and addresses there, though it is another project's; None: it isn't, or nobody knows
    )


@dataclass(frozen=True, slots=True)
class Named:
    """A thing that can be asked for by its name or its id."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Choices:
    """The names that a server's settings can be chosen from."""

    zones: tuple[str, ...]  # availability zones for servers
    volume_zones: tuple[str, ...]  # and for volumes
    key_pairs: tuple[str, ...]
    security_groups: tuple[Named, ...]
    server_groups: tuple[Named, ...]
    fingerprints: Mapping[str, str] = field(default_factory=dict)  # of the key pairs, by their names


@dataclass(frozen=True, slots=True)
class VolumeTypeRoom:
    """The room that the quota of one volume type still leaves; None is unlimited."""

    volumes: int | None
    gigabytes: int | None  # GiB, snapshots counted too
    snapshots: int | None


@dataclass(frozen=True, slots=True)
class QuotaRoom:
    """The room that the project's quota still leaves; None is unlimited. Gigabytes are GiB, memory is MiB."""

    instances: int | None
    cores: int | None
    memory_mib: int | None
    volumes: int | None
    gigabytes: int | None
    snapshots: int | None
    ports: int | None
    largest_volume: int | None = None  # GiB
    volume_types: dict[str, VolumeTypeRoom] = field(default_factory=dict)  # only those with a quota of their own


@dataclass(frozen=True, slots=True)
class SourceRoom:
    """The room that a source's quota still leaves for what has to be made there to read disks."""

    quota: QuotaRoom
    reads_volumes: bool  # for each snapshot of a volume another volume is made of it
