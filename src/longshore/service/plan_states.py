"""Progress of the machines of a plan, some at a time, or of those that have changed."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import TypeAdapter

from longshore.api.schemas import ListedMigration, Moment, PlannedProgress, PlannedState, PlanStates
from longshore.engine.stranded import crew_of
from longshore.errors import InvalidInput
from longshore.model.copy_progress import figures_of
from longshore.model.request import MigrationType
from longshore.service.migrations_shown import listed
from longshore.service.opened_plan import is_moved_or_moving, open_plans, states_of, summary
from longshore.service.paging import LIMIT
from longshore.service.parts import TheStore, judged_router
from longshore.service.plan_figures import plan_figures
from longshore.service.shared_reads import TheReads, answered
from longshore.store import JobFilter, Store
from longshore.store.tables import without_zone

router = judged_router("/v1")
_STATES = TypeAdapter(PlanStates)
_Up = Literal["machine", "wave", "state"]
_Down = Literal["-machine", "-wave", "-state"]
_SORTS: dict[str, Callable[[PlannedState], Any]] = {
    "machine": lambda one: one.machine.casefold(),
    "wave": lambda one: one.wave,
    "state": lambda one: one.status,
}

_OF_MIGRATION = (
    *("interrupted", "waits_for_cutover", "cutover_failed", "downtime_seconds"),
    *("parked", "queued_behind", "disks"),
)
_COMMITS_WITHIN = 3.0  # seconds: what has changed isn't seen before its transaction ends


@router.get("/plans/{name}/states", response_model=PlanStates)
async def states(  # noqa: PLR0917
    name: str,
    store: TheStore,
    reads: TheReads,
    q: Annotated[str, Query(description="A part of the machine's name.")] = "",
    status: Annotated[str, Query(description="Only those in this state.")] = "",
    sort: Annotated[_Up | _Down | None, Query(description="By what; -NAME: the other way round.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = LIMIT,
    offset: Annotated[int, Query(ge=0, le=1 << 31)] = 0,
    changed_since: Annotated[Moment | None, Query(description="The `until` of an earlier answer.")] = None,
) -> Response:
    """Return how far a plan's machines are, in its order unless `sort` says otherwise, with the figures of what is
    being copied.

    With `changed_since` only those whose migration has changed since then, or whose machine is off meanwhile, or that
    nobody runs; some may be told again that haven't changed. Ask for all of them when `version` is another one than
    before, when a migration was forgotten, or when one that nobody ran goes on.
    """
    if changed_since is not None and status:
        raise InvalidInput("What has changed may have left that state.", advice="Leave the state out.", field="status")
    what = "plan's states", name, q, status, sort, limit, offset, changed_since, store.scope

    def read() -> bytes:
        return _STATES.dump_json(_read(store, name, q, status, sort, (offset, limit), changed_since))

    return answered(await reads.read(what, read, store.scope.project_id))


def _read(  # noqa: PLR0917
    store: Store, name: str, q: str, status: str, sort: str | None, page: tuple[int, int], since: datetime | None
) -> PlanStates:
    until = store.outlines.now() - _COMMITS_WITHIN
    record = store.plans.get(name)
    (opened,) = open_plans(store, [record])
    crew = crew_of(store)
    all_of_them = states_of(opened, crew)
    fitting = [one for one in all_of_them if q.casefold() in one.machine.casefold() and status in ("", one.status)]
    if sort is not None:
        fitting.sort(key=_SORTS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    if since is not None:
        changed = store.outlines.changed(record.id, since.replace(tzinfo=UTC).timestamp())
        # Nothing is written of what nobody runs any more
        idle = set() if crew.running else {m.id for m in opened.latest.values() if m and not m.status.ended}
        fitting = [one for one in fitting if one.migration in changed | idle or one.stranded]
    offset, limit = page
    latest = [m for m in opened.latest.values() if m is not None]
    whole, *waves = plan_figures(opened, all_of_them, store.outlines.disks_of_plans([record.id]), crew)
    return PlanStates(
        plan=summary(record, opened, all_of_them, whole),
        may_take_back=sum(m.may_be_taken_back for m in latest),
        broken_off=0 if crew.running else _broken_off(store, record.id),
        figures=whole,
        waves=waves,
        version=record.version,
        until=without_zone(datetime.fromtimestamp(until, UTC)),
        total=len(fitting),
        startable=len(all_of_them) - sum(map(is_moved_or_moving, latest)),
        may_cut_over=sum(m.type == MigrationType.WARM.value and not m.status.ended for m in latest),
        machines=_with_progress(store, fitting[offset : offset + limit]),
    )


def _broken_off(store: Store, plan_id: str) -> int:
    return sum(store.migrations.counts(JobFilter(plan_id=plan_id, broken_off=True)).values())


def _with_progress(store: Store, states: Sequence[PlannedState]) -> list[PlannedProgress]:
    begun = store.migrations.several([one.migration for one in states if one.migration])
    told = {one.id: _figures(one, record.syncs) for record, one in zip(begun, listed(store, begun), strict=True)}
    return [PlannedProgress(**one.model_dump(), **told.get(one.migration or "", {})) for one in states]


def _figures(migration: ListedMigration, syncs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields of a machine's state that come from its migration, beside the status itself."""
    figures = [figures_of(disk.state, disk.progress) for disk in migration.disks]
    left = [one.left for one in figures if one.left is not None]
    return {
        **{name: getattr(migration, name) for name in _OF_MIGRATION},
        "syncs": len(syncs),
        "bytes_changed": syncs[-1]["bytes_changed"] if syncs else None,
        "bytes_done": sum(one.done for one in figures) if figures else None,
        "bytes_total": sum(one.total for one in figures) if figures else None,
        "bytes_per_second": sum(one.rate for one in figures) if figures else None,
        "seconds_left": max(left, default=None),
    }
