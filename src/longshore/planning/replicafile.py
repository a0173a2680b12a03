"""Replicas and their groups as YAML that people read, edit and keep in git.

A file says how machines are protected, and nothing of what has become of that: no points, no pause. Where a replica's
options hold texts that may be secret there are marks in their place, as in plans.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import Any

from longshore.errors import InvalidInput
from longshore.model.group import MOST_TIERS, Gate
from longshore.model.plan import NAME, OPTIONS
from longshore.model.quantities import parse_duration, write_duration
from longshore.model.request import MigrationRequest, MigrationType
from longshore.planning import written
from longshore.planning.faults import Path, RequestFault
from longshore.planning.planfile import request_of
from longshore.planning.retention import parse_retention, write_retention
from longshore.planning.schedules import parse_calendar, parse_schedule

CODE = "replicas-refused"
# What isn't about replicas: they have no end, and nobody watches what playbooks do at each of their syncs
OF_REPLICAS = OPTIONS - {"type", "cutover", "before", "after", "isolated", "keep"}


@dataclass(frozen=True, slots=True)
class WrittenReplica:
    machine: str  # name, inventory path or reference
    source: str  # the provider's name
    target: str
    schedule: str = "every 15m"
    retention: str = "last 24"
    rpo: str | None = None
    prove: str | None = None
    audit: str | None = None
    options: dict[str, Any] = field(default_factory=dict)  # as in MigrationRequest

    @property
    def request(self) -> MigrationRequest:
        """Return the request that the options make. Raises InvalidInput."""
        return replace(request_of(self.options), type=MigrationType.REPLICA)


@dataclass(frozen=True, slots=True)
class WrittenGroup:
    name: str
    members: dict[str, int]  # by its machine, or SOURCE:MACHINE: the tier of a replica of the file, or that is there
    gates: dict[int, Gate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    replicas: tuple[WrittenReplica, ...] = ()
    groups: tuple[WrittenGroup, ...] = ()


_OWN = tuple(one.name for one in fields(WrittenReplica) if one.name != "options")


def read(text: str, file: str) -> Written:
    """Read a file of replicas. Raises InvalidInput that begins with file and line."""
    return written.read(text, file, parse, empty="It has replicas, groups, or both.", code=CODE)


def from_plain(data: Any) -> Written:
    """Read replicas from plain data that no file stands behind. Raises InvalidInput that names the place."""
    return written.understood(data, parse, CODE)


def parse(data: Any) -> Written:
    """Read replicas from plain data, of the form that a file or a request holds it in. Raises RequestFault."""
    top = written.table(data, (), ["replicas", "groups"], "A file of replicas")
    replicas: list[WrittenReplica] = []
    seen: set[tuple[str, str]] = set()
    for number, entry in enumerate(written.entries(top.get("replicas"), ("replicas",))):
        one = _replica(entry, ("replicas", number))
        if (one.source, one.machine) in seen:
            raise RequestFault(("replicas", number), f"{one.machine} of {one.source} is there twice.")
        seen.add((one.source, one.machine))
        replicas.append(one)
    groups: list[WrittenGroup] = []
    grouped: dict[str, str] = {}
    for number, entry in enumerate(written.entries(top.get("groups"), ("groups",))):
        group = _group(entry, ("groups", number))
        if group.name in {other.name for other in groups}:
            raise RequestFault(("groups", number), f"Group {group.name} is there twice.")
        for word in group.members:
            if word in grouped:
                text = f"{word} is in group {grouped[word]} already: a replica is in one at most."
                raise RequestFault(("groups", number, "members", word), text)
            grouped[word] = group.name
        groups.append(group)
    return Written(tuple(replicas), tuple(groups))


def write(content: Written) -> str:
    """Write replicas as YAML."""
    return written.write(plain(content))


def plain(content: Written) -> dict[str, Any]:
    """Return replicas as a file holds them: plain data, without what nobody has said."""
    replicas = [
        {name: value for name in _OWN if (value := getattr(one, name)) is not None} | _without_usual(one.options)
        for one in content.replicas
    ]
    groups = [
        {"name": one.name, "members": one.members}
        | ({"gates": {number: _plain_gate(gate) for number, gate in sorted(one.gates.items())}} if one.gates else {})
        for one in content.groups
    ]
    return {name: entries for name, entries in (("replicas", replicas), ("groups", groups)) if entries}


def text_of_seconds(seconds: int | None) -> str | None:
    return write_duration(timedelta(seconds=seconds)) if seconds else None


# Reading


def _replica(entry: Any, path: Path) -> WrittenReplica:
    table = written.table(entry, path, [*_OWN, *sorted(OF_REPLICAS)])
    for needed in ("machine", "source", "target"):
        if not table.get(needed):
            raise RequestFault(path, f'Each replica needs "{needed}".')
    for name in _OWN:
        if table.get(name) is not None and not isinstance(table[name], str):
            raise RequestFault((*path, name), f'"{name}" has to be a text.')
    own = {name: table[name] for name in _OWN if table.get(name) is not None}
    options = written.options({name: value for name, value in table.items() if name not in _OWN}, path)
    found = WrittenReplica(**own, options=options)
    _check(path, "rpo", lambda: parse_duration(found.rpo) if found.rpo else None)
    objective = parse_duration(found.rpo) if found.rpo else None
    _check(path, "schedule", lambda: parse_schedule(found.schedule, objective))
    _check(path, "retention", lambda: parse_retention(found.retention))
    _check(path, "prove", lambda: parse_calendar(found.prove) if found.prove else None)
    _check(path, "audit", lambda: parse_calendar(found.audit) if found.audit else None)
    _check(path, "machine", lambda: found.request)
    kept = write_retention(parse_retention(found.retention))
    return replace(found, retention=kept, rpo=write_duration(objective) if objective else None)


def _check(path: Path, name: str, read_it: Callable[[], object]) -> None:
    """Read an option, and raise RequestFault that says where when it can't be."""
    try:
        read_it()
    except InvalidInput as error:
        raise RequestFault((*path, name), " ".join(filter(None, (error.message, error.advice)))) from None


def _group(entry: Any, path: Path) -> WrittenGroup:
    table = written.table(entry, path, ["name", "members", "gates"])
    name = table.get("name")
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        text = 'Each group needs "name", made of letters, digits, dots, dashes and underscores.'
        raise RequestFault((*path, "name"), text)
    members = table.get("members")
    if not isinstance(members, dict) or not members:
        raise RequestFault((*path, "members"), f'Group {name} needs "members": a table of replicas and their tiers.')
    for word, tier in members.items():
        if not isinstance(word, str) or not word or not _is_tier(tier):
            raise RequestFault(
                (*path, "members", word), f"{word}: its tier has to be a whole number up to {MOST_TIERS}."
            )
    gates = table.get("gates") or {}
    if not isinstance(gates, dict):
        raise RequestFault((*path, "gates"), '"gates" has to be a table of tiers and what is after them.')
    # In JSON names are texts
    numbered = {int(one) if isinstance(one, str) and one.isdecimal() else one: gate for one, gate in gates.items()}
    for number in numbered:
        if number not in members.values():
            raise RequestFault(
                (*path, "gates", number), f"There is a gate after tier {number}, and no replica in that."
            )
    return WrittenGroup(
        name, dict(members), {number: _gate(gate, (*path, "gates", number)) for number, gate in numbered.items()}
    )


def _is_tier(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TIERS


def _gate(entry: Any, path: Path) -> Gate:
    table = written.table(entry, path, ["pause", "command"])
    pause, command = table.get("pause"), table.get("command", [])
    if pause is not None and not isinstance(pause, str):
        raise RequestFault((*path, "pause"), '"pause" has to be a length of time: 2m.')
    if not isinstance(command, list) or not all(isinstance(word, str) and word for word in command):
        raise RequestFault((*path, "command"), '"command" has to be a list of texts: the program and its arguments.')
    _check(path, "pause", lambda: parse_duration(pause) if pause else None)
    return Gate(parse_duration(pause).total_seconds() if pause else 0.0, tuple(command))


# Writing


def _plain_gate(gate: Gate) -> dict[str, Any]:
    pause = {"pause": write_duration(timedelta(seconds=gate.pause))} if gate.pause else {}
    return {**pause, **({"command": list(gate.command)} if gate.command else {})}


def _without_usual(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as a request has them all, without those that are what they would be anyway."""
    usual: dict[str, Any] = MigrationRequest().to_json()
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name not in OF_REPLICAS or value == usual[name]:
            continue
        tabled = isinstance(value, dict) and isinstance(usual[name], dict) and usual[name]
        found[name] = {key: one for key, one in value.items() if one != usual[name].get(key)} if tabled else value
    return found
