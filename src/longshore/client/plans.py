"""Plans, whose content is as in a plan's file: see longshore.planning.planfile."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from longshore.api.kept_plans import ImportedPlan, KeptPlan, PlanImport
from longshore.api.landed import PlanCode
from longshore.api.plan_checks import PlanCheck
from longshore.api.reports import PlanReport
from longshore.api.schemas import (
    CutoverTime,
    FoundMachine,
    Migration,
    NewPlan,
    PlanAnswer,
    PlanChanged,
    PlanCopy,
    PlannedProgress,
    PlanStart,
    PlanStates,
    PlanSummary,
    PlanView,
)
from longshore.client.calls import PAGE, Calls, part
from longshore.model.as_built import CodeFormat


class PlanCalls(Calls):
    """Calls about plans, by their names."""

    def create_plan(self, wanted: NewPlan) -> PlanAnswer:
        return self._ask(PlanAnswer, "POST", "/v1/plans", wanted.model_dump(mode="json"))

    def apply_plan(self, plan: Mapping[str, Any], version: str | None = None) -> PlanAnswer:
        """Put a plan in place. `version`: only if the plan that is there is of it still."""
        return self._ask(PlanAnswer, "PUT", f"/v1/plans/{part(plan['name'])}", dict(plan), version)

    def keep_plan(self, name: str) -> PlanChanged:
        """A draft is a plan from now on."""
        return self._ask(PlanChanged, "POST", f"/v1/plans/{part(name)}/keep")

    def duplicate_plan(self, name: str, copy: PlanCopy) -> PlanAnswer:
        return self._ask(PlanAnswer, "POST", f"/v1/plans/{part(name)}/duplicate", copy.model_dump(mode="json"))

    def plans(self, machine: str | None = None, *, provider: str | None = None) -> list[PlanSummary]:
        """List the plans, or those that have this machine, and those from or to this provider."""
        asked = {"machine": machine, "provider": provider}
        said = {name: value for name, value in asked.items() if value is not None}
        return self._all(PlanSummary, "/v1/plans", lambda p: p.name, said)

    def plan(self, name: str) -> PlanView:
        return self._ask(PlanView, "GET", f"/v1/plans/{part(name)}")

    def keep_plan_in(self, name: str, vault: str) -> KeptPlan:
        return self._ask(KeptPlan, "POST", f"/v1/plans/{part(name)}/keep-in", {"vault": vault})

    def kept_plans(self, vault: str) -> list[KeptPlan]:
        return self._ask(list[KeptPlan], "GET", f"/v1/vaults/{part(vault)}/plans")

    def import_plan(self, vault: str, plan: str, wanted: PlanImport) -> ImportedPlan:
        """Make a plan of one in a vault, named by its name or id."""
        path = f"/v1/vaults/{part(vault)}/plans/{part(plan)}/import"
        return self._ask(ImportedPlan, "POST", path, wanted.model_dump(mode="json"))

    def remove_plan(self, name: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/plans/{part(name)}")

    def plan_machines(self, name: str) -> list[FoundMachine]:
        return self._ask(list[FoundMachine], "GET", f"/v1/plans/{part(name)}/machines")

    def plan_states(self, name: str, part: str = "", status: str = "") -> PlanStates:
        """Return how far it is, and its machines: those with this part in their names and in this state, or all."""
        return self._states(name, {"q": part, "status": status})

    def changed_states(self, name: str, since: PlanStates | None) -> PlanStates:
        """Return how far those of its machines are that have changed since an earlier answer to this, or all."""
        return self._states(name, {} if since is None else {"changed_since": f"{since.until.isoformat()}Z"})

    def _states(self, name: str, asked: Mapping[str, str]) -> PlanStates:
        """Join all pages into one: what the first one says of the plan, and until when."""
        first: PlanStates | None = None
        found: list[PlannedProgress] = []
        while True:
            question = urlencode({**asked, "limit": str(PAGE), "offset": str(len(found))})
            page = self._ask(PlanStates, "GET", f"/v1/plans/{part(name)}/states?{question}")
            first = first or page
            found.extend(page.machines)
            if len(page.machines) < PAGE:
                return first.model_copy(update={"machines": found})

    def plan_migrations(self, name: str) -> list[Migration]:
        """Return the latest migration of each machine."""
        return self._ask(list[Migration], "GET", f"/v1/plans/{part(name)}/migrations")

    def plan_code(self, name: str, form: CodeFormat, machines: Sequence[str] = ()) -> PlanCode:
        """Return what has landed of a plan, or these of its machines, as code for a tool."""
        question = _of_some(machines, {"format": form.value})
        return self._ask(PlanCode, "GET", f"/v1/plans/{part(name)}/iac{question}")

    def plan_report(self, name: str) -> PlanReport:
        return self._ask(PlanReport, "GET", f"/v1/plans/{part(name)}/report")

    def begin_check(self, name: str, asked: PlanStart) -> PlanCheck:
        return self._ask(PlanCheck, "POST", f"/v1/plans/{part(name)}/checks", asked.model_dump(mode="json"))

    def go_on_with_check(self, check: PlanCheck) -> PlanCheck:
        """Ask how far a check is, and what has become known since that answer."""
        path = f"/v1/plans/{part(check.plan)}/checks/{part(check.id)}?after={check.until}"
        return self._ask(PlanCheck, "GET", path)

    def end_check(self, check: PlanCheck) -> None:
        self._ask(type(None), "DELETE", f"/v1/plans/{part(check.plan)}/checks/{part(check.id)}")

    def start_plan(self, name: str, asked: PlanStart) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{part(name)}/start", asked.model_dump(mode="json"))

    def take_plan_start_back(self, name: str, wave: int | None = None, machines: Sequence[str] = ()) -> list[str]:
        """Take back that machines are to begin at a time that hasn't come, and return what they are called."""
        question = _of_some(machines, _of_wave(wave))
        return self._ask(list[str], "DELETE", f"/v1/plans/{part(name)}/start{question}")

    def retry_plan(self, name: str, machines: Sequence[str] = ()) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{part(name)}/retry{_of_some(machines)}")

    def cut_plan_over(
        self,
        name: str,
        wave: int | None = None,
        machines: Sequence[str] = (),
        time: CutoverTime | None = None,
        *,
        ahead: bool = False,
    ) -> list[Migration]:
        """Cut over what waits for that, now or at a time; `ahead`: what is queued or still copied, too, as soon as it
        can be."""
        question = _of_some(machines, _of_wave(wave) | ({"ahead": "true"} if ahead else {}))
        body = time.model_dump(mode="json") if time is not None else None
        return self._ask(list[Migration], "POST", f"/v1/plans/{part(name)}/cutover{question}", body)

    def take_plan_cutover_back(
        self, name: str, wave: int | None = None, machines: Sequence[str] = ()
    ) -> list[Migration]:
        question = _of_some(machines, _of_wave(wave))
        return self._ask(list[Migration], "DELETE", f"/v1/plans/{part(name)}/cutover{question}")

    def resume_plan(self, name: str) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{part(name)}/resume")

    def cancel_plan(self, name: str, machines: Sequence[str] = ()) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{part(name)}/cancel{_of_some(machines)}")


def _of_wave(wave: int | None) -> dict[str, str]:
    return {"wave": str(wave)} if wave is not None else {}


def _of_some(machines: Sequence[str], asked: Mapping[str, str] | None = None) -> str:
    """Write a question to go after a path; empty where nothing is asked."""
    question = urlencode([*(asked or {}).items(), *(("machine", name) for name in machines)])
    return f"?{question}" if question else ""
