"""Checks of plans with many machines: begun, asked for what they have found until now, ended. Each is a job."""

from typing import Annotated, Literal

from fastapi import Query, Request

from longshore.api.plan_checks import PlanCheck
from longshore.api.schemas import ErrorBody, PlanConcern, PlanStart
from longshore.engine import embedded
from longshore.engine.stranded import crew_of
from longshore.errors import Busy, Cancelled, NotFound
from longshore.flows.plans.check import entries_asked
from longshore.model.request import CheckRequest, MigrationType, request_from_json
from longshore.model.status import Status
from longshore.planning.catalogue import refuse_unknown
from longshore.service.opened_plan import open_plan
from longshore.service.parts import ThePlansStore, judged_router
from longshore.service.queued import added
from longshore.service.turns import OF_CHECKS
from longshore.store import JobFilter, MigrationRecord, NewMigration, PlanRecord, Store

router = judged_router("/v1")


@router.post("/plans/{name}/checks", status_code=202)
def begin(name: str, body: PlanStart, request: Request, store: ThePlansStore) -> PlanCheck:
    """Begin a check of what `check` answers, which becomes known for some machines at a time, at last what is about all
    of them.

    It ends when the plan is changed, and can be asked for until a day has gone by. Several may be under way.
    """
    record = store.plans.get(name)
    plan = open_plan(store, record).plan
    refuse_unknown(body.accept)
    entries = entries_asked(plan, body.wave, body.machines, body.type)
    if request.app.state.access is not None and _under_way(store) >= OF_CHECKS:
        raise Busy(f"Your project has {OF_CHECKS} checks of plans under way.", advice="Try again in a moment.")
    store.plan_checks.forget_old()
    asked = CheckRequest(
        of=record.id,
        revision=record.revision,
        total=len(entries),
        wave=body.wave,
        machines=tuple(body.machines),
        accept=tuple(body.accept),
        started_as=MigrationType(body.type) if body.type else None,
    )
    new = NewMigration(
        machine_name=record.name,
        machine_ref=record.id,
        source_id=store.providers.get(plan.source).id,
        target_id=store.providers.get(plan.target).id,
        request=asked.to_json(),
    )
    return _told(store, added(store, [new])[0], 0)


@router.get("/plans/{name}/checks/{check}")
def check(name: str, check: str, store: ThePlansStore, after: Annotated[int, Query(ge=0, le=1 << 31)] = 0) -> PlanCheck:
    """Tell how far a check is, and what has become known since; `after` is the `until` of an earlier answer."""
    return _told(store, _find(store, store.plans.get(name), check), after)


@router.delete("/plans/{name}/checks/{check}", status_code=204)
def cancel(name: str, check: str, store: ThePlansStore) -> None:
    """Cancel a check. What it has found until now can still be asked for."""
    found = _find(store, store.plans.get(name), check)
    if not found.status.ended:
        store.migrations.request_cancel(found.id)


def _under_way(store: Store) -> int:
    counts = store.migrations.counts(JobFilter(types=[MigrationType.PLAN_CHECK]))
    return sum(count for status, count in counts.items() if not status.ended)


def _find(store: Store, plan: PlanRecord, check: str) -> MigrationRecord:
    found = next(iter(store.migrations.several([check])), None)
    if found is None or found.type is not MigrationType.PLAN_CHECK or found.of != plan.id:
        raise NotFound(f"There is no check {check} of this plan.", advice="They are kept for a day: begin another.")
    return found


def _told(store: Store, record: MigrationRecord, after: int) -> PlanCheck:
    """Return a check as it goes over the wire. Its state was read first: of one that has ended all parts are there."""
    asked = request_from_json(record.request)
    assert isinstance(asked, CheckRequest)
    under_way = not record.status.ended and not record.cancel_requested
    if under_way:
        embedded.ensure_running(store.state)
    parts = store.plan_checks.parts(record.id, after)
    ended_by_hand = record.error_code in (None, Cancelled.code)
    return PlanCheck(
        id=record.id,
        plan=asked.of,
        version=f"{asked.of}-{asked.revision}",
        state="running" if under_way else "cancelled" if not record.status.ended else _STATES[record.status],
        done=(record.result or {}).get("done", 0),
        total=asked.total,
        concerns=[PlanConcern.model_validate(one) for _number, concerns in parts for one in concerns],
        until=parts[-1][0] if parts else after,
        stranded=crew_of(store).why(record) if under_way else None,
        error=None if ended_by_hand else ErrorBody(code=record.error_code or "", message=record.error or ""),
        created_at=record.created_at,
        ended_at=record.finished_at,
    )


_STATES: dict[Status, Literal["done", "failed", "cancelled"]] = {
    Status.DONE: "done",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}
