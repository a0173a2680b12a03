"""Checks that machines can land at the target, made before any of them is shut down for a failover."""

from collections.abc import Mapping, Sequence
from typing import Any

from longshore.flows.clouds import Clouds
from longshore.flows.facts import gather_for_plan
from longshore.model.concern import Severity
from longshore.model.forms import form
from longshore.model.machine import Machine
from longshore.model.replica import OF_RUN
from longshore.model.request import MigrationRequest
from longshore.planning import Preflight, blocked


def refuse_landings(clouds: Clouds, target_id: str, wanted: Sequence[tuple[Machine, MigrationRequest]]) -> None:
    """Find out of these machines, seen together, what a plan's check finds out.

    Raise InvalidInput with all that stands against them.
    """
    whole = Preflight()
    with clouds.target(target_id) as target:
        facts = gather_for_plan(target, wanted, None, converts_here=True)
    concerns = [*whole.of_machines(wanted, facts), *whole.of_all(None, None)]
    if any(concern.severity is Severity.BLOCKER for concern in concerns):
        raise blocked(concerns)


def landing_of(wished: Mapping[str, Any]) -> MigrationRequest:
    """Return what a planned failover asks for its server. `wished`: as the replica's record keeps it."""
    return form(MigrationRequest).validate_python({name: value for name, value in wished.items() if name != OF_RUN})
