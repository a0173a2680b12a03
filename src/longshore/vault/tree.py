"""A disk's map as it is stored: looked into, walked over, and made anew where something has changed."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

from longshore.vault.errors import Damaged
from longshore.vault.geometry import FANOUT, Digest, Top, TreeEntry, decode_node, encode_node, node_id
from longshore.vault.packs import PackWriter

_NODES = 512  # that are kept: some 10 MiB

Read = Callable[[TreeEntry], bytes]


def read_node(read: Read, digest: Digest, level: int, entry: TreeEntry) -> Mapping[int, TreeEntry]:
    """Read a node's entries, once it is seen to be what its entry says. Raises Damaged."""
    found = decode_node(read(entry), level, entry.pack)
    if node_id(level, found, digest) != entry.id:
        raise Damaged(f"A node of a disk's map isn't what was written, in pack {entry.pack.hex()}.")
    return found


class Tree:
    """The map of one disk. May be used from several threads."""

    def __init__(self, top: Top, read: Read, digest: Digest) -> None:
        self.top = top
        self._digest = digest
        self._read = read
        self._nodes: OrderedDict[TreeEntry, Mapping[int, TreeEntry]] = OrderedDict()
        self._lock = threading.Lock()

    def node(self, level: int, entry: TreeEntry) -> Mapping[int, TreeEntry]:
        """Read a node's entries. Raises Damaged."""
        with self._lock:
            if (found := self._nodes.get(entry)) is not None:
                self._nodes.move_to_end(entry)
                return found
        found = read_node(self._read, self._digest, level, entry)
        with self._lock:
            self._nodes[entry] = found
            if len(self._nodes) > _NODES:
                self._nodes.popitem(last=False)
        return found

    def entry(self, level: int, index: int) -> TreeEntry | None:
        """Return the entry of the `index`th node of a level, or block (level 0), of the disk. None: it holds nothing
        but zeroes."""
        if level == self.top.level:
            return self.top.entry
        above = self.entry(level + 1, index // FANOUT)
        return None if above is None else self.node(level + 1, above).get(index % FANOUT)


def walk(
    top: Top,
    read: Read,
    digest: Digest,
    seen: set[tuple[bytes, int]],
    damaged: Callable[[Damaged], None] | None = None,
) -> Iterator[tuple[int, int, TreeEntry]]:
    """Yield all that a disk's map leads to: level, number on that level, entry; nodes (from level 1 on) before what is
    below.

    What is in `seen`, by pack and offset, isn't gone into; nodes that are gone into are put there. `damaged` is told of
    nodes that can't be read, and all the rest is walked; without it, raises Damaged.
    """

    def below(level: int, index: int, entry: TreeEntry) -> Iterator[tuple[int, int, TreeEntry]]:
        if level:
            if (entry.pack, entry.offset) in seen:
                return
            seen.add((entry.pack, entry.offset))
        yield level, index, entry
        if not level:
            return
        try:
            children = read_node(read, digest, level, entry)
        except Damaged as error:
            if damaged is None:
                raise
            damaged(error)
            return
        for number, child in children.items():
            yield from below(level - 1, index * FANOUT + number, child)

    if top.entry is not None:
        yield from below(top.level, 0, top.entry)


def grow(base: Tree, leaves: Mapping[int, TreeEntry | None], packs: PackWriter, digest: Digest) -> TreeEntry | None:
    """Return the top of a map that is `base` but for the nodes of level 1 that are given, by their numbers.

    Nodes that differ are added to the packs; equal ones stay where they are.
    """

    def made(level: int, index: int, changed: list[int]) -> TreeEntry | None:
        before = base.entry(level, index)
        if not changed:
            return before
        if level == 1:
            return leaves[index]
        of_child: dict[int, list[int]] = {}
        width = FANOUT ** (level - 2)
        for leaf in changed:
            of_child.setdefault(leaf // width - index * FANOUT, []).append(leaf)
        entries = dict(base.node(level, before)) if before is not None else {}
        for number, own in of_child.items():
            entry = made(level - 1, index * FANOUT + number, own)
            if entry is None:
                entries.pop(number, None)
            else:
                entries[number] = entry
        return add_node(level, entries, before, packs, digest)

    return made(base.top.level, 0, sorted(leaves))


def add_node(
    level: int, entries: Mapping[int, TreeEntry], before: TreeEntry | None, packs: PackWriter, digest: Digest
) -> TreeEntry | None:
    """Add a node of these entries, and return its entry: `before`, where that is equal."""
    if not entries:
        return None
    id_ = node_id(level, entries, digest)
    if before is not None and before.id == id_:
        return before

    def encode(in_node: Callable[[bytes], bytes]) -> bytes:
        return encode_node(level, {n: entry._replace(pack=in_node(entry.pack)) for n, entry in entries.items()})

    return packs.add_node(level, id_, encode)
