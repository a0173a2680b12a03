"""longshore backup files …: what is on the disks of a point, without restoring a machine."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.border.texts import line
from longshore.cli.backups import with_point
from longshore.cli.command import Command, Lister
from longshore.cli.counting import counting
from longshore.cli.fetched_files import ArchiveEnd, new_file
from longshore.errors import LongshoreError
from longshore.guests.file_names import LEFT_OUT_OF_ARCHIVE
from longshore.wording.figures import moment, size

if TYPE_CHECKING:
    from longshore.api.files import PointFile, PointFiles

_MOST_SAID = 20  # of what can't be read
_NOT_READ = "Restore its machine, or read the disk by longshore backup serve."


class _Files(Lister):
    def _row(self, file: PointFile) -> tuple[Any, ...]:
        where = f"{file.path} -> {file.target}" if self.for_people and file.target else file.path
        big = file.size if file.kind == "file" else None
        return (
            where,
            file.kind,
            (size(big) if big is not None else "") if self.for_people else big,
            moment(file.modified) if file.modified else None,
        )

    def _note(self, found: PointFiles) -> None:
        """Say what limits the answer: parts that aren't read, and files that were left out."""
        for part in found.parts:
            if part.path is None and part.kind != "swap":
                what = part.kind or "nothing that is known"
                self.say(f"{part.place} ({what}, {size(part.size)}) isn't read. {_NOT_READ}")
            if part.interrupted:
                self.say(
                    f"{part.place} was in use at that moment: what was changed in the seconds before may be missing, "
                    f"or older. {_NOT_READ}"
                )
        for unread in found.left_out[:_MOST_SAID]:
            self.say(f"{unread.path} isn't read: {unread.why}.")
        if found.left_out_count > len(found.left_out[:_MOST_SAID]):
            self.say(f"{found.left_out_count - len(found.left_out[:_MOST_SAID])} more aren't read.")
        if found.more:
            self.say("There are more than these: name a directory below.")


class ListFiles(_Files):
    """List what is in a directory of a point's guest, as the guest mounts its file systems.

    What it doesn't mount is named by disk and partition: 2.1:/photos is in the first partition of the second disk. Read
    are ext2 to ext4, XFS, Btrfs, NTFS, FAT and exFAT, in logical volumes of LVM, too.
    """

    examples = ("longshore backup files list web01 /etc/nginx --vault offsite",)

    def add_options(self, parser: ArgumentParser) -> None:
        super().add_options(parser)
        with_point(parser)
        parser.add_argument("path", nargs="?", default="/", help="of a directory or a file (default: %(default)s)")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        found = self.client.point_files(args.vault, args.point, args.path)
        self._note(found)
        return ("Path", "Kind", "Size", "Modified"), [self._row(file) for file in found.files]


class FindFiles(_Files):
    """Find files of a point by their names, whatever their case: nginx.conf, *.docx, /home/*/.ssh/*.

    With --every in all points of its machine: each version of a file once, with the newest point that has it.
    """

    examples = (
        "longshore backup files find web01 nginx.conf --vault offsite",
        "longshore backup files find web01 '/home/*/*.odt' --every --vault offsite",
    )

    def add_options(self, parser: ArgumentParser) -> None:
        super().add_options(parser)
        with_point(parser)
        parser.add_argument("pattern", help="a name with * and ?; with a slash in it a whole path")
        parser.add_argument("--below", metavar="PATH", default="/", help="only what is below this directory")
        parser.add_argument("--every", action="store_true", help="in every point of the machine")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        columns = ("Path", "Kind", "Size", "Modified")
        if not args.every:
            found = self.client.point_files(args.vault, args.point, args.below, args.pattern)
            self._note(found)
            return columns, [self._row(file) for file in found.files]
        machine = self.client.vault_point(args.vault, args.point).machine_name
        points = [one for one in self.client.vault_points(args.vault) if one.machine_name == machine][::-1]
        versions: dict[tuple[Any, ...], list[str]] = {}
        with counting(f"points of {machine}") as show:
            for number, point in enumerate(points):
                show(number, len(points))
                found = self.client.point_files(args.vault, point.name, args.below, args.pattern)
                if number == 0:
                    self._note(found)
                for file in found.files:
                    versions.setdefault(self._row(file), []).append(point.name)
        rows = [(*row, len(having), having[0]) for row, having in sorted(versions.items(), key=lambda one: one[0][0])]
        return (*columns, "Points", "Newest Point"), rows


class GetFiles(Command):
    """Get a file of a point, or a directory as a tar archive.

    A file that is there already isn't overwritten, and one that fails or is broken off leaves nothing. What of a
    directory can't be read as a whole (encrypted files, files whose content is in a cloud) isn't in its archive and is
    named; the command ends with 1 then.
    """

    examples = (
        "longshore backup files get web01 /etc/nginx/nginx.conf --vault offsite",
        "longshore backup files get web01 /home/ann --to - --vault offsite | tar x -C /mnt/ann",
    )
    options = (with_point,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", help="of the file or directory in the point")
        parser.add_argument("--to", metavar="FILE", help='"-": standard output (default: its name, here)')

    def take_action(self, args: Namespace) -> None:
        name = args.path.rstrip("/").rpartition("/")[2] or "files"
        done, path, end = 0, Path(), ArchiveEnd()
        with ExitStack() as stack:

            def begin(tar: bool, length: int | None) -> Callable[[bytes], None]:
                nonlocal path
                if args.to == "-":
                    write: Callable[[bytes], object] = sys.stdout.buffer.write
                else:
                    path = Path(args.to or (f"{name}.tar" if tar else name))
                    write = stack.enter_context(new_file(path))
                show = stack.enter_context(counting(f"MiB of {path.name or args.path}"))
                whole = None if length is None else length >> 20

                def take(piece: bytes) -> None:
                    nonlocal done
                    done += len(piece)
                    write(piece)
                    if tar:
                        end.take(piece)
                    show(done >> 20, whole)

                return take

            self.client.fetch_file(args.vault, args.point, args.path, begin)
        if args.to == "-":
            sys.stdout.buffer.flush()
        else:
            self.say(f"{path}: {size(done)}.")
        if missing := end.left_out():
            for sentence in missing[:_MOST_SAID]:
                self.say(line(sentence))
            more = f" Its last member, {LEFT_OUT_OF_ARCHIVE}, names them all." if len(missing) > _MOST_SAID else ""
            raise LongshoreError(
                f"Of what is in {args.path} {len(missing)} can't be read, and isn't in the archive.{more}",
                code="in-part",
            )
