"""The file systems on served disks and on their logical volumes, read without mounting them.

What is on the disks is a stranger's, so this runs in the confined process alone (longshore.guests.files_confined).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from longshore.guests.nodes import FileSystem
from longshore.guests.parts import Disk, GuestVolume, UnreadVolume, parts_of

# What reads one kind or another is loaded where there is one: somebody waits for all of it


def file_systems(disks: Sequence[Disk]) -> tuple[list[FileSystem], list[UnreadVolume]]:
    """Return the file systems that can be read, and what else there is."""
    parts = [part for position, disk in enumerate(disks, start=1) for part in parts_of(disk, position)]
    unread = list[UnreadVolume]()
    if physical := [part for part in parts if part.kind == "LVM"]:
        from longshore.guests.lvm import logical_volumes

        volumes = logical_volumes(physical)
        parts = [part for part in parts if part not in volumes.physical] + volumes.parts
        unread += volumes.unread
    found = list[FileSystem]()
    for together, opened in _readers(parts):
        with suppress(OSError):
            found.append(opened())
            continue
        unread += [UnreadVolume(part.place, part.kind, part.size) for part in together]
    return found, unread


def _readers(parts: Sequence[GuestVolume]) -> Iterator[tuple[list[GuestVolume], Callable[[], FileSystem]]]:
    """Yield parts that belong together, and what opens the file system on them."""
    of_btrfs = [part for part in parts if part.kind == "Btrfs"]
    for part in parts:
        match part.kind:
            case "ext":
                from longshore.guests.ext import Ext

                yield [part], partial(Ext, part)
            case "NTFS" | "FAT" | "exFAT":
                from longshore.guests.sleuth_kit import SleuthKit

                yield [part], partial(SleuthKit, part)
            case "XFS":
                from longshore.guests.xfs import XFS

                yield [part], partial(XFS, part)
            case "Btrfs":
                from longshore.guests.btrfs import Btrfs, joined

                several = {group[0].place: group for group in joined(of_btrfs)}
                if group := several.get(part.place):
                    yield group, partial(Btrfs, group)
            case _:
                yield [part], _nothing


def _nothing() -> FileSystem:
    raise OSError
