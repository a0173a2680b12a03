"""Points: what was backed up, each a document that is written when everything it names is there."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.vault.errors import Damaged
from longshore.vault.geometry import Top
from longshore.vault.makers import MAKER, maker_in, sealed_maker
from longshore.vault.vault import Vault

_BELOW, _SUFFIX = "points/", ".point"
_TOGETHER = 8  # documents that are read at once


@dataclass(frozen=True, slots=True)
class Point:
    name: str  # MACHINE/TIME-RANDOM
    moment: datetime  # when the snapshot was asked for
    disks: dict[str, Top]  # by key
    content: dict[str, Any]  # what else its maker says of it: the machine
    maker: str | None = None  # the project that has made it, where this installation vouches for that (makers.py)

    def top(self, disk: str) -> Top:
        """Raises NotFound."""
        try:
            return self.disks[disk]
        except KeyError:
            raise NotFound(f"The point {self.name} has no disk {disk}.") from None


def folder_of(vault: Vault, machine: str) -> str:
    """The first part of a point's name. `machine` says which one it is, in its cloud's words."""
    return vault.keys.name(machine)


def new_name(folder: str, moment: datetime) -> str:
    """To the millisecond: what has points of one second sorted by their names has them by their age."""
    when = moment.astimezone(UTC)
    return f"{folder}/{when:%Y%m%dT%H%M%S}{when.microsecond // 1000:03}Z-{secrets.token_hex(4)}"


def write_point(vault: Vault, point: Point) -> None:
    """Raises Conflict when another one has its name."""
    name = object_of(point.name)
    disks = [{"key": key, **top.told()} for key, top in point.disks.items()]
    document: dict[str, Any] = {"moment": point.moment.isoformat(), "disks": disks, "content": point.content}
    if vault.user and (maker := sealed_maker(vault.user, vault.id, name, document, point.maker)) is not None:
        document[MAKER] = maker
    try:
        vault.store.create(name, vault.keys.write_document(name, document))
    except Conflict:
        if read_point(vault, point.name).disks != point.disks:
            raise


def read_point(vault: Vault, name: str) -> Point:
    """By its name. Raises NotFound, also for one that isn't there for the vault's user; Damaged."""
    try:
        point = _read(vault, name)
    except Damaged:
        if vault.user and not vault.user.owns:  # whose it is can't be said any more
            raise _not_there(name) from None
        raise
    if vault.user and not vault.user.sees(point.maker):
        raise _not_there(name)
    return point


def _read(vault: Vault, name: str) -> Point:
    place = object_of(name)
    try:
        data = vault.store.read(place)
    except NotFound:
        raise _not_there(name) from None
    told = vault.keys.read_document(place, data)
    try:
        disks = {disk["key"]: Top.of(disk) for disk in told["disks"]}
        maker = maker_in(vault.user, vault.id, place, told) if vault.user else None
        return Point(name, datetime.fromisoformat(told["moment"]), disks, told["content"], maker)
    except (KeyError, TypeError, ValueError):
        raise Damaged(f"{place} has no point.") from None


def sees(vault: Vault, name: str) -> bool:
    """Whether a point that is there is there for the vault's user, too."""
    if vault.user is None or vault.user.owns:
        return True
    if name not in vault.user.seen:
        try:
            read_point(vault, name)
        except NotFound:
            vault.user.seen[name] = False
        else:
            vault.user.seen[name] = True
    return vault.user.seen[name]


def refuse_others(vault: Vault, name: str) -> None:
    """Raises NotFound for a point that is there, and not for the vault's user."""
    if not sees(vault, name) and has_point(vault, name):
        raise _not_there(name)


def _not_there(name: str) -> NotFound:
    return NotFound(f"There is no point {name} in the vault.", advice="See: longshore backup list.")


def has_point(vault: Vault, name: str) -> bool:
    """Whatever lists say, which may come late."""
    return vault.store.has(object_of(name))


def point_names(vault: Vault, folder: str = "") -> list[str]:
    """Of all points that are there for the vault's user, or those of one machine, oldest first."""
    below = f"points/{folder}" if folder else "points"
    names = sorted((point_of(name) for name in vault.store.names(below) if name.endswith(_SUFFIX)), key=_when)
    if vault.user is None or vault.user.owns:
        return names
    with ThreadPoolExecutor(_TOGETHER) as threads:  # whose each is stands in it
        theirs = threads.map(lambda name: sees(vault, name), names)
        return [name for name, is_theirs in zip(names, theirs, strict=True) if is_theirs]


def points(vault: Vault, folder: str = "") -> Iterator[Point]:
    """Oldest first. One that goes meanwhile is left out. Raises Damaged."""
    for name in point_names(vault, folder):
        try:
            yield read_point(vault, name)
        except NotFound:
            continue


def own_points(vault: Vault, folder: str = "") -> Iterator[Point]:
    """As `points`: those alone that its user has made, or that nobody says who has. What other projects have put into
    a vault of its own is none of what it goes by."""
    return (point for point in points(vault, folder) if is_own(vault, point))


def is_own(vault: Vault, point: Point) -> bool:
    return vault.user is None or point.maker in (None, vault.user.project_id)


def discard_point(vault: Vault, name: str) -> None:
    """Whoever may hold it: what deletes a point that others know of is `delete_point` (holds.py)."""
    vault.store.delete(object_of(name))


def point_of(place: str) -> str:
    """A point's name, by its object's."""
    return place.removeprefix(_BELOW).removesuffix(_SUFFIX)


def object_of(name: str) -> str:
    """A point's object. Raises InvalidInput."""
    parts = name.split("/")
    if len(parts) != 2 or not all(part.isascii() and part.replace("-", "").isalnum() for part in parts):
        raise InvalidInput(f"{name!a} is no name of a point.", advice="See: longshore backup list.")
    return f"{_BELOW}{name}{_SUFFIX}"


def _when(name: str) -> tuple[str, str]:
    """What sorts names by age: those of earlier releases end with the second."""
    time, _, _ = name.rpartition("/")[2].partition("Z-")
    return time.ljust(len("20261123T014500250"), "0"), name
