"""A tenant's resources as files: an export, a comparison or an import of them, each as a job.

What dies is run again: an export goes on with the images that it has, an import finds what it has made.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from longshore.errors import Cancelled
from longshore.flows.clouds import within_reach
from longshore.flows.flow import AnsweringFlow, JobFigures
from longshore.model.request import MigrationType, TenantRequest

if TYPE_CHECKING:  # what it takes needn't be loaded by an engine that is asked for something else
    from longshore.tenancy import Cloud, Report


class CarryingResources(AnsweringFlow):
    async def _forward(self) -> dict[str, Any]:
        await self._job.step("start", self._start)
        return await self._job.step("resources", self._carry)

    def _carry(self) -> dict[str, Any]:
        """Return the report. Raise Cancelled where it was ended before: what was done by then is in the result."""
        from longshore.tenancy import diff, export, import_, parse

        job, asked = self._job, self._job.asked
        assert isinstance(asked, TenantRequest)
        job.begin_phase("resources", f"Logging in for what is at or becomes of {asked.directory}.")
        directory, selection = Path(asked.directory), parse(list(asked.only), list(asked.filters))
        told, cloud = JobFigures(job, by_itself=asked.type is not MigrationType.TENANT_IMPORT), self._cloud()
        if asked.type is MigrationType.TENANT_EXPORT:
            done = export(cloud, directory, selection, overwrite=asked.overwrite, progress=told)
            failed = [{"action": "failed", "kind": kind, "name": name, "said": ""} for kind, name in done.failed]
            return {"report": {"rows": failed, "files": done.files, "notes": done.notes}}
        if asked.type is MigrationType.TENANT_DIFF:
            return _report(diff(cloud, directory, selection, told))
        passwords = Path(asked.passwords) if asked.passwords else None
        result = _report(import_(cloud, directory, selection, told, told.stop, passwords=passwords))
        if told.stop.is_set():
            job.store.migrations.update(job.id, result=told.figures | result)
            raise Cancelled("The import was stopped. What was made stays, and another import goes on from there.")
        return result

    def _cloud(self) -> Cloud:
        from longshore.providers.openstack.connection import OpenstackSettings, connect
        from longshore.tenancy import Cloud

        store, record = self._job.store, self._job.clouds.refuse_taken_back(self._job.record.target_id)
        settings = within_reach(store, record.project_id, record.settings)
        return Cloud(
            connect(TypeAdapter(OpenstackSettings).validate_python(settings), store.providers.secrets(record.id))
        )


def _report(report: Report) -> dict[str, Any]:
    return {"report": {"rows": [asdict(row) for row in report.rows], "files": {}, "notes": report.notes}}
