"""Files in points of vaults, as they go over the wire. Sizes are bytes.

What a point's disks hold was written by a stranger: names are escaped where they can't be printed, and all of it may be
a lie.
"""

from typing import Literal

from longshore.api.schemas import Moment, Strict

TAR = "application/x-tar"  # the content type of a directory that is fetched


class PointFile(Strict):
    path: str  # in the guest's tree, or DISK.PARTITION:/path
    kind: Literal["file", "directory", "link", "other"]
    size: int
    modified: Moment | None  # null: no time that there is
    target: str | None  # of a link


class PointPart(Strict):
    """A partition, or a disk that has none."""

    place: str  # DISK.PARTITION, both from 1; partition 0: the whole disk
    kind: str  # "ext", "NTFS", "XFS", "LVM", …; empty when that isn't known
    size: int
    path: str | None  # what the paths of its files begin with; null: it isn't read
    interrupted: bool  # it was in use: its newest changes may be in its journal alone, and are missing here then


class UnreadFile(Strict):
    path: str
    why: str  # the end of a sentence


class PointFiles(Strict):
    point: str
    files: list[PointFile]
    more: bool  # there are more than are in here
    left_out: list[UnreadFile]  # what can't be read: the first of it
    left_out_count: int
    parts: list[PointPart]
