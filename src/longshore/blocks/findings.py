"""The findings of a copy about its disk: digests, and where it wrote."""

from collections.abc import Iterator

from longshore.blocks.checkpoint import CheckpointRecord, Outcome
from longshore.blocks.manifest import Digests
from longshore.model.extents import Extent, merge


class Findings:
    """Filled while copying, from an earlier run's records too; what verification and manifest are made from."""

    def __init__(self, digests: Digests) -> None:
        self.digests = digests
        self.pieces: dict[Extent, bytes] = {}  # digests of parts of blocks whose other bytes nobody looked at
        self._written = bytearray(digests.blocks)

    def remember(self, record: CheckpointRecord) -> None:
        """Take up a record's digest, and where the target was written."""
        extent, outcome, digest = record
        block = extent.offset // self.digests.block_size
        match outcome:
            case Outcome.DATA:
                self.digests.set(block, digest)
                self._written[block] = 1
            case Outcome.SAME:
                self.digests.set(block, digest)
            case Outcome.PIECE:
                self.pieces[extent] = digest
            case Outcome.ZERO:
                self.digests.set_zero(extent)
                count = -(-extent.length // self.digests.block_size)
                self._written[block : block + count] = b"\1" * count
            case Outcome.HOLE:
                self.digests.set_zero(extent)

    def written(self) -> Iterator[Extent]:
        """Yield the blocks that were written, merged. Pieces are not among them."""
        return merge(self.digests.extent(block) for block, flag in enumerate(self._written) if flag)
