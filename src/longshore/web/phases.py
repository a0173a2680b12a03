"""The time that phases of migrations took, by their events; and for how long machines will be off when they are cut
over: as long as the last sync took, and then as long as those that came there before took from their last byte to the
proof that they were up."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from longshore.api.schemas import Event, ListedMigration, Migration
from longshore.client.calls import part
from longshore.model.phases import LANDING
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.web.asking import ApiClient

_SHOW_IT = (MigrationType.DRY_RUN, MigrationType.COLD, MigrationType.WARM)
_LOOKED_THROUGH, _GONE_BY = 100, 3  # of those that are done, the newest; and of them the most alike
_OF_ONE_ANSWER = 1000  # events


async def events_of(asking: ApiClient, migration_id: str) -> list[Event]:
    """Return all events of a migration, oldest first."""
    found: list[Event] = []
    while True:
        after = found[-1].id if found else 0
        path = f"/v1/migrations/{part(migration_id)}/events"
        some = await asking.get(list[Event], path, after=after, limit=_OF_ONE_ANSWER)
        found += some
        if len(some) < _OF_ONE_ANSWER:
            return found


def phases_of(events: Sequence[Event]) -> list[tuple[str, datetime, float | None]]:
    """Return the phases of a migration in order: each with when it began, and for how many seconds it went on.

    The last one's length is None: the migration is in it.
    """
    begun: list[tuple[str, datetime]] = []
    for event in events:
        if not begun or begun[-1][0] != event.phase:
            begun.append((event.phase, event.at))
    spans: list[tuple[str, datetime, float | None]] = [
        (phase, at, (following[1] - at).total_seconds()) for (phase, at), following in pairwise(begun)
    ]
    return [*spans, *((phase, at, None) for phase, at in begun[-1:])]


def parts_of_downtime(
    phases: Sequence[tuple[str, datetime, float | None]], off: datetime | None, back: datetime | None
) -> list[float | None]:
    """Return by phase for how many seconds of it the machine was off; None: it wasn't, or its downtime isn't over.

    `off`, `back`: when it was seen off, and when it, or its server, was seen up.
    """
    if off is None or back is None:
        return [None] * len(phases)
    parts = []
    for _phase, began, took in phases:
        shared = (min(back, began + timedelta(seconds=took or 0)) - max(off, began)).total_seconds()
        parts.append(shared if shared > 0 else None)
    return parts


class Expected(NamedTuple):
    copying: float  # seconds of the slowest machine's last sync
    landing: float | None  # seconds from then on; None: nothing has come there yet
    shown_by: tuple[str, ...]  # machines


async def expected_downtime(asking: ApiClient, migrations: Sequence[Migration]) -> Expected | None:
    """Return the downtime to expect; None before anything was synchronised.

    `migrations`: those of one target that are cut over together.
    """
    last = [float(one.syncs[-1]["seconds"]) for one in migrations if one.syncs]
    if not last:
        return None
    ended = [Status.DONE.value, Status.REHEARSED.value]
    asked = {"status": ended, "newest": True, "limit": _LOOKED_THROUGH, "short": True}
    done = await asking.get(list[ListedMigration], "/v1/migrations", **asked)
    alike = most_alike(done, migrations)
    landings = [landing_of(found) for found in await asyncio.gather(*(events_of(asking, one.id) for one in alike))]
    known = [(one.machine_name, took) for one, took in zip(alike, landings, strict=True) if took is not None]
    names = tuple(dict.fromkeys(name for name, _took in known))
    return Expected(max(last), median(took for _name, took in known) if known else None, names)


def most_alike(done: Sequence[ListedMigration], migrations: Sequence[ListedMigration]) -> list[ListedMigration]:
    """Return the migrations that say most about how these will land: at most three, the best first.

    All of them came to the same target in the same way. Those of the same machines (dry runs of them) are taken alone,
    if there are any; otherwise those of the same plan go first. Among equals the newest go first. `done`: newest first.
    """
    ways = {(one.target, one.landing) for one in migrations}
    refs, plans = {one.machine_ref for one in migrations}, {one.plan for one in migrations} - {None}
    fitting = [one for one in done if one.type in _SHOW_IT and (one.target, one.landing) in ways]
    own = [one for one in fitting if one.machine_ref in refs]
    return (own or sorted(fitting, key=lambda one: one.plan not in plans))[:_GONE_BY]


def landing_of(events: Sequence[Event]) -> float | None:
    """Return how many seconds a landing took; None where it can't be told."""
    spans = [took for phase, _at, took in phases_of(events) if phase in LANDING and took is not None]
    return sum(spans) if spans else None
