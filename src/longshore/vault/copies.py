"""One disk of a point, from one vault into another: what differs from a point that both have, read, compared with its
digests, and written.

Two vaults with keys of their own name equal blocks differently. So what differs is found out in the vault that it is
copied from, and the disk in the other one begins as the point that was copied before.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from longshore.vault.disks import NewDisk, PointDisk
from longshore.vault.geometry import BLOCK, FANOUT, Top, TreeEntry
from longshore.vault.packs import PackReader
from longshore.vault.tree import Tree
from longshore.vault.vault import Vault

_THREADS = 8  # that mostly wait, where a vault is far away
_TOGETHER = 256  # blocks between two flushes: 32 MiB


@dataclass(frozen=True, slots=True)
class Before:
    """A disk that both vaults have."""

    source: Top
    target: Top


@dataclass(frozen=True, slots=True)
class CopiedDisk:
    top: Top
    read: int  # bytes
    stored: int  # bytes that the other vault has grown by


def copy_disk(  # noqa: PLR0917
    source: Vault,
    target: Vault,
    top: Top,
    before: Before | None,
    journal: Path,
    beat: Callable[[], None],
    *,
    called: str = "",
) -> CopiedDisk:
    """`beat` is called now and then, and may raise. One that was broken off goes on by its journal. `called`: the
    point, the machine and the disk, for who hears that something is damaged.

    Raises Damaged when something isn't what was written, of it or of what was before; VaultFull, WriterLost.
    """
    if before is not None and before.source.size != top.size:
        before = None
    reader = PointDisk(source, top, called=called)
    new = NewDisk(target, before.target if before else Top(top.size, None), journal)
    read = 0

    def carry(number: int, entry: TreeEntry | None) -> int:
        length = reader.length_of(number)
        if entry is None:
            new.zero(number * BLOCK, length)
            return 0
        new.write(number * BLOCK, reader.block(number, entry))
        return length

    try:
        with ThreadPoolExecutor(_THREADS) as threads:
            others = differing(source, top, before.source if before else None)
            while some := list(islice(others, _TOGETHER)):
                read += sum(threads.map(lambda one: carry(*one), some))
                new.flush()
                beat()
        return CopiedDisk(new.finish(), read, new.stored)
    finally:
        new.close()


def differing(vault: Vault, top: Top, before: Top | None) -> Iterator[tuple[int, TreeEntry | None]]:
    """Yield the numbers and places of a disk's blocks that aren't what they were `before`, when it had the same size,
    or that aren't zero. Raises Damaged."""
    packs = PackReader(vault)
    new = Tree(top, packs.read, vault.keys.digest)
    old = Tree(before or Top(top.size, None), packs.read, vault.keys.digest)

    def below(
        level: int, index: int, now: TreeEntry | None, then: TreeEntry | None
    ) -> Iterator[tuple[int, TreeEntry | None]]:
        if (now.id if now else None) == (then.id if then else None):
            return
        if level == 0:
            yield index, now
            return
        ours = new.node(level, now) if now is not None else {}
        theirs = old.node(level, then) if then is not None else {}
        for number in sorted(ours.keys() | theirs.keys()):
            yield from below(level - 1, index * FANOUT + number, ours.get(number), theirs.get(number))

    yield from below(top.level, 0, top.entry, old.top.entry)
