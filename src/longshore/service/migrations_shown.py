"""Migrations as they go over the wire."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from longshore.api.schemas import DiskProgress, ListedMigration, Migration, QueuedBehind
from longshore.engine.queue import Behind, fit, why_waits
from longshore.engine.stranded import NOBODY, LiveWorkers, crew_of
from longshore.flows.moves.downtime import downtime_of
from longshore.model.copy_progress import MOVING
from longshore.model.limit import LimitOf
from longshore.model.plan import PlanLimits
from longshore.model.request import LandingMode, MigrationType, request_from_json
from longshore.model.status import Status
from longshore.service.shapes import provider_names, shaped
from longshore.store import DiskRecord, MigrationRecord, Store
from longshore.store.jobs import NEVER
from longshore.store.standing import cutover_may_be_taken_back, standing_of, waits_after_failure, waits_for_cutover
from longshore.store.tables import utc_now

MIGRATIONS = TypeAdapter(list[Migration])
LISTED = TypeAdapter(list[ListedMigration])


def shown(store: Store, records: Sequence[MigrationRecord]) -> list[Migration]:
    """Return the migrations of these records, in their order."""
    return [
        shaped(
            Migration,
            record,
            **found,
            request=request_from_json(record.request),
            downtime_note=downtime_of(record).note,
            syncs=list(record.syncs),
            disks=[shaped(DiskProgress, disk) for disk in record.disks],
        )
        for record, found in _found(store, records)
    ]


def listed(store: Store, records: Sequence[MigrationRecord]) -> list[ListedMigration]:
    """Return the migrations of these records as a list has them, in their order."""
    return [
        shaped(
            ListedMigration,
            record,
            **found,
            disks=[shaped(DiskProgress, disk) for disk in record.disks if _moves(record, disk)],
        )
        for record, found in _found(store, records)
    ]


def _found(store: Store, records: Sequence[MigrationRecord]) -> Iterator[tuple[MigrationRecord, dict[str, Any]]]:
    """Yield each record with the fields of both its forms that it doesn't have, or has otherwise."""
    providers = provider_names(store)
    plans = store.plans.names() if any(r.plan_id for r in records) else {}
    crew = crew_of(store) if any(not record.status.ended for record in records) else NOBODY
    behind = queued_behind(store, records, crew, providers)
    for record in records:
        interrupted = not record.status.ended and not crew.running and not _rests(record)
        yield (
            record,
            {
                "source": providers[record.source_id],
                "target": providers[record.target_id],
                "status": standing_of(record),
                "plan": plans.get(record.plan_id or ""),
                "wave": record.wave if record.plan_id else None,
                "landing": record.request.get("landing", LandingMode.AUTO),
                "interrupted": interrupted,
                "stranded": crew.why(record),
                "waits_for_cutover": not interrupted and waits_for_cutover(record),
                "cutover_failed": not interrupted and waits_after_failure(record),
                "may_be_taken_back": cutover_may_be_taken_back(record, record.job),
                "parked": record.job.reason if record.job and record.status is Status.PARKED else None,
                "queued_behind": behind.get(record.id),
                "due_at": record.job.due_at if record.job else None,
                "downtime_seconds": downtime_of(record).seconds,
            },
        )


def _moves(record: MigrationRecord, disk: DiskRecord) -> bool:
    """Tell whether a disk is being copied or read back now."""
    return not record.status.ended and disk.state in MOVING and disk.progress is not None


def _rests(record: MigrationRecord) -> bool:
    """Tell whether nothing is to be done before somebody wants something, as of a replica or policy that is paused."""
    if record.job is None or record.cancel_requested:
        return False
    cold = record.type is MigrationType.COLD
    return record.job.due_at == NEVER or (cold and waits_after_failure(record))


def queued_behind(
    store: Store, records: Sequence[MigrationRecord], crew: LiveWorkers, providers: Mapping[str, str]
) -> dict[str, QueuedBehind]:
    """Return what those of these records that are queued are behind, by their ids.

    One that is only in line isn't among them, nor is any while nobody is at work. `providers`: names by id.
    """
    queued = [one.id for one in records if one.status is Status.QUEUED and not one.cancel_requested]
    if not queued or not crew.running:
        return {}
    lineup, jobs = store.queue.look(queued)
    now = utc_now()
    waiting = [one for one in jobs if (one.due_at is None or one.due_at <= now) and one.status is Status.QUEUED]
    found = why_waits(
        waiting,
        lineup.begun,
        {plan: PlanLimits(**given) for plan, given in store.queue.limits().items()},
        first_waves=lineup.first_waves,
        of_places=store.limits.at_once(),
        crew=lambda record: fit(record, crew.workers, crew.labels),
    )
    behind = {one.record_id: _told(found[one.id], providers) for one in waiting if one.id in found}
    return behind | {
        one.record_id: QueuedBehind(what="time", at=one.due_at)
        for one in jobs
        if one.due_at is not None and now < one.due_at < NEVER and one.status is Status.QUEUED
    }


def _told(behind: Behind, providers: Mapping[str, str]) -> QueuedBehind:
    place = behind.place
    name = None
    if place is not None and place.of.of_provider:
        name = place.name or providers.get(place.subject)
    return QueuedBehind(
        what=behind.what.value,
        wave=behind.wave,
        of=LimitOf(place.of) if place is not None else None,
        name=name,
        at_once=behind.at_once,
    )
