"""The shapes of a copy: its request, the progress it tells while it runs, and its result. They are the engine's lasting
interface.

Named tuples, and paths as text where nobody brings a Path: a copy's process may live for a tenth of a second, and
importing dataclasses and pathlib would take a tenth of that.
"""

from enum import StrEnum
from os import PathLike

from longshore.model.extents import Extent
from longshore.model.records import NamedTuple
from longshore.model.verify import Verify

KIB = 1 << 10
MIB = 1 << 20

FilePath = str | PathLike[str]


class CopyRequest(NamedTuple):
    """One disk, from one NBD export to another. Sizes in bytes.

    Without `changes` and without `base_manifest` the whole disk is copied. `changes` alone: only these extents are;
    `base_manifest` alone: nobody knows what changed, so the source is read and what differs from the manifest written.
    Both: these extents are copied, and the new manifest is the old one brought up to date.
    """

    source_uri: str
    target_uri: str
    disk: str = "disk"  # what messages call it
    source_identity: str | None = None  # names one point in time of one source disk; a checkpoint of another is refused
    target_identity: str | None = None
    changes: tuple[Extent, ...] | None = None
    manifest: FilePath | None = None  # written at the end
    base_manifest: FilePath | None = None  # what the target holds now, but for what is noted beside it (dirty.py)
    checkpoint: FilePath | None = None
    verify: Verify = Verify.WRITTEN
    rate_limit: int | None = None  # bytes per second read from the source
    limit_groups: tuple[FilePath, ...] = ()  # files of limits shared with other copies, see docs/decisions
    connections: int = 4  # at most, to each side
    maximum_read: int | None = None  # bytes that one read of the source may ask for
    block_size: int = MIB  # of the digests
    merge_gap: int = 64 * KIB  # smaller holes between data are read too: cheaper than another request
    checkpoint_interval: float = 5.0  # seconds
    retry_for: float = 30.0  # seconds a side may fail before the copy does


class Phase(StrEnum):
    COPY = "copy"
    VERIFY = "verify"
    REPAIR = "repair"


class CopyProgress(NamedTuple):
    """A moment of a running copy. Bytes, seconds, bytes per second."""

    phase: Phase
    total: int  # all that is looked at
    done: int  # of it, dealt with: copied, found zero, or found the same
    to_copy: int  # holds data, as far as is known by now
    copied: int
    zero: int  # of `done`, what is zero and needn't be sent
    to_verify: int
    verified: int
    rate: float  # now
    mean_rate: float
    eta: float | None  # seconds left in this phase


class CopyResult(NamedTuple):
    """A copy that is done. Bytes unless the name says otherwise."""

    bytes_read: int  # from the source
    bytes_written: int
    bytes_zeroed: int  # made zero on the target without sending zeroes
    bytes_skipped: int  # needed neither: zero on both sides, or the same already
    bytes_resumed: int  # done by an earlier run, according to the checkpoint
    bytes_verified: int  # of the target, compared with their digests; where the server says zero, unread
    verify: Verify
    repaired: tuple[Extent, ...]  # differed when read back, written once more, then right
    seconds: float
    root_digest: str | None  # of the manifest, hexadecimal; None when there is none
