"""What became of a migration, from its record alone: the same while it runs, when it has ended, and years later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from longshore.flows.moves.downtime import downtime_of
from longshore.model.forms import form
from longshore.model.request import MigrationRequest
from longshore.store import Entry, EntryState, EventRecord, MigrationRecord, Status, Store

_BEFOREHAND = ("preparing", "inspecting")  # phases in which it is said what stands against a migration


@dataclass(frozen=True, slots=True)
class ReportedDisk:
    label: str
    size: int  # bytes
    state: str
    volume_id: str | None
    root_digest: str | None  # BLAKE3, of the last copy, before the guest was changed


@dataclass(frozen=True, slots=True)
class ReportedEvent:
    at: datetime
    level: str
    phase: str
    text: str


@dataclass(frozen=True, slots=True)
class Copying:
    """Bytes, of all disks and all syncs together."""

    read: int
    written: int
    zeroed: int
    verified: int  # read back from the target and compared
    seconds: float
    rate: int | None  # bytes per second, of the first copy


@dataclass(frozen=True, slots=True)
class Left:
    """Something that was made and could not be removed."""

    kind: str
    ref: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """Times are moments in UTC, durations seconds; what hasn't happened is null."""

    id: str
    machine: str
    machine_ref: str
    source: str
    target: str
    plan: str | None
    wave: int | None
    type: str
    landing: str
    verify: str  # how much is read back from the target and compared
    status: str
    phase: str
    error: str | None
    created_at: datetime
    started_at: datetime | None
    source_off_at: datetime | None
    target_up_at: datetime | None
    finished_at: datetime | None
    seconds: float | None  # from start to end, or until now
    downtime_seconds: float | None  # so far, while it lasts
    downtime_note: str | None  # why there was none though the machine was off, or what the figure leaves out
    server_id: str | None
    proof: str | None  # what showed that the guest was up on the target; none: it was taken for up
    ports: list[dict[str, Any]]
    disks: list[ReportedDisk]
    syncs: list[dict[str, Any]]
    copied: Copying | None
    conversion: dict[str, Any] | None
    accepted: list[str]  # codes of the blockers that the user took upon himself
    concerns: list[str]  # what was said before anything was made, and of what the disks hold
    left: list[Left]
    events: list[ReportedEvent] = field(repr=False)
    # What was found on its disks before anything on them was changed, and when
    guest: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    id: str
    status: str
    error: str | None


@dataclass(frozen=True, slots=True)
class ReportedMachine:
    machine: str
    wave: int
    report: Report | None  # of its latest migration; None: not started
    earlier: list[Attempt]  # oldest first


@dataclass(frozen=True, slots=True)
class PlanReport:
    name: str
    description: str
    source: str
    target: str
    states: dict[str, int]  # how many machines are planned, running, done, …
    started_at: datetime | None
    finished_at: datetime | None  # null while one is under way
    seconds: float | None
    bytes_read: int
    bytes_verified: int
    longest_downtime_seconds: float | None
    machines: list[ReportedMachine]


def names_of(store: Store) -> dict[str, str]:
    """What providers and plans are called, by their ids."""
    return {p.id: p.name for p in store.providers.all()} | store.plans.names()


def reports_of(store: Store, records: Sequence[MigrationRecord]) -> list[Report]:
    """From their records alone. They are asked for together: a plan may have thousands."""
    names = names_of(store)
    events = store.migrations.events_of([record.id for record in records])
    entries = store.ledger.entries_of([record.id for record in records if record.status.ended])
    return [_report(record, names, events[record.id], entries.get(record.id, [])) for record in records]


def _report(
    record: MigrationRecord, names: Mapping[str, str], events: Sequence[EventRecord], entries: Sequence[Entry]
) -> Report:
    request = form(MigrationRequest).validate_python(record.request)
    result = record.result or {}
    away = downtime_of(record)
    return Report(
        id=record.id,
        machine=record.machine_name,
        machine_ref=record.machine_ref,
        source=names[record.source_id],
        target=names[record.target_id],
        plan=names.get(record.plan_id or ""),
        wave=record.wave if record.plan_id else None,
        type=request.type.value,
        landing=(result.get("conversion") or {}).get("landed", request.landing.value),
        verify=request.verify.value,
        status=record.status.value,
        phase=record.phase,
        error=record.error,
        created_at=record.created_at.replace(tzinfo=UTC),
        started_at=_utc(record.started_at),
        source_off_at=_utc(record.source_off_at),
        target_up_at=_utc(record.target_up_at),
        finished_at=_utc(record.finished_at),
        seconds=_between(_utc(record.started_at), _utc(record.finished_at), running=not record.status.ended),
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
        accepted=list(request.accept),
        concerns=[e.text for e in events if e.phase in _BEFOREHAND and e.level == "warning"],
        left=[Left(e.kind.value, e.ref, e.note) for e in entries if e.state is EntryState.LEFT],
        events=[ReportedEvent(e.at.replace(tzinfo=UTC), e.level, e.phase, e.text) for e in events],
    )


def plan_report(  # noqa: PLR0917
    name: str, description: str, source: str, target: str, machines: list[ReportedMachine], states: dict[str, int]
) -> PlanReport:
    """All machines together."""
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


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None


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
