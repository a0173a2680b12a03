"""Locks of a vault: they are kept standing, meddling is seen, and what was deleted is freed once its lock lets it.

A vault promises that whatever is in it now can be had back for the lock's time, whoever deletes it. What a restore
needs is locked when it is stored, for that time and one grace. Each prune locks what living points need anew, where
less than that is left: for a quarter of the time more, so that a pack is renewed once in so long.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from longshore.errors import InvalidInput, NotFound
from longshore.vault import names
from longshore.vault.errors import Damaged
from longshore.vault.holds import is_being_deleted
from longshore.vault.packs import name_of
from longshore.vault.points import object_of
from longshore.vault.sealing import Plain, read_own_sum
from longshore.vault.store import Store
from longshore.vault.vault import Vault
from longshore.vault.versions import TOGETHER, History, is_needed

_MORE = 0.25  # of the lock's time

Histories = Mapping[str, History]


@dataclass(frozen=True, slots=True)
class Lock:
    """The state of the lock over all that living points need. Times are seconds, by the store's clock."""

    until: float | None  # the earliest end of any of them; None: nothing was asked for
    short: int  # objects that are locked for less than the vault promises
    open: tuple[str, ...]  # objects that aren't locked at all


class Freed(NamedTuple):
    freed: int  # bytes
    waiting: int  # bytes that were deleted, and stay until their lock ends


def histories(vault: Vault) -> dict[str, History]:
    """Return the versions of all that is or was in the vault. Call it only for a vault that locks."""
    return vault.store.versions.all()


def meddled(vault: Vault, found: Histories) -> list[str]:
    """Return sentences about what somebody has deleted or written again who isn't a pruner of the vault."""
    said = []
    for name, history in sorted(found.items()):
        if not is_needed(name) or not names.is_known(name) or not history.versions:
            continue
        if history.overwritten:
            said.append(f"{name} was written again by somebody: it isn't what it was.")
        elif history.hidden and _is_missed(vault, name, found):
            said.append(f"{name} was deleted by somebody, not by Longshore.")
    return said


def renew(vault: Vault, found: Histories, points: Mapping[str, float], packs: Mapping[bytes, float]) -> int:
    """Lock what these need for as long as the vault promises, or until their time, when that is later (seconds).

    Returns how many objects were locked anew.
    """
    return _renew(vault, found, _needs(found, points, packs))


def renew_all(vault: Vault, found: Histories) -> int:
    """Lock anew all that there is and was, as `renew` does: for when nobody knows what is needed. Returns how many."""
    return _renew(vault, found, {name: 0.0 for name in found if is_needed(name)})


def renew_blindly(store: Store) -> int:
    """Lock anew all that there is and was in a vault that can't be opened, whoever has seen to that: by what its
    description was at first, if that says that it locks. Returns how many objects were locked anew.

    Raises Damaged when that can't be read, Unreachable when the bucket doesn't answer.
    """
    try:
        found = store.versions.all()
    except InvalidInput:  # a directory, which locks nothing
        return 0
    history = found.get(names.DESCRIPTION)
    if history is None or not history.versions:
        return 0
    told = read_own_sum(names.DESCRIPTION, store.versions.read(names.DESCRIPTION, history.first.id))
    if not isinstance(told.get("lock"), int | float) or not isinstance(told.get("grace"), int | float):
        return 0
    vault = Vault("", store, Plain(), float(told["grace"]), float(told["lock"]))
    return renew_all(vault, found)


def stand(vault: Vault, found: Histories, points: Mapping[str, float], packs: Iterable[bytes]) -> Lock:
    """Tell how the lock stands. Nothing is changed."""
    lock, now = _lock(vault), vault.store.now()
    ends: dict[str, float] = {}

    def look(name: str) -> None:
        with suppress(NotFound):
            ends[name] = vault.store.versions.locked_until(name, _first(vault, found, name))

    _together(look, _needs(found, points, dict.fromkeys(packs, 0.0)))
    open_ = tuple(sorted(name for name, until in ends.items() if until <= now))
    short = sum(now < until < now + lock for until in ends.values())
    return Lock(min(ends.values(), default=None), short, open_)


def free(vault: Vault) -> Freed:
    """Remove for good what is deleted, where no lock keeps it any more."""
    found, now = histories(vault), vault.store.now()
    sure = now - _lock(vault) - vault.grace  # what is younger is locked still
    freed, waiting = list[int](), list[int]()

    def drop(name: str) -> None:
        history = found[name]
        stays = False
        for version in history.versions:
            # What a wrong clock has dated into the future may be of any age: the bucket says whether it is locked
            old = not sure <= version.made <= now or not is_needed(name)
            gone = old and vault.store.versions.drop(name, version.id)
            (freed if gone else waiting).append(version.size)
            stays = stays or not gone
        for marker in () if stays else history.markers:
            vault.store.versions.drop(name, marker)

    _together(drop, [name for name, history in found.items() if _is_over(name, history, found)])
    return Freed(sum(freed), sum(waiting))


def refuse_meddled(vault: Vault, found: Histories) -> None:
    """Raise Damaged when somebody has meddled."""
    if said := meddled(vault, found):
        raise Damaged(
            f"{len(said)} object(s) were deleted or written again behind Longshore's back, so nothing is pruned: "
            f"{said[0]}",
            advice="Bring them back: longshore vault recover. Then see who has the vault's keys.",
        )


def _is_missed(vault: Vault, name: str, found: Histories) -> bool:
    """Tell whether a hidden object is missed: pruners hide packs, keys are removed, and who deletes a point says so
    before."""
    if (point := names.id_in(names.POINTS, name)) is not None:
        return not is_being_deleted(vault, point)
    if (point := names.id_in(names.HOLDS, name)) is not None:
        return object_of(point) in found
    return _lies_at_top(name)


def _is_over(name: str, history: History, found: Histories) -> bool:
    """Tell whether nothing of an object is to stay."""
    point = names.id_in(names.HOLDS, name)
    if point is not None:  # it tells of a deletion while the point could be had back
        return object_of(point) not in found
    return history.hidden


def _lies_at_top(name: str) -> bool:
    return "/" not in name


def _needs(found: Histories, points: Mapping[str, float], packs: Mapping[bytes, float]) -> dict[str, float]:
    wanted = {object_of(point): until for point, until in points.items()}
    for name, history in found.items():
        if (point := names.id_in(names.HOLDS, name)) is not None and point in points:
            wanted[name] = points[point]
        elif is_needed(name) and (_lies_at_top(name) or names.id_in(names.KEYS, name)) and not history.hidden:
            wanted[name] = 0.0
    return wanted | {name_of(pack): until for pack, until in packs.items()}


def _renew(vault: Vault, found: Histories, wanted: Mapping[str, float]) -> int:
    lock, now = _lock(vault), vault.store.now()
    least = now + lock + vault.grace
    done = list[str]()

    def one(name: str) -> None:
        until = max(least, wanted[name])
        with suppress(NotFound):
            first = _first(vault, found, name)
            if vault.store.versions.locked_until(name, first) < until:
                vault.store.versions.lock(name, first, max(least + _MORE * lock, wanted[name]))
                done.append(name)

    _together(one, wanted)
    return len(done)


def _together(do: Callable[[str], None], names: Iterable[str]) -> None:
    with ThreadPoolExecutor(TOGETHER, "longshore-locks") as threads:
        for done in [threads.submit(do, name) for name in names]:
            done.result()


def _first(vault: Vault, found: Histories, name: str) -> str:
    """Return the id of the object's version that counts. Raises NotFound."""
    history = found.get(name) or vault.store.versions.of(name)  # it was made after the look at all of them
    if not history.versions:
        raise NotFound(f"{name} isn't in the vault {vault.store}.")
    return history.first.id


def _lock(vault: Vault) -> float:
    assert vault.lock is not None
    return vault.lock
