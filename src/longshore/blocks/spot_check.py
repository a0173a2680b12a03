"""A trial of a source's word on what has changed: a few blocks that it didn't name are read, and have to be as they
were."""

import random
from collections.abc import Sequence

from longshore.blocks.endpoints import connect
from longshore.blocks.manifest import digest_of, read_manifest
from longshore.blocks.request import FilePath
from longshore.errors import CopyError
from longshore.model.extents import Extent, intersect

SPOTS = 32  # blocks of a disk in each copy: over many copies all of it comes by


def find_untold(uri: str, manifest: FilePath, told: Sequence[Extent], *, seed: str) -> Extent | None:
    """Return a block of the disk that isn't as in the manifest, though nobody told that it has changed; None where all
    that were picked are. The same seed picks the same ones.

    Raises CopyError, and CheckpointError for a manifest that can't be read.
    """
    import nbd  # here: who copies nothing does without

    base, _ = read_manifest(manifest)
    several = range(base.blocks)
    picked = random.Random(seed).sample(several, min(len(several), 4 * SPOTS))  # noqa: S311 nothing is kept secret by it
    known = [block for block in picked if base.get(block) is not None]
    unnamed = [block for block in known if not any(intersect([base.extent(block)], told))][:SPOTS]
    handle = connect(uri)
    try:
        for block in sorted(unnamed):
            extent = base.extent(block)
            if digest_of(handle.pread(extent.length, extent.offset)) != base.get(block):
                return extent
    except nbd.Error as error:
        raise CopyError(f"Can't read from {uri}: {error.string}.") from error
    finally:
        handle.shutdown()
    return None
