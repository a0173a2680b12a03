"""Points: what was backed up, each a document that is written when everything it names is there."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.vault import names
from longshore.vault.errors import Damaged
from longshore.vault.geometry import Top
from longshore.vault.makers import MAKER, maker_in, sealed_maker
from longshore.vault.vault import Vault

_TOGETHER = 48  # documents that are read at once where the vault is far away: each mostly waits
_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Point:
    name: str  # MACHINE/TIME-RANDOM
    moment: datetime  # when the snapshot was asked for
    disks: dict[str, Top]  # by key
    content: dict[str, Any]  # what else its maker says of it: the machine
    maker: str | None = None  # the project that has made it, where this installation vouches for that (makers.py)

    @property
    def machine_name(self) -> str:
        """Return the machine's name; empty where the point doesn't say."""
        machine = self.content.get("machine")
        return str(machine.get("name", "")) if isinstance(machine, dict) else ""

    @property
    def machine_or_folder(self) -> str:
        """Return the name of the point's machine, or of its folder where it says nothing that can be read."""
        return self.machine_name or folder_in(self.name)

    def change_ids(self, ref: str, source_uuid: str) -> dict[str, str]:
        """Return by disk what its source calls the state that the point holds, to tell what has changed since.

        Empty unless the machine still has the same reference at the same source: one that was registered anew, maybe
        from a copy of its files, or at another vCenter, may call another state the same.
        """
        machine, ids = self.content.get("machine"), self.content.get("change_ids")
        if not isinstance(machine, dict) or not isinstance(ids, dict) or machine.get("ref") != ref:
            return {}
        if machine.get("source_uuid", source_uuid) != source_uuid:
            return {}
        return {key: id_ for key, id_ in ids.items() if isinstance(id_, str)}

    def called(self, disk: str) -> str:
        """Name one of its disks, for who hears that something of it is damaged."""
        of = f" of {self.machine_name}" if self.machine_name else ""
        return f"point {self.name}{of}, disk {disk}"

    def top(self, disk: str) -> Top:
        """Return the top of a disk's map. Raises NotFound."""
        try:
            return self.disks[disk]
        except KeyError:
            raise NotFound(f"The point {self.name} has no disk {disk}.") from None


@dataclass(frozen=True, slots=True)
class DamagedPoint:
    """One whose document can't be read: nothing of it can be restored, and nobody knows what it needs."""

    name: str
    why: str  # a sentence

    @property
    def moment(self) -> datetime:
        """Return the moment in the point's name; that of 1970 where it has none."""
        try:
            return datetime.strptime(f"{_when(self.name)[0]}000", "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
        except ValueError:
            return datetime.fromtimestamp(0, UTC)


def folder_of(vault: Vault, machine: str) -> str:
    """Return the first part of a point's name. `machine` says which one it is, in its cloud's words."""
    return vault.keys.name(machine)


def folder_in(name: str) -> str:
    """Return the first part of a point's name, which all points of its machine have in common."""
    return name.partition("/")[0]


def new_name(folder: str, moment: datetime) -> str:
    """Make up a point's name. What has points of one second sorted by their names has them by their age."""
    return f"{folder}/{names.stamp(moment)}"


def write_point(vault: Vault, point: Point) -> None:
    """Write a point's document, the last step of a backup. Raises Conflict when another point has its name, Damaged
    when that one was hidden and the vault's lock keeps it."""
    name = object_of(point.name)
    disks = [{"key": key, **top.told()} for key, top in point.disks.items()]
    document: dict[str, Any] = {"moment": point.moment.isoformat(), "disks": disks, "content": point.content}
    if vault.user and (maker := sealed_maker(vault.user, vault.id, name, document, point.maker)) is not None:
        document[MAKER] = maker
    try:
        vault.store.create(name, vault.keys.write_document(name, document))
    except Conflict:
        try:
            there = read_point(vault, point.name)
        except NotFound:
            raise Damaged(
                f"The point {point.name} was deleted in the vault {vault.store}, whose lock keeps it.",
                advice="It comes back by: longshore vault recover.",
            ) from None
        if there.disks != point.disks:
            raise


def read_point(vault: Vault, name: str) -> Point:
    """Read a point by its name. Raises NotFound, also for one that isn't there for the vault's user; Damaged."""
    try:
        point = _read(vault, name)
    except Damaged:
        if vault.user and not vault.user.owns:  # whose it is can't be said any more
            raise no_point(name) from None
        raise
    if vault.user and not vault.user.sees(point.maker):
        raise no_point(name)
    return point


def _read(vault: Vault, name: str) -> Point:
    place = object_of(name)
    try:
        data = vault.store.read(place)
    except NotFound:
        raise no_point(name) from None
    told = vault.keys.read_document(place, data)
    try:
        maker = maker_in(vault.user, vault.id, place, told) if vault.user else None
        return _point_of(name, told, maker)
    except (KeyError, TypeError, ValueError):
        raise Damaged(f"{place} has no point.") from None


def sees(vault: Vault, name: str) -> bool:
    """Tell whether a point that is there is there for the vault's user, too.

    One that can't be read is there for the vault's owner alone: nobody can tell who has made it.
    """
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
    """Raise NotFound for a point that is there, and not for the vault's user."""
    if not sees(vault, name) and has_point(vault, name):
        raise no_point(name)


def _point_of(name: str, told: dict[str, Any], maker: str | None) -> Point:
    """Make a point of its document. Raises KeyError, TypeError, ValueError for what is none, whoever has written it."""
    disks = {_key(disk["key"]): Top.of(disk) for disk in told["disks"]}
    moment = datetime.fromisoformat(told["moment"])
    if len(disks) != len(told["disks"]) or moment.tzinfo is None or not isinstance(told["content"], dict):
        raise ValueError
    return Point(name, moment, disks, told["content"], maker)


def no_point(name: str) -> NotFound:
    return NotFound(f"There is no point {name} in the vault.", advice="See: longshore backup list.")


def has_point(vault: Vault, name: str) -> bool:
    """Tell whether a point is there, whatever lists say, which may come late."""
    return vault.store.has(object_of(name))


def point_names(vault: Vault, folder: str = "") -> list[str]:
    """List the names of all points that are there for the vault's user, or of those of one machine, oldest first."""
    below = f"{names.POINTS}/{folder}" if folder else names.POINTS
    found = (names.id_in(names.POINTS, name) for name in vault.store.names(below))
    ordered = sorted((name for name in found if name is not None), key=_when)
    if vault.user is None or vault.user.owns:
        return ordered
    with ThreadPoolExecutor(_TOGETHER) as threads:  # whose each is stands in it
        theirs = threads.map(lambda name: sees(vault, name), ordered)
        return [name for name, is_theirs in zip(ordered, theirs, strict=True) if is_theirs]


def points(
    vault: Vault, folder: str = "", damaged: Callable[[DamagedPoint], None] = lambda _point: None
) -> Iterator[Point]:
    """Yield points, oldest first. One that goes meanwhile is left out, and so is one that can't be read: `damaged` is
    told of it."""
    for found in read_points(vault, point_names(vault, folder)):
        if isinstance(found, Point):
            yield found
        else:
            damaged(found)


def read_points(vault: Vault, wanted: Iterable[str]) -> Iterator[Point | DamagedPoint]:
    """Yield points by their names, in that order, several at once where the vault is far away. Without those that are
    gone."""

    def read(name: str) -> Point | DamagedPoint | None:
        try:
            return read_point(vault, name)
        except NotFound:
            return None
        except Damaged as error:
            return DamagedPoint(name, str(error))

    if not vault.store.far:
        yield from (found for found in map(read, wanted) if found is not None)
        return
    left = iter(wanted)
    threads = ThreadPoolExecutor(_TOGETHER, "longshore-points")
    try:
        asked = deque(threads.submit(read, name) for name in islice(left, 2 * _TOGETHER))
        while asked:
            found = asked.popleft().result()
            asked.extend(threads.submit(read, name) for name in islice(left, 1))
            if found is not None:
                yield found
    finally:
        threads.shutdown(cancel_futures=True)


def own_points(
    vault: Vault, folder: str = "", damaged: Callable[[DamagedPoint], None] = lambda _point: None
) -> Iterator[Point]:
    """Yield points as `points` does, but only those that its user has made, or that nobody says who has. What other
    projects have put into a vault of its own is none of what it goes by."""
    return (point for point in points(vault, folder, damaged) if is_own(vault, point))


def newest_points(found: Iterable[Point]) -> dict[str, Point]:
    """Return the newest point of each machine, by the first part of its name. One whose moment is still to come has it
    from a clock that was wrong: it is the newest only where there is no other."""
    now, newest = datetime.now(UTC), dict[str, Point]()
    for point in sorted(found, key=lambda point: (point.moment <= now, point.moment)):
        newest[folder_in(point.name)] = point
    return newest


def is_own(vault: Vault, point: Point) -> bool:
    return vault.user is None or point.maker in (None, vault.user.project_id)


def discard_point(vault: Vault, name: str) -> None:
    """Whoever may hold it: what deletes a point that others know of is `delete_point` (holds.py)."""
    vault.store.delete(object_of(name))


def object_of(name: str) -> str:
    """Return the name of a point's object. Raises InvalidInput."""
    if not names.is_point(name):
        raise InvalidInput(f"{name!a} is no name of a point.", advice="See: longshore backup list.")
    return f"{names.POINTS}/{name}.point"


def _key(told: object) -> str:
    """Return a disk's key, which becomes a part of files' names. Raises ValueError."""
    if not isinstance(told, str) or not 0 < len(told) <= _LONGEST_KEY or "/" in told or not told.isprintable():
        raise ValueError
    return told


def _when(name: str) -> tuple[str, str]:
    """Answer what sorts names by age, of machines of any name."""
    return name.rpartition("/")[2].partition("Z-")[0], name
