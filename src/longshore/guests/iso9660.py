"""The files on a CD image, read without mounting it: virtio-win comes as one, and mounting takes root."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_SECTOR = 2048  # bytes
_FIRST_DESCRIPTOR = 16 * _SECTOR
_PRIMARY, _LAST = 1, 255
_ROOT_AT, _LABEL_AT = 156, 40  # in the primary descriptor
_MOST_ENTRIES = 20_000  # virtio-win has some 1500
_DEEPEST = 8


class NotAnImage(Exception):
    """The error for what isn't a CD image, or is a damaged one."""


def contents(image: Path) -> tuple[str, list[str]]:
    """Return the image's label, and the paths of its files in lower case: viostor/2k22/amd64/viostor.inf. Raises
    NotAnImage, and OSError when it can't be read."""
    with image.open("rb") as file:
        try:
            descriptor = _primary(file)
            label = descriptor[_LABEL_AT : _LABEL_AT + 32].decode("ascii", errors="replace").strip(" \0")
            return label, list(_files(file, descriptor[_ROOT_AT : _ROOT_AT + 34], "", [_MOST_ENTRIES], 0))
        except (struct.error, IndexError):
            raise NotAnImage from None


def _primary(file: BinaryIO) -> bytes:
    for number in range(64):
        file.seek(_FIRST_DESCRIPTOR + number * _SECTOR)
        descriptor = file.read(_SECTOR)
        if len(descriptor) < _SECTOR or descriptor[1:6] != b"CD001" or descriptor[0] == _LAST:
            raise NotAnImage
        if descriptor[0] == _PRIMARY:
            return descriptor
    raise NotAnImage


def _files(file: BinaryIO, record: bytes, place: str, left: list[int], depth: int) -> Iterator[str]:
    """Yield the files of the directory that this record describes; `left` counts how many entries are still looked
    at."""
    sector, size = struct.unpack_from("<I4xI", record, 2)
    if depth > _DEEPEST or size > 1 << 20:
        raise NotAnImage
    file.seek(sector * _SECTOR)
    content = file.read(size)
    at = 0
    while at < len(content):
        length = content[at]
        if length == 0:  # no record crosses a sector's end
            at = (at // _SECTOR + 1) * _SECTOR
            continue
        entry = content[at : at + length]
        at += length
        left[0] -= 1
        if left[0] < 0:
            raise NotAnImage
        name = entry[33 : 33 + entry[32]]
        if name in (b"\0", b"\1"):  # itself, and its parent
            continue
        word = name.decode("ascii", errors="replace").partition(";")[0].rstrip(".").lower()
        if entry[25] & 2:
            yield from _files(file, entry, f"{place}{word}/", left, depth + 1)
        else:
            yield f"{place}{word}"
