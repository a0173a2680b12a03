"""Servers as a cloud has them now, with all that somebody who keeps infrastructure as code has to say of them."""

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class BuiltVolume:
    id: str
    name: str
    description: str
    gib: int
    type: str | None
    zone: str | None
    bootable: bool


@dataclass(frozen=True, slots=True)
class BuiltFloating:
    """A floating IP that leads to a port."""

    id: str
    address: str
    network: str  # the name of the external network that it is from
    fixed: str | None
    description: str


@dataclass(frozen=True, slots=True)
class BuiltPort:
    id: str
    name: str
    description: str
    network_id: str
    mac: str  # as Neutron writes it: another spelling counts as another MAC
    group_ids: tuple[str, ...]
    fixed: tuple[tuple[str, str], ...] = ()  # subnet's id and address
    pairs: tuple[tuple[str, str], ...] = ()  # addresses that it may send from, too, each with its MAC
    floating: tuple[BuiltFloating, ...] = ()


@dataclass(frozen=True, slots=True)
class BuiltServer:
    id: str
    name: str
    status: str  # Nova's word: ACTIVE, SHUTOFF, …
    flavor: str  # its name
    key_name: str | None
    zone: str | None
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    group: str | None = None  # the server group that it is in
    volumes: tuple[BuiltVolume, ...] = ()  # that it boots from first, then as their devices are called
    ports: tuple[BuiltPort, ...] = ()  # in the order in which the guest sees its interfaces


class CodeFormat(StrEnum):
    """The tools whose files servers are written into."""

    TOFU = "tofu"  # OpenTofu, and Terraform
    HEAT = "heat"  # a template that points at what is there
    HEAT_ADOPT = "heat-adopt"  # what a stack is made of that has all of it from now on
    ANSIBLE = "ansible"  # tasks of openstack.cloud
