"""Holds: a point that is held stays, whoever follows whatever rules, until it is released or a time has passed.

A hold is an object beside its point. Its name is known, so it is found whatever lists say, which may come late. Whoever
deletes a point takes that name first: so nobody holds a point that is being deleted, or deletes one that is held.
"""

from datetime import UTC, datetime
from typing import Any

from longshore.errors import Conflict, NotFound
from longshore.model.point import Hold
from longshore.vault.errors import Damaged
from longshore.vault.points import discard_point, has_point, read_point
from longshore.vault.vault import Vault

_BELOW, _SUFFIX = "holds/", ".hold"
_DELETING: dict[str, Any] = {"deleting": True}


class Held(Conflict):
    """The point is to stay."""

    code = "point-held"


def hold_point(vault: Vault, point: str, hold: Hold) -> None:
    """By the point's whole name. Raises NotFound; Held when it is held already; Conflict while it is being deleted."""
    read_point(vault, point)
    place = _object(point)
    if not _is_free(vault, point):
        raise Conflict(f"The point {point} is being deleted.")
    told = {"name": hold.name, "until": hold.until.isoformat() if hold.until else None}
    vault.store.create(place, vault.keys.write_document(place, told))
    if not has_point(vault, point):  # it was deleted a moment ago
        vault.store.delete(place)
        read_point(vault, point)


def release_point(vault: Vault, point: str, name: str) -> None:
    """Raises NotFound when nothing of that name holds it."""
    hold = hold_of(vault, point)
    if hold is None or hold.name != name:
        by = f"; {hold.name} does" if hold else ""
        raise NotFound(f"{name} doesn't hold the point {point}{by}.")
    vault.store.delete(_object(point))


def hold_of(vault: Vault, point: str) -> Hold | None:
    """None, too, when its time has passed. Raises Damaged."""
    hold = _read(vault, _object(point))
    return hold if isinstance(hold, Hold) and hold.counts(datetime.now(UTC)) else None


def holds(vault: Vault, folder: str = "") -> dict[str, Hold]:
    """By point: of all, or of one machine's. One that has just been held may be missing where lists come late."""
    found: dict[str, Hold] = {}
    for place in list(vault.store.names(f"{_BELOW}{folder}" if folder else _BELOW.rstrip("/"))):
        point = place.removeprefix(_BELOW).removesuffix(_SUFFIX)
        if place.endswith(_SUFFIX) and (hold := hold_of(vault, point)) is not None:
            found[point] = hold
    return found


def delete_point(vault: Vault, point: str) -> None:
    """By its whole name. Its blocks go when the vault is pruned, unless other points name them.

    Nothing to do when it is gone. Raises Held.
    """
    place = _object(point)
    while has_point(vault, point) and _is_free(vault, point):
        try:
            vault.store.create(place, vault.keys.write_document(place, _DELETING))
            break
        except Conflict:  # somebody holds it since a moment ago, or deletes it
            continue
    discard_point(vault, point)
    vault.store.delete(place)


def _is_free(vault: Vault, point: str) -> bool:
    """Whether nothing has the name of its hold; not, while somebody deletes the point, or has died while he did.

    What has outlived its time is removed. Raises Held.
    """
    place = _object(point)
    found = _read(vault, place)
    if found is None:
        return True
    if not isinstance(found, Hold):
        return False
    if found.counts(datetime.now(UTC)):
        again = f"Release it first: longshore backup release {point} --name {found.name}."
        raise Held(f"The point {point} is held ({found.name}).", advice=again)
    vault.store.delete(place)
    return True


def _object(point: str) -> str:
    return f"{_BELOW}{point}{_SUFFIX}"


def _read(vault: Vault, place: str) -> Hold | dict[str, Any] | None:
    """A hold, the mark of a point that is being deleted, or nothing. Raises Damaged."""
    try:
        told = vault.keys.read_document(place, vault.store.read(place))
    except NotFound:
        return None
    if told == _DELETING:
        return told
    try:
        return Hold(told["name"], datetime.fromisoformat(told["until"]) if told["until"] else None)
    except (KeyError, TypeError, ValueError):
        raise Damaged(f"{place} has no hold.") from None
