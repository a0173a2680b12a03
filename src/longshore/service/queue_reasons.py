"""Reasons why what is queued isn't begun yet: a wave, a limit or the workers that it is behind."""

from collections.abc import Mapping, Sequence

from longshore.api.schemas import QueuedBehind
from longshore.engine.queue import Behind, fit, why_waits
from longshore.engine.stranded import Crew
from longshore.model.limit import LimitOf
from longshore.model.plan import Limits
from longshore.model.status import Status
from longshore.store import MigrationRecord, Store
from longshore.store.jobs import NEVER
from longshore.store.tables import utc_now


def queued_behind(
    store: Store, records: Sequence[MigrationRecord], crew: Crew, providers: Mapping[str, str]
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
        {plan: Limits(**given) for plan, given in store.queue.limits().items()},
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
