"""The phases that a migration went through, by its events, and how long each took."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from longshore.api.schemas import Event
from longshore.client.calls import part
from longshore.web.asking import ApiClient

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
