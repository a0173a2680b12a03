"""Infrastructure as code of what has landed of a plan, as its cloud has it now."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from longshore.api.landed import PlanCode
from longshore.errors import Conflict
from longshore.flows.plans.check import entries_of
from longshore.iac import written
from longshore.model.as_built import CodeFormat
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.service.opened_plan import Opened, open_plan
from longshore.service.parts import ThePlansClouds, ThePlansStore, judged_router
from longshore.store import Store

router = judged_router("/v1")
_SERVERS = (MigrationType.COLD, MigrationType.WARM)


@router.get("/plans/{name}/iac")
def code(
    name: str,
    store: ThePlansStore,
    clouds: ThePlansClouds,
    format: CodeFormat,
    machine: Annotated[tuple[str, ...], Query(description="Only these, as the plan calls them; none: all.")] = (),
) -> PlanCode:
    """Write what has landed of a plan as code, so that the tool takes it for what is there and plans nothing. The cloud
    is asked what is there now. Machines that haven't landed are left out and named; one that is asked for is refused
    (409), as is a server that is gone (404).
    """
    opened = open_plan(store, store.plans.get(name))
    landed, left_out = _landed(store, opened, machine)
    with clouds.target(opened.plan.target) as target:
        servers = target.as_built(landed)
    made = written(format, opened.plan.name, servers, left_out)
    return PlanCode(file_name=made.file_name, text=made.text, notes=list(made.notes))


def _landed(store: Store, opened: Opened, machines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the servers that a plan's machines are by now, in its order, and what the plan calls its other machines.

    Raises Conflict when there are none, or one of `machines` isn't among them; InvalidInput as `entries_of`.
    """
    records = store.migrations.several([m.id for m in opened.latest.values() if m is not None])
    servers = {r.id: r.server_id for r in records if r.status is Status.DONE and r.type in _SERVERS}
    latest = {name: servers.get(m.id) for name, m in opened.latest.items() if m is not None}
    asked = [entry.machine for entry in entries_of(opened.plan, None, machines)]
    landed = [found for one in asked if (found := latest.get(one)) is not None]
    left_out = [one for one in asked if latest.get(one) is None]
    if left_out and (machines or not landed):
        which = f"{left_out[0]} hasn't" if machines else "No machine of the plan has"
        raise Conflict(
            f"{which} landed as a server.",
            advice=f"Only what is done can be written down: longshore plan show {opened.plan.name}.",
        )
    return landed, left_out
