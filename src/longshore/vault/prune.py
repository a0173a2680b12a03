"""Pruning: packs go that no point names, in two phases, and nobody has to wait for it.

A pack that nothing names is put on a list of condemned ones; a later run, after the grace, looks again at what every
point names, and deletes those on the list that still nothing names. Neither touches what a living writer may have
added, or is based on. Nothing is rewritten.
"""

import json
import math
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from time import sleep

from longshore.errors import Conflict, NotFound
from longshore.model.strict_reading import read_json
from longshore.vault import locks
from longshore.vault.errors import Damaged
from longshore.vault.geometry import Top
from longshore.vault.holds import holds
from longshore.vault.packs import PackReader, name_of
from longshore.vault.points import points
from longshore.vault.tree import walk
from longshore.vault.vault import Vault
from longshore.vault.writers import Writer, living, number_of

_LEASE = "prune.json"


@dataclass(frozen=True, slots=True)
class Pruned:
    points: int
    packs: int  # that are there
    condemned: int  # packs that a later run may delete
    deleted: int  # packs; with `dry_run` those that would be
    freed: int  # bytes
    locked: int = 0  # bytes that were deleted, and stay until a later prune, since they are locked
    renewed: int = 0  # objects whose lock was made longer


def prune(vault: Vault, *, dry_run: bool = False) -> Pruned:
    """Raises Conflict while another one prunes, Damaged: what can't be read may name anything, so nothing goes.

    AccessDenied where not all points are there for the vault's user: what others name would go.
    """
    if vault.user is not None:
        vault.user.refuse_unless_owner("prunes it")
    if dry_run:
        return _prune(vault, None)
    lease = _take_lease(vault)
    try:
        return _prune(vault, lease)
    finally:
        if _has_lease(vault, lease):
            vault.store.delete(_LEASE)


def _prune(vault: Vault, lease: bytes | None) -> Pruned:
    store, histories = vault.store, {}
    if vault.lock is not None:
        histories = locks.histories(vault)
        locks.refuse_meddled(vault, histories)
    now = store.now()
    there = {bytes.fromhex(name[-69:-5]) for name in list(store.names("packs"))}
    seen: set[tuple[bytes, int]] = set()
    found, writers, packs = _look(vault, now, seen, sweep=lease is not None)
    named = set(packs)
    gone = named - there
    if gone and (lost := [pack for pack in gone if not store.has(name_of(pack))]):
        raise Damaged(
            f"{len(lost)} pack(s) that points name are gone, {name_of(lost[0])} among them: nothing is pruned.",
            advice="Look for them in a copy of the vault; longshore vault verify names the points.",
        )
    renewed = locks.renew(vault, histories, found, packs) if vault.lock is not None and lease is not None else 0
    lists = dict(_condemned(vault))
    condemned = {bytes.fromhex(pack) for packs in lists.values() for pack in packs}
    due = [number for number in sorted(lists) if _older(vault, f"condemned/{number}.json", now - vault.grace)]
    first = min((now - vault.grace, *(writer.began for writer in writers)))
    new = {pack: at for pack, at in _ages(vault, there - named - condemned) if at < first}
    doomed = _doomed(due, lists, writers, named, there)
    if lease is not None and store.lists_late and (new or any(doomed.values())):
        # What a first look didn't see, since lists come late, a second one does: a writer, or a point. So nothing that
        # is needed is deleted or condemned, and a writer that is too late for both looks hears that it is lost
        sleep(store.lists_late)
        _keep_lease(vault, lease)
        _, others, more = _look(vault, now, seen, sweep=True)
        writers, named = [*writers, *others], named | more.keys()
        first = min((first, *(writer.began for writer in others)))
        doomed = _doomed(due, lists, writers, named, there)
    deleted, freed = 0, 0
    for number, packs_of in doomed.items():
        for pack in packs_of:
            deleted, freed = deleted + 1, freed + _size(vault, pack)
            if lease is not None:
                _keep_lease(vault, lease)
                store.delete(name_of(pack))
        if lease is not None:
            store.delete(f"condemned/{number}.json")
    listed = [pack for pack, at in new.items() if pack not in named and at < first]
    if listed and lease is not None:
        _condemn(vault, max([*lists, *(writer.seen for writer in writers)], default=0) + 1, listed)
    if lease is not None:
        store.remove_broken_off(first)
    waiting = len((condemned - named) & there) - deleted + len(listed)
    if vault.lock is None or lease is None:
        return Pruned(len(found), len(there), waiting, deleted, freed)
    return Pruned(len(found), len(there), waiting, deleted, *locks.free(vault), renewed)


def _look(
    vault: Vault, now: float, seen: set[tuple[bytes, int]], *, sweep: bool
) -> tuple[dict[str, float], list[Writer], dict[bytes, float]]:
    """The points that there are, the living writers, and the packs that any of them needs. In a vault that locks, each
    with the end of the hold (seconds) for which it is needed longest, or 0.

    Of nodes that are in `seen` already, nothing is told again. Raises Damaged.
    """
    ends = _ends_of_holds(vault)
    found, tops = dict[str, float](), list[tuple[float, Top]]()
    for point in points(vault):
        found[point.name] = ends.get(point.name, 0.0)
        tops += [(found[point.name], top) for top in point.disks.values()]
    # After the points: whoever is based on one that was gone by then is seen here
    writers = living(vault, now, sweep=sweep)
    tops += [(0.0, base) for writer in writers for base in writer.bases]
    read, packs = PackReader(vault).read, dict[bytes, float]()
    # What several need is told of the first of them: so the one that needs it longest comes first
    for until, top in sorted(tops, key=itemgetter(0), reverse=True):
        for _, _, entry in walk(top, read, vault.keys.digest, seen):
            packs.setdefault(entry.pack, until)
    return found, writers, packs


def _ends_of_holds(vault: Vault) -> dict[str, float]:
    if vault.lock is None:
        return {}
    return {point: hold.until.timestamp() for point, hold in holds(vault).items() if hold.until is not None}


def _condemned(vault: Vault) -> Iterator[tuple[int, list[str]]]:
    """The lists that are there, and their packs."""
    for name in sorted(vault.store.names("condemned")):
        with suppress(NotFound):  # it has just gone
            yield number_of(name), read_json(vault.store.read(name), largest=1 << 30, heaviest=10_000_000)["packs"]


def _condemn(vault: Vault, number: int, packs: list[bytes]) -> None:
    """On a list of this number, or of the next one that is free."""
    listed = json.dumps({"packs": sorted(pack.hex() for pack in packs)}).encode()
    while True:
        try:
            return vault.store.create(f"condemned/{number}.json", listed)
        except Conflict:  # of a list that the store's own doesn't show yet
            number += 1


def _doomed(
    due: list[int], lists: Mapping[int, list[str]], writers: list[Writer], named: set[bytes], there: set[bytes]
) -> dict[int, list[bytes]]:
    """The lists that are to be done with, and which of their packs go: those that nobody names."""
    spoken_for = min((writer.seen for writer in writers), default=math.inf)
    return {
        number: [pack for pack in map(bytes.fromhex, lists[number]) if pack in there and pack not in named]
        for number in due
        if number <= spoken_for
    }


def _ages(vault: Vault, packs: set[bytes]) -> Iterator[tuple[bytes, float]]:
    """When each of them was stored; those that have just gone are left out."""
    for pack in packs:
        with suppress(NotFound):
            yield pack, vault.store.changed_at(name_of(pack))


def _older(vault: Vault, name: str, moment: float) -> bool:
    try:
        return vault.store.changed_at(name) < moment
    except NotFound:
        return False


def _size(vault: Vault, pack: bytes) -> int:
    try:
        return vault.store.size(name_of(pack))
    except NotFound:  # it is in a list that comes late
        return 0


def _take_lease(vault: Vault) -> bytes:
    """Raises Conflict."""
    own = secrets.token_hex(16).encode()
    try:
        vault.store.create(_LEASE, own)
    except Conflict:
        try:
            quiet = vault.store.now() - vault.store.changed_at(_LEASE)
        except NotFound:
            quiet = 0.0
        if quiet < vault.grace / 24:
            raise Conflict("The vault is being pruned already.", advice="Wait for its end.") from None
        vault.store.delete(_LEASE)  # of one that was killed
        vault.store.create(_LEASE, own)
    return own


def _keep_lease(vault: Vault, own: bytes) -> None:
    """Raises Conflict when somebody has taken this one for dead."""
    if not _has_lease(vault, own):
        raise Conflict("Another one prunes the vault by now.", advice="Wait for its end.")
    vault.store.touch(_LEASE)


def _has_lease(vault: Vault, own: bytes) -> bool:
    try:
        return vault.store.read(_LEASE) == own
    except NotFound:
        return False
