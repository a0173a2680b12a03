"""longshore backup files …: what is on the disks of a point, without restoring a machine."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.backups import with_point
from longshore.cli.command import Command, Lister
from longshore.cli.counting import counting
from longshore.errors import Conflict, InvalidInput
from longshore.web.words import moment, size

if TYPE_CHECKING:
    from longshore.api.files import PointFile, PointFiles

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
        """What the answer is good for."""
        for part in found.parts:
            if part.path is None and part.kind != "swap":
                what = part.kind or "nothing that is known"
                self.say(f"{part.place} ({what}, {size(part.size)}) isn't read. {_NOT_READ}")
            if part.interrupted:
                self.say(
                    f"{part.place} was in use at that moment: what was changed in the seconds before may be missing, "
                    f"or older. {_NOT_READ}"
                )
        if found.more:
            self.say("There are more than these: name a directory below.")


class ListFiles(_Files):
    """List what is in a directory of a point's guest, as the guest mounts its file systems.

    What it doesn't mount is named by disk and partition: 2.1:/photos is in the first partition of the second disk. Read
    are ext2 to ext4, NTFS, FAT and exFAT.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = with_point(super().get_parser(prog_name))
        parser.add_argument("path", nargs="?", default="/", help="of a directory or a file (default: %(default)s)")
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        found = self.client.point_files(args.vault, args.point, args.path)
        self._note(found)
        return ("Path", "Kind", "Size", "Modified"), [self._row(file) for file in found.files]


class FindFiles(_Files):
    """Find files of a point by their names, whatever their case: nginx.conf, *.docx, /home/*/.ssh/*.

    With --every in all points of its machine: each version of a file once, with the newest point that has it.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = with_point(super().get_parser(prog_name))
        parser.add_argument("pattern", help="a name with * and ?; with a slash in it a whole path")
        parser.add_argument("--below", metavar="PATH", default="/", help="only what is below this directory")
        parser.add_argument("--every", action="store_true", help="in every point of the machine")
        return parser

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

    A file that is there already isn't overwritten, and one that fails or is broken off leaves nothing.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = with_point(super().get_parser(prog_name))
        parser.add_argument("path", help="of the file or directory in the point")
        parser.add_argument("--to", metavar="FILE", help='"-": standard output (default: its name, here)')
        return parser

    def take_action(self, args: Namespace) -> None:
        if args.to == "-":
            self.client.fetch_file(args.vault, args.point, args.path, lambda _tar, _length: _print)
            sys.stdout.buffer.flush()
            return
        name = args.path.rstrip("/").rpartition("/")[2] or "files"
        done, path = 0, Path()
        with ExitStack() as stack:

            def begin(tar: bool, length: int | None) -> Callable[[bytes], None]:
                nonlocal path
                path = Path(args.to or (f"{name}.tar" if tar else name))
                show = stack.enter_context(counting(f"MiB of {path.name}"))
                write = stack.enter_context(_new_file(path))
                whole = None if length is None else length >> 20

                def take(piece: bytes) -> None:
                    nonlocal done
                    done += len(piece)
                    write(piece)
                    show(done >> 20, whole)

                return take

            self.client.fetch_file(args.vault, args.point, args.path, begin)
        self.say(f"{path}: {size(done)}.")


@contextmanager
def _new_file(path: Path) -> Iterator[Callable[[bytes], object]]:
    """For its owner alone; it goes when the block fails. Raises Conflict, InvalidInput."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Conflict(f"{path} is there already.", advice="Say another name: --to FILE.") from None
    except OSError as error:
        raise InvalidInput(f"{path} can't be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file.write
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InvalidInput(f"{path} can't be written: {error.strerror}.") from None
        raise


def _print(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
