"""Checks of plans with many machines: begun, asked for what they have found until now, ended."""

from typing import Annotated

from fastapi import Query, Request

from longshore.api.plan_checks import PlanCheck
from longshore.api.schemas import ErrorBody, PlanConcern, PlanStart
from longshore.errors import Busy
from longshore.planning.catalogue import refuse_unknown
from longshore.service.checking import start_check
from longshore.service.opened_plan import entries_of, open_plan, started_with
from longshore.service.parts import ThePlansStore, judged_router
from longshore.service.shapes import shaped
from longshore.service.turns import OF_CHECKS
from longshore.store import Store
from longshore.store.plan_checks import PlanCheckRecord

router = judged_router("/v1")


@router.post("/plans/{name}/checks", status_code=202)
def begin(name: str, body: PlanStart, request: Request, store: ThePlansStore) -> PlanCheck:
    """Begin a check of what `check` answers, which becomes known for some machines at a time, at last what is about all
    of them.

    It ends when the plan is changed, and can be asked for until a day has gone by. Several may be under way.
    """
    record = store.plans.get(name)
    opened = open_plan(store, record)
    refuse_unknown(body.accept)
    entries = started_with(
        entries_of(opened.plan, body.wave, body.machines), body.type or opened.plan.defaults.get("type")
    )
    if request.app.state.access is not None and store.plan_checks.under_way() >= OF_CHECKS:
        raise Busy(f"Your project has {OF_CHECKS} checks of plans under way.", advice="Try again in a moment.")
    begun = store.plan_checks.begin(record, body.model_dump(mode="json"), len(entries))
    start_check(request.app.state.room_for_checks, store, begun.id, opened, entries, body)
    return _told(store, begun, 0)


@router.get("/plans/{name}/checks/{check}")
def check(name: str, check: str, store: ThePlansStore, after: Annotated[int, Query(ge=0, le=1 << 31)] = 0) -> PlanCheck:
    """Tell how far a check is, and what has become known since; `after` is the `until` of an earlier answer."""
    record = store.plans.get(name)
    return _told(store, store.plan_checks.get(record.id, check), after)


@router.delete("/plans/{name}/checks/{check}", status_code=204)
def cancel(name: str, check: str, store: ThePlansStore) -> None:
    """Cancel a check. What it has found until now can still be asked for."""
    store.plan_checks.cancel(store.plans.get(name).id, check)


def _told(store: Store, record: PlanCheckRecord, after: int) -> PlanCheck:
    """Return a check as it goes over the wire. Its state was read first: of one that has ended all parts are there."""
    parts = store.plan_checks.parts(record.id, after)
    return shaped(
        PlanCheck,
        record,
        plan=record.plan_id,
        concerns=[PlanConcern.model_validate(one) for _number, concerns in parts for one in concerns],
        until=parts[-1][0] if parts else after,
        error=ErrorBody.model_validate(record.error) if record.error else None,
    )
