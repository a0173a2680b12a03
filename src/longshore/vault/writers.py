"""Writers: who is adding to the vault, so that pruning leaves alone what no point names yet.

A writer is an object that is touched as long as it lives. It says what its disks are based on, which so stays as if a
point named it, and the highest number of a list of condemned packs that it has seen: what is on a later list isn't
deleted while it lives.
"""

import json
from dataclasses import dataclass

from longshore.errors import Conflict, NotFound
from longshore.model.strict_reading import read_json
from longshore.vault.errors import Damaged, WriterLost
from longshore.vault.geometry import Top
from longshore.vault.holds import delete_point
from longshore.vault.points import Point, write_point
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


def register(vault: Vault, writer_id: str, bases: tuple[Top, ...]) -> None:
    """From now on nothing that it adds, or is based on, is removed. The second call with the same id changes nothing.

    Whoever is based on a point looks afterwards whether that is still there.
    """
    seen = max((number_of(name) for name in vault.store.names("condemned")), default=0)
    told = {"seen": seen, "began": vault.store.now(), "bases": [base.told() for base in bases]}
    try:
        vault.store.create(_object(writer_id), json.dumps(told).encode())
    except Conflict:
        beat(vault, writer_id)


def beat(vault: Vault, writer_id: str) -> None:
    """Raises WriterLost."""
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
    """Nothing to do when it has left.

    Where lists come late its object stays until a pruner takes it for dead: so whoever doesn't see the new point in a
    list yet still sees what it is based on.
    """
    if not vault.store.lists_late:
        vault.store.delete(_object(writer_id))


def living(vault: Vault, now: float, *, sweep: bool) -> list[Writer]:
    """Those that gave a sign of life within the grace. `sweep`: the others are gone from now on. Raises Damaged."""
    found = []
    for name in list(vault.store.names("writers")):
        try:
            if now - vault.store.changed_at(name) > vault.grace:
                if sweep:
                    vault.store.delete(name)
                continue
            told = read_json(vault.store.read(name))
            bases = tuple(Top.of(base) for base in told["bases"])
            writer_id = name.removeprefix("writers/").removesuffix(".json")
            found.append(Writer(writer_id, int(told["seen"]), float(told["began"]), bases))
        except NotFound:
            continue
        except (KeyError, TypeError, ValueError):
            raise Damaged(
                f"{name} of the vault can't be read.", advice="Remove it, if no backup is under way."
            ) from None
    return found


def number_of(condemned: str) -> int:
    """Of a list of condemned packs, by its object's name."""
    return int(condemned.removeprefix("condemned/").removesuffix(".json"))


def _object(writer_id: str) -> str:
    return f"writers/{writer_id}.json"


def _lost() -> WriterLost:
    return WriterLost(
        "The backup gave no sign of life for so long that its vault was pruned as if it had ended.",
        advice="Start it again.",
    )
