"""The check of a plan as a job: what stands against starting it is told for some machines at a time."""

from dataclasses import replace
from typing import Any

from longshore.errors import ChangedMeanwhile
from longshore.flows.flow import AnsweringFlow
from longshore.flows.plans.check import entries_asked, examine_plan
from longshore.model.concern import Concern
from longshore.model.forms import form
from longshore.model.plan import Plan
from longshore.model.request import CheckRequest
from longshore.planning import planfile
from longshore.store import Scope, Store


class CheckingPlan(AnsweringFlow):
    async def _forward(self) -> dict[str, Any]:
        await self._job.step("start", self._start)
        return await self._job.step("check", self._check)

    def _check(self) -> dict[str, Any]:
        """Tell the findings part by part. Raise ChangedMeanwhile when the plan isn't what it was any more."""
        job, asked = self._job, self._job.asked
        assert isinstance(asked, CheckRequest)
        job.phase("examining", "Looking at the plan's machines, and at where they would land.")
        store = job.store.scoped(Scope(job.record.project_id, everything=not job.record.project_id))
        plan = self._plan(store, asked)
        entries = entries_asked(plan, asked.wave, asked.machines, asked.started_as)
        figures = {"done": 0, "total": asked.total}
        names: dict[str, str] = {}
        parts = examine_plan(store, job.clouds, asked.of, entries, accept=asked.accept, started_as=asked.started_as)
        for number, part in enumerate(parts, start=1):
            job.raise_if_cancelled()
            self._plan(store, asked)
            names |= {p.machine.ref: p.entry.machine for p in part.prospects}
            told = [replace(one, machine=names.get(one.machine, one.machine)) for one in part.concerns]
            store.plan_checks.add_part(job.id, number, form(list[Concern]).dump_python(told, mode="json"))
            figures["done"] += part.looked_at
            store.migrations.update(job.id, result=figures)
        return figures

    @staticmethod
    def _plan(store: Store, asked: CheckRequest) -> Plan:
        record = store.plans.get(asked.of)
        if record.revision != asked.revision:
            raise ChangedMeanwhile(f"The plan {record.name} was changed meanwhile.")
        return planfile.from_store(record.content)
