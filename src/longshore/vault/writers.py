"""Writers: who is adding to the vault, so that pruning leaves alone what no point names yet.

A writer is an object that is touched as long as it lives. It says what its disks are based on, which so stays as if a
point named it, and the highest number of a list of condemned packs that it has seen: what is on a later list isn't
deleted while it lives.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from longshore.errors import Conflict, NotFound
from longshore.vault import names
from longshore.vault.errors import Damaged, WriterLost
from longshore.vault.geometry import Top
from longshore.vault.holds import delete_point
from longshore.vault.points import Point, write_point
from longshore.vault.sealing import read_object
from longshore.vault.vault import Vault

BEAT = 60.0  # seconds between two signs of life, or a hundredth of the grace, if that is less


@dataclass(frozen=True, slots=True)
class Writer:
    id: str
    seen: int
    began: float  # by the store's clock
    bases: tuple[Top, ...]


def beat_every(vault: Vault) -> float:
    return min(BEAT, vault.grace / 100)


def register(vault: Vault, writer_id: str, bases: tuple[Top, ...]) -> tuple[Top, ...]:
    """Register a writer: from now on nothing that it adds, or is based on, is removed. Return what it is based on.

    The second call with the same id changes nothing: it returns the bases of the first one, whatever it was given.
    Whoever is based on a point looks afterwards whether that is still there. Raises WriterLost, and Damaged when the
    writer is there and can't be read.
    """
    lists = (names.id_in(names.LISTS, name) for name in vault.store.names(names.LISTS))
    seen = max((int(number) for number in lists if number is not None), default=0)
    told = {"seen": seen, "began": vault.store.now(), "bases": [base.told() for base in bases]}
    try:
        vault.store.create(_object(writer_id), json.dumps(told).encode())
    except Conflict:
        beat(vault, writer_id)
        return _read(vault, writer_id).bases
    return bases


def bases_of(vault: Vault, writer_id: str) -> tuple[Top, ...]:
    """Return what a writer has said that it is based on. Raises WriterLost when it was taken for dead, Damaged when it
    can't be read."""
    try:
        return _read(vault, writer_id).bases
    except NotFound:
        raise _lost() from None


def beat(vault: Vault, writer_id: str) -> None:
    """Give a sign of life. Raises WriterLost when the writer was taken for dead."""
    try:
        vault.store.touch(_object(writer_id))
    except NotFound:
        raise _lost() from None


def finish(vault: Vault, writer_id: str, point: Point) -> None:
    """Write its point. Raises WriterLost: then there is none."""
    beat(vault, writer_id)
    write_point(vault, point)
    try:
        beat(vault, writer_id)  # whoever takes it for dead from here on sees the point
    except WriterLost:
        delete_point(vault, point.name)
        raise


def leave(vault: Vault, writer_id: str) -> None:
    """Let a writer go. Nothing to do when it has left.

    Where lists come late its object stays until a pruner takes it for dead: so whoever doesn't see the new point in a
    list yet still sees what it is based on.
    """
    if not vault.store.lists_late:
        vault.store.delete(_object(writer_id))


def living(
    vault: Vault, now: float, *, sweep: bool, damaged: Callable[[str], None] = lambda _why: None
) -> list[Writer]:
    """Return the writers that gave a sign of life within the grace. `sweep`: the others are gone from now on.

    One that can't be read may be based on anything, and may have seen no list of condemned packs: it counts so for as
    long as it lives, and `damaged` is told of it.
    """
    found = []
    for name in list(vault.store.names(names.WRITERS)):
        if (writer_id := names.id_in(names.WRITERS, name)) is None:
            continue
        try:
            if age_of(vault, name, now, mend=sweep) > vault.grace:
                if sweep:
                    vault.store.delete(name)
                continue
            found.append(_read(vault, writer_id))
        except NotFound:
            continue
        except Damaged:
            found.append(Writer(writer_id, 0, -math.inf, ()))
            damaged(
                f"{name} can't be read: while somebody keeps it there, nothing is removed. If no backup is under "
                "way, remove it."
            )
    return found


def age_of(vault: Vault, name: str, now: float, *, mend: bool) -> float:
    """Return how many seconds ago a writer or a list was changed. `mend`: one that a clock which was ahead has dated
    further than a grace into the future, and that would be young until then, is touched. Raises NotFound."""
    age = now - vault.store.changed_at(name)
    if mend and age < -vault.grace:
        vault.store.touch(name)
    return age


def _read(vault: Vault, writer_id: str) -> Writer:
    """Read a writer. Raises NotFound when it is gone, Damaged when it isn't what was written."""
    name = _object(writer_id)
    told = read_object(name, vault.store.read(name))
    try:
        bases = tuple(Top.of(base) for base in told["bases"])
        return Writer(writer_id, int(told["seen"]), float(told["began"]), bases)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Damaged(f"{name} isn't what was written: it can't be read.") from None


def _object(writer_id: str) -> str:
    return f"{names.WRITERS}/{writer_id}.json"


def _lost() -> WriterLost:
    return WriterLost(
        "The backup gave no sign of life for so long that its vault was pruned as if it had ended.",
        advice="Start it again.",
    )
