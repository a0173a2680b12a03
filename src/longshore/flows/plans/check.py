"""The machines of a plan as they are now, what is asked for each of them, and what stands against it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from longshore.errors import LongshoreError
from longshore.flows.facts import gather_for_plan, gather_for_volume
from longshore.flows.moves.hooks import hook_concerns
from longshore.model.concern import Concern, Severity
from longshore.model.machine import Machine
from longshore.model.plan import Entry, Plan, PlannedMachine, PlannedVolume
from longshore.model.request import MigrationRequest
from longshore.model.selection import MachineFilter
from longshore.planning import Preflight, TargetFacts
from longshore.planning.mappings import shared_names, unused_of_entry, unused_of_plan
from longshore.planning.plan_kinds import (
    MACHINE_NOT_FOUND,
    MACHINE_RENAMED,
    OPTION_REFUSED,
    VOLUME_NOT_FOUND,
)
from longshore.planning.planfile import request_of
from longshore.providers.contract import Machines, Source, Target

AT_ONCE = 50  # machines that are looked at together: few enough that what is known comes soon
FEW = 5  # machines that are looked up one by one; more of them cost less in one sweep over all


@dataclass(frozen=True, slots=True)
class Prospect:
    entry: Entry
    machine: Machine  # or a volume that none has
    request: MigrationRequest


@dataclass(frozen=True, slots=True)
class Examined:
    prospects: list[Prospect]  # those of which enough is known
    concerns: list[Concern]
    looked_at: int  # entries of the plan, those of which not enough is known among them

    @property
    def blockers(self) -> list[Concern]:
        return [c for c in self.concerns if c.severity is Severity.BLOCKER]


class LookUp:
    """A search for machines of a plan, some at a time: each by its reference, name or path, or why it isn't found."""

    def __init__(self, source: Machines) -> None:
        self._source = source
        self._known: dict[str, Machine] = {}  # by references
        self._meant: dict[str, Machine] = {}  # by words that mean one machine and no other one
        self._swept = False

    def find(self, entries: Sequence[PlannedMachine]) -> list[Machine | LongshoreError]:
        known = self._known
        refs = [entry.ref for entry in entries if entry.ref is not None and entry.ref not in known]
        known |= {m.ref: m for m in self._source.describe(refs)} if refs else {}
        unknown = [e for e in entries if (e.ref not in known if e.ref is not None else e.machine not in self._meant)]
        if not self._swept and len(unknown) > FEW:
            self._swept = True
            machines = list(self._source.machines())
            named = Counter(m.name for m in machines)
            known |= {m.ref: m for m in machines}
            unique = {m.name: m for m in machines if named[m.name] == 1 and m.name not in known}
            self._meant = {m.ref: m for m in machines if m.ref not in named} | unique
        return [self._found(entry) for entry in entries]

    def _found(self, entry: PlannedMachine) -> Machine | LongshoreError:
        if entry.ref is not None:
            return self._known.get(entry.ref) or _asked(self._source.by_reference, entry.ref)
        return self._meant.get(entry.machine) or _asked(self._source.machine, entry.machine)


def look_up(source: Machines, entries: Sequence[PlannedMachine]) -> list[Machine | LongshoreError]:
    return LookUp(source).find(entries)


def look_up_volumes(source: Source, entries: Sequence[PlannedVolume]) -> list[Machine | LongshoreError]:
    """Return volumes that no machine has, by their ids or names; for each that isn't found, why."""
    known = {volume.ref: volume for volume in source.volumes()} if len(entries) > FEW else {}
    return [
        known.get(entry.wanted)
        or (_asked(source.by_reference, entry.wanted) if entry.ref else _asked(source.volume, entry.volume))
        for entry in entries
    ]


def select(source: Machines, wanted: MachineFilter) -> list[Machine]:
    """Return all machines that fit, by folder and name; of a machine's backups only the newest, as a look-up by name
    does.

    Templates are left out: they are nobody's machine.
    """
    found: dict[tuple[str, ...], Machine] = {}
    for machine in source.machines(wanted):
        if machine.template:
            continue
        key: tuple[str, ...] = (machine.ref,)
        if machine.as_of is not None:
            key = machine.folder, machine.name, machine.instance_uuid or machine.uuid
            other = found.get(key)
            if other is not None and other.as_of is not None and other.as_of.moment > machine.as_of.moment:
                continue
        found[key] = machine
    return sorted(found.values(), key=lambda m: (m.folder, m.name))


def examine(
    source: Source,
    target: Target,
    plan: Plan,
    entries: Sequence[Entry],
    last: Mapping[str, Any],
    *,
    converts_here: bool,
) -> Iterator[Examined]:
    """Yield everything that stands against these machines and volumes of a plan, some of them at a time, as it becomes
    known; at last what only shows when all are seen together.

    `last` are options that win over the plan's own; a volume has no other type than its own. `converts_here` says that
    guests would be converted on this machine.
    """
    room, look, whole = source.room(), LookUp(source), Preflight()
    machines = [e for e in entries if isinstance(e, PlannedMachine)]
    facts: TargetFacts | None = None
    found: list[Machine] = []
    for some in (machines[n : n + AT_ONCE] for n in range(0, len(machines), AT_ONCE)):
        concerns: list[Concern] = []
        prospects = _machines(look, plan, some, last, concerns)
        moved = [(p.machine, p.request) for p in prospects]
        if moved:
            facts = gather_for_plan(target, moved, room, converts_here=converts_here, known=facts)
            concerns += whole.of_machines(moved, facts)
        found += [p.machine for p in prospects]
        yield Examined(prospects, concerns, len(some))
    stored = bool(found)  # on datastores
    if volumes := [e for e in entries if isinstance(e, PlannedVolume)]:
        concerns = []
        prospects = _volumes(source, plan, volumes, last, concerns)
        moved = [(p.machine, p.request) for p in prospects]
        concerns += whole.of_volumes(moved, gather_for_volume(target, room)) if moved else []
        found += [p.machine for p in prospects]
        yield Examined(prospects, concerns, len(volumes))
    concerns = whole.of_all(source.inventory() if stored else None, plan.limits.at_once)
    concerns += shared_names(plan.mappings.networks, plan.mappings.storage, found)
    if len(entries) == len(plan.entries) == len(found):
        concerns += unused_of_plan(plan, found)
    yield Examined([], concerns, 0)


def _machines(
    look: LookUp,
    plan: Plan,
    entries: Sequence[PlannedMachine],
    last: Mapping[str, Any],
    concerns: list[Concern],
) -> list[Prospect]:
    prospects: list[Prospect] = []
    for entry, found in zip(entries, look.find(entries), strict=True):
        if isinstance(found, LongshoreError):
            concerns.append(MACHINE_NOT_FOUND(entry.machine, found.message, found.advice or None))
            continue
        try:
            request = request_of(_with(plan.options_for(entry, found), last))
        except LongshoreError as error:
            concerns.append(_about(found, OPTION_REFUSED(entry.machine, error.message)))
            continue
        prospects.append(Prospect(entry, found, request))
        concerns.extend(_identity(entry, found))
        concerns.extend(_about(found, concern) for concern in unused_of_entry(entry, found))
        concerns.extend(hook_concerns(found, request))
    return prospects


def _volumes(
    source: Source, plan: Plan, entries: Sequence[PlannedVolume], last: Mapping[str, Any], concerns: list[Concern]
) -> list[Prospect]:
    prospects: list[Prospect] = []
    own = {name: value for name, value in last.items() if name != "type"}
    for entry, found in zip(entries, look_up_volumes(source, entries), strict=True):
        if isinstance(found, LongshoreError):
            concerns.append(VOLUME_NOT_FOUND(entry.machine, found.message, found.advice or None))
            continue
        prospects.append(Prospect(entry, found, request_of(_with(plan.options_for_volume(entry), own))))
        if entry.volume not in (found.name, found.disks[0].key):
            text = f"Volume {found.disks[0].key} is called {found.name}, the plan calls it {entry.volume}."
            concerns.append(_about(found, MACHINE_RENAMED(entry.machine, text)))
    return prospects


def _asked(look_up: Callable[[str], Machine], word: str) -> Machine | LongshoreError:
    try:
        return look_up(word)
    except LongshoreError as error:
        if error.code not in ("not-found", "conflict", "volume-attached"):
            raise  # the source itself is the trouble, not this machine or volume
        return error


def _with(options: dict[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    accepted = [*options.get("accept", ()), *last.get("accept", ())]
    return {**options, **last, "accept": list(dict.fromkeys(accepted))}


def _identity(entry: PlannedMachine, machine: Machine) -> list[Concern]:
    """Return a concern when a reference names another machine than the plan's words: the wrong machine
    would be moved."""
    if entry.machine == machine.ref or f"/{entry.machine}".endswith(f"/{machine.name}"):
        return []
    text = f"{machine.ref} is called {machine.name}, the plan calls it {entry.machine}."
    return [_about(machine, MACHINE_RENAMED(entry.machine, text))]


def _about(machine: Machine, concern: Concern) -> Concern:
    return replace(concern, machine=machine.ref)
