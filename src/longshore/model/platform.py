"""The kinds of cloud, and what each declares of its machines: planning and the flows ask that, never for a name."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

ProviderKind = Literal["vsphere", "openstack", "files"]
Side = Literal["source", "target"]


@dataclass(frozen=True, slots=True)
class Traits:
    """Of the machines of a kind of cloud."""

    runs: bool = True  # there is a cloud in which they run, and change while they are copied
    on_kvm: bool = False  # they run on KVM already: a guest lands unchanged, unless something is to be put into it
    asks_guest: bool = True  # stopping and knowing one takes something inside the guest that answers
    tags_apart: bool = False  # tags and attributes are the inventory's own: read apart, carried along by a rule
    in_quota: bool = False  # what is made to read their disks counts against a quota of the source
    as_server: bool = (
        False  # they are servers: their types, zones, key pairs, image properties may be the target's, too
    )


class Platform(StrEnum):
    """What kind of cloud a machine comes from."""

    traits: Traits

    VSPHERE = "vsphere", Traits(tags_apart=True)
    FILES = "files", Traits(runs=False)
    OPENSTACK = "openstack", Traits(on_kvm=True, asks_guest=False, in_quota=True, as_server=True)

    def __new__(cls, value: str, traits: Traits) -> Self:
        self = str.__new__(cls, value)
        self._value_ = value
        self.traits = traits
        return self
