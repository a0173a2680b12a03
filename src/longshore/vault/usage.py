"""Quantities of a vault: what it holds, how fast it grows, when its room ends, and whose points are in it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from longshore.vault.points import Point, folder_in, point_names, read_points
from longshore.vault.vault import Vault

_LATELY = 30 * 86400.0  # seconds that growth is judged by
_TOO_SHORT = 86400.0  # seconds: of a vault that is younger nothing is known


@dataclass(frozen=True, slots=True)
class Usage:
    objects: int
    stored: int  # bytes of all objects
    free: int | None  # bytes that there is room for; None: the store doesn't say
    per_day: float | None  # bytes that were stored lately and are there still; None: it is too young to tell
    full_at: datetime | None  # when its room ends at that pace, in UTC; None: nobody can say, or it isn't in sight


@dataclass(frozen=True, slots=True)
class OfMachine:
    """The points of one machine."""

    machine: str  # its name as the newest point has it; empty: that can't be read
    points: int
    oldest: datetime | None  # in UTC; None: it can't be read
    newest: datetime | None


def usage(vault: Vault) -> Usage:
    """Add up what is stored, by a list of all objects."""
    now = vault.store.now()
    objects = stored = lately = 0
    first = now
    for size, at in vault.store.sizes():
        objects, stored, first = objects + 1, stored + size, min(first, at)
        lately += size if now - at <= _LATELY else 0
    age, free = min(now - first, _LATELY), vault.store.free()
    per_day = lately / age * 86400 if age >= _TOO_SHORT else None
    return Usage(objects, stored, free, per_day, _full_at(free, per_day))


def _full_at(free: int | None, per_day: float | None) -> datetime | None:
    if free is None or not per_day:
        return None
    try:
        return datetime.now(UTC) + timedelta(days=free / per_day)
    except OverflowError:  # in more years than there are
        return None


def of_machines(vault: Vault) -> list[OfMachine]:
    """Return the points by machine, by name: of each the first and the last point are read, where they can be."""
    names = sorted(point_names(vault), key=folder_in)  # stays in the order of time in each
    folders = [list(found) for _, found in groupby(names, key=folder_in)]
    wanted = [name for found in folders for name in dict.fromkeys((found[0], found[-1]))]
    ends = {found.name: found for found in read_points(vault, wanted) if isinstance(found, Point)}
    told = [_of_machine(found, ends.get(found[0]), ends.get(found[-1])) for found in folders]
    return sorted(told, key=lambda one: one.machine.casefold())


def _of_machine(names: list[str], oldest: Point | None, newest: Point | None) -> OfMachine:
    known = newest or oldest
    machine = known.machine_name if known else ""
    return OfMachine(machine, len(names), oldest.moment if oldest else None, newest.moment if newest else None)
