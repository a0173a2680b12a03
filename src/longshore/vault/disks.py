"""Disks of a vault as something to be read and written at any place: what the NBD server serves.

A disk that is written begins as another point's, or as nothing but zeroes. A block whose digest is the same as before
stays where it is, so writing all of a disk again stores what differs. After a flush, what was written is in packs, and
the journal, a file of the writer's own, says where; a writer that was killed goes on from there.
"""

import fcntl
import os
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from longshore.blocks.window import COMPUTES
from longshore.processes.durable import sync_directory
from longshore.vault.errors import Damaged
from longshore.vault.geometry import BLOCK, FANOUT, ID, Top, TreeEntry
from longshore.vault.kept_blocks import BlocksOf, KeptBlocks
from longshore.vault.packs import LARGEST, PackReader, PackWriter, compress
from longshore.vault.tree import Tree, add_node, grow
from longshore.vault.vault import Vault

if TYPE_CHECKING:
    from longshore.vault.known_blocks import KnownBlocks

_KEPT = 64  # blocks that were read last
_ZEROES = bytes(BLOCK)
_LINE = struct.Struct(f"<Q?{ID}s{ID}sII")  # number of a node of level 1, whether there is one, its entry
_LEAF = BLOCK * FANOUT  # bytes below a node of level 1


class Range(NamedTuple):
    offset: int
    length: int
    zero: bool


class DiskReader(ABC):
    """One that is served. Its methods may be called from several threads."""

    size: int
    description: str = ""  # for who connects

    @abstractmethod
    def entry(self, block: int) -> TreeEntry | None: ...

    @abstractmethod
    def block(self, number: int, entry: TreeEntry, *, again: bool = False) -> bytes:
        """Return a block's bytes. `again`: it may well be asked for once more, as by whoever reads a part of it."""

    def blocks(self, wanted: Sequence[tuple[int, TreeEntry]]) -> list[bytes]:
        """Return several blocks that are asked for together. Raises Damaged."""
        return [self.block(number, entry) for number, entry in wanted]

    @abstractmethod
    def leaf_is_zero(self, leaf: int) -> bool: ...

    def read(self, offset: int, length: int) -> bytes:
        """Read a range, which has to lie within the disk. Raises Damaged."""
        parts = self.parts(offset, length)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def parts(self, offset: int, length: int) -> list[bytes]:
        """Read a range in the pieces that it is kept in. Raises Damaged."""
        asked = [(piece, self.entry(piece[0])) for piece in pieces(offset, length)]
        whole = [(number, entry) for (number, start, end), entry in asked if entry is not None and end - start == BLOCK]
        read = iter(self.blocks(whole) if whole else ())
        found = []
        for (number, start, end), entry in asked:
            if entry is None:
                found.append(_ZEROES[start:end])
            elif end - start == BLOCK:
                found.append(next(read))
            else:
                found.append(self.block(number, entry, again=True)[start:end])
        return found

    def ranges(self, offset: int, length: int) -> Iterator[Range]:
        """Yield what is zero in a range and what isn't, in order."""
        at, end = offset, offset + length
        while at < end:
            if at % _LEAF == 0 and self.leaf_is_zero(at // _LEAF):
                step, zero = _LEAF, True
            else:
                step, zero = BLOCK - at % BLOCK, self.entry(at // BLOCK) is None
            yield Range(at, min(step, end - at), zero)
            at += step

    def length_of(self, block: int) -> int:
        return min(BLOCK, self.size - block * BLOCK)


class PointDisk(DiskReader):
    """A disk of a point: nothing is handed out that isn't what was written."""

    def __init__(self, vault: Vault, top: Top, shared: BlocksOf | None = None, *, called: str = "") -> None:
        """Open a disk for reading. `shared`: blocks that others have read, too; all that is read is kept there.
        `called`: the point, the machine and the disk, for who hears that something is damaged."""
        self.size = top.size
        self.description = _described(vault)
        self._called = f"{called}, " if called else ""
        self._packs = PackReader(vault)
        self._tree = Tree(top, self._packs.read, vault.keys.digest)
        self._kept = shared or KeptBlocks(_KEPT).of("")
        self._keeps_all = shared is not None

    def entry(self, block: int) -> TreeEntry | None:
        try:
            return self._tree.entry(0, block)
        except Damaged as error:
            raise self._damaged(block, error) from None

    def leaf_is_zero(self, leaf: int) -> bool:
        try:
            return self._tree.entry(1, leaf) is None
        except Damaged as error:
            raise self._damaged(leaf * FANOUT, error) from None

    def block(self, number: int, entry: TreeEntry, *, again: bool = False) -> bytes:
        """Return a block's bytes, checked against its digest. Raises Damaged."""
        found = self._find(number, entry)
        if found is None:
            try:
                found = self._checked(number, entry, self._packs.block(entry))
            except Damaged as error:
                raise self._damaged(number, error) from None
            if again or self._keeps_all:
                self._kept.keep(entry.id, found)
        return found

    def blocks(self, wanted: Sequence[tuple[int, TreeEntry]]) -> list[bytes]:
        found = [self._find(number, entry) if self._keeps_all else None for number, entry in wanted]
        missing = [one for one, block in zip(wanted, found, strict=True) if block is None]
        try:
            read = iter(self._packs.blocks([entry for _, entry in missing]))
            return [
                self._taken(one, next(read)) if block is None else block
                for one, block in zip(wanted, found, strict=True)
            ]
        except Damaged:  # which of them it is, its own reading says
            return [self.block(number, entry) for number, entry in wanted]

    def _taken(self, wanted: tuple[int, TreeEntry], read: bytes) -> bytes:
        block = self._checked(*wanted, read)
        if self._keeps_all:
            self._kept.keep(wanted[1].id, block)
        return block

    def _find(self, number: int, entry: TreeEntry) -> bytes | None:
        found = self._kept.find(entry.id)
        return found if found is None or len(found) == self.length_of(number) else None

    def _checked(self, number: int, _entry: TreeEntry, found: bytes) -> bytes:
        """Check a block's length: the digest is right, and the map says where the block is, and so how long. Raises
        Damaged."""
        if len(found) != self.length_of(number):
            raise Damaged("The map has a block of another length there.")
        return found

    def _damaged(self, number: int, error: Damaged) -> Damaged:
        start, end = number * BLOCK, min((number + 1) * BLOCK, self.size)
        return Damaged(f"{self._called}bytes {start} to {end} can't be had: {error.message}", advice=error.advice)


class NewDisk(DiskReader):
    """A disk that is being written for a point to come."""

    def __init__(
        self,
        vault: Vault,
        base: Top,
        journal: Path,
        *,
        known: "KnownBlocks | None" = None,
        pack_size: int = LARGEST,
    ) -> None:
        """Open a disk for writing. `base`: what it holds at first; `known`: blocks that are named where they are. A
        journal that is there is gone on with."""
        self.size = base.size
        self.description = _described(vault)
        self._known = known
        self._digest = vault.keys.digest
        self._packs = PackWriter(vault, pack_size)
        self._tree = Tree(base, self._packs.read, self._digest)
        self._lock = threading.RLock()
        self._flushing = threading.Lock()
        self._journal, self._leaves = _open_journal(journal)
        self._written: dict[int, dict[int, TreeEntry]] = {}  # leaves that aren't stored yet: all of their blocks

    def close(self) -> None:
        """Close the disk. What wasn't flushed is lost."""
        self._packs.close()
        os.close(self._journal)

    @property
    def stored(self) -> int:
        """Return the bytes that it has added to the vault."""
        return self._packs.stored

    def entry(self, block: int) -> TreeEntry | None:
        leaf, number = divmod(block, FANOUT)
        with self._lock:
            if (open_leaf := self._written.get(leaf)) is not None:
                return open_leaf.get(number)
            stored = self._leaf(leaf)
            return None if stored is None else self._tree.node(1, stored).get(number)

    def leaf_is_zero(self, leaf: int) -> bool:
        with self._lock:
            return not self._written[leaf] if leaf in self._written else self._leaf(leaf) is None

    def block(self, number: int, entry: TreeEntry, *, again: bool = False) -> bytes:
        """Return a block's bytes, those just written too. What is stored is asked for many at once: a bucket that is
        far away answers each late. What a part of a block is filled up with, and what is read back, is what was
        written, or it is damaged. Raises Damaged."""
        with self._lock:
            found, stored = self._packs.unstored(entry), self._packs.named(entry)
        if found is None:
            found = self._packs.reader.block(stored)
        elif self._digest(found) != entry.id:
            raise Damaged(f"Block {number} isn't what was just written to the vault: its digest differs.")
        if len(found) != self.length_of(number):
            raise Damaged(f"The map of what the disk is based on has a block of another length at {number}.")
        return found

    def write(self, offset: int, data: bytes | bytearray) -> None:
        """Write to a range within the disk. Raises VaultFull, Damaged."""
        done = 0
        for number, start, end in pieces(offset, len(data)):
            piece = data[done : done + end - start] if end - start < len(data) else data
            done += end - start
            if len(piece) == self.length_of(number):
                self._put(number, piece)
                continue
            with self._lock:  # nobody else changes the rest of this block meanwhile
                whole = bytearray(self.read(number * BLOCK, self.length_of(number)))
                whole[start:end] = piece
                self._put(number, bytes(whole))

    def zero(self, offset: int, length: int) -> None:
        """Make a range within the disk zero."""
        at, end = offset, offset + length
        while at < end:
            if at % _LEAF == 0 and end - at >= _LEAF:
                with self._lock:
                    if not self.leaf_is_zero(at // _LEAF):
                        self._written[at // _LEAF] = {}
                at += _LEAF
                continue
            step = min(BLOCK - at % BLOCK, end - at)
            if step == self.length_of(at // BLOCK):
                self._put(at // BLOCK, b"")
            elif self.entry(at // BLOCK) is not None:
                self.write(at, bytes(step))
            at += step

    def _put(self, number: int, data: bytes | bytearray) -> None:
        """Put a whole block in place. One that is empty, or nothing but zeroes, is left out of the map."""
        if data == (_ZEROES if len(data) == BLOCK else bytes(len(data))):
            with self._lock:
                if self.entry(number) is not None:
                    self._opened(number // FANOUT).pop(number % FANOUT)
            return
        id_ = self._digest(data)
        if (there := self.entry(number)) is not None and there.id == id_:
            return
        place = self._known.find(id_) if self._known is not None else None
        record = compress(data) if place is None else b""
        with self._lock:
            self._opened(number // FANOUT)[number % FANOUT] = place or self._packs.add_block(id_, record)
        self._packs.keep_up()

    def _opened(self, leaf: int) -> dict[int, TreeEntry]:
        """Return a leaf's blocks, to be changed."""
        found = self._written.get(leaf)
        if found is None:
            stored = self._leaf(leaf)
            found = self._written[leaf] = dict(self._tree.node(1, stored)) if stored is not None else {}
        return found

    def _leaf(self, leaf: int) -> TreeEntry | None:
        return self._leaves[leaf] if leaf in self._leaves else self._tree.entry(1, leaf)

    def flush(self) -> None:
        """Store all that was written so far, and note it in the journal. Raises VaultFull."""
        with self._flushing:
            with self._lock:
                made = {}
                for leaf, entries in self._written.items():
                    made[leaf] = add_node(1, entries, self._leaf(leaf), self._packs, self._digest)
                self._packs.complete()
                named = {n: None if entry is None else self._packs.named(entry) for n, entry in made.items()}
                self._leaves.update(named)
                self._written.clear()
                pending = self._packs.pending()
            for storing in pending:
                storing.result()
            if named:
                os.write(self._journal, b"".join(_line(leaf, entry) for leaf, entry in named.items()))
                os.fdatasync(self._journal)

    def finish(self) -> Top:
        """Return everything flushed, and the nodes above; what a point says of the disk. Raises VaultFull, Damaged."""
        self.flush()
        with self._lock:
            entry = grow(self._tree, self._leaves, self._packs, self._digest)
            self._packs.complete()
            pending = self._packs.pending()
            top = Top(self.size, None if entry is None else self._packs.named(entry))
        for storing in pending:
            storing.result()
        return top


def told_damage(journal: Path) -> str | None:
    """Return a sentence about what a disk that was served with this journal is based on, if that was found damaged."""
    try:
        return damage_beside(journal).read_text()
    except FileNotFoundError:
        return None


def damage_beside(journal: Path) -> Path:
    """Return the path where the server of a new disk says what it has found damaged."""
    return journal.with_suffix(".damaged")


def _described(vault: Vault) -> str:
    return "" if vault.store.far else COMPUTES


def _open_journal(path: Path) -> tuple[int, dict[int, TreeEntry | None]]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # whoever had it is dying
    sync_directory(path.parent)
    size = os.fstat(descriptor).st_size // _LINE.size * _LINE.size  # the last line may be cut off
    os.ftruncate(descriptor, size)
    data, leaves = os.pread(descriptor, size, 0), dict[int, TreeEntry | None]()
    for leaf, there, id_, pack, offset, length in _LINE.iter_unpack(data):
        leaves[leaf] = TreeEntry(id_, pack, offset, length) if there else None
    return descriptor, leaves


def _line(leaf: int, entry: TreeEntry | None) -> bytes:
    there = entry or TreeEntry(bytes(ID), bytes(ID), 0, 0)
    return _LINE.pack(leaf, entry is not None, there.id, there.pack, there.offset, there.length)


def pieces(offset: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Yield the blocks of a range: number, and from where to where in the block."""
    at, end = offset, offset + length
    while at < end:
        number, start = divmod(at, BLOCK)
        stop = min(BLOCK, start + end - at)
        yield number, start, stop
        at += stop - start
