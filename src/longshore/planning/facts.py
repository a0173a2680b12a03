"""The facts about a target that are known when it is decided where machines land."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from longshore.model.target import (
    Choices,
    Flavor,
    FloatingAddress,
    Named,
    Network,
    Port,
    Present,
    QuotaRoom,
    SourceRoom,
)
from longshore.model.windows import WindowsParts


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """The facts about the target, as far as they matter to the machines that they were gathered for."""

    networks: tuple[Network, ...]
    volume_types: tuple[str, ...]
    flavors: tuple[Flavor, ...]
    room: QuotaRoom
    macs_in_use: frozenset[tuple[str, str]] = frozenset()  # (network id, MAC)
    addresses_in_use: frozenset[tuple[str, str]] = frozenset()  # (network id, address)
    choices: Choices | None = None  # None: no request names one
    ports: dict[str, Port] = field(default_factory=dict)  # those of the ports named in requests that are there, by id
    present: tuple[Present, ...] = ()  # the project's servers
    floating: tuple[FloatingAddress, ...] = ()  # the project's
    external_networks: tuple[Named, ...] = ()
    source: SourceRoom | None = None  # at the source; None: nothing is counted there
    emulates_tpm: bool | None = None  # on any flavor; None: it isn't known, or no machine has a TPM
    windows: WindowsParts | None = None  # of who converts guests; None: whether there are any isn't known here


def find_network(networks: Sequence[Network], name_or_id: str) -> list[Network]:
    """Find the network of a name or id. Returns several where it is the name of more than one, or the id of one and the
    name of another."""
    return [n for n in networks if name_or_id in (n.id, n.name)]


def list_networks(networks: Sequence[Network]) -> str:
    """List networks with their ids, to choose from."""
    return ", ".join(f"{n.name} ({n.id})" for n in networks)
