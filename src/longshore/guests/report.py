"""Reports of what was found in a guest and what was done to it: plain data that flows keep and show."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T", bound="DataclassInstance")
GUEST_CHANGED = "guest-changed"  # code of the error when a guest isn't as a look has found it


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """One operating system on a machine's disks, as libguestfs inspects it."""

    root: str  # the device it was found on, in the appliance's naming
    family: str  # linux, windows, freebsd, …
    distribution: str = "unknown"  # debian, rhel, windows, …
    version: str = ""  # major.minor
    product: str = ""  # its own full name
    architecture: str = ""  # x86_64, aarch64, …
    package_format: str = "unknown"  # deb, rpm, …; "unknown" for Windows, too
    host_name: str = ""
    mounts: dict[str, str] = field(default_factory=dict)  # mount point to device
    uuids: dict[str, str] = field(default_factory=dict)  # mount point to its file system's UUID
    variant: str = ""  # Windows: Client, Server, …
    root_in_fstab: bool = True  # False: only the kernel's command line says what / is


@dataclass(frozen=True, slots=True)
class NicName:
    """The name by which a guest knew the interface with this MAC address, and shall go on knowing it."""

    mac: str
    name: str  # "" where nothing says in which slot the adapter sat
    others: tuple[str, ...] = ()  # names that it may have had instead, by the guest's age and settings
    old_mac: str = ""  # the address that it had until now, where that was another
    kernel_name: str = ""  # eth0 …, as the kernel has counted it, for guests that go by that

    @classmethod
    def told(cls, fields: Mapping[str, Any]) -> "NicName":
        """Make a name of the fields that another process has told as JSON, which knows no tuples."""
        return cls(**{**fields, "others": tuple(fields["others"])})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.name, *self.others, self.kernel_name) if name)


@dataclass(frozen=True, slots=True)
class NicAddresses:
    """The addresses that the target gives to the adapter with this MAC address."""

    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """The changes made to a guest after virt-v2v, and warnings of what couldn't be done; one sentence each."""

    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def of_all(cls, done: Iterable["Finished"]) -> "Finished":
        both = [(each.changes, each.warnings) for each in done]
        return cls(tuple(one for changes, _ in both for one in changes), tuple(one for _, told in both for one in told))


@dataclass(frozen=True, slots=True)
class ConversionReport:
    system: OperatingSystem
    messages: tuple[str, ...]  # what virt-v2v did, in order
    warnings: tuple[str, ...]  # what a person should look at after the boot
    changes: tuple[str, ...]  # what Longshore changed besides, one sentence each
    seconds: float
    log: str  # path of what the programs printed

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def alike(shape: type[_T], other: object) -> _T:
    """Make a record of another one's fields of the same names; what that one lacks has its default."""
    return shape(**{one.name: getattr(other, one.name) for one in fields(shape) if hasattr(other, one.name)})
