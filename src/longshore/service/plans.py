"""Plans: listed, checked, started, watched over."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import Query, Response
from pydantic import TypeAdapter

from longshore.api.reports import Attempt, PlanReport, ReportedMachine
from longshore.api.schemas import (
    CutoverTime,
    FoundMachine,
    Migration,
    PlanConcern,
    PlanStart,
    PlanSummary,
    PlanView,
)
from longshore.engine.stranded import crew_of
from longshore.errors import Conflict
from longshore.flows.plans.check import entries_asked, entries_of, examine_plan, look_up, look_up_volumes, together
from longshore.model.machine import Machine
from longshore.model.request import MigrationType
from longshore.planning.catalogue import refuse_unknown
from longshore.service.migrations import request_cutover
from longshore.service.migrations_shown import MIGRATIONS, shown
from longshore.service.opened_plan import (
    Opened,
    counted,
    is_moved_or_moving,
    is_over,
    latest_of,
    open_plan,
    open_plans,
    speaking_of,
    states_of,
    summary,
    under_way,
)
from longshore.service.paging import ThePage
from longshore.service.parts import ThePlansClouds, ThePlansStore, TheStore, judged_router
from longshore.service.plan_changes import etag_of
from longshore.service.plan_figures import plan_figures
from longshore.service.plan_start import begin, refuse_unfit_start, try_again
from longshore.service.queued import going_on
from longshore.service.reports import plan_report, reports_of
from longshore.service.shapes import shown_concern
from longshore.service.shared_reads import TheReads, answered
from longshore.store import PlanRecord, Store
from longshore.store.outlines import Outline
from longshore.store.standing import waits_for_cutover

router = judged_router("/v1")
_VIEW = TypeAdapter(PlanView)
Ahead = Annotated[
    bool, Query(description="Those that are queued or still copied, too: each as soon as it is copied, unasked.")
]
Some = Annotated[tuple[str, ...], Query(description="Only these machines, as the plan calls them; none: all.")]


@router.get("/plans")
def plans(
    store: TheStore,
    page: ThePage,
    machine: str | None = None,
    draft: str | None = None,
    provider: Annotated[str | None, Query(description="On either side, as the plans call it.")] = None,
    *,
    figures: Annotated[bool, Query(description="With those of each, added up.")] = False,
    unmoved: Annotated[bool, Query(description="Only those that are no drafts, and not all moved.")] = False,
) -> list[PlanSummary]:
    """List the plans, by name; or those that have a machine of this name, path or reference. Markers are names.

    `draft`: the draft of this word.
    """
    records = [record for record in store.plans.all() if draft in (None, record.draft)]
    if machine is not None:
        records = speaking_of(store, records, machine)
    if provider is not None:
        records = [r for r in records if provider in (r.content.get("source"), r.content.get("target"))]
    if unmoved:
        moved = store.outlines.moved([record.id for record in records if record.draft is None])
        records = [r for r in records if r.draft is None and not is_over(r, moved.get(r.id, set()))]
    shown_now = page.of(records, lambda record: record.name)
    opened = open_plans(store, shown_now)
    told = [states_of(one) for one in opened]
    if not figures:
        return [summary(*one) for one in zip(shown_now, opened, told, strict=True)]
    disks, crew = store.outlines.disks_of_plans([record.id for record in shown_now]), crew_of(store)
    return [
        summary(record, one, states, plan_figures(one, states, disks, crew)[0])
        for record, one, states in zip(shown_now, opened, told, strict=True)
    ]


@router.get("/plans/{name}", response_model=PlanView)
async def plan(name: str, store: TheStore, reads: TheReads) -> Response:
    """Show a plan, with how far each of its machines is."""

    def read() -> tuple[bytes, str]:
        record = store.plans.get(name)
        return _VIEW.dump_json(_view(record, store)), etag_of(record)

    body, etag = await reads.read(("plan", name, store.scope), read, store.scope.project_id)
    return answered(body, {"ETag": etag})


def _view(record: PlanRecord, store: Store) -> PlanView:
    (opened,) = open_plans(store, [record])
    states = states_of(opened, crew_of(store))
    return PlanView(
        plan=record.content,
        project_id=record.project_id,
        created_at=record.created_at,
        changed_at=record.changed_at,
        version=record.version,
        draft=record.draft,
        machines=states,
        flavors=[flavor.name for flavor in store.plan_flavors.of_plan(record.id)],
        unreadable=opened.unreadable,
    )


@router.delete("/plans/{name}", status_code=204)
def remove(name: str, store: TheStore) -> None:
    """Forget a plan; refused while one of its migrations hasn't ended. Their records stay, and flavors made for it."""
    store.plans.remove(name)


@router.get("/plans/{name}/machines")
def machines(name: str, store: ThePlansStore, clouds: ThePlansClouds) -> list[FoundMachine]:
    """List a plan's machines, and volumes, as the source has them now."""
    plan = open_plan(store, store.plans.get(name)).plan
    with clouds.source(plan.source) as source:
        found = [*look_up(source, plan.machines), *look_up_volumes(source, plan.volumes)]
    return [
        FoundMachine(entry=entry.machine, wave=entry.wave, machine=one, error=None)
        if isinstance(one, Machine)
        else FoundMachine(entry=entry.machine, wave=entry.wave, machine=None, error=str(one))
        for entry, one in zip(plan.entries, found, strict=True)
    ]


@router.post("/plans/{name}/check")
def check(name: str, body: PlanStart, store: ThePlansStore, clouds: ThePlansClouds) -> list[PlanConcern]:
    """Check what stands against starting a plan so, or might: nothing is made."""
    opened = open_plan(store, store.plans.get(name))
    refuse_unknown(body.accept)
    entries = entries_asked(opened.plan, body.wave, body.machines, body.type)
    examined = together(examine_plan(store, clouds, opened.id, entries, accept=body.accept, started_as=body.type))
    names = {p.machine.ref: p.entry.machine for p in examined.prospects}
    return [shown_concern(c, names.get(c.machine)) for c in examined.concerns]


@router.post("/plans/{name}/start", status_code=202)
def start(name: str, body: PlanStart, store: ThePlansStore, clouds: ThePlansClouds) -> list[Migration]:
    """Start migrations for all of a plan's machines, or a wave of them, that aren't moved or on their way yet; now or
    at a time.
    """
    opened = open_plan(store, store.plans.get(name))
    latest = opened.latest
    entries = entries_asked(opened.plan, body.wave, body.machines, body.type)
    todo = [e for e in entries if not is_moved_or_moving(latest[e.machine])]
    if not todo:
        raise Conflict(
            f"Nothing of plan {name} is left to start: its machines are moved or on their way.",
            advice=f"See: longshore plan show {name}.",
        )
    refuse_unknown(body.accept)
    refuse_unfit_start(body.at)
    return begin(
        store,
        opened,
        [together(examine_plan(store, clouds, opened.id, todo, accept=body.accept, started_as=body.type))],
        body.at,
    )


@router.delete("/plans/{name}/start", status_code=202)
def take_start_back(name: str, store: TheStore, wave: int | None = None, machine: Some = ()) -> list[str]:
    """Take back that machines of a plan, or of a wave, are to begin at a time, of those whose time hasn't come; return
    what they are called. They are planned again, as if they had never been started.
    """
    opened = open_plan(store, store.plans.get(name))
    waves, meant = {e.wave for e in entries_of(opened.plan, wave)}, latest_of(opened, machine)
    asked = [m for m in opened.own if m.begins_at and m.wave in waves and (not machine or m.id in meant)]
    taken_back = set(store.migrations.withdraw([m.id for m in asked]))
    if not taken_back:
        raise Conflict(f"Nothing of plan {name} is to begin at a time.", advice=f"See: longshore plan show {name}.")
    return [m.machine_name for m in asked if m.id in taken_back]


@router.post("/plans/{name}/retry", status_code=202)
def retry(name: str, store: ThePlansStore, clouds: ThePlansClouds, machine: Some = ()) -> list[Migration]:
    """Start again what has failed of a plan, and nothing else; with the type and what was accepted as before. What kept
    its copy when its cutover failed tries again with that.
    """
    return try_again(store, clouds, open_plan(store, store.plans.get(name)), machine)


@router.post("/plans/{name}/cutover", status_code=202)
def cutover(
    name: str,
    store: TheStore,
    wave: int | None = None,
    machine: Some = (),
    body: CutoverTime | None = None,
    *,
    ahead: Ahead = False,
) -> list[Migration]:
    """Cut over a plan's warm migrations that wait for it, or those of a wave: their machines are stopped now, or at the
    time that is said.
    """
    warm = _warm(open_plan(store, store.plans.get(name)), wave, machine)
    if not warm:
        raise Conflict(f"No warm migration of plan {name} is under way.", advice=f"See: longshore plan show {name}.")
    if not ahead:
        waiting = {one.id for one in store.migrations.several([m.id for m in warm]) if waits_for_cutover(one)}
        if not waiting:
            what, are = "of these machines " if machine else "", "is" if len(warm) == 1 else "are"
            raise Conflict(
                f"Nothing {what}of plan {name} waits for its cutover: {len(warm)} {are} queued, still copied, "
                "cut over already, or to be cut over at a time.",
                advice="Wait until it does, or have each cut over as soon as it is copied: "
                f"longshore plan cutover {name} --ahead.",
            )
        warm = [m for m in warm if m.id in waiting]
    asked = [request_cutover(store, m.id, body) for m in warm]
    return going_on(store, asked)


@router.delete("/plans/{name}/cutover", status_code=202)
def take_cutover_back(name: str, store: TheStore, wave: int | None = None, machine: Some = ()) -> list[Migration]:
    """Take back that a plan's migrations are to be cut over, now or at a time, of those that haven't begun that."""
    warm = _warm(open_plan(store, store.plans.get(name)), wave, machine)
    asked = [one for one in warm if one.may_be_taken_back]
    if not asked:
        raise Conflict(
            f"No cutover of plan {name} was asked for that hasn't begun.", advice=f"See: longshore plan show {name}."
        )
    taken_back = [store.migrations.take_cutover_back(one.id) for one in asked]
    return going_on(store, taken_back)


def _warm(opened: Opened, wave: int | None, machines: Sequence[str]) -> list[Outline]:
    """Return the warm migrations of a plan, of a wave or of these machines that haven't ended."""
    waves = {e.wave for e in entries_of(opened.plan, wave)}
    meant = latest_of(opened, machines)
    warm = [m for m in opened.own if not m.status.ended and m.type == MigrationType.WARM.value and m.wave in waves]
    return [m for m in warm if not machines or m.id in meant]


@router.post("/plans/{name}/resume", status_code=202)
def resume(name: str, store: TheStore) -> list[Migration]:
    """Have a plan go on where an interrupted engine stopped. Nothing to do when one is running."""
    broken_off = under_way(open_plan(store, store.plans.get(name)))
    return going_on(store, store.migrations.several([m.id for m in broken_off]))


@router.post("/plans/{name}/cancel", status_code=202)
def cancel(name: str, store: TheStore, machine: Some = ()) -> list[Migration]:
    """Cancel all of a plan that is under way or waits, and take back what it made."""
    opened = open_plan(store, store.plans.get(name))
    asked = [store.migrations.request_cancel(m.id) for m in under_way(opened, machine)]
    return going_on(store, asked)


@router.get("/plans/{name}/migrations", response_model=list[Migration])
async def migrations(name: str, store: TheStore, reads: TheReads) -> Response:
    """Return the latest migration of each of a plan's machines, in the plan's order."""
    what = "plan's migrations", name, store.scope
    return answered(await reads.read(what, lambda: MIGRATIONS.dump_json(_latest(name, store)), store.scope.project_id))


def _latest(name: str, store: Store) -> list[Migration]:
    opened = open_plan(store, store.plans.get(name))
    return shown(store, store.migrations.several([m.id for m in opened.latest.values() if m is not None]))


@router.get("/plans/{name}/report")
def report(name: str, store: TheStore, *, events: bool = True) -> PlanReport:
    """Report what became of each machine, and of all of them together. Without `events` what happened in each migration
    is left out: of a thousand machines that is most of it.
    """
    opened = open_plan(store, store.plans.get(name))
    latest = opened.latest
    of_latest = store.migrations.several([m.id for m in latest.values() if m is not None])
    reported = reports_of(store, of_latest)
    reports = {one.id: one if events else replace(one, events=[]) for one in reported}
    tries: dict[str, list[Attempt]] = {}
    for m in opened.own:
        tries.setdefault(m.machine_ref, []).append(Attempt(m.id, m.status.value, m.error))
    machines = []
    for entry in opened.plan.entries:
        last = latest[entry.machine]
        machines.append(
            ReportedMachine(
                entry.machine,
                entry.wave,
                reports.get(last.id) if last else None,
                tries[last.machine_ref][:-1] if last else [],
            )
        )
    plan = opened.plan
    return plan_report(plan.name, plan.description, plan.source, plan.target, machines, counted(states_of(opened)))
