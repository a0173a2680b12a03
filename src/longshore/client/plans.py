"""Plans, whose content is as in a plan's file: see longshore.planning.planfile."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    PlanStart,
    PlanStates,
    PlanSummary,
    PlanView,
)
from longshore.client.calls import Calls, part
from longshore.model.as_built import CodeFormat


class PlanCalls(Calls):
    """Calls about plans, by their names."""

    def create_plan(self, wanted: NewPlan) -> PlanAnswer:
        return self._ask(PlanAnswer, "POST", "/v1/plans", wanted.model_dump(mode="json"))

    def apply_plan(self, plan: Mapping[str, Any], version: str | None = None) -> PlanAnswer:
        """Put a plan in place. `version`: only if the plan that is there is of it still."""
        return self._ask(PlanAnswer, "PUT", f"/v1/plans/{part(plan['name'])}", dict(plan), version=version)

    def keep_plan(self, name: str) -> PlanChanged:
        """A draft is a plan from now on."""
        return self._ask(PlanChanged, "POST", f"/v1/plans/{part(name)}/keep")

    def duplicate_plan(self, name: str, copy: PlanCopy) -> PlanAnswer:
        return self._ask(PlanAnswer, "POST", f"/v1/plans/{part(name)}/duplicate", copy.model_dump(mode="json"))

    def plans(self, machine: str | None = None, *, provider: str | None = None) -> list[PlanSummary]:
        """List the plans, or those that have this machine, and those from or to this provider."""
        return self._all(PlanSummary, "/v1/plans", lambda p: p.name, machine=machine, provider=provider)

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
        return self._states(name, q=part, status=status)

    def changed_states(self, name: str, since: PlanStates | None) -> PlanStates:
        """Return how far those of its machines are that have changed since an earlier answer to this, or all."""
        return self._states(name, changed_since=None if since is None else f"{since.until.isoformat()}Z")

    def _states(self, name: str, **asked: str | None) -> PlanStates:
        """Join all pages into one: what the first one says of the plan, and until when."""
        pages = list(self._pages(PlanStates, f"/v1/plans/{part(name)}/states", **asked))
        return pages[0].model_copy(update={"machines": [machine for page in pages for machine in page.machines]})

    def plan_migrations(self, name: str) -> list[Migration]:
        """Return the latest migration of each machine."""
        return self._ask(list[Migration], "GET", f"/v1/plans/{part(name)}/migrations")

    def plan_code(self, name: str, form: CodeFormat, machines: Sequence[str] = ()) -> PlanCode:
        """Return what has landed of a plan, or these of its machines, as code for a tool."""
        return self._ask(PlanCode, "GET", f"/v1/plans/{part(name)}/iac", format=form.value, machine=machines)

    def plan_report(self, name: str) -> PlanReport:
        return self._ask(PlanReport, "GET", f"/v1/plans/{part(name)}/report")

    def begin_check(self, name: str, asked: PlanStart) -> PlanCheck:
        return self._ask(PlanCheck, "POST", f"/v1/plans/{part(name)}/checks", asked.model_dump(mode="json"))

    def go_on_with_check(self, check: PlanCheck) -> PlanCheck:
        """Ask how far a check is, and what has become known since that answer."""
        path = f"/v1/plans/{part(check.plan)}/checks/{part(check.id)}"
        return self._ask(PlanCheck, "GET", path, after=check.until)

    def end_check(self, check: PlanCheck) -> None:
        self._ask(type(None), "DELETE", f"/v1/plans/{part(check.plan)}/checks/{part(check.id)}")

    def start_plan(self, name: str, asked: PlanStart) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{part(name)}/start", asked.model_dump(mode="json"))

    def take_plan_start_back(self, name: str, wave: int | None = None, machines: Sequence[str] = ()) -> list[str]:
        """Take back that machines are to begin at a time that hasn't come, and return what they are called."""
        return self._ask(list[str], "DELETE", f"/v1/plans/{part(name)}/start", wave=wave, machine=machines)

    def retry_plan(self, name: str, machines: Sequence[str] = ()) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{part(name)}/retry", machine=machines)

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
        body = time.model_dump(mode="json") if time is not None else None
        path = f"/v1/plans/{part(name)}/cutover"
        return self._ask(list[Migration], "POST", path, body, wave=wave, machine=machines, ahead=ahead)

    def take_plan_cutover_back(
        self, name: str, wave: int | None = None, machines: Sequence[str] = ()
    ) -> list[Migration]:
        return self._ask(list[Migration], "DELETE", f"/v1/plans/{part(name)}/cutover", wave=wave, machine=machines)

    def resume_plan(self, name: str) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{part(name)}/resume")

    def cancel_plan(self, name: str, machines: Sequence[str] = ()) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{part(name)}/cancel", machine=machines)
