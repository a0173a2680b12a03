"""Packs: many records in one object, each a block or a node, compressed and, in an encrypted vault, sealed.

A pack's name is the hash of all of it, so it is known only when the pack is complete. Until then its entries have a
mark in its place, which `PackWriter.named` turns into the name.
"""

import secrets
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import NamedTuple

import zstandard
from blake3 import blake3

from longshore.errors import LongshoreError, NotFound
from longshore.vault.errors import Damaged
from longshore.vault.geometry import BLOCK, ID, MOST_NODE, SAME_PACK, TreeEntry
from longshore.vault.read_ahead import ReadAhead
from longshore.vault.sealing import SALT
from longshore.vault.store import Begun
from longshore.vault.vault import Vault

MAGIC = b"LSVPACK1"
END = b"LSVEND01"
LARGEST = 16 << 20  # bytes of a pack
LEVEL = -1  # of zstd: as fast as disks are
_RECORD = struct.Struct("<IIB3x")  # in the table, before the id
_TAIL = struct.Struct("<I8s")
_RAW, _ZSTD = b"\0", b"\1"
_FIRST = len(MAGIC) + SALT
_PORTION = 1 << 19  # bytes of a pack that are worth writing
_AT_ONCE = 8  # records that are hashed and written by one call
_IN_FLIGHT = 3  # packs that are complete and not yet stored

_of_thread = threading.local()


class PackRecord(NamedTuple):
    """A line of a pack's table."""

    offset: int
    length: int
    level: int  # 0: a block
    id: bytes


def name_of(pack: bytes) -> str:
    """Return the name of a pack's object."""
    text = pack.hex()
    return f"packs/{text[:2]}/{text}.pack"


def compress(data: bytes | bytearray, *, always: bool = False) -> bytes:
    """Compress data as a record has it before it is sealed; `always`: with zstd's checksum, also where it isn't shorter
    so.

    May be called from several threads.
    """
    packed = _compressor().compress(data)
    return _ZSTD + packed if always or len(packed) < len(data) else b"".join((_RAW, data))


def expand(record: bytes | memoryview) -> bytes:
    """Expand a record to at most a block, whatever its frame says of its size. Raises Damaged."""
    kind, data = bytes(record[:1]), memoryview(record)[1:]
    if kind == _RAW and len(data) <= BLOCK:
        return bytes(data)
    with suppress(zstandard.ZstdError):
        # The library believes a frame that tells its size, and heeds `max_output_size` where none does
        if kind == _ZSTD and zstandard.frame_content_size(data) <= BLOCK:
            return _decompressor().decompress(data, max_output_size=BLOCK)
    raise Damaged("It can't be unpacked: some of its bytes have changed.")


class PackReader:
    """Reads records by their entries. May be used from several threads."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._read_part = ReadAhead(vault.store).read if vault.store.far else vault.store.read_part
        self._salts: dict[bytes, bytes] = {}

    def block(self, entry: TreeEntry) -> bytes:
        """Return a block as it was written: its digest is compared with the entry's id. Raises Damaged."""
        return self._compared(entry, self.read(entry))

    def blocks(self, entries: Sequence[TreeEntry]) -> list[bytes]:
        """Return several blocks, of which neighbours in a pack are asked of the store at once. Raises Damaged."""
        found: dict[int, bytes] = {}
        for run in self._runs(entries):
            first, last = entries[run[0]], entries[run[-1]]
            together = self._stored(first.pack, first.offset, last.offset + last.length - first.offset)
            stored = memoryview(together)
            for number in run:
                entry, start = entries[number], entries[number].offset - first.offset
                found[number] = self._compared(entry, self._opened(entry, stored[start : start + entry.length]))
        return [found[number] for number in range(len(entries))]

    def read(self, entry: TreeEntry) -> bytes:
        """Return what is stored there: nothing says yet that it is what the entry says. For `read_node`, since a node's
        id isn't that of its bytes. Raises Damaged."""
        return self._opened(entry, self._stored(entry.pack, entry.offset, entry.length))

    def _compared(self, entry: TreeEntry, block: bytes) -> bytes:
        if self._vault.keys.digest(block) != entry.id:
            raise Damaged(f"{name_of(entry.pack)} at {entry.offset}: It isn't what was written: its digest differs.")
        return block

    def _runs(self, entries: Sequence[TreeEntry]) -> Iterator[list[int]]:
        """Yield the numbers of those that are read at once, in the order of their places."""
        gap = self._vault.store.passed_over
        run: list[int] = []
        end = 0
        for number in sorted(range(len(entries)), key=lambda one: (entries[one].pack, entries[one].offset)):
            entry = entries[number]
            if run and (entry.pack != entries[run[0]].pack or not 0 <= entry.offset - end <= gap):
                yield run
                run = []
            run.append(number)
            end = entry.offset + entry.length
        if run:
            yield run

    def _stored(self, pack: bytes, offset: int, length: int) -> bytes:
        name = name_of(pack)
        try:
            stored = self._read_part(name, offset, length)
        except NotFound:
            raise _gone(name) from None
        if len(stored) != length:
            raise Damaged(f"The pack {name} is cut off.")
        return stored

    def _opened(self, entry: TreeEntry, stored: bytes | memoryview) -> bytes:
        name = name_of(entry.pack)
        try:
            salt = self._salt(entry.pack, name) if self._vault.encrypted else b""
            return expand(self._vault.keys.unseal(salt, entry.offset, stored))
        except NotFound:
            raise _gone(name) from None
        except Damaged as error:
            raise Damaged(f"{name} at {entry.offset}: {error.message}") from None

    def _salt(self, pack: bytes, name: str) -> bytes:
        salt = self._salts.get(pack)
        if salt is None:
            head = self._vault.store.read_part(name, 0, _FIRST)
            if len(head) != _FIRST:
                raise Damaged("The pack is cut off.")
            if len(self._salts) > 1 << 16:
                self._salts = {}
            salt = self._salts[pack] = head[len(MAGIC) :]
        return salt


def _gone(name: str) -> Damaged:
    return Damaged(
        f"The pack {name} is gone.",
        advice="Look for it in a copy of the vault. In a bucket, see whether a lifecycle rule deletes objects.",
    )


class _Open:
    """A pack that is being filled.

    Adding to it takes no time: `write` seals, hashes and writes what was added, so that whoever adds next needn't wait
    for that, nor take turns with it at each of its many calls of the system.
    """

    def __init__(self, vault: Vault) -> None:
        self.mark = secrets.token_bytes(ID)
        self.records: list[PackRecord] = []
        self.size = 0  # bytes, of what was added
        self._salt = secrets.token_bytes(SALT)
        self._store = vault.store
        self._keys = vault.keys
        self._added: deque[tuple[int, bytes]] = deque()  # records and their offsets, in their order, not written yet
        self._begun: Begun | None = None  # before there is anything to be kept
        self._hash = blake3()
        self._written = 0
        self._writing = threading.Lock()
        self._failed: BaseException | None = None

    @property
    def next(self) -> int:
        """Return the offset of the next record."""
        return self.size or _FIRST

    @property
    def unwritten(self) -> int:
        """Return the bytes that were added and aren't written yet."""
        return self.size - self._written

    def add(self, level: int, id_: bytes, record: bytes) -> TreeEntry:
        """Add a record to the pack. To be called from one thread at a time."""
        line = PackRecord(self.next, len(record) + self._keys.overhead, level, id_)
        self.records.append(line)
        self.size = line.offset + line.length
        self._added.append((line.offset, record))
        return TreeEntry(id_, self.mark, line.offset, line.length)

    def write(self, *, wait: bool = True) -> None:
        """Write what was added, also meanwhile. Without `wait`, nothing while another thread does it.

        Raises VaultFull, Unreachable, and ever after.
        """
        if not self._writing.acquire(blocking=wait):
            return
        try:
            with self._without_gap():
                while self._added:
                    stored = [] if self._begun else [MAGIC + self._salt]
                    while self._added and len(stored) < _AT_ONCE:
                        stored.append(self._keys.seal(self._salt, *self._added.popleft()))
                    self._append(b"".join(stored))
        finally:
            self._writing.release()

    @contextmanager
    def _without_gap(self) -> Iterator[None]:
        """Have nothing written any more once something couldn't be: it would be where nobody looks for it."""
        if self._failed is not None:
            raise self._failed
        try:
            yield
        except BaseException as error:
            self._failed = error
            raise

    def _append(self, data: bytes) -> None:
        if self._begun is None:
            self._begun = self._store.begin()
        self._begun.append(data)
        self._hash.update(data)
        self._written += len(data)

    def complete(self) -> bytes:
        """Write all of the pack, and return its name. Raises VaultFull, Unreachable."""
        self.write()
        assert self._written == self.size
        table = b"".join(_RECORD.pack(r.offset, r.length, r.level) + r.id for r in self.records)
        with self._without_gap():
            self._append(table + _TAIL.pack(len(self.records), END))
        self.size = self._written
        return self._hash.digest()

    def store(self, name: bytes) -> None:
        """Store the pack below this name. Raises VaultFull, Unreachable."""
        assert self._begun is not None
        self._store.create(name_of(name), self._begun)

    def read(self, offset: int, length: int) -> bytes | memoryview | None:
        """Return a record that is written; None when it is stored. Raises Unreachable, Damaged."""
        stored = self._begun.read(offset, length) if self._begun is not None else None
        return None if stored is None else self._keys.unseal(self._salt, offset, stored)

    def discard(self) -> None:
        if self._begun is not None:
            self._begun.discard()


class PackWriter:
    """Fills packs and stores them. Its caller holds a lock around each call but `keep_up`."""

    def __init__(self, vault: Vault, largest: int = LARGEST) -> None:
        self._vault = vault
        self._largest = largest
        self.reader = PackReader(vault)
        self._open = _Open(vault)
        self._failed: LongshoreError | None = None  # of a pack that couldn't be filled
        self._names: dict[bytes, bytes] = {}  # of packs that are complete, by their marks
        self._unstored: dict[bytes, _Open] = {}
        self._storing: list[Future[None]] = []
        self._threads = ThreadPoolExecutor(vault.store.side_by_side, "longshore-packs")
        self._counting = threading.Lock()
        self.stored = 0  # bytes, of all packs

    def close(self) -> None:
        """Close the packs. What isn't stored by then is lost."""
        self._threads.shutdown(cancel_futures=True)
        with suppress(LongshoreError, OSError):  # what was begun goes with the next prune
            for pack in (self._open, *self._unstored.values()):
                pack.discard()

    def add_block(self, id_: bytes, record: bytes) -> TreeEntry:
        """Add a block to the open pack. The entry's pack is a mark."""
        return self._pack(len(record)).add(0, id_, record)

    def add_node(self, level: int, id_: bytes, encode: Callable[[Callable[[bytes], bytes]], bytes]) -> TreeEntry:
        """Add a node to the open pack. `encode` is given what turns packs and marks into what the node has for them."""
        # Its id doesn't tell where things are: a flipped bit must not have a pack look as if nothing named it
        pack = self._pack(MOST_NODE)
        return pack.add(level, id_, compress(encode(self._in_node), always=True))

    def _pack(self, room: int) -> _Open:
        """Return an open pack that has so much room left. Raises VaultFull, Unreachable."""
        if self._failed is not None:
            raise self._failed
        if self._open.next + room > self._largest and self._open.records:
            self.complete()
        return self._open

    def keep_up(self) -> None:
        """Write what was added, if it is worth that. Raises VaultFull, Unreachable."""
        pack = self._open
        if pack.unwritten >= _PORTION:
            with self._noting(pack):
                pack.write(wait=False)

    @contextmanager
    def _noting(self, pack: _Open) -> Iterator[None]:
        """Note the failure of a pack: of one that lacks something nothing may be said to be there, nor of any later
        one."""
        if self._failed is not None:
            raise self._failed
        try:
            yield
        except LongshoreError as error:
            self._failed = error
            with suppress(LongshoreError, OSError):  # its room is free at once: what is full may need it
                pack.discard()
            raise

    def _in_node(self, pack: bytes) -> bytes:
        return SAME_PACK if pack == self._open.mark else self._names.get(pack, pack)

    def named(self, entry: TreeEntry) -> TreeEntry:
        """Return the entry with its pack's name, if that is complete."""
        return entry._replace(pack=self._names.get(entry.pack, entry.pack))

    def complete(self) -> None:
        """Complete the pack: what is added from here on goes into another one.

        Raises VaultFull once one couldn't be kept, and ever after.
        """
        pack = self._open
        with self._noting(pack):
            if not pack.records:
                return
            name = pack.complete()
        self._open = _Open(self._vault)
        self._names[pack.mark] = name
        self._unstored[name] = pack
        while len(self._storing) >= _IN_FLIGHT:
            self._storing[0].result()  # one that failed stays: nothing is complete any more
            self._storing.pop(0)
        self._storing.append(self._threads.submit(self._store, name, pack))

    def _store(self, name: bytes, pack: _Open) -> None:
        pack.store(name)
        with self._counting:
            self.stored += pack.size
        del self._unstored[name]

    def pending(self) -> list["Future[None]"]:
        """Return what is being stored, and what couldn't be."""
        return list(self._storing)

    def read(self, entry: TreeEntry) -> bytes:
        """Read an entry as `PackReader.read` does, also one that isn't stored yet. Raises Damaged."""
        found = self.unstored(entry)
        return self.reader.read(self.named(entry)) if found is None else found

    def unstored(self, entry: TreeEntry) -> bytes | None:
        """Return the bytes of an entry that isn't stored yet. None when it is by now: then its `reader` has it, which
        may be asked by several at once."""
        # By its mark, or by its name, which an entry has as soon as its pack is complete
        pack = self._open if entry.pack == self._open.mark else self._unstored.get(self.named(entry).pack)
        if pack is None:
            return None
        if pack.unwritten:
            with self._noting(pack):
                pack.write()
        record = pack.read(entry.offset, entry.length)
        return None if record is None else expand(record)


def _compressor() -> zstandard.ZstdCompressor:
    found = getattr(_of_thread, "compressor", None)
    if found is None:
        found = _of_thread.compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    return found


def _decompressor() -> zstandard.ZstdDecompressor:
    found = getattr(_of_thread, "decompressor", None)
    if found is None:
        found = _of_thread.decompressor = zstandard.ZstdDecompressor()
    return found
