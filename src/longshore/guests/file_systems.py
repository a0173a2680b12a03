"""The file systems on served disks and on their logical volumes, read without mounting them.

What is on the disks is a stranger's, so this runs in the confined process alone (longshore.guests.files_confined).
"""

from collections.abc import Callable, Mapping, Sequence

from longshore.guests.nodes import FileSystem
from longshore.guests.parts import Disk, Part, parts_of
from longshore.guests.sleuth_kit import SleuthKit
from longshore.guests.xfs import XFS

_READERS: Mapping[str, Callable[[Part], FileSystem]] = {
    **dict.fromkeys(("ext", "NTFS", "FAT", "exFAT"), SleuthKit),
    "XFS": XFS,
}


def file_systems(disks: Sequence[Disk]) -> tuple[list[FileSystem], list[Part], list[Part]]:
    """Those that can be read; parts that hold something else; and those that could, but can't be opened."""
    found, others, broken = [], list[Part](), list[Part]()
    for position, disk in enumerate(disks, start=1):
        for part in parts_of(disk, position):
            if part.kind not in _READERS:
                others.append(part)
                continue
            try:
                found.append(_READERS[part.kind](part))
            except OSError:
                broken.append(part)
    return found, others, broken
