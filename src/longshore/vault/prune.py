"""Pruning: packs go that no point names, in two phases, and nobody has to wait for it.

A pack that nothing names is put on a list of condemned ones; a later run, after the grace, looks again at what every
point names, and deletes those on the list that still nothing names. Neither touches what a living writer may have
added, or is based on. Nothing is rewritten.
"""

import json
import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from time import sleep

from longshore.errors import Conflict, LongshoreError, NotFound
from longshore.vault import locks, names
from longshore.vault.errors import Damaged, VaultFull
from longshore.vault.geometry import Top
from longshore.vault.holds import holds
from longshore.vault.packs import PackReader, name_of
from longshore.vault.points import DamagedPoint, object_of, points
from longshore.vault.sealing import read_object
from longshore.vault.store import Store
from longshore.vault.tree import walk
from longshore.vault.vault import Vault
from longshore.vault.writers import Writer, age_of, living

_LEASE = "prune.json"
_NONE = b""  # instead of a lease
_SKEW = 60.0  # seconds that a store's clock may be put back
_MOST_LISTED = 100_000  # packs on a list


@dataclass(frozen=True, slots=True)
class Pruned:
    points: int
    packs: int  # that are there
    condemned: int  # packs that a later run may delete
    deleted: int  # packs; with `dry_run` those that would be
    freed: int  # bytes
    locked: int = 0  # bytes that were deleted, and stay until a later prune, since they are locked
    renewed: int = 0  # objects whose lock was made longer


class PrunedInPart(Damaged):
    """The error for a prune in part: something couldn't be read, or isn't there, and what it may need stays. All else
    was pruned."""

    def __init__(self, done: Pruned, said: Sequence[str]) -> None:
        super().__init__(
            f"{len(said)} thing(s) aren't as they should be; what may need them stays, and all else was pruned. "
            f"The first: {said[0]}",
            advice="See what else: longshore vault check. A point that can't be restored is deleted by its name.",
        )
        self.done, self.said = done, tuple(said)


@dataclass(slots=True)
class _Look:
    """The points, writers and packs that a prune found, and what it couldn't tell."""

    now: float  # seconds, by the store's clock, before anything was looked at
    there: set[bytes]  # packs
    gone_into: set[tuple[bytes, int]]  # nodes of maps
    writers: list[Writer] = field(default_factory=list)
    # In a vault that locks, with the end of the hold (seconds) that each has, or 0
    points: dict[str, float] = field(default_factory=dict)
    # That any of them needs, with the end of the longest hold that needs it, or 0
    packs: dict[bytes, float] = field(default_factory=dict)
    unsure: float = -math.inf  # what was stored up to then (by the store's clock) may be needed by what can't be read
    said: list[str] = field(default_factory=list)  # sentences about what that is


def prune(vault: Vault, *, dry_run: bool = False) -> Pruned:
    """Prune the vault. In one that locks, locks are renewed before anything else, and whatever else fails.

    Raises Conflict while another one prunes; Damaged when somebody has meddled with a vault that locks, of which
    nothing is pruned then; PrunedInPart; AccessDenied where not all points are there for the vault's user: what others
    name would go.
    """
    if vault.user is not None:
        vault.user.refuse_unless_owner("prunes it")
    said: list[str] = []
    if dry_run:
        done = _prune(vault, None, _look(vault, set(), sweep=False), 0, said)
    else:
        renewing = _renew(vault) if vault.lock is not None else None
        with _lease(vault, said) as lease:
            look, renewed = renewing or (_look(vault, set(), sweep=True), 0)
            done = _prune(vault, lease, look, renewed, said)
    if said:
        raise PrunedInPart(done, list(dict.fromkeys(said)))
    return done


def prune_at(store: Store, open_vault: Callable[[], AbstractContextManager[Vault]]) -> Pruned:
    """Prune the vault that is there, whatever has become of it: where it can't so much as be opened, all that is or was
    in it has its lock renewed, if it has one.

    Raises as `prune` does, and what `open_vault` does.
    """
    try:
        with open_vault() as vault:
            return prune(vault)
    except (Conflict, PrunedInPart):
        raise  # what was needed is locked anew
    except BaseException:
        with suppress(LongshoreError):  # why the vault can't be pruned is what is told
            locks.renew_blindly(store)
        raise


def _renew(vault: Vault) -> tuple[_Look, int]:
    """Look at what there is and renew locks. Returns the look, and how many locks were renewed. Raises Damaged when
    somebody has meddled."""
    histories = locks.histories(vault)
    try:
        look = _look(vault, set(), sweep=True)
        locks.refuse_meddled(vault, histories)
    except BaseException:
        locks.renew_all(vault, histories)
        raise
    if look.said:  # what can't be read may need anything
        return look, locks.renew_all(vault, histories)
    return look, locks.renew(vault, histories, look.points, look.packs)


def _prune(vault: Vault, lease: bytes | None, look: _Look, renewed: int, said: list[str]) -> Pruned:
    store, now, there, named = vault.store, look.now, look.there, set(look.packs)
    if lost := [pack for pack in named - there if not store.has(name_of(pack))]:
        said.append(f"{len(lost)} pack(s) that points name are gone, {name_of(lost[0])} among them.")
    lists = dict(_condemned(vault, said))
    condemned = {pack for packs in lists.values() for pack in packs}
    due = [number for number in sorted(lists) if _is_due(vault, number, now, mend=lease is not None)]
    writers, unsure = look.writers, look.unsure

    def is_old(at: float) -> bool:
        # What a clock that was ahead has dated into the future may be a living writer's; without any it is nobody's
        return at < first or (not writers and at > now + vault.grace)

    def is_sure(at: float) -> bool:
        # What can't be read may need whatever was stored before, and anything that a clock has dated into the future
        return unsure == -math.inf or unsure < at <= now

    first = min((now - vault.grace, *(writer.began for writer in writers)))
    new = {pack: at for pack, at in _ages(vault, there - named - condemned) if is_old(at)}
    doomed = _doomed(due, lists, writers, named, there)
    if lease is not None and store.lists_late and (new or any(doomed.values())):
        # What a first look didn't see, since lists come late, a second one does: a writer, or a point. So nothing that
        # is needed is deleted or condemned, and a writer that is too late for both looks hears that it is lost
        sleep(store.lists_late)
        _keep_lease(vault, lease)
        again = _look(vault, look.gone_into, sweep=True, now=now)
        look.said += again.said
        writers, named = [*writers, *again.writers], named | again.packs.keys()
        first = min((first, *(writer.began for writer in again.writers)))
        unsure = max(unsure, again.unsure)
        doomed = _doomed(due, lists, writers, named, there)
    said += look.said
    deleted, freed = 0, 0
    for number, packs_of in doomed.items():
        going = [pack for pack, at in _ages(vault, packs_of) if is_sure(at)] if unsure > -math.inf else packs_of
        for pack in going:
            deleted, freed = deleted + 1, freed + _size(vault, pack)
            if lease is not None:
                _keep_lease(vault, lease)
                store.delete(name_of(pack))
        if lease is not None and len(going) == len(packs_of):
            store.delete(f"condemned/{number}.json")
    listed = [pack for pack, at in new.items() if pack not in named and is_sure(at) and is_old(at)]
    if listed and lease is not None:
        try:
            _condemn(vault, max([*lists, *(writer.seen for writer in writers)], default=0) + 1, listed)
        except VaultFull:
            if not deleted:
                raise
    if lease is not None:
        store.remove_broken_off(first)
    waiting = len((condemned - named) & there) - deleted + len(listed)
    if vault.lock is None or lease is None:
        return Pruned(len(look.points), len(there), waiting, deleted, freed)
    return Pruned(len(look.points), len(there), waiting, deleted, *locks.free(vault), renewed)


def _look(vault: Vault, gone_into: set[tuple[bytes, int]], *, sweep: bool, now: float | None = None) -> _Look:
    """Look at the packs that there are; then the points; then the living writers, and what any of those needs.

    Of nodes that are in `gone_into` already, nothing is told again.
    """
    now = vault.store.now() if now is None else now
    listed = [names.id_in(names.PACKS, name) for name in vault.store.names(names.PACKS)]
    there = {bytes.fromhex(pack) for pack in listed if pack is not None}
    look = _Look(now, there, gone_into)
    ends = _ends_of_holds(vault)
    tops = list[tuple[float, Top, str, Callable[[], float]]]()  # what each is of, and when what it needs was stored

    def unread(point: DamagedPoint) -> None:
        look.said.append(point.why)
        look.unsure = max(look.unsure, _stored_at(vault, point.name, now))

    for point in points(vault, damaged=unread):
        until = look.points[point.name] = ends.get(point.name, 0.0)
        stored = partial(_stored_at, vault, point.name, now)
        tops += [(until, top, point.called(key), stored) for key, top in point.disks.items()]
    # After the points: whoever is based on one that was gone by then is seen here
    look.writers = living(vault, now, sweep=sweep, damaged=look.said.append)
    for one in look.writers:
        tops += [(0.0, base, f"what the backup {one.id} is based on", partial(float, one.began)) for base in one.bases]
    read = PackReader(vault).read
    # What several need is told of the first of them: so the one that needs it longest comes first
    for until, top, called, stored_at in sorted(tops, key=itemgetter(0), reverse=True):
        unknown = list[Damaged]()
        for _, _, entry in walk(top, read, vault.keys.digest, gone_into, unknown.append):
            look.packs.setdefault(entry.pack, until)
        if unknown:
            look.said.append(f"The map of {called} can't be read: {unknown[0].message}")
            look.unsure = max(look.unsure, stored_at())
    return look


def _stored_at(vault: Vault, point: str, now: float) -> float:
    """Return when a point's document was stored: what it needs was stored before."""
    try:
        return vault.store.changed_at(object_of(point))
    except NotFound:  # it has just gone; others may need the same
        return now


def _ends_of_holds(vault: Vault) -> dict[str, float]:
    if vault.lock is None:
        return {}
    return {point: hold.until.timestamp() for point, hold in holds(vault).items() if hold.until is not None}


def _condemned(vault: Vault, said: list[str]) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the lists that are there, and their packs. One that can't be read has none: they are listed anew."""
    for name in sorted(vault.store.names(names.LISTS)):
        if (number := names.id_in(names.LISTS, name)) is None:
            continue
        try:
            packs = [bytes.fromhex(pack) for pack in read_object(name, vault.store.read(name))["packs"]]
        except NotFound:  # it has just gone
            continue
        except (Damaged, KeyError, TypeError, ValueError):
            said.append(f"{name} can't be read: what is on it is condemned anew.")
            packs = []
        yield int(number), packs


def _condemn(vault: Vault, number: int, packs: list[bytes]) -> None:
    """List packs as condemned: on lists of this number, or of the next one that is free, and of those that follow."""
    packs = sorted(packs)
    for start in range(0, len(packs), _MOST_LISTED):
        some = packs[start : start + _MOST_LISTED]
        listed = json.dumps({"packs": [pack.hex() for pack in some]}).encode()
        while True:
            with suppress(Conflict):  # of a list that the store's own doesn't show yet
                vault.store.create(f"condemned/{number}.json", listed)
                break
            number += 1


def _doomed(
    due: list[int], lists: Mapping[int, list[bytes]], writers: list[Writer], named: set[bytes], there: set[bytes]
) -> dict[int, list[bytes]]:
    """Return the lists that are to be done with, and which of their packs go: those that nobody names."""
    spoken_for = min((writer.seen for writer in writers), default=math.inf)
    return {
        number: [pack for pack in lists[number] if pack in there and pack not in named]
        for number in due
        if number <= spoken_for
    }


def _ages(vault: Vault, packs: Iterable[bytes]) -> Iterator[tuple[bytes, float]]:
    """Yield when each pack was stored; those that have just gone are left out."""
    for pack in packs:
        with suppress(NotFound):
            yield pack, vault.store.changed_at(name_of(pack))


def _is_due(vault: Vault, number: int, now: float, *, mend: bool) -> bool:
    """Tell whether a list is older than the grace. `mend`: as `age_of` has it."""
    try:
        return age_of(vault, f"condemned/{number}.json", now, mend=mend) > vault.grace
    except NotFound:
        return False


def _size(vault: Vault, pack: bytes) -> int:
    try:
        return vault.store.size(name_of(pack))
    except NotFound:  # it is in a list that comes late
        return 0


@contextmanager
def _lease(vault: Vault, said: list[str]) -> Iterator[bytes]:
    """Hold the lease while pruning. Raises Conflict when another one holds it. On a file system that is full there is
    none: two who prune do each other no harm."""
    try:
        own = _take_lease(vault, said)
    except VaultFull:
        own = _NONE
    try:
        yield own
    finally:
        if own != _NONE and _has_lease(vault, own):
            vault.store.delete(_LEASE)


def _take_lease(vault: Vault, said: list[str]) -> bytes:
    """Take the lease, also from a pruner that died. Raises Conflict."""
    now = vault.store.now()
    own = vault.keys.write_document(_LEASE, {"id": secrets.token_hex(16), "began": now})
    try:
        vault.store.create(_LEASE, own)
    except Conflict:
        if _has_lease(vault, own):  # it is this one's: the first answer was lost
            return own
        if why := _refuse_living(vault, now):
            said.append(why)
        vault.store.delete(_LEASE)
        vault.store.create(_LEASE, own)
    return own


def _refuse_living(vault: Vault, now: float) -> str | None:
    """Raise Conflict while another one prunes. Returns a sentence where that can't be one."""
    try:
        quiet = now - vault.store.changed_at(_LEASE)
        told = vault.store.read(_LEASE)
    except NotFound:
        return None
    if quiet >= vault.grace / 24:  # of one that was killed
        return None
    try:
        began = float(vault.keys.read_document(_LEASE, told)["began"])
        since = datetime.fromtimestamp(began, UTC)
    except (Damaged, KeyError, TypeError, ValueError, OverflowError, OSError):
        raise Conflict(
            f"The vault is being pruned already, and not by Longshore: {_LEASE} isn't what Longshore writes.",
            advice="If that is there tomorrow, too, somebody else writes to the vault: see who has its keys.",
        ) from None
    if -_SKEW <= now - began <= vault.grace:
        raise Conflict(
            f"The vault is being pruned already, since {since:%Y-%m-%d %H:%M:%S} UTC.", advice="Wait for its end."
        )
    return f"Somebody has kept {_LEASE} since {since:%Y-%m-%d %H:%M:%S} UTC: no prune takes so long. See who it is."


def _keep_lease(vault: Vault, own: bytes) -> None:
    """Renew the lease. Raises Conflict when somebody has taken this pruner for dead."""
    if own == _NONE:
        return
    if not _has_lease(vault, own):
        raise Conflict("Another one prunes the vault by now.", advice="Wait for its end.")
    vault.store.touch(_LEASE)


def _has_lease(vault: Vault, own: bytes) -> bool:
    try:
        return vault.store.read(_LEASE) == own
    except NotFound:
        return False
