"""Resources of an OpenStack as files: exported, compared, imported.

Each is a job in a thread of the service: it takes minutes, and who asked wants to see how far it is.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import TypeAdapter

from longshore.api.tenancy import ExportRequest, ImportRequest, TenancyJob, TenancyReport, TenancyRequest, TenancyRow
from longshore.errors import AccessDenied, InvalidInput
from longshore.flows.clouds import within_reach
from longshore.providers.registry import provider_type
from longshore.service.parts import TheStore, judged_router
from longshore.service.tenancy_jobs import Job, Jobs
from longshore.store import Store

router = judged_router("/v1")


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.tenancy_jobs
    return jobs


def _local(request: Request) -> None:
    """Raise AccessDenied where the service's files aren't the user's.

    They are only where the service runs inside the user's own command.
    """
    if not request.app.state.local_files:
        raise AccessDenied(
            "This service doesn't read or write files.", advice="Run `longshore tenant` without a server."
        )


TheJobs = Annotated[Jobs, Depends(_jobs)]


@router.post("/tenancy/exports", status_code=202, dependencies=[Depends(_local)])
def start_export(body: ExportRequest, store: TheStore, jobs: TheJobs) -> TenancyJob:
    """Write the project's resources, and for an administrator the cloud's, to a directory."""
    from longshore.tenancy import export, parse

    selection, open_cloud = parse(body.only, body.filters), _opener(store, body.provider)

    def work(job: Job) -> TenancyReport:
        done = export(open_cloud(), Path(body.directory), selection, overwrite=body.overwrite, progress=job.progress)
        failed = [TenancyRow(action="failed", kind=kind, name=name, said="") for kind, name in done.failed]
        return TenancyReport(rows=failed, files=done.files, notes=done.notes)

    return jobs.start(store.scope.project_id, work)


@router.post("/tenancy/diffs", status_code=202, dependencies=[Depends(_local)])
def start_diff(body: TenancyRequest, store: TheStore, jobs: TheJobs) -> TenancyJob:
    """Say what an import would make, change and leave, and what it can't."""
    from longshore.tenancy import diff, parse

    selection, open_cloud = parse(body.only, body.filters), _opener(store, body.provider)
    return jobs.start(
        store.scope.project_id,
        lambda job: _report(diff(open_cloud(), Path(body.directory), selection, job.progress)),
    )


@router.post("/tenancy/imports", status_code=202, dependencies=[Depends(_local)])
def start_import(body: ImportRequest, store: TheStore, jobs: TheJobs) -> TenancyJob:
    """Make the cloud have what the files say."""
    from longshore.tenancy import import_, parse

    selection, open_cloud = parse(body.only, body.filters), _opener(store, body.provider)
    passwords = Path(body.passwords) if body.passwords else None
    return jobs.start(
        store.scope.project_id,
        lambda job: _report(
            import_(open_cloud(), Path(body.directory), selection, job.progress, job.stop, passwords=passwords)
        ),
    )


@router.get("/tenancy/jobs/{job}")
def job(job: str, jobs: TheJobs, store: TheStore) -> TenancyJob:
    """Tell how far a job is, and what came of it."""
    return jobs.get(store.scope.project_id, job).shown()


@router.post("/tenancy/jobs/{job}/stop", status_code=202)
def stop(job: str, jobs: TheJobs, store: TheStore) -> TenancyJob:
    """End an import after the requests that are under way. What is made stays; another import goes on from there."""
    found = jobs.get(store.scope.project_id, job)
    found.stop.set()
    return found.shown()


def _opener(store: Store, provider: str) -> Callable[[], Any]:
    """Look a provider up, and return the function by which the job logs in to it."""
    from longshore.providers.openstack.connection import OpenstackSettings, connect
    from longshore.tenancy import Cloud

    record = store.providers.get(provider)
    if not provider_type(record.kind).keystone:
        raise InvalidInput(f"Provider {record.name} is {record.kind}.", advice="Name an openstack provider.")
    settings = TypeAdapter(OpenstackSettings).validate_python(within_reach(store, record.project_id, record.settings))
    secrets = store.providers.secrets(record.id)
    return lambda: Cloud(connect(settings, secrets))


def _report(report: Any) -> TenancyReport:
    return TenancyReport(rows=[TenancyRow(**asdict(row)) for row in report.rows], notes=report.notes)
