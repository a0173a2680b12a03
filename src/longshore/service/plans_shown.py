"""Plans in short, as they go over the wire."""

from collections.abc import Sequence

from longshore.api.schemas import PlanFigures, PlannedState, PlanSummary
from longshore.service.opened_plan import Opened, counted
from longshore.service.shapes import shaped
from longshore.store import PlanRecord


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
