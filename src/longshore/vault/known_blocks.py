"""Blocks that points of a vault have already: a disk of which no point before is known needn't store them again.

Machines that were made of one image have most of their blocks in common, and so has a disk that has grown with what it
was. Where those blocks are the maps of such points say, whose packs stay while a writer names the points as what it is
based on. Only a hint: a block is read, and seen to be the same, before it is named.
"""

import sqlite3
import struct
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from longshore.errors import LongshoreError
from longshore.vault.geometry import Top, TreeEntry
from longshore.vault.packs import PackReader
from longshore.vault.tree import read_node
from longshore.vault.vault import Vault

_MOST = 1 << 18  # blocks: 32 GiB of content, some 30 MiB of memory
_THREADS = 8  # that read nodes: from a bucket, they mostly wait
_PLACE = struct.Struct("<32sII")


class KnownBlocks:
    """May be used from several threads."""

    def __init__(self, vault: Vault, tops: Sequence[Top]) -> None:
        """Read the disks' maps, the first ones first, until enough blocks are known. What can't be read is left out."""
        self._digest = vault.keys.digest
        self._packs = PackReader(vault)
        self._lock = threading.Lock()
        self._places = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._places.execute("CREATE TABLE place (id BLOB PRIMARY KEY, told BLOB) WITHOUT ROWID")
        self._left = _MOST
        for top in tops:
            self._learn(top)

    def close(self) -> None:
        self._places.close()

    def find(self, id_: bytes) -> TreeEntry | None:
        """Return the entry of a block, if any disk is known to have it, and has it."""
        with self._lock:
            row = self._places.execute("SELECT told FROM place WHERE id = ?", (id_,)).fetchone()
        if row is None:
            return None
        entry = TreeEntry(id_, *_PLACE.unpack(row[0]))
        try:
            self._packs.block(entry)
        except LongshoreError:
            return None
        return entry

    def _learn(self, top: Top) -> None:
        leaves = self._leaves(top)
        with ThreadPoolExecutor(_THREADS) as threads:
            while self._left > 0 and (some := list(islice(leaves, _THREADS))):
                for entries in threads.map(lambda leaf: self._below(1, leaf), some):
                    rows = [(entry.id, _PLACE.pack(entry.pack, entry.offset, entry.length)) for entry in entries]
                    self._places.executemany("INSERT OR IGNORE INTO place VALUES (?, ?)", rows)
                    self._left -= len(rows)

    def _leaves(self, top: Top) -> Iterator[TreeEntry]:
        """Yield the nodes of level 1."""

        def below(level: int, entry: TreeEntry) -> Iterator[TreeEntry]:
            if level == 1:
                yield entry
                return
            for child in self._below(level, entry):
                yield from below(level - 1, child)

        if top.entry is not None:
            yield from below(top.level, top.entry)

    def _below(self, level: int, entry: TreeEntry) -> list[TreeEntry]:
        try:
            return list(read_node(self._packs.read, self._digest, level, entry).values())
        except LongshoreError:
            return []
