"""The digests of a disk's blocks at one point in time, in memory and as a file (docs/formats/manifest.md)."""

import mmap
import struct
from collections.abc import Iterable, Iterator
from functools import cache

from blake3 import blake3

from longshore.blocks.request import FilePath
from longshore.errors import CheckpointError
from longshore.model.extents import Extent, align, merge, subtract
from longshore.processes.durable import replace_file

DIGEST_SIZE = 32
MAGIC = b"LSHRMAN1"
ROOT_CONTEXT = b"longshore manifest 1\0"
_LENGTH = struct.Struct("<I")
_SEGMENT = struct.Struct("<QQQ")  # first block, blocks, kind
_END, _ZERO, _DATA = 0, 1, 2
_KINDS = 3  # of blocks, and the first means that nothing is known


def digest_of(data: bytes | bytearray | memoryview) -> bytes:
    """Return the BLAKE3 digest of some bytes, 32 bytes long."""
    return blake3(data).digest()


@cache
def zero_digest(length: int) -> bytes:
    """Return the digest of so many zero bytes."""
    return digest_of(bytes(length))


class Digests:
    """The digests of a disk's blocks. Blocks not heard of, or all zero, take no memory."""

    def __init__(self, size: int, block_size: int) -> None:
        self.size = size
        self.block_size = block_size
        self.blocks = -(-size // block_size)
        # Anonymous memory: a page is there once something other than zero is written to it
        self._table = mmap.mmap(-1, max(self.blocks * DIGEST_SIZE, 1))
        self._states = bytearray(self.blocks)

    def extent(self, block: int) -> Extent:
        """Return the extent of a block; the last may be shorter than the others."""
        offset = block * self.block_size
        return Extent(offset, min(self.block_size, self.size - offset))

    def set(self, block: int, digest: bytes) -> None:
        self._states[block] = _DATA
        self._table[block * DIGEST_SIZE : (block + 1) * DIGEST_SIZE] = digest

    def set_zero(self, extent: Extent) -> None:
        """Note that every block in an extent of whole blocks is all zero."""
        first, end = extent.offset // self.block_size, -(-extent.end // self.block_size)
        self._states[first:end] = bytes([_ZERO]) * (end - first)

    def forget(self, extents: Iterable[Extent]) -> None:
        """Forget what is known of any block that one of these touches."""
        for extent in extents:
            first, end = extent.offset // self.block_size, min(-(-extent.end // self.block_size), self.blocks)
            self._states[first:end] = bytes(max(0, end - first))

    def get(self, block: int) -> bytes | None:
        """Return the block's digest; None when it isn't known."""
        state = self._states[block]
        if state == _DATA:
            return self._table[block * DIGEST_SIZE : (block + 1) * DIGEST_SIZE]
        if state == _ZERO:
            return zero_digest(self.extent(block).length)
        return None

    def is_zero(self, block: int) -> bool:
        return self._states[block] == _ZERO

    @property
    def complete(self) -> bool:
        """Tell whether every block's digest is known."""
        return self._states.find(b"\0") < 0

    @property
    def any_known(self) -> bool:
        """Tell whether any block's digest is known."""
        return any(self._states)

    def unknown(self) -> Iterator[Extent]:
        """Yield the blocks whose digests aren't known, merged."""
        for first, count, kind in self.runs():
            if not kind:
                last = self.extent(first + count - 1)
                yield Extent(first * self.block_size, last.end - first * self.block_size)

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield the first block, number of blocks and kind (0 unknown, 1 zero, 2 data) of each run of blocks of one
        kind."""
        position, end = 0, len(self._states)
        following = [0] * _KINDS  # where the next block of each kind is, or was when it was last looked for
        while position < end:
            kind = self._states[position]
            for other in range(_KINDS):
                if other != kind and following[other] <= position:
                    found = self._states.find(other, position)
                    following[other] = end if found < 0 else found
            upto = min(following[other] for other in range(_KINDS) if other != kind)
            yield position, upto - position, kind
            position = upto

    def table(self, first: int, count: int) -> bytes:
        return self._table[first * DIGEST_SIZE : (first + count) * DIGEST_SIZE]

    def root(self) -> str:
        """Return one digest, hexadecimal, for the whole disk's content. Two disks of equal content have equal roots."""
        whole = blake3(ROOT_CONTEXT + struct.pack("<QQ", self.size, self.block_size))
        for first, count, kind in self.runs():
            if kind == _DATA:
                whole.update(self.table(first, count))
                continue
            if kind == _ZERO:
                ends_disk = first + count == self.blocks
                full = count - 1 if ends_disk else count
                for start in range(0, full, 4096):
                    whole.update(zero_digest(self.block_size) * min(4096, full - start))
                if ends_disk:
                    whole.update(zero_digest(self.extent(self.blocks - 1).length))
                continue
            raise ValueError(f"blocks {first} to {first + count - 1} have no digest")
        return whole.hexdigest()

    def copy(self) -> "Digests":
        other = Digests(self.size, self.block_size)
        for first, count, kind in self.runs():
            if kind == _DATA:
                other._table[first * DIGEST_SIZE : (first + count) * DIGEST_SIZE] = self.table(first, count)
        other._states[:] = self._states
        return other


def write_manifest(path: FilePath, digests: Digests, *, source: str, root: str) -> None:
    """Write the file, durably. `source` names the point in time it describes."""
    replace_file(path, _seal(_encode(digests, source, root)))


def _seal(chunks: Iterator[bytes]) -> Iterator[bytes]:
    seal = blake3()
    for chunk in chunks:
        seal.update(chunk)
        yield chunk
    yield seal.digest()


def _encode(digests: Digests, source: str, root: str) -> Iterator[bytes]:
    import json
    from datetime import UTC, datetime

    header = json.dumps(
        {
            "algorithm": "blake3",
            "block_size": digests.block_size,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "root": root,
            "size": digests.size,
            "source": source,
        },
        sort_keys=True,
    ).encode()
    yield MAGIC + _LENGTH.pack(len(header)) + header
    for first, count, kind in digests.runs():
        if not kind:  # nothing is said of what isn't known
            continue
        yield _SEGMENT.pack(first, count, kind)
        if kind == _DATA:
            yield digests.table(first, count)
    yield _SEGMENT.pack(digests.blocks, 0, _END)


def read_manifest(path: FilePath) -> tuple[Digests, str]:
    """Read the digests and their root. Raises CheckpointError for anything but a whole, unaltered manifest."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise CheckpointError(f"The manifest {path} can't be read: {error.strerror}.") from error
    if not content.startswith(MAGIC):
        raise CheckpointError(f"{path} is not a manifest of Longshore's.")
    if len(content) < len(MAGIC) + DIGEST_SIZE or digest_of(content[:-DIGEST_SIZE]) != content[-DIGEST_SIZE:]:
        raise CheckpointError(
            f"The manifest {path} was cut short or altered.", advice="Make a new one with a full copy of the disk."
        )
    import json

    (length,) = _LENGTH.unpack_from(content, len(MAGIC))
    position = len(MAGIC) + _LENGTH.size
    header = json.loads(content[position : position + length])
    if header["algorithm"] != "blake3":
        raise CheckpointError(f"The manifest {path} has digests of a kind that isn't known: {header['algorithm']}.")
    position += length
    digests = Digests(header["size"], header["block_size"])
    while True:
        first, count, kind = _SEGMENT.unpack_from(content, position)
        position += _SEGMENT.size
        if kind == _END:
            break
        digests._states[first : first + count] = bytes([kind]) * count
        if kind == _DATA:
            taken = count * DIGEST_SIZE
            digests._table[first * DIGEST_SIZE : first * DIGEST_SIZE + taken] = content[position : position + taken]
            position += taken
    return digests, header["root"]


def hidden(before: Digests, after: Digests, told: Iterable[Extent]) -> list[Extent]:
    """Return whole blocks that differ, and of which no byte is among those that were `told` to have changed.

    Raises ValueError for manifests of different disks, or in blocks of different sizes.
    """
    if (before.size, before.block_size) != (after.size, after.block_size):
        raise ValueError("these manifests can't be compared")
    known = align(merge(told), after.block_size, after.size)
    return list(merge(subtract(_differing(before, after), list(known))))


def _differing(before: Digests, after: Digests) -> Iterator[Extent]:
    """Yield the blocks that differ, in their order."""
    for block in range(after.blocks):
        if before.get(block) != after.get(block):
            yield after.extent(block)
