"""The tree that a disk becomes: blocks, nodes of their entries, and where each of them is stored.

A node of level 1 has the entries of up to 128 blocks, one of level 2 those of up to 128 nodes of level 1, and so on.
What holds nothing but zeroes has no entry. docs/formats/vault.md has every byte of it.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from longshore.vault.errors import Damaged

BLOCK = 1 << 17  # bytes
FANOUT = 128  # entries of a node
ID = 32  # bytes
SAME_PACK = bytes(ID)  # in a node: the pack that the node itself is in
NOTHING = bytes(ID)  # in what a node's id is made of: an entry that isn't there
_HEAD = struct.Struct("<BBHH")
_ENTRY = struct.Struct("<BxHII")
_MOST_OFFSET = (1 << 32) - 1
MOST_NODE = _HEAD.size + FANOUT * (ID + _ENTRY.size + ID)  # bytes of a node
MOST_STORED = 1 + BLOCK + 16  # bytes of a record: its kind, a block as it is, the tag of what is sealed
MOST_DISK = 1 << 53  # bytes: more than any cloud has

Digest = Callable[[bytes], bytes]


class TreeEntry(NamedTuple):
    """A block or a node: what it is, and where it is stored."""

    id: bytes
    pack: bytes
    offset: int
    length: int  # as stored


@dataclass(frozen=True, slots=True)
class Top:
    """A disk as a point holds it: its size in bytes, and the node above all of it; None: nothing but zeroes."""

    size: int
    entry: TreeEntry | None

    @property
    def level(self) -> int:
        return level_of(self.size)

    def told(self) -> dict[str, Any]:
        """Return the map's top as plain data, as documents have it."""
        entry = self.entry
        if entry is None:
            return {"size": self.size, "top": None}
        place = {"id": entry.id.hex(), "pack": entry.pack.hex(), "offset": entry.offset, "length": entry.length}
        return {"size": self.size, "top": place}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Top":
        """Read a map's top from plain data. Raises KeyError, TypeError, ValueError for what is none, whoever has
        written it."""
        place, size = told["top"], _number(told["size"], MOST_DISK)
        if place is None:
            return cls(size, None)
        ids = bytes.fromhex(place["id"]), bytes.fromhex(place["pack"])
        if [len(id_) for id_ in ids] != [ID, ID]:
            raise ValueError
        return cls(size, TreeEntry(*ids, _number(place["offset"], _MOST_OFFSET), _number(place["length"], MOST_STORED)))


def _number(told: object, most: int) -> int:
    """Return a number from 0 to `most`. Raises TypeError, ValueError for anything else."""
    if type(told) is not int:
        raise TypeError
    if not 0 <= told <= most:
        raise ValueError
    return told


def blocks_of(size: int) -> int:
    return -(-size // BLOCK)


def level_of(size: int) -> int:
    """Return the level of the one node that is above all of a disk of so many bytes."""
    level, covered = 1, FANOUT
    while covered < blocks_of(size):
        level, covered = level + 1, covered * FANOUT
    return level


def node_id(level: int, entries: Mapping[int, TreeEntry], digest: Digest) -> bytes:
    """Compute a node's id from its children's ids alone: equal contents have equal nodes, wherever they are stored."""
    ids = (entries[index].id if index in entries else NOTHING for index in range(FANOUT))
    return digest(bytes((level,)) + b"".join(ids))


def encode_node(level: int, entries: Mapping[int, TreeEntry]) -> bytes:
    packs = {pack: number for number, pack in enumerate(dict.fromkeys(entry.pack for entry in entries.values()))}
    parts = [_HEAD.pack(level, 0, len(entries), len(packs)), *packs]
    for index, entry in sorted(entries.items()):
        parts += [_ENTRY.pack(index, packs[entry.pack], entry.offset, entry.length), entry.id]
    return b"".join(parts)


def decode_node(data: bytes, level: int, pack: bytes) -> dict[int, TreeEntry]:
    """Return the entries of a node that is stored in this pack, by their places. Raises Damaged."""
    try:
        said, reserved, count, packs = _HEAD.unpack_from(data)
        at = _HEAD.size + packs * ID
        names = [data[start : start + ID] for start in range(_HEAD.size, at, ID)]
        size = _ENTRY.size + ID
        if said != level or reserved or len(data) != at + count * size or count > FANOUT:
            raise Damaged(f"A node of a disk's map, in pack {pack.hex()}, isn't what its place says.")
        entries = {}
        for start in range(at, len(data), size):
            index, number, offset, length = _ENTRY.unpack_from(data, start)
            # The node's id doesn't tell of these: nothing is stored twice, nor is longer than a block
            if index >= FANOUT or index in entries or length > MOST_STORED:
                raise Damaged(f"A node of a disk's map, in pack {pack.hex()}, isn't what its place says.")
            own = names[number]
            stored = pack if own == SAME_PACK else own
            entries[index] = TreeEntry(data[start + _ENTRY.size : start + size], stored, offset, length)
    except (struct.error, IndexError):
        raise Damaged(f"A node of a disk's map, in pack {pack.hex()}, is cut off.") from None
    return entries
