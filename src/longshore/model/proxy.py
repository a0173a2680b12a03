"""Proxies: machines of a source that other machines' disks are attached to, and read there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy of a provider, as it is now."""

    name: str  # as the provider's settings name it
    ref: str = ""
    power: str = ""  # in the source's word
    host: str = ""  # whose datastores it reaches
    address: str = ""  # at which it says that it serves disks; empty: it has said nothing yet
    room: int = 0  # disks that can be attached to it beside those that are
    attached: tuple[str, ...] = ()  # the disks' files
    trouble: str = ""  # why nothing is attached to it, in a sentence; empty: nothing stands against it


@dataclass(frozen=True, slots=True)
class NewProxy:
    """A proxy that is to be made: its name, where it is to be, and the address that it is to have."""

    name: str
    host: str  # whose datastores it reaches
    datastore: str  # for its own disk
    network: str
    address: str  # with its prefix
    gateway: str | None = None  # None: nobody connects to it from another network
