"""The words by which a mapping may name a network or a datastore of the source: its name, DATACENTER/NAME, or its
reference. A cluster or a folder goes by the first two.

The most exact word wins. Several can have one name, in two datacenters as well as in one OpenStack project.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from longshore.model.machine import Disk, Machine, Nic


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A network, datastore, cluster or folder, as machines tell of the one that they are on or in."""

    ref: str
    datacenter: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.datacenter}/{self.name}" if self.datacenter else ""

    @property
    def words(self) -> tuple[str, ...]:
        """Return its words, the most exact one first."""
        return tuple(word for word in dict.fromkeys((self.ref, self.path, self.name)) if word)

    def __str__(self) -> str:
        known = f" ({self.ref})" if self.ref and self.ref != self.name else ""
        return f"{self.path or self.name}{known}"


def network(machine: Machine, nic: Nic) -> NamedPlace:
    return NamedPlace(nic.network_ref, machine.datacenter, nic.network)


def storage(machine: Machine, disk: Disk) -> NamedPlace:
    return NamedPlace(disk.storage_ref, machine.datacenter, disk.storage)


def networks_of(machines: Iterable[Machine]) -> list[NamedPlace]:
    """Return each network once, by name."""
    found = {network(machine, nic) for machine in machines for nic in machine.nics}
    return sorted(found, key=lambda place: (place.name, place.datacenter, place.ref))


def storage_of(machines: Iterable[Machine]) -> list[NamedPlace]:
    found = {storage(machine, disk) for machine in machines for disk in machine.disks}
    return sorted(found, key=lambda place: (place.name, place.datacenter, place.ref))


def above(machine: Machine) -> Iterator[NamedPlace]:
    """Yield the folders that a machine is in, the deepest first, and then its cluster."""
    folder = machine.folder
    while folder:
        yield NamedPlace("", machine.datacenter, folder)
        folder = folder.rpartition("/")[0]
    if machine.cluster:
        yield NamedPlace("", machine.datacenter, machine.cluster)


def mapped(table: Mapping[str, str], place: NamedPlace) -> str | None:
    """Return what it is mapped to; None: no mapping names it."""
    word = word_for(table, place)
    return None if word is None else table[word]


def word_for(table: Container[str], place: NamedPlace) -> str | None:
    """Return the word by which it is mapped; None: no mapping names it."""
    return next((word for word in place.words if word in table), None)


def several(table: Container[str], places: Sequence[NamedPlace]) -> Iterator[tuple[str, list[NamedPlace]]]:
    """Yield the words of a mapping that mean several of these, where nothing more exact is said of them."""
    meant: dict[str, list[NamedPlace]] = defaultdict(list)
    for place in places:
        if word := word_for(table, place):
            meant[word].append(place)
    return ((word, found) for word, found in meant.items() if len(found) > 1)


def only(place: NamedPlace, places: Sequence[NamedPlace]) -> list[str]:
    """Return the words that mean none of the others, the plainest first."""
    others = {word for other in places if other != place for word in other.words}
    return [word for word in reversed(place.words) if word not in others]


def shown(table: Container[str], place: NamedPlace, places: Sequence[NamedPlace]) -> str:
    """Return the word by which it is mapped, or else would be."""
    return word_for(table, place) or next(iter(only(place, places)), place.name)


def words_of(places: Sequence[NamedPlace]) -> list[str]:
    """Return one word for each of them, to map it by."""
    return list(dict.fromkeys(shown((), place, places) for place in places))
