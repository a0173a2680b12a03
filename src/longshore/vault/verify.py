"""Reads what points name, and says what isn't as it was written: of which point, which disk, which bytes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from longshore.vault.errors import Damaged
from longshore.vault.geometry import BLOCK, FANOUT, Top, TreeEntry
from longshore.vault.packs import PackReader, name_of
from longshore.vault.points import DamagedPoint, has_point, point_names, read_points
from longshore.vault.tree import read_node
from longshore.vault.vault import Vault

MOST_TOLD = 1000  # ranges
_TOGETHER = 16  # blocks that are read at once: 2 MiB


@dataclass(frozen=True, slots=True)
class Damage:
    point: str
    disk: str  # key; empty: the point itself
    offset: int  # bytes, as the next one
    length: int
    why: str
    machine: str = ""  # its name; empty: the point doesn't say

    def __str__(self) -> str:
        if not self.disk:
            return f"Point {self.point}: {self.why}"
        of = f"Point {self.point} of {self.machine}" if self.machine else f"Point {self.point}"
        return f"{of}, disk {self.disk}, bytes {self.offset} to {self.offset + self.length}: {self.why}"


@dataclass(frozen=True, slots=True)
class Verified:
    points: int
    blocks: int  # that were read, or, of maps alone, are named; each counts once
    faults: tuple[Damage, ...]
    packs: frozenset[bytes]  # that points need


def verify(vault: Vault, *, data: bool = True, beat: Callable[[], None] = lambda: None) -> Verified:
    """Verify every point's map, and with `data` every block, once. `beat` is called now and then, and may raise.

    Without `data`: that the packs are there, not what is in them.
    """
    wanted = point_names(vault)
    checked = _Checked(vault, data, beat)
    faults: list[Damage] = []
    for point in read_points(vault, wanted):
        if isinstance(point, DamagedPoint):
            faults.append(Damage(point.name, "", 0, 0, point.why))
            continue
        of_point: list[Damage] = []
        for key, top in point.disks.items():
            # Whoever goes by this has to hear of each point that is hurt, however many ranges of others are told
            most = max(1, MOST_TOLD - len(faults) - len(of_point))
            for offset, length, why in islice(checked.faults(top), most):
                left = min(length, top.size - offset)
                of_point.append(Damage(point.name, key, offset, left, why, point.machine_name))
        if of_point and has_point(vault, point.name):  # else it was deleted meanwhile, and what it had is pruned
            faults += of_point
    return Verified(len(wanted), checked.blocks, tuple(faults), frozenset(checked.packs))


class _Checked:
    """The findings about each node and block, by its place."""

    def __init__(self, vault: Vault, data: bool, beat: Callable[[], None]) -> None:
        self._vault = vault
        self._data = data
        self._beat = beat
        self._reader = PackReader(vault)
        self._packs: dict[bytes, str] = {}  # what is wrong with each; empty: nothing
        self._good: set[tuple[bytes, int]] = set()
        self._bad: dict[tuple[bytes, int], str] = {}  # blocks, and why
        self.packs: set[bytes] = set()
        self.blocks = 0

    def faults(self, top: Top) -> Iterator[tuple[int, int, str]]:
        """Yield the ranges of a disk that can't be had, and why."""
        if top.entry is not None:
            yield from self._below(top.level, 0, top.entry)

    def _below(self, level: int, index: int, entry: TreeEntry) -> Iterator[tuple[int, int, str]]:
        place = entry.pack, entry.offset
        if place in self._good:
            return
        self.packs.add(entry.pack)
        width = BLOCK * FANOUT**level
        found = list(self._node(level, index, entry) if level else self._block(entry))
        if not found:
            self._good.add(place)
        for offset, length, why in found:
            yield (index * width, width, why) if offset is None else (offset, length, why)

    def _node(self, level: int, index: int, entry: TreeEntry) -> Iterator[tuple[int | None, int, str]]:
        try:
            entries = read_node(self._reader.read, self._vault.keys.digest, level, entry)
        except Damaged as error:
            yield None, 0, str(error)
            return
        self._beat()
        if level == 1 and self._data:
            self._read_together(entries.values())
        for number, child in entries.items():
            yield from self._below(level - 1, index * FANOUT + number, child)

    def _read_together(self, blocks: Iterable[TreeEntry]) -> None:
        """Read blocks together. Those found to be good needn't be read by themselves; the others are, and say why."""
        good, bad = self._good, self._bad
        left = (one for one in blocks if (one.pack, one.offset) not in good and (one.pack, one.offset) not in bad)
        while some := list(islice(left, _TOGETHER)):
            try:
                found = self._reader.blocks(some)  # kept until the next are read: to free them at once costs more time
            except Damaged:
                continue
            for block, _ in zip(some, found, strict=True):
                if (block.pack, block.offset) not in self._good:
                    self._good.add((block.pack, block.offset))
                    self.packs.add(block.pack)
                    self.blocks += 1

    def _block(self, entry: TreeEntry) -> Iterator[tuple[int | None, int, str]]:
        place = entry.pack, entry.offset
        if place not in self._bad:
            self.blocks += 1
            try:
                if self._data:
                    self._reader.block(entry)
                else:
                    self._pack(entry.pack)
                return
            except Damaged as error:
                self._bad[place] = str(error)
        yield None, 0, self._bad[place]

    def _pack(self, pack: bytes) -> None:
        """Check that a pack is there. Raises Damaged."""
        if pack not in self._packs:
            there = self._vault.store.has(name_of(pack))
            self._packs[pack] = "" if there else f"The pack {name_of(pack)} is gone."
        if self._packs[pack]:
            raise Damaged(self._packs[pack])
