"""Holds: a point that is held stays, whoever follows whatever rules, until it is released or a time has passed.

What becomes of that is told by objects beside the point, numbered from 1 on: a hold, its release, the mark of somebody
who deletes the point. The last number is what counts. None is changed, or goes before the point does, and only one can
be made of each number: so nobody holds a point that is being deleted, or deletes one that is held, whatever they saw
before. Numbers are asked for one by one, whatever lists say, which may come late.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from longshore.errors import Conflict, NotFound
from longshore.model.point import Hold
from longshore.vault import names
from longshore.vault.errors import Damaged
from longshore.vault.points import discard_point, has_point, no_point, object_of, refuse_others, sees
from longshore.vault.vault import Vault

DAMAGED = "damaged"  # what a hold that can't be read is called: its point stays, until that is released
_RELEASED: dict[str, Any] = {"released": True}
_DELETING: dict[str, Any] = {"deleting": True}


class Held(Conflict):
    """The point is to stay."""

    code = "point-held"


def hold_point(vault: Vault, point: str, hold: Hold) -> None:
    """Hold a point, named whole. Raises NotFound; Held when it is held already; Conflict while it is being deleted."""
    _refuse_gone(vault, point)
    last = _last(vault, point, vault.store.now)
    if last.deleting:
        raise Conflict(f"The point {point} is being deleted.")
    _refuse_held(point, last)
    told = {"name": hold.name, "until": hold.until.isoformat() if hold.until else None}
    _add(vault, point, last.number + 1, told)
    if not has_point(vault, point):  # it was deleted a moment ago
        if vault.lock is None:
            _forget(vault, point)
        _refuse_gone(vault, point)


def _refuse_gone(vault: Vault, point: str) -> None:
    """Raise NotFound for a point that isn't there. Whether it can be read is another matter."""
    refuse_others(vault, point)
    if not has_point(vault, point):
        raise no_point(point)


def release_point(vault: Vault, point: str, name: str) -> None:
    """End the hold of this name. Raises NotFound when nothing of that name holds the point."""
    refuse_others(vault, point)
    last = _last(vault, point, vault.store.now)
    if last.hold is None or last.hold.name != name:
        by = f"; {last.hold.name} does" if last.hold else ""
        raise NotFound(f"{name} doesn't hold the point {point}{by}.")
    _add(vault, point, last.number + 1, _RELEASED)


def hold_of(vault: Vault, point: str) -> Hold | None:
    """Return the hold of a point; None, too, when its time has passed, by this machine's clock. One that can't be read
    is called `DAMAGED`."""
    return _last(vault, point, time.time).hold


def holds(vault: Vault, folder: str = "") -> dict[str, Hold]:
    """Return the holds of all points, or of one machine's, by point. One that has just been held may be missing where
    lists come late."""
    below = vault.store.names(f"{names.HOLDS}/{folder}" if folder else names.HOLDS)
    told = {point for name in below if (point := names.id_in(names.HOLDS, name)) is not None}
    found = ((point, hold_of(vault, point)) for point in sorted(told) if sees(vault, point))
    return {point: hold for point, hold in found if hold is not None}


def delete_point(vault: Vault, point: str) -> datetime | None:
    """Delete a point, named whole. Its blocks go when the vault is pruned, unless other points name them.

    In a vault that locks it is hidden, and can be had back (recovery.py) until the moment that is returned, at least.
    Nothing to do when it is gone. Raises Held, NotFound for one that isn't there for the vault's user.
    """
    refuse_others(vault, point)
    while has_point(vault, point) and not (last := _last(vault, point, vault.store.now)).deleting:
        _refuse_held(point, last)
        with suppress(Conflict):  # somebody holds it since a moment ago, or deletes it
            _add(vault, point, last.number + 1, _DELETING)
            break
    until = vault.store.kept_until(object_of(point))
    discard_point(vault, point)
    if vault.lock is not None:
        return datetime.fromtimestamp(until, UTC) if until else None  # why it is hidden has to be told until it goes
    _forget(vault, point)
    return None


def deleted_and_kept(vault: Vault) -> set[str]:
    """Return the points that were deleted, and that the vault's lock keeps so that they can be had back: none of their
    names is free. Empty for a vault that doesn't lock."""
    if vault.lock is None:
        return set()
    told = {point for name in vault.store.names(names.HOLDS) if (point := names.id_in(names.HOLDS, name)) is not None}
    return {point for point in told if not has_point(vault, point) and is_being_deleted(vault, point)}


def is_being_deleted(vault: Vault, point: str) -> bool:
    """Tell whether a point is being or was deleted by somebody who says so before, as `delete_point` does."""
    return _last(vault, point, time.time).deleting


def take_back_deletion(vault: Vault, point: str) -> None:
    """Take back the deletion of a point that is there again."""
    last = _last(vault, point, time.time)
    if last.deleting:
        _add(vault, point, last.number + 1, _RELEASED)


class _Last(NamedTuple):
    """The content of a point's last hold number; 0: there is none."""

    number: int
    hold: Hold | None = None  # that counts now
    deleting: bool = False


def _last(vault: Vault, point: str, now: Callable[[], float]) -> _Last:
    """Return what holds or deletes a point now. `now`: seconds, by the clock that a hold's end is compared with."""
    number, place = 0, ""
    while vault.store.has(following := _object(point, number + 1)):
        number, place = number + 1, following
    if number == 0:
        return _Last(0)
    try:
        told = vault.keys.read_document(place, vault.store.read(place))
        if told in (_RELEASED, _DELETING):
            return _Last(number, deleting=told == _DELETING)
        hold = Hold(str(told["name"]), datetime.fromisoformat(told["until"]) if told["until"] else None)
        counts = hold.until is None or now() < hold.until.timestamp()
    except NotFound:  # the point is gone
        return _Last(0)
    except (Damaged, KeyError, TypeError, ValueError, OverflowError):
        return _Last(number, Hold(DAMAGED, None))
    return _Last(number, hold if counts else None)


def _refuse_held(point: str, last: _Last) -> None:
    if last.hold is not None:
        again = f"Release it first: longshore backup release {point} --name {last.hold.name}."
        raise Held(f"The point {point} is held ({last.hold.name}).", advice=again)


def _add(vault: Vault, point: str, number: int, content: dict[str, Any]) -> None:
    """Write the next hold number. Raises Conflict when somebody else has made that number."""
    place = _object(point, number)
    try:
        vault.store.create(place, vault.keys.write_document(place, content))
    except Conflict:
        raise Conflict(
            f"Somebody else has just held or released the point {point}.", advice="Look at it again."
        ) from None


def _forget(vault: Vault, point: str) -> None:
    """Remove the hold numbers of a point that is gone: the last number first, so that none is found without those
    before it."""
    number = 1
    while vault.store.has(_object(point, number)):
        number += 1
    for each in range(number - 1, 0, -1):
        vault.store.delete(_object(point, each))


def _object(point: str, number: int) -> str:
    return f"{names.HOLDS}/{point}/{number}.hold"
