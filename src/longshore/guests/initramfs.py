"""The content of an initramfs: one or several cpio archives after each other, the last of them as a rule compressed.

An uncompressed archive comes first when the kernel is to load microcode (or, on newer Ubuntus, modules) from it. See
"Initramfs buffer format" in the kernel's documentation. Nothing of it is unpacked: only the names are read.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO

from longshore.processes.parent import die_with_parent

_HEADER = 110  # bytes of a cpio entry's header in the formats "newc" and "crc"
_CPIO = (b"070701", b"070702")
_NUMBERS = re.compile(rb"[0-9A-Fa-f]{104}")  # thirteen of eight digits each
_END = "TRAILER!!!"
_DECOMPRESSORS = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ": "xz",
    b"\x5d\x00\x00": "xz",  # the older format of the same program, lzma
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x89LZO": "lzop",
}
LARGEST = 4 << 30  # bytes, unpacked: what is larger isn't an initramfs
LARGEST_PACKED = 512 << 20
LONGEST = 300.0  # seconds of unpacking; under emulation, on a busy machine, it takes 10
_MOST_FILES = 500_000
_MOST_PADDING = 1 << 20  # bytes of zeroes between two archives
_LONGEST_NAME = 4096
_PIECE = 1 << 20

_Read = Callable[[int], bytes]


class NotAnInitramfs(Exception):
    """The error for what isn't an initramfs as we know them; the text says why."""


def file_names(path: Path) -> Iterator[str]:
    """Yield the path of every file in the initramfs, without a leading slash. Raises NotAnInitramfs."""
    with path.open("rb") as file:
        start = yield from _archives(file.read)
        if not start:
            return
        program = next((name for magic, name in _DECOMPRESSORS.items() if start.startswith(magic)), None)
        if program is None:
            raise NotAnInitramfs("it is compressed in a way Longshore doesn't know")
        if shutil.which(program) is None:
            raise NotAnInitramfs(f"it is compressed with {program}, which isn't installed on this machine")
        os.lseek(file.fileno(), file.tell() - len(start), os.SEEK_SET)  # where the program begins to read
        yield from _decompressed(program, file)


def _decompressed(program: str, file: IO[bytes]) -> Iterator[str]:
    with subprocess.Popen(
        die_with_parent(program, "-dc"),
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        try:
            names = 0
            for name in _archives(_Limited(process.stdout).read):
                names += 1
                if names > _MOST_FILES:
                    raise NotAnInitramfs(f"it has more than {_MOST_FILES} files")
                yield name
            if not names:
                raise NotAnInitramfs(f"{program} can't decompress it")
        finally:
            process.kill()  # what follows the last archive is of no interest


class _Limited:
    """A stream of what a program unpacks, as long as it isn't more than it may be: a few bytes can become any
    number."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._room = LARGEST
        self._end = time.monotonic() + LONGEST

    def read(self, size: int) -> bytes:
        """Read some bytes. Raises NotAnInitramfs."""
        piece = self._stream.read(size)
        self._room -= len(piece)
        if self._room < 0:
            raise NotAnInitramfs(f"it is larger than {LARGEST >> 30} GiB")
        if time.monotonic() > self._end:
            raise NotAnInitramfs(f"it takes longer than {LONGEST:.0f} s to unpack")
        return piece


def _archives(read: _Read) -> Generator[str, None, bytes]:
    """Yield the names in all archives, and return the first bytes that begin none."""
    while (start := _after_zeroes(read)) in _CPIO:
        yield from _entries(read, start)
    return start


def _entries(read: _Read, start: bytes) -> Iterator[str]:
    """Yield the name of each entry of one archive, of which `start` has been read."""
    while True:
        header = start + read(_HEADER - len(start))
        start = b""
        if len(header) < _HEADER or not header.startswith(_CPIO):
            raise NotAnInitramfs("it is cut short")
        if not _NUMBERS.fullmatch(header[6:]):  # int() takes signs and blanks as well
            raise NotAnInitramfs("it is damaged")
        size, name_size = int(header[54:62], 16), int(header[94:102], 16)
        if not 0 < name_size <= _LONGEST_NAME:
            raise NotAnInitramfs("it is damaged")
        name = read(name_size + -(_HEADER + name_size) % 4)[: name_size - 1].decode(errors="replace")
        if name == _END:
            return
        _skip(read, size + -size % 4)
        yield name.removeprefix("./").lstrip("/")


def _skip(read: _Read, size: int) -> None:
    while size:
        piece = read(min(size, _PIECE))
        if not piece:
            raise NotAnInitramfs("it is cut short")
        size -= len(piece)


def _after_zeroes(read: _Read) -> bytes:
    """Return the first bytes that aren't padding: archives are padded up to where the next one begins."""
    for _ in range(_MOST_PADDING):
        if (first := read(1)) != b"\0":
            return first + read(len(_CPIO[0]) - 1)
    raise NotAnInitramfs("it is damaged")
