"""VHD and VHDX: what their own footers and tables say of their disks.

The layouts are those of Microsoft's "Virtual Hard Disk Image Format Specification" 1.0 and of [MS-VHDX].
"""

import re
import struct
import uuid
from dataclasses import dataclass

from longshore.errors import InvalidInput
from longshore.providers.files.stored import SECTOR, Stored

COOKIE = b"conectix"  # what a VHD's footer begins with, and a dynamic one's file as well
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
# Whose footers say more than the disk has, since it is what cylinders, heads and sectors make
_BY_GEOMETRY = (b"vpc ", b"qemu")
_REGIONS = (192 << 10, 256 << 10)  # where a VHDX has its two tables of regions
_MOST_ENTRIES = 2047
_METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_SECTOR_SIZE = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_PARENTS = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
_LARGEST_ITEM = 64 << 10  # bytes
_BLOCKS = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")  # the region that says where each block is
_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")  # the block's size, first of all
_THERE = (6, 7)  # states of a block whose bytes are in the file
_TABLE_PIECE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Vhd:
    size: int  # bytes of its disk
    said: int  # bytes that its footer says
    creator: bytes
    fixed: bool  # a raw disk with a footer
    parent: str | None  # of a differencing one, as it names it; empty: it doesn't


def footer_of(image: Stored) -> bytes:
    """Return a VHD's footer, empty for what has none. Old makers left out its last byte."""
    for length in (SECTOR, SECTOR - 1):
        if image.size >= 2 * SECTOR:
            footer = image.read(image.size - length, length)
            if footer.startswith(COOKIE):
                return footer
    return b""


def vhd_of(image: Stored) -> Vhd:
    """Read a VHD's header. Raises InvalidInput for a kind that isn't known, and for one that is cut off."""
    footer = footer_of(image)
    if not footer:
        raise InvalidInput(f"{image.name} is cut off: it ends before its footer.", code="truncated")
    creator, said, kind = footer[28:32], *struct.unpack_from(">Q4xI", footer, 48)
    if kind == _DIFFERENCING:
        return Vhd(said, said, creator, False, _vhd_parent(image, footer))
    if kind == _DYNAMIC:
        return Vhd(said, said, creator, False, None)
    if kind != _FIXED:
        raise InvalidInput(f"{image.name} is a VHD of a kind that isn't known ({kind}).", code="image-refused")
    there = (image.size - len(footer)) // SECTOR * SECTOR  # which tells for certain
    return Vhd(there, there if said > there and creator in _BY_GEOMETRY else said, creator, True, None)


def _vhd_parent(image: Stored, footer: bytes) -> str:
    header = image.read(struct.unpack_from(">Q", footer, 16)[0], 1024)
    if not header.startswith(b"cxsparse"):
        return ""
    return header[64:576].decode("utf-16-be", errors="replace").partition("\0")[0]


@dataclass(frozen=True, slots=True)
class Vhdx:
    size: int | None  # bytes of its disk; None: it doesn't say where it should
    sector: int  # bytes, as its guest sees them
    parents: tuple[str, ...]  # how a differencing one names the file that it is based on, by different paths
    log: bool  # it wasn't closed: what was written last is in its log


def vhdx_of(image: Stored) -> Vhdx:
    """Read a VHDX' tables. What isn't there isn't said, so nothing is raised."""
    items = _items(image)
    size, sector = items.get(_SIZE, b""), items.get(_SECTOR_SIZE, b"")
    return Vhdx(
        int.from_bytes(size, "little") if len(size) == 8 else None,
        int.from_bytes(sector, "little") if len(sector) == 4 else SECTOR,
        _locators(items.get(_PARENTS, b"")),
        _has_log(image),
    )


def end_of_vhdx(image: Stored) -> int:
    """Return how many bytes a VHDX has at least, by its table of blocks."""
    parameters = _items(image).get(_PARAMETERS, b"")
    size = int.from_bytes(parameters[:4], "little")
    begin, length = _regions(image).get(_BLOCKS, (0, 0))
    last = -1
    for at in range(begin, min(begin + length, image.size), _TABLE_PIECE):
        piece = image.read(at, min(_TABLE_PIECE, begin + length - at))
        entries = struct.unpack_from(f"<{len(piece) // 8}Q", piece)
        last = max([last, *(entry >> 20 for entry in entries if entry & 7 in _THERE)])  # in MiB
    return (last << 20) + size if size and last >= 0 else 0


def _regions(image: Stored) -> dict[uuid.UUID, tuple[int, int]]:
    """Return where each kind of region is, and its bytes."""
    tables = (_entries(image.read(at, _LARGEST_ITEM), b"regi", 16, "<16sQI4x") for at in _REGIONS)
    return next(({kind: (offset, length) for kind, (offset, length) in found} for found in tables if found), {})


def _items(image: Stored) -> dict[uuid.UUID, bytes]:
    offset, _ = _regions(image).get(_METADATA, (0, 0))
    table = image.read(offset, _LARGEST_ITEM) if offset else b""
    places = _entries(table, b"metadata", 32, "<16sII8x")
    return {one: image.read(offset + at, min(length, _LARGEST_ITEM)) for one, (at, length) in places}


def _entries(table: bytes, magic: bytes, first: int, entry: str) -> list[tuple[uuid.UUID, list[int]]]:
    """Return the entries in use of a table that begins so, each as its key and its numbers."""
    if not table.startswith(magic):
        return []
    shape = struct.Struct(entry)
    most = min(_MOST_ENTRIES, (len(table) - first) // shape.size)
    found = (shape.unpack_from(table, first + n * shape.size) for n in range(most))
    return [(uuid.UUID(bytes_le=key), numbers) for key, *numbers in found if any(key)]


def _locators(item: bytes) -> tuple[str, ...]:
    """Return the paths in a parent locator, the relative one first."""
    if len(item) < 20:
        return ()
    count = min(struct.unpack_from("<H", item, 18)[0], (len(item) - 20) // 12)
    said = {}
    for n in range(count):
        key_at, value_at, key, value = struct.unpack_from("<IIHH", item, 20 + n * 12)
        name = item[key_at : key_at + key].decode("utf-16-le", errors="replace")
        said[name] = item[value_at : value_at + value].decode("utf-16-le", errors="replace")
    keys = ("relative_path", "absolute_win32_path", "volume_path")
    return tuple(said[key] for key in keys if said.get(key))


def _has_log(image: Stored) -> bool:
    headers = [
        head for at in (64 << 10, 128 << 10) if (head := image.read(at, 80)).startswith(b"head") and len(head) == 80
    ]
    newest = max(headers, key=lambda head: int.from_bytes(head[8:16], "little"), default=bytes(80))
    return any(newest[48:64])


def as_posix(path: str) -> str:
    r"""Rewrite a path of Windows, such as .\base.vhdx or C:\vms\base.vhdx, with slashes."""
    return re.sub(r"^[A-Za-z]:", "", path.replace("\\", "/"))
