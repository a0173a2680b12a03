"""The surroundings of machines at a source: places, storage and networks, without the machines."""

from dataclasses import dataclass
from enum import StrEnum


class NetworkKind(StrEnum):
    STANDARD = "standard"  # a port group of the hosts' own switches
    DISTRIBUTED = "distributed"  # a port group of a switch that spans hosts
    OPAQUE = "opaque"  # made and kept by something else, such as NSX


@dataclass(frozen=True, slots=True)
class Cluster:
    ref: str
    name: str
    datacenter: str


@dataclass(frozen=True, slots=True)
class Host:
    ref: str
    name: str
    datacenter: str
    cluster: str  # empty: a host of its own
    version: str
    connected: bool
    maintenance: bool
    cores: int
    memory: int  # bytes


@dataclass(frozen=True, slots=True)
class Folder:
    ref: str
    path: str  # below the datacenter's machine folder: "Prod/Web"
    datacenter: str


@dataclass(frozen=True, slots=True)
class ResourcePool:
    ref: str
    path: str  # below the cluster's own pool
    cluster: str  # or the host of its own


@dataclass(frozen=True, slots=True)
class Datastore:
    ref: str
    name: str
    datacenter: str
    kind: str  # VMFS, NFS, vsan, …
    capacity: int  # bytes
    free: int  # bytes
    accessible: bool = True
    maintenance: bool = False


@dataclass(frozen=True, slots=True)
class SourceNetwork:
    ref: str
    name: str
    datacenter: str
    kind: NetworkKind
    vlan: str = ""  # "30", "0-4094" for a trunk, "private 101"; empty: none, or not known
    switch: str = ""  # the distributed switch it belongs to


@dataclass(frozen=True, slots=True)
class Inventory:
    datacenters: tuple[str, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    hosts: tuple[Host, ...] = ()
    folders: tuple[Folder, ...] = ()
    pools: tuple[ResourcePool, ...] = ()
    datastores: tuple[Datastore, ...] = ()
    networks: tuple[SourceNetwork, ...] = ()
