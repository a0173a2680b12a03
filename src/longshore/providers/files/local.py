"""Files of this machine: a directory with all that is below it, or one file of it and what lies beside."""

import errno
import itertools
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import PurePosixPath

from longshore.errors import AccessDenied, InvalidInput, NotFound
from longshore.model.reach import Reach
from longshore.providers.files.settings import path_of
from longshore.providers.files.stored import Bundle, LocalFile, Stored, printable, refuse_path

DEEPEST = 64  # directories below the one that is named
MOST_ENTRIES = 100_000
_OF_THE_SYSTEM = ("lost+found", "System Volume Information", "$RECYCLE.BIN")  # in which nobody has put anything


class LocalPlace:
    """`beneath`: a directory that nothing leads out of. Below it no symbolic link is followed."""

    def __init__(self, path: PurePosixPath, beneath: PurePosixPath | None, reach: Reach | None = None) -> None:
        if beneath is not None and not path.is_relative_to(beneath):
            raise outside(str(path))
        self._path = path
        self._beneath = beneath
        self._reach = reach

    def files(self, below: str = "") -> list[str]:
        """Return all files, or those in one of its directories, by their paths below its own; of a single file its
        name.

        Raises NotFound, InvalidInput.
        """
        if self.is_one():
            return [shown(self._path.name)]
        found: list[str] = []
        start = PurePosixPath(below)
        with self._opened(self._path / as_it_is(below), os.O_DIRECTORY) as directory:
            self._look(directory, start, len(start.parts), found, itertools.count())
        return sorted(found)

    @contextmanager
    def bundle(self, path: str) -> Iterator[Bundle]:
        """Open the files beside the one at this path, and it itself."""
        parts, one = PurePosixPath(path), self.is_one()
        if parts.is_absolute() or ".." in parts.parts or (one and path != shown(self._path.name)):
            raise NotFound(f"There is no {printable(path)} in {printable(str(self._path))}.")
        for part in parts.parts:
            refuse_path(as_it_is(part), "A machine's reference")
        root = self._path.parent if one else self._path
        with self._opened(root / as_it_is(str(parts.parent)), os.O_DIRECTORY) as directory, ExitStack() as stack:
            yield _Beside(directory, stack, self._reach, follow=self._beneath is None)

    def is_one(self) -> bool:
        with self._opened(self._path, os.O_PATH) as found:
            mode = os.fstat(found).st_mode
            if stat.S_ISLNK(mode):  # which is all that O_PATH refuses to follow
                raise _explained(OSError(errno.ELOOP, ""), self._path.name)
            return not stat.S_ISDIR(mode)

    def _look(self, directory: int, path: PurePosixPath, depth: int, found: list[str], seen: Iterator[int]) -> None:
        """Leaves out what has just been removed. A directory that may not be looked into, or is too deep, is among what
        is found, with a slash behind its name."""
        with suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                if next(seen) == MOST_ENTRIES:
                    raise InvalidInput(
                        f"There are more than {MOST_ENTRIES} files below {self._path}.",
                        advice="Name a directory with fewer.",
                    )
                if entry.name.startswith("."):
                    continue
                with suppress(OSError):
                    # A link that leads nowhere, or isn't followed, says so when it is looked at
                    if entry.is_symlink() or entry.is_file(follow_symlinks=False):
                        found.append(str(path / shown(entry.name)))
                    elif entry.is_dir(follow_symlinks=False):
                        if depth == DEEPEST:
                            found.append(f"{path / shown(entry.name)}/")
                            continue
                        try:
                            below = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
                        except PermissionError:
                            if entry.name not in _OF_THE_SYSTEM:
                                found.append(f"{path / shown(entry.name)}/")
                            continue
                        try:
                            self._look(below, path / shown(entry.name), depth + 1, found, seen)
                        finally:
                            os.close(below)

    @contextmanager
    def _opened(self, path: PurePosixPath, flags: int) -> Iterator[int]:
        """Step by step where links aren't followed."""
        flags |= os.O_RDONLY | os.O_CLOEXEC
        descriptor = -1
        try:
            if self._beneath is None:
                descriptor = os.open(path, flags)
            else:
                descriptor = os.open(self._beneath, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                steps = path.relative_to(self._beneath).parts
                for number, step in enumerate(steps):
                    last = number == len(steps) - 1
                    kind = flags if last else os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
                    above, descriptor = descriptor, os.open(step, kind | os.O_NOFOLLOW, dir_fd=descriptor)
                    os.close(above)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
            raise _explained(error, printable(str(path))) from None
        try:
            yield descriptor
        finally:
            os.close(descriptor)


class _Beside(Bundle):
    def __init__(self, directory: int, stack: ExitStack, reach: Reach | None, *, follow: bool) -> None:
        self._directory = directory
        self._stack = stack
        self._reach = reach
        self._follow = follow
        self._opened: dict[str, LocalFile] = {}

    def open(self, name: str) -> Stored:
        if name not in self._opened:
            self._opened[name] = self._open(name)
            self._opened[name].reach = self._reach
        return self._opened[name]

    def _open(self, name: str) -> LocalFile:
        path = as_it_is(name)
        refuse_path(path, "A machine's description", below=True)
        # A pipe or a device would be waited for
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if self._follow else os.O_NOFOLLOW)
        *above, last = path.split("/")
        directory = self._directory
        try:
            for step in above:
                directory = os.open(step, flags | os.O_DIRECTORY, dir_fd=directory)
                self._stack.callback(os.close, directory)
            descriptor = os.open(last, flags, dir_fd=directory)
        except OSError as error:
            raise _explained(error, printable(name)) from None
        self._stack.callback(os.close, descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidInput(f"{printable(name)} isn't a file.")
        return LocalFile(name, descriptor)


# References go through JSON and databases, which take Unicode alone. So bytes of a name that are none, and control
# characters, are written as \xNN there, and a backslash that could be taken for such as \x5c
_UNSHOWN = re.compile(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\\(?=x[0-9a-f]{2})")
_SHOWN = re.compile(r"\\x([0-9a-f]{2})")


def shown(name: str) -> str:
    """Return the name of a file, as the system has it, for references."""
    raw = _UNSHOWN.sub(lambda match: b"".join(b"\\x%02x" % byte for byte in match[0]), os.fsencode(name))
    return raw.decode("utf-8", errors="backslashreplace")


def as_it_is(name: str) -> str:
    """Return the name that `shown` made its text of. It may be anything then, a path included: whoever opens it has to
    look."""
    if "\\x" not in name:
        return name
    raw = _SHOWN.sub(
        lambda match: chr(0xDC00 + int(match[1], 16)) if match[1] >= "80" else chr(int(match[1], 16)), name
    )
    return os.fsdecode(os.fsencode(raw))


def directory_above(url: str, directories: Sequence[str]) -> str:
    """Return the one of the directories that the URL's path is below. Raises AccessDenied, InvalidInput."""
    path = path_of(url)
    for directory in directories:
        if path.is_relative_to(PurePosixPath(directory)):
            return directory
    raise outside(str(path))


def outside(path: str) -> AccessDenied:
    return AccessDenied(
        f"This server reads no files at {path} for its callers.",
        advice="Name a directory below one of those that its operator allows (files_directories).",
        code="path-refused",
    )


def _explained(error: OSError, name: str) -> AccessDenied | InvalidInput | NotFound:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"There is no {name}.", advice="Check its name, and that this machine has it mounted.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return AccessDenied(f"{name} may not be read by this user.", advice="Allow it, or run as another user.")
    if error.errno == errno.ELOOP:
        return AccessDenied(f"{name} is a symbolic link, which a server doesn't follow.", code="path-refused")
    return InvalidInput(f"{name} can't be read: {error.strerror}.")
