"""The machines of a plan as they are now, what is asked for each of them, and what stands against it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from longshore.errors import InvalidInput, LongshoreError, NotFound
from longshore.flows.clouds import Clouds
from longshore.flows.facts import gather_for_plan, gather_for_volume
from longshore.flows.moves.hooks import hook_concerns
from longshore.model.concern import Concern, Severity
from longshore.model.machine import Machine
from longshore.model.plan import Entry, Plan, PlannedMachine, PlannedVolume
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.selection import MachineFilter
from longshore.planning import Preflight, TargetFacts, planfile
from longshore.planning.mappings import shared_names, unused_of_entry, unused_of_plan
from longshore.planning.plan_kinds import (
    ALREADY_MIGRATING,
    MACHINE_NOT_FOUND,
    MACHINE_RENAMED,
    OPTION_REFUSED,
    VOLUME_NOT_FOUND,
)
from longshore.planning.planfile import request_of
from longshore.providers.contract import Machines, Source, Target
from longshore.store import Store

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
    concerns += shared_names(plan.mappings.networks, plan.mappings.storage, found, plan.mappings.zones)
    if len(entries) == len(plan.entries) == len(found):
        concerns += unused_of_plan(plan, found)
    yield Examined([], concerns, 0)


def entries_of(plan: Plan, wave: int | None, machines: Sequence[str] = ()) -> list[Entry]:
    """Return the entries of a wave, or of all waves; only those of `machines`, if any are named.

    Machines are named as the plan calls them, or by their references. Raises InvalidInput when there are none, or one
    that is named isn't among them.
    """
    if not plan.entries:
        raise InvalidInput(f"Plan {plan.name} has no machines.")
    entries = [e for e in plan.entries if wave is None or e.wave == wave]
    if not entries:
        waves = ", ".join(str(w) for w in plan.waves)
        raise InvalidInput(f"Plan {plan.name} has no wave {wave}.", advice=f"It has: {waves}.")
    if not machines:
        return entries
    known = {name for entry in entries for name in (entry.machine, entry.ref) if name}
    if missing := [name for name in machines if name not in known]:
        where = f"Plan {plan.name}" if wave is None else f"Wave {wave} of plan {plan.name}"
        raise InvalidInput(f"{where} has no machine {missing[0]}.", field="machines")
    return [entry for entry in entries if entry.machine in machines or entry.ref in machines]


def entries_asked(plan: Plan, wave: int | None, machines: Sequence[str], started_as: str | None) -> list[Entry]:
    """Return the entries that a start is about. `started_as`: its type; None for the plan's own.

    Raises InvalidInput as `entries_of`, or when a dry run would have nothing but volumes.
    """
    entries = entries_of(plan, wave, machines)
    if (started_as or plan.defaults.get("type")) != MigrationType.DRY_RUN.value:
        return entries
    rehearsed: list[Entry] = [entry for entry in entries if not isinstance(entry, PlannedVolume)]
    if not rehearsed:
        raise InvalidInput(
            "A dry run moves no volumes, and there is nothing else.", advice="Start it with another type."
        )
    return rehearsed


def together(examined: Iterable[Examined]) -> Examined:
    """Return all parts as one."""
    parts = list(examined)
    return Examined(
        [prospect for part in parts for prospect in part.prospects],
        [concern for part in parts for concern in part.concerns],
        sum(part.looked_at for part in parts),
    )


def examine_plan(
    store: Store,
    clouds: Clouds,
    plan_id: str,
    entries: Sequence[Entry],
    *,
    accept: Sequence[str],
    started_as: str | None,
) -> Iterator[Examined]:
    """Yield the machines of these entries as they are now, and what stands against moving them as asked: of some
    entries at a time, as it becomes known. The last part is about all of them."""
    plan = planfile.from_store(store.plans.with_texts(plan_id))  # whether a text can be taken is looked at, too
    clear = {entry.machine: entry for entry in plan.entries}
    entries = [clear.get(entry.machine, entry) for entry in entries]
    last: dict[str, Any] = {"accept": list(accept)} | ({"type": started_as} if started_as else {})
    source_id, target_id = store.providers.get(plan.source).id, store.providers.get(plan.target).id
    with clouds.source(source_id) as source, clouds.target(target_id) as target:
        here = not store.state.shared_database  # else a worker on another machine converts
        for part in examine(source, target, plan, entries, last, converts_here=here):
            yield replace(part, concerns=_with_those_under_way(store, plan_id, source_id, part))


def _with_those_under_way(store: Store, plan_id: str, source_id: str, examined: Examined) -> list[Concern]:
    """Return the concerns as they are with machines that are being migrated: of each of those, only that it is."""
    busy = {m.machine_ref: m for m in store.queue.records() if m.source_id == source_id} if examined.prospects else {}
    concerns = examined.concerns
    for prospect in examined.prospects:
        other = busy.get(prospect.machine.ref)
        if other is None:
            continue
        # Its addresses on the target are in use by itself
        concerns = [c for c in concerns if c.machine != prospect.machine.ref]
        if other.plan_id != plan_id:
            subject, whose = _seen(store, other.record_id)
            text = f"{prospect.machine.name} is being migrated already{whose}."
            concerns.insert(0, replace(ALREADY_MIGRATING(subject, text), machine=prospect.machine.ref))
    return concerns


def _seen(store: Store, migration_id: str) -> tuple[str, str]:
    """Return the subject of a concern about a migration, and words for whose it is.

    Of another project's migration, as of a machine of a shared source, only that is told.
    """
    try:
        store.migrations.get(migration_id)
    except NotFound:
        return "", ", by another project"
    return migration_id, f" ({migration_id})"


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
