"""Resources of an OpenStack as files: exported, compared, imported.

Each is a job: it takes minutes, and who asked wants to see how far it is.
"""

from pathlib import Path
from typing import Literal

from fastapi import Depends

from longshore.api.tenancy import ExportRequest, ImportRequest, TenancyJob, TenancyReport, TenancyRequest
from longshore.engine import embedded
from longshore.errors import Cancelled, InvalidInput, NotFound
from longshore.model.request import MigrationType, TenantRequest
from longshore.providers.registry import provider_type
from longshore.service.parts import TheStore, judged_router, local_files
from longshore.service.queued import added
from longshore.store import MigrationRecord, NewMigration, Store

router = judged_router("/v1")
_Act = Literal[MigrationType.TENANT_EXPORT, MigrationType.TENANT_DIFF, MigrationType.TENANT_IMPORT]


@router.post("/tenancy/exports", status_code=202, dependencies=[Depends(local_files)])
def start_export(body: ExportRequest, store: TheStore) -> TenancyJob:
    """Write the project's resources, and for an administrator the cloud's, to a directory."""
    return _begin(store, MigrationType.TENANT_EXPORT, body, overwrite=body.overwrite)


@router.post("/tenancy/diffs", status_code=202, dependencies=[Depends(local_files)])
def start_diff(body: TenancyRequest, store: TheStore) -> TenancyJob:
    """Say what an import would make, change and leave, and what it can't."""
    return _begin(store, MigrationType.TENANT_DIFF, body)


@router.post("/tenancy/imports", status_code=202, dependencies=[Depends(local_files)])
def start_import(body: ImportRequest, store: TheStore) -> TenancyJob:
    """Make the cloud have what the files say."""
    return _begin(store, MigrationType.TENANT_IMPORT, body, passwords=body.passwords)


@router.get("/tenancy/jobs/{job}")
def job(job: str, store: TheStore) -> TenancyJob:
    """Tell how far a job is, and what came of it."""
    return _shown(store, _find(store, job))


@router.post("/tenancy/jobs/{job}/stop", status_code=202)
def stop(job: str, store: TheStore) -> TenancyJob:
    """End a job, an import after the requests that are under way. What is made stays; another import goes on from
    there."""
    found = _find(store, job)
    return _shown(store, found if found.status.ended else store.migrations.request_cancel(found.id))


def _begin(
    store: Store, act: _Act, body: TenancyRequest, *, overwrite: bool = False, passwords: str | None = None
) -> TenancyJob:
    from longshore.tenancy import parse

    parse(body.only, body.filters)  # refuses what can't be meant
    record = store.providers.get(body.provider)
    if not provider_type(record.kind).keystone:
        raise InvalidInput(f"Provider {record.name} is {record.kind}.", advice="Name an openstack provider.")
    asked = TenantRequest(
        act,
        directory=str(Path(body.directory).absolute()),  # the engine is in another one
        only=tuple(body.only),
        filters=tuple(body.filters),
        overwrite=overwrite,
        passwords=str(Path(passwords).absolute()) if passwords else None,
    )
    return _shown(store, added(store, [NewMigration.of_provider(record, asked)])[0])


def _find(store: Store, job: str) -> MigrationRecord:
    found = next(iter(store.migrations.several([job])), None)
    if found is None or not found.type.of_tenant:
        raise NotFound(f"There is no job {job} that carries resources.", advice="See: longshore job list.")
    return found


def _shown(store: Store, record: MigrationRecord) -> TenancyJob:
    """Return a job as it goes over the wire. Of an import that was stopped there is a report, too."""
    if not record.status.ended:
        embedded.ensure_running(store.state)
    result = record.result or {}
    report = TenancyReport.model_validate(result["report"]) if "report" in result and record.status.ended else None
    stopped = report is not None and record.error_code == Cancelled.code
    return TenancyJob(
        id=record.id,
        state="running" if not record.status.ended else "failed" if report is None else "done",
        done=result.get("done", 0),
        total=result.get("total", 0),
        doing=result.get("doing", "logging in"),
        report=report,
        error=None if stopped else record.error,
        error_code=None if stopped else record.error_code,
    )
