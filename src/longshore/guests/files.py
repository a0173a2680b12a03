"""Files on a guest's disks, listed, found and fetched, without mounting anything here.

What is on the disks is a stranger's: a confined process reads it (see longshore.processes.launcher), which has the
disks, read-only, and a socket for what it finds. What comes from there is taken for what it may be: lies of a limited
size. Paths are as longshore.guests.file_tree has them.
"""

import errno
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import ValidationError

from longshore.blocks.window import COMPUTES
from longshore.errors import ConversionError, InvalidInput, LongshoreError, NotFound
from longshore.guests.confined import NONSENSE, GuestLimits, run_confined
from longshore.model.forms import form
from longshore.model.strict_reading import read_json
from longshore.processes.installed import refuse_without
from longshore.processes.launcher import Sandbox
from longshore.processes.private import private_directory
from longshore.vault.disks import DiskReader
from longshore.vault.geometry import TreeEntry
from longshore.vault.nbd import serve

MOST_ENTRIES = 100_000  # of one answer
# Connections by which a disk's directories are read ahead. Of a vault here two, since unpacking takes the processors
# that the walk needs, too; one elsewhere answers late, but many at once
_NEAR, _FAR = 2, 8
_LONGEST_LINE = 1 << 16
_PIECE = 1 << 20
_GRACE = 10.0
_LOOKING = GuestLimits(seconds=600.0, memory=2 << 30, scratch=16 << 20, processes=16, log=1 << 16, messages=1 << 16)
_ATTENDING, _FETCHING = replace(_LOOKING, seconds=30 * 24 * 3600.0), replace(_LOOKING, seconds=24 * 3600.0)

Kind = Literal["file", "directory", "link", "other"]


@dataclass(frozen=True, slots=True)
class FileEntry:
    path: str
    kind: Kind
    size: int  # bytes
    modified: int  # seconds since 1970
    target: str  # of a link


@dataclass(frozen=True, slots=True)
class FoundSystem:
    place: str  # DISK.PARTITION, both from 1; .0 is a whole disk
    kind: str  # "ext", "NTFS", "FAT", "exFAT"
    size: int  # bytes
    path: str  # what the paths of its files begin with


@dataclass(frozen=True, slots=True)
class UnreadPart:
    place: str
    kind: str  # "XFS", "LVM", …; empty when that isn't known
    size: int


@dataclass(frozen=True, slots=True)
class UnreadPath:
    """A path that couldn't be read, and why: words that end a sentence."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Looked:
    """The limits of an answer: what was left out of it, and which systems it is of."""

    more: bool  # there are more entries than are in it
    systems: list[FoundSystem]
    unread: list[UnreadPart]
    left_out: list[UnreadPath]  # the first of them
    left_out_count: int
    interrupted: list[str]  # places of file systems whose newest changes may be in their journals alone


@dataclass(frozen=True, slots=True)
class FileListing:
    entries: list[FileEntry]
    looked: Looked


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """Its bytes, or those of a tar archive of a directory. `pieces` raises ConversionError when it isn't whole."""

    name: str
    kind: Literal["file", "directory"]
    size: int | None  # bytes; None: not known beforehand
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Inode:
    """A file as one that is mounted shows it."""

    path: str
    kind: Kind
    size: int  # bytes
    modified: int  # seconds since 1970
    mode: int  # permissions
    user: int
    group: int
    target: str  # of a link
    node: tuple[str, int]  # what it is read by


@dataclass(frozen=True, slots=True)
class _Answer:
    count: int = 0
    error: int = 0


@dataclass(frozen=True, slots=True)
class _Head:
    kind: Literal["file", "directory"]
    size: int
    name: str


def list_files(disks: Sequence[DiskReader], path: str) -> FileListing:
    """List what is in a directory, or the file itself. Raises NotFound, InvalidInput, ConversionError."""
    return _listing(disks, {"operation": "list", "path": path})


def find_files(disks: Sequence[DiskReader], pattern: str, path: str = "/") -> FileListing:
    """Find what has a name, or with a slash in the pattern a path, that it fits, like a shell's; case doesn't matter.
    Raises NotFound, InvalidInput, ConversionError."""
    return _listing(disks, {"operation": "find", "pattern": pattern, "path": path})


@contextmanager
def fetched(disks: Sequence[DiskReader], path: str) -> Iterator[FetchedFile]:
    """Fetch a file, or a directory as an archive, while the context is entered. Raises NotFound, InvalidInput,
    ConversionError."""
    with _reading(disks, {"operation": "get", "path": path}, _FETCHING) as reading:
        head = reading.line(_Head)
        size = head.size if head.kind == "file" else None
        yield FetchedFile(head.name, head.kind, size, reading.pieces(size))


class Attended:
    """Answers questions as long as the context is open that gave it. May be asked from several threads."""

    def __init__(self, reading: "_Reading") -> None:
        self._reading = reading
        self._lock = threading.Lock()

    def children(self, path: str) -> list[Inode]:
        """Return what is in a directory, by a path as `list_files` tells it. Raises OSError, ConversionError."""
        with self._lock:
            count = self._ask({"list": path}, MOST_ENTRIES)
            return [self._reading.said(Inode) for _ in range(count)]

    def read(self, node: tuple[str, int], offset: int, length: int) -> bytes:
        """Read a part of a file: less at its end. Raises OSError, ConversionError."""
        with self._lock:
            return self._reading.exactly(self._ask({"read": node, "offset": offset, "length": length}, length))

    def _ask(self, question: Mapping[str, Any], most: int) -> int:
        answer = self._reading.ask(question)
        if answer.error:
            number = answer.error if answer.error in {errno.ENOENT, errno.EOPNOTSUPP} else errno.EIO
            raise OSError(number, os.strerror(number))
        if not 0 <= answer.count <= most:
            raise ConversionError(NONSENSE)
        return int(answer.count)


@contextmanager
def attended(disks: Sequence[DiskReader]) -> Iterator[Attended]:
    """Attend a confined process that is asked for one thing after another. Raises ConversionError."""
    with _reading(disks, {"operation": "attend"}, _ATTENDING, ends_within=_GRACE) as reading:
        reading.line(dict[str, str])
        yield Attended(reading)


def _listing(disks: Sequence[DiskReader], request: Mapping[str, Any]) -> FileListing:
    with _reading(disks, request, _LOOKING) as reading:
        reading.line(dict[str, str])
        entries: list[FileEntry] = []
        while len(entries) <= MOST_ENTRIES and (entry := reading.next_line(FileEntry)) is not None:
            entries.append(entry)
        return FileListing(entries, reading.result())


class _Reading:
    """A confined process at work. Its error comes before anything that is missing of its answer."""

    def __init__(self, connection: socket.socket, answer: IO[bytes], told: "_Told") -> None:
        self._connection = connection
        self._answer = answer
        self._told = told

    def ask(self, question: Mapping[str, Any]) -> Any:
        """Ask a process that attends, and return what it answers at first."""
        try:
            self._connection.sendall(json.dumps(question).encode() + b"\n")
        except OSError:
            raise ConversionError("The process that reads the files has ended.") from None
        return self.said(_Answer)

    def said(self, shape: Any) -> Any:
        """Return the next thing that it says, without waiting for its end when it says nothing."""
        found = self.next_line(shape)
        if found is None:
            raise ConversionError("The process that reads the files has ended.")
        return found

    def exactly(self, count: int) -> bytes:
        found = self._answer.read(count)
        if len(found) != count:
            raise ConversionError(NONSENSE)
        return found

    def line(self, shape: Any) -> Any:
        found = self.next_line(shape)
        if found is None:
            self.result()
            raise ConversionError(NONSENSE)
        return found

    def next_line(self, shape: Any) -> Any:
        line = self._answer.readline(_LONGEST_LINE)
        if not line:
            return None
        try:
            return form(shape).validate_python(read_json(line))
        except (ValueError, ValidationError, RecursionError):
            raise ConversionError(NONSENSE) from None

    def pieces(self, size: int | None) -> Iterator[bytes]:
        done = 0
        while piece := self._answer.read(_PIECE):
            done += len(piece)
            yield piece
        self.result()
        if size is not None and done != size:
            raise ConversionError("The file isn't as long as its file system says.")

    def result(self) -> Looked:
        try:
            looked = form(Looked).validate_python(self._told.result())
        except ValidationError:
            raise ConversionError(NONSENSE) from None
        return looked


class _Noting(DiskReader):
    """Keeps why a disk couldn't be read: whoever reads it is told no more than that."""

    def __init__(self, disk: DiskReader) -> None:
        self.size = disk.size
        self.error: LongshoreError | None = None
        self._disk = disk

    def entry(self, block: int) -> TreeEntry | None:
        return self._disk.entry(block)

    def block(self, number: int, entry: TreeEntry, *, again: bool = False) -> bytes:
        return self._disk.block(number, entry, again=again)

    def leaf_is_zero(self, leaf: int) -> bool:
        return self._disk.leaf_is_zero(leaf)

    def parts(self, offset: int, length: int) -> list[bytes]:
        try:
            return self._disk.parts(offset, length)
        except LongshoreError as error:
            self.error = error
            raise


class _Told(threading.Thread):
    """A thread that hears what the confined process says when it ends."""

    def __init__(
        self,
        sandbox: Sandbox,
        request: Mapping[str, Any],
        disks: Sequence[_Noting],
        answering: socket.socket,
    ) -> None:
        super().__init__(name="longshore-files", daemon=True)
        self._sandbox = sandbox
        self._request = request
        self._disks = disks
        self._answering = answering
        self._result: dict[str, Any] | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        command = (sys.executable, "-m", "longshore.guests.files_confined")
        try:
            self._result = run_confined(self._sandbox, command, self._request, lambda _: None)
        except Exception as error:  # noqa: BLE001 whoever waits for it raises it
            self._error = error
        finally:
            with suppress(OSError):
                self._answering.shutdown(socket.SHUT_RDWR)  # nobody comes any more

    def result(self) -> dict[str, Any]:
        """Return the result. Raises NotFound, InvalidInput, ConversionError, and why a disk couldn't be read."""
        self.join()
        passed_over = self._result is not None and bool(self._result.get("left_out"))
        for disk in self._disks:
            if disk.error is not None and not passed_over:
                raise disk.error
        match self._error:
            case None:
                assert self._result is not None
                return self._result
            case ConversionError(code=NotFound.code) as error:
                raise NotFound(error.message, advice=error.advice)
            case ConversionError(code=InvalidInput.code) as error:
                raise InvalidInput(error.message, advice=error.advice)
            case error:
                raise error


@contextmanager
def _reading(
    disks: Sequence[DiskReader], request: Mapping[str, Any], limits: GuestLimits, *, ends_within: float | None = None
) -> Iterator[_Reading]:
    """Read disks in a confined process. `ends_within`: seconds after which one that was hung up on is left to go with
    this process."""
    refuse_without("nbd", "bwrap")
    with ExitStack() as stack:
        directory = stack.enter_context(private_directory())
        places = {}
        noting = [_Noting(disk) for disk in disks]
        for position, disk in enumerate(noting):
            places[f"/disks/{position}"] = path = directory / f"disk-{position}"
            stack.enter_context(_served(disk, path))
        answering = stack.enter_context(_listening(directory / "answer"))
        sandbox = Sandbox(limits, sockets={**places, "/answer": directory / "answer"})
        near = all(disk.description == COMPUTES for disk in disks)
        request = {**request, "disks": list(places), "connections": _NEAR if near else _FAR}
        told = _Told(sandbox, request, noting, answering)
        told.start()
        stack.callback(told.join, ends_within)
        try:
            connection, _ = answering.accept()
        except OSError:  # it has ended before
            told.result()
            raise ConversionError(NONSENSE) from None
        stack.enter_context(connection)
        answer = stack.enter_context(closing(connection.makefile("rb")))
        stack.callback(_hang_up, connection)
        yield _Reading(connection, answer, told)


def _hang_up(connection: socket.socket) -> None:
    """Hang up: one that waits for questions goes on to its end."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def _served(disk: DiskReader, path: Path) -> Iterator[None]:
    with _listening(path) as listening:
        threading.Thread(target=_serve, args=(listening, disk), name="longshore-files-disk", daemon=True).start()
        yield


def _serve(listening: socket.socket, disk: DiskReader) -> None:
    with suppress(OSError):  # nobody listens any more
        serve(listening, disk)


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(16)
        try:
            yield listening
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # whoever waits for somebody to come goes on
