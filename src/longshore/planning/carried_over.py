"""Details of a machine at its source, as a server can keep them, within what Nova takes."""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain, count, islice

from longshore.border.texts import some
from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest
from longshore.model.target import Flavor
from longshore.planning.kinds import information

CARRIED_SHORTENED = information(
    "carried-shortened",
    "A note, tag or custom attribute of the machine's is longer than Nova takes, or there are more of them: it is "
    "shortened or left out. Nova takes 255 characters of a description, of metadata's names and values, and 60 of a "
    "tag; 50 tags, and 120 entries of metadata.",
    "Choose what goes along (--carry).",
)
CARRIED_RENAMED = information(
    "carried-renamed",
    "Names of custom attributes have characters that Nova doesn't take (letters beyond ASCII, slashes), and several "
    "would be the same without them: they get numbers.",
    "Choose what goes along (--carry), or give the server entries of your own (--metadata).",
)
CPU_TOPOLOGY_LEFT = information(
    "cpu-topology-left",
    "The machine has several cores on a socket, and the flavor a number of CPUs that its sockets can't share evenly, "
    "or it allows fewer sockets or cores (hw:cpu_max_sockets, hw:cpu_max_cores): the cloud chooses the server's.",
    "Name a flavor with as many CPUs (--flavor), if its guest is licensed by sockets.",
)

LONGEST = 255  # characters, of a description, and of a name or a value in metadata
LONGEST_TAG, MOST_TAGS = 60, 50
MOST_METADATA = 120  # Nova allows 128 by default, and some of them are Longshore's own
_NAMED, _SHOWN = 5, 80  # that are named in a sentence, and characters of each
_OWN = "longshore:"  # how the names of what Longshore notes itself begin
_NOT_IN_KEY = re.compile(r"[^a-zA-Z0-9_:. -]")
_NOT_IN_TAG = re.compile(r"[,/]")


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """All that a server is to have of these."""

    description: str
    tags: tuple[str, ...]
    metadata: dict[str, str]


def carry_along(machine: Machine, request: MigrationRequest) -> tuple[CarriedOver, list[Concern]]:
    """Choose what goes along. What the user asks for, or an OpenStack server has, comes first; then as much of what the
    rule of the request chooses as there is room for."""
    wanted, has = request.carry, machine.server_settings
    cut: list[str] = []
    renamed: list[str] = []
    tags = dict.fromkeys((*has.tags, *request.tags))
    metadata = {**has.metadata, **request.metadata}
    if machine.platform.traits.tags_apart:
        made: dict[str, str] = {}
        for tag, clean in _tags(machine, wanted.tags):
            if made.setdefault(clean, tag) != tag:
                cut.append(f"tag {tag}")  # which is another one's there
            tags.setdefault(_short(clean, LONGEST_TAG, f"tag {tag}", cut))
        said = frozenset(metadata)
        # Those first that can keep their names
        own_names = sorted(_attributes(machine, wanted.attributes), key=lambda one: bool(_NOT_IN_KEY.search(one[0])))
        for name, value in own_names:
            if name in said:  # which the user, or the server itself, says otherwise
                continue
            clean = _short(_NOT_IN_KEY.sub("_", name), LONGEST, f"attribute {name}", cut)
            key = _free(clean, metadata)
            metadata[key] = _short(value, LONGEST, f"the value of attribute {name}", cut)
            if key != clean:
                renamed.append(f"{name} is {key}")
    cut.extend(f"tag {tag}" for tag in list(tags)[MOST_TAGS:])
    cut.extend(f"attribute {name}" for name in list(metadata)[MOST_METADATA:])
    notes = _short(_printable(machine.annotation) if wanted.annotation else "", LONGEST, "its notes", cut)
    all_of_it = CarriedOver(notes, tuple(islice(tags, MOST_TAGS)), dict(islice(metadata.items(), MOST_METADATA)))
    concerns = [_shortened(machine, cut)] if cut else []
    if renamed:
        text = f"Names of attributes of {machine.name} are the same as others' in what Nova takes: {_some(renamed)}."
        concerns.append(CARRIED_RENAMED(machine.name, text))
    return all_of_it, concerns


def cpu_topology(
    machine: Machine, flavor: Flavor | None, request: MigrationRequest
) -> tuple[dict[str, str], list[Concern]]:
    """Return image properties by which a server has as many sockets as the machine; none where each core is one."""
    if flavor is None or not request.carry.cpu_topology or machine.cores_per_socket <= 1:
        return {}, []
    sockets = max(machine.cpus // machine.cores_per_socket, 1)
    if flavor.cpus % sockets:
        shared = f"the {flavor.cpus} CPUs of flavor {flavor.name}"
        text = f"The {sockets} sockets of {machine.name} can't share {shared} evenly."
        return {}, [CPU_TOPOLOGY_LEFT(machine.name, text)]
    cores = flavor.cpus // sockets
    if (flavor.most_sockets is not None and sockets > flavor.most_sockets) or (
        flavor.most_cores is not None and cores > flavor.most_cores
    ):  # Nova would refuse the server
        text = f"Flavor {flavor.name} doesn't allow the {sockets} socket(s) of {cores} cores that {machine.name} has."
        return {}, [CPU_TOPOLOGY_LEFT(machine.name, text)]
    return {"hw_cpu_sockets": str(sockets), "hw_cpu_cores": str(cores), "hw_cpu_threads": "1"}, []


def _tags(machine: Machine, chosen: bool | Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the chosen tags with what Nova takes of each; its category is before a colon there."""
    for tag in machine.tags:
        category = tag.partition("/")[0]
        if _is_chosen(category, chosen):
            yield tag.replace("/", ":", 1), _NOT_IN_TAG.sub("_", _printable(tag).replace("/", ":", 1))


def _attributes(machine: Machine, chosen: bool | Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the chosen attributes, but none that looks like a note of Longshore's own."""
    for name, value in machine.attributes.items():
        if _is_chosen(name, chosen) and not _NOT_IN_KEY.sub("_", name).startswith(_OWN):
            yield name, _printable(value)


def _free(key: str, taken: Container[str]) -> str:
    """Return the name, or the name with the first number that nobody has."""
    numbered = (f"{key[: LONGEST - len(str(n)) - 1]}-{n}" for n in count(2))
    return next(one for one in chain((key,), numbered) if one not in taken)


def _is_chosen(name: str, chosen: bool | Sequence[str]) -> bool:
    return chosen if isinstance(chosen, bool) else any(fnmatchcase(name, pattern) for pattern in chosen)


def _printable(text: str) -> str:
    """Write a text on one line. Nova takes no character beyond the first 65,535 in a description, and its database
    often none."""
    kept = (one for one in text if one.isspace() or (one.isprintable() and ord(one) < 0xFFFF))
    return " ".join("".join(kept).split())


def _short(text: str, longest: int, called: str, cut: list[str]) -> str:
    if len(text) > longest:
        cut.append(called)
    return text[:longest]


def _shortened(machine: Machine, cut: Sequence[str]) -> Concern:
    return CARRIED_SHORTENED(
        machine.name,
        f"Of what {machine.name} carries along Nova takes less: {_some(cut)}.",
    )


def _some(words: Sequence[str]) -> str:
    return some([word[:_SHOWN] for word in words], _NAMED)
