"""Reports of a migration, from its record alone: the same while it runs, when it has ended, and years later."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from longshore.api.reports import (
    Bundle,
    Copying,
    Left,
    PlanReport,
    Report,
    ReportedDisk,
    ReportedEvent,
    ReportedMachine,
)
from longshore.api.schemas import LedgerEntry
from longshore.engine.version import FLOW_VERSION
from longshore.errors import NotFound
from longshore.flows.moves.downtime import downtime_of
from longshore.model.request import CopyRequest, MigrationRequest, request_from_json
from longshore.model.status import Status
from longshore.service.migrations_shown import shown
from longshore.service.parts import TheStore, judged_router
from longshore.service.shapes import Names, provider_names, shaped
from longshore.store import EntryState, EventRecord, LedgerRecord, MigrationRecord, Store
from longshore.store.standing import standing_of
from longshore.store.tables import utc_now, with_zone

router = judged_router("/v1")
_BEFOREHAND = ("preparing", "inspecting")  # phases in which it is said what stands against a migration


@router.get("/migrations/{migration}/report")
def report(migration: str, store: TheStore) -> Report:
    """Report what was copied, verified, changed and said, from the migration's record alone."""
    return reports_of(store, [store.migrations.get(migration)])[0]


@router.get("/migrations/{migration}/bundle")
def bundle(migration: str, store: TheStore) -> Bundle:
    """Return what was asked for, what happened, what was made and what is left, without anything secret."""
    record = store.migrations.get(migration)
    return Bundle(
        version=version("longshore"),
        flow_version=FLOW_VERSION,
        made_at=utc_now(),
        source_kind=_kind(store, record.source_id),
        target_kind=_kind(store, record.target_id),
        migration=shown(store, [record])[0],
        report=reports_of(store, [record])[0],
        ledger=[shaped(LedgerEntry, entry) for entry in store.ledger.entries(record.id)],
    )


def _kind(store: Store, provider_id: str) -> str:
    """Return the kind of a provider; empty where it is no longer shared."""
    try:
        return store.providers.get(provider_id).kind
    except NotFound:
        return ""


def reports_of(store: Store, records: Sequence[MigrationRecord]) -> list[Report]:
    """Return reports made from these records alone, which are asked for together: a plan may have thousands."""
    names, plans = provider_names(store), store.plans.names()
    events = store.events.of_each([record.id for record in records])
    entries = store.ledger.entries_of([record.id for record in records if record.status.ended])
    return [
        _report(record, names, plans.get(record.plan_id or ""), events[record.id], entries.get(record.id, []))
        for record in records
    ]


def _report(
    record: MigrationRecord,
    names: Names,
    plan: str | None,
    events: Sequence[EventRecord],
    entries: Sequence[LedgerRecord],
) -> Report:
    request = request_from_json(record.request)
    of_machine = request if isinstance(request, MigrationRequest) else None
    result = record.result or {}
    away = downtime_of(record)
    return Report(
        id=record.id,
        machine=record.machine_name,
        machine_ref=record.machine_ref,
        source=names[record.source_id],
        target=names[record.target_id],
        plan=plan,
        wave=record.wave if record.plan_id else None,
        type=request.type.value,
        landing=(result.get("conversion") or {}).get("landed", of_machine.landing.value if of_machine else None),
        verify=request.verify.value if isinstance(request, CopyRequest) else None,
        status=standing_of(record).value,
        phase=record.phase,
        error=record.error,
        created_at=with_zone(record.created_at),
        started_at=with_zone(record.started_at),
        source_off_at=with_zone(record.source_off_at),
        target_up_at=with_zone(record.target_up_at),
        finished_at=with_zone(record.finished_at),
        seconds=_between(
            with_zone(record.started_at),
            with_zone(record.finished_at),
            running=not record.status.ended,
        ),
        downtime_seconds=away.seconds,
        downtime_note=away.note,
        server_id=record.server_id,
        proof=result.get("proof"),
        ports=result.get("ports", []),
        disks=[ReportedDisk(d.label, d.size, d.state, d.volume_id, d.root_digest) for d in record.disks],
        syncs=list(record.syncs),
        copied=_copied(result),
        conversion=result.get("conversion") or None,
        guest=result.get("guest"),
        accepted=list(request.accept) if isinstance(request, CopyRequest) else [],
        concerns=[e.text for e in events if e.phase in _BEFOREHAND and e.level == "warning"],
        left=[Left(e.kind.value, e.ref, e.note) for e in entries if e.state is EntryState.LEFT],
        events=[ReportedEvent(with_zone(e.at), e.level, e.phase, e.text) for e in events],
    )


def plan_report(  # noqa: PLR0917
    name: str, description: str, source: str, target: str, machines: list[ReportedMachine], states: dict[str, int]
) -> PlanReport:
    """Return the report about all machines of a plan together."""
    reports = [m.report for m in machines if m.report is not None]
    started = [r.started_at for r in reports if r.started_at is not None]
    under_way = any(not Status(r.status).ended for r in reports)
    finished = [r.finished_at for r in reports if r.finished_at is not None]
    began = min(started, default=None)
    ended = None if under_way else max(finished, default=None)
    copied = [r.copied for r in reports if r.copied is not None]
    return PlanReport(
        name=name,
        description=description,
        source=source,
        target=target,
        states=states,
        started_at=began,
        finished_at=ended,
        seconds=_between(began, ended, running=under_way),
        bytes_read=sum(c.read for c in copied),
        bytes_verified=sum(c.verified for c in copied),
        longest_downtime_seconds=max(
            (r.downtime_seconds for r in reports if r.downtime_seconds is not None), default=None
        ),
        machines=machines,
    )


def _between(begin: datetime | None, end: datetime | None, *, running: bool) -> float | None:
    if begin is None or (end is None and not running):
        return None
    return round(((end or datetime.now(UTC)) - begin).total_seconds(), 1)


def _copied(result: dict[str, Any]) -> Copying | None:
    if "bytes_read" not in result:
        return None
    return Copying(
        read=result["bytes_read"],
        written=result["bytes_written"],
        zeroed=result["bytes_zeroed"],
        verified=result["bytes_verified"],
        seconds=result["copy_seconds"],
        rate=result["rate"],
    )
