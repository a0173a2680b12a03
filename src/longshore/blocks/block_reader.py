"""Blocks on their way from a source to a copy thread, and the memory that they are read into."""

import time

import nbd

from longshore.blocks.plan import Job
from longshore.blocks.wire import Wire
from longshore.model.extents import Extent
from longshore.model.records import NamedTuple


class Memory:
    """Memory for one block, used again and again, as Python and as libnbd see it."""

    __slots__ = ("_content", "buffer", "view")

    def __init__(self, size: int) -> None:
        self._content = bytearray(size)
        self.view = memoryview(self._content)
        self.buffer = nbd.Buffer.from_buffer(self._content)

    def part(self, extent: Extent, base: int) -> memoryview:
        """Return the memory of an extent, when the whole begins at offset `base` of the disk."""
        return self.view[extent.offset - base : extent.end - base]

    def part_buffer(self, extent: Extent, base: int) -> nbd.Buffer:
        """Return the same memory as `part`, as libnbd's buffer."""
        if extent.offset == base and extent.length == len(self.view):
            return self.buffer
        return nbd.Buffer.from_buffer(self.part(extent, base))


class Block(NamedTuple):
    """A block for a thread, the digest with which it needn't be written, and what the loop has read it into; or the
    thread itself, which had asked for it at that moment of the performance counter."""

    job: Job
    expected: bytes | None
    read_into: Memory | None
    asked_at: float | None = None

    @property
    def lent(self) -> Memory | None:
        """Return the loop's memory, which it gets back; None for a thread's own."""
        return self.read_into if self.asked_at is None else None


class BlockReader:
    """A thread's connection to the source, and memory for what comes from there; both once they are needed."""

    def __init__(self, uri: str, block_size: int, together: int) -> None:
        """Keep memory for `together` blocks, the most that one `read` gets."""
        self._uri = uri
        self._block_size = block_size
        self._size = together * block_size
        self._wire: Wire | None = None
        self._free: list[Memory] = []
        self.coming: dict[int, Block] = {}  # by the numbers that the connection has for them

    def connect(self) -> Wire:
        """Connect, if it isn't. Raises CopyError when the source can't be reached or refuses."""
        if self._wire is None:
            self._wire = Wire(self._uri)
            self._memory = Memory(self._size)
        return self._wire

    def read(self, extent: Extent) -> Memory:
        """Read the extent from the source, into memory that the next read uses again."""
        self.connect().read(self._memory.part(extent, extent.offset), extent.offset)
        return self._memory

    def ask(self, block: Block) -> None:
        """Ask the source for a block; `arrived` will return it."""
        wire = self.connect()
        memory = self._free.pop() if self._free else Memory(self._block_size)
        extent = block.job.extent
        number = wire.ask(memory.part(extent, extent.offset), extent.offset)
        self.coming[number] = block._replace(read_into=memory, asked_at=time.perf_counter())

    def arrived(self) -> Block:
        """Wait for one of those that were asked for. Its memory is used again once it is `done`."""
        number = self.connect().answered()
        return self.coming.pop(number)

    def done(self, memory: Memory) -> None:
        """Take back the memory of a block that isn't needed any more."""
        self._free.append(memory)

    def close(self) -> None:
        """Say goodbye."""
        if self._wire is not None:
            self._wire.close()
