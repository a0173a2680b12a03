"""The file systems on served disks and on their logical volumes, read without mounting them.

What is on the disks is a stranger's, so this runs in the confined process alone (longshore.guests.files_confined).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from longshore.guests.btrfs import Btrfs, joined
from longshore.guests.lvm import logical_volumes
from longshore.guests.nodes import FileSystem
from longshore.guests.parts import Disk, Part, Unread, parts_of
from longshore.guests.sleuth_kit import SleuthKit
from longshore.guests.xfs import XFS


def file_systems(disks: Sequence[Disk]) -> tuple[list[FileSystem], list[Unread]]:
    """Those that can be read, and what else there is."""
    parts = [part for position, disk in enumerate(disks, start=1) for part in parts_of(disk, position)]
    volumes = logical_volumes([part for part in parts if part.kind == "LVM"])
    parts = [part for part in parts if part not in volumes.physical] + volumes.parts
    found, unread = list[FileSystem](), volumes.unread
    for together, opened in _readers(parts):
        with suppress(OSError):
            found.append(opened())
            continue
        unread += [Unread(part.place, part.kind, part.size) for part in together]
    return found, unread


def _readers(parts: Sequence[Part]) -> Iterator[tuple[list[Part], Callable[[], FileSystem]]]:
    """Parts that belong together, and what opens the file system on them."""
    several = {group[0].place: group for group in joined([part for part in parts if part.kind == "Btrfs"])}
    for part in parts:
        match part.kind:
            case "ext" | "NTFS" | "FAT" | "exFAT":
                yield [part], partial(SleuthKit, part)
            case "XFS":
                yield [part], partial(XFS, part)
            case "Btrfs":
                if group := several.get(part.place):
                    yield group, partial(Btrfs, group)
            case _:
                yield [part], _nothing


def _nothing() -> FileSystem:
    raise OSError
