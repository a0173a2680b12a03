"""A plan with what became of its machines."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from longshore.api.schemas import PlanFigures, PlannedState, PlanSummary
from longshore.engine.stranded import LiveWorkers
from longshore.errors import Conflict, InvalidInput
from longshore.flows.plans.check import entries_of
from longshore.model.machine import VOLUME
from longshore.model.plan import Entry, Plan, PlannedVolume
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.planning import planfile
from longshore.service.shapes import shaped
from longshore.store import Outline, PlanRecord, Store


@dataclass(frozen=True, slots=True)
class Opened:
    id: str
    plan: Plan
    own: list[Outline]  # all that were started from it, oldest first
    unreadable: str | None = None  # why nothing but its name is known of it; None: it could be read

    @property
    def latest(self) -> dict[str, Outline | None]:
        """Return the latest migration of each entry, by what the plan calls it, in the plan's order."""
        by_ref: dict[str, Outline] = {m.machine_ref: m for m in self.own}
        return {
            entry.machine: by_ref.get(entry.wanted) or (None if entry.ref else self._called(entry))
            for entry in self.plan.entries
        }

    def _called(self, entry: Entry) -> Outline | None:
        """Return the latest migration of an entry that is named by its name.

        A machine may also be named by its path, with or without the datacenter.
        """
        of_volume = isinstance(entry, PlannedVolume)
        written = entry.volume if isinstance(entry, PlannedVolume) else entry.machine.strip("/")
        for migration in reversed(self.own):
            if migration.machine_ref.startswith(VOLUME) is not of_volume:
                continue
            if written == migration.machine_name:
                return migration
            if not of_volume and f"/{written}".endswith(f"/{migration.path}"):
                return migration
        return None


_TOLD_FIRST = (
    *(status.value for status in Status if status.waits_for_person),
    *(Status.PARKED.value, Status.FAILED.value, Status.ROLLING_BACK.value, Status.RUNNING.value),
    *(Status.QUEUED.value, "planned", Status.CANCELLED.value, Status.REHEARSED.value, Status.DONE.value),
)


def open_plan(store: Store, record: PlanRecord) -> Opened:
    """Return a plan with its migrations. Raises InvalidInput for a plan that can't be read."""
    (opened,) = open_plans(store, [record])
    if opened.unreadable is not None:
        raise InvalidInput(
            f"Plan {record.name} can't be read: {opened.unreadable}",
            advice=f"Export it, mend it and apply it again (longshore plan export {record.name}), or delete it.",
            code="plan-refused",
        )
    return opened


def open_plans(store: Store, records: Sequence[PlanRecord]) -> list[Opened]:
    """Return plans with their migrations. One that can't be read is among them, so that the others can be shown."""
    outlines = store.outlines.of_plans([record.id for record in records])
    return [_opened(record, outlines[record.id]) for record in records]


def _opened(record: PlanRecord, own: list[Outline]) -> Opened:
    try:
        return Opened(record.id, planfile.from_store(record.content), own)
    except InvalidInput as error:
        said = (record.content.get(word) for word in ("source", "target"))
        source, target = (value if isinstance(value, str) else "" for value in said)
        return Opened(record.id, Plan(record.name, source, target), own, unreadable=error.message)


def readable(record: PlanRecord) -> Plan | None:
    """Return the plan of a record; None when it can't be read."""
    try:
        return planfile.from_store(record.content)
    except InvalidInput:
        return None


def is_moved_or_moving(migration: Outline | None) -> bool:
    """Tell whether a machine is moved, or on its way. A dry run that is done has moved nothing."""
    if migration is None:
        return False
    rehearsed = migration.type == MigrationType.DRY_RUN.value
    return not migration.status.ended or (migration.status is Status.DONE and not rehearsed)


def is_over(record: PlanRecord, moved: Set[str]) -> bool:
    """Tell whether all that a plan has is among the references of what was moved from it.

    Nothing else of it is read: most plans of an installation are over. One that names anything without its reference
    isn't taken for that.
    """
    entries = [entry for what in ("machines", "volumes") for entry in record.content.get(what) or ()]
    return bool(entries) and all(isinstance(entry, dict) and _wanted(entry) in moved for entry in entries)


def _wanted(entry: Mapping[str, Any]) -> str | None:
    """Return the reference that the migrations of a plan's entry have."""
    ref = entry.get("ref")
    return f"{VOLUME}{ref}" if ref and "volume" in entry else ref


def states_of(opened: Opened, crew: LiveWorkers | None = None) -> list[PlannedState]:
    """Return how far each machine of a plan is, in the plan's order; with a crew, also why nobody of it can take it."""
    states = []
    latest = opened.latest
    for entry in opened.plan.entries:
        migration = latest[entry.machine]
        states.append(
            PlannedState(
                machine=entry.machine,
                ref=entry.ref,
                wave=entry.wave,
                status=migration.standing.value if migration else "planned",
                type=migration.type if migration else None,
                phase=migration.phase if migration else None,
                migration=migration.id if migration else None,
                error=migration.error if migration else None,
                stranded=crew.why(migration) if crew and migration else None,
            )
        )
    return states


def under_way(opened: Opened, machines: Sequence[str] = ()) -> list[Outline]:
    """Return the migrations under way, of the whole plan or of these machines.

    Raises Conflict when there is none, InvalidInput as `entries_of`.
    """
    found = [m for m in opened.own if not m.status.ended and (not machines or m.id in latest_of(opened, machines))]
    if not found:
        name = opened.plan.name
        what = "of these machines " if machines else ""
        raise Conflict(f"Nothing {what}of plan {name} is under way.", advice=f"See: longshore plan show {name}.")
    return found


def latest_of(opened: Opened, machines: Sequence[str]) -> set[str]:
    """Return the ids of the latest migrations of all entries, or of these machines.

    Raises InvalidInput as `entries_of`.
    """
    if not machines:
        return {m.id for m in opened.latest.values() if m is not None}
    latest = opened.latest
    named = entries_of(opened.plan, None, machines)
    return {m.id for entry in named if (m := latest[entry.machine]) is not None}


def counted(states: Sequence[PlannedState]) -> dict[str, int]:
    """Return how many machines are in each state: first what waits for a person, then what failed, then what moves."""
    found = Counter(state.status for state in states)
    return {state: found[state] for state in _TOLD_FIRST if state in found}


def summary(
    record: PlanRecord, opened: Opened, states: Sequence[PlannedState], figures: PlanFigures | None = None
) -> PlanSummary:
    """Return a plan in short. `states`: of all its machines."""
    plan = opened.plan
    return shaped(
        PlanSummary,
        plan,
        record,
        opened,
        machines=len(plan.machines),
        volumes=len(plan.volumes),
        waves=len(plan.waves),
        states=counted(states),
        figures=figures,
    )


def speaking_of(store: Store, records: Sequence[PlanRecord], machine: str) -> list[PlanRecord]:
    """Return the plans that name this machine, or from which it was started."""
    started = store.outlines.plans_of(machine)
    return [record for record in records if record.id in started or _names(record, machine)]


def _names(record: PlanRecord, machine: str) -> bool:
    if (plan := readable(record)) is None:
        return False
    by_path = any(machine in (e.machine, e.ref, e.machine.rpartition("/")[2]) for e in plan.machines)
    return by_path or any(machine in (e.volume, e.ref, e.machine, e.wanted) for e in plan.volumes)
