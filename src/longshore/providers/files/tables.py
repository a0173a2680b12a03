"""An image says in tables where in its file each part of its disk is; here they are checked before anything is copied.

QEMU looks at some of it only when such a part is read, hours into a copy, and reads parts that are missing as zeroes.
The layouts are those of QEMU's docs/interop/qcow2.txt, of VMware's "Virtual Disk Format 5.0" and of Microsoft's
"Virtual Hard Disk Image Format Specification" 1.0.
"""

import struct
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise

from longshore.model.machine import Doubt, FileDoubt
from longshore.providers.files.headers import Format, end_of
from longshore.providers.files.stored import SECTOR, Stored

_LONGEST = 100.0  # seconds that tables of one image are read
_PIECE = 1 << 20  # bytes
_MOST_PARTS = 1 << 26  # of a file, of which it is noted which are in use, a byte each
_OFFSET, _COMPRESSED, _LONG_ENTRIES = (1 << 56) - SECTOR, 1 << 62, 16  # of a qcow2's entries, and among its features
_LARGEST_DIRECTORY = 32 << 20  # bytes, as QEMU has it of a qcow2
_GRAINS = struct.Struct("<4sIIQQQQIQQ")  # a sparse VMDK's header, up to where its directory is
_LINE_ENDS, _SECOND_TABLES, _PACKED, _MARKED = 1, 2, 1 << 16, 1 << 17  # among its flags
_MOST_IN_TABLE = 512  # of its entries, as QEMU has it
_AT_THE_END = (1 << 64) - 1  # instead of the directory's place: it is in a second header
_DIRECTORY_FOLLOWS = b"\2\0\0\0"  # a marker's kind, behind its first 12 bytes
_MARKER = struct.Struct("<QI")  # before a packed grain: its first sector on the disk, and its bytes
_NONE = 0xFFFFFFFF  # an entry of a VHD's table of blocks


def faults_of(image: Stored, kind: Format) -> list[FileDoubt]:
    """Return what an image's tables tell against its being whole; kinds without tables tell nothing.

    Raises what reading raises.
    """
    found = _Found(image)
    if (end := end_of(image, kind)) > image.size:
        text = f"{image.name} has {image.size} bytes, and its table of blocks says {end}: it is cut off."
        return [FileDoubt(Doubt.MISSING, image.name, text)]
    if kind is Format.QCOW2:
        _look_at_qcow2(image, found)
    elif kind is Format.VMDK and image.read(0, 4) == b"KDMV":
        _look_at_vmdk(image, found)
    elif kind is Format.VHD:
        _look_at_vhd(image, found)
    return list(found.doubts())


class _Found:
    """Holds what the tables of an image have told so far."""

    def __init__(self, image: Stored) -> None:
        self._image = image
        self._until = time.monotonic() + _LONGEST
        self._used = bytearray()
        self.nowhere = 0  # entries that lead outside of the file, or to where no part can begin
        self.twice = 0  # parts that lie where another one does
        self.end = 0  # bytes that the file has at least
        self.short = False  # it ends within the last part, which some makers leave so
        self.differing = 0  # tables of which the second copy says something else
        self.elsewhere = 0  # parts that say of themselves that they are others
        self.as_text = False  # its lines' ends were changed on the way, and all else that is like them
        self.unused = False  # much is in the file, and nothing leads to it
        self.stopped = False  # before all was read

    def is_late(self) -> bool:
        self.stopped = self.stopped or time.monotonic() > self._until
        return self.stopped

    def use(self, numbers: Iterable[int], length: int) -> None:
        """Note that something lies in these parts of the file, of this many bytes each."""
        count = self._image.size // length + 1
        if count > _MOST_PARTS:
            return
        used = self._used = self._used or bytearray(count)
        twice = 0
        for number in numbers:
            twice += used[number]
            used[number] = 1
        self.twice += twice

    def doubts(self) -> Iterator[FileDoubt]:
        name = self._image.name
        texts = (
            (self.nowhere, f"{name} is damaged or cut off: {self.nowhere} of its entries lead nowhere."),
            (self.twice, f"{name} is damaged: {self.twice} parts of its disk lie where others do."),
            (self.end > self._image.size, f"{name} is cut off: it ends within the last part of its disk."),
            (self.differing, f"{name} is damaged: {self.differing} of its tables differ from their second copies."),
            (self.elsewhere, f"{name} is damaged: {self.elsewhere} parts of its disk aren't where its tables say."),
            (
                self.as_text,
                f"{name} was copied as if it were a text, which changes some of its bytes: copy it as binary.",
            ),
            (self.unused, f"{name} is damaged: its tables are empty, and its file isn't."),
        )
        yield from (FileDoubt(Doubt.MISSING, name, text) for is_so, text in texts if is_so)
        if self.short:
            text = f"{name} ends within the last part of its disk: what is missing there is read as zeroes."
            yield FileDoubt(Doubt.CLAIM, name, text)
        if self.stopped:
            text = f"{name} has such large tables that not all were read: what is wrong with others shows in the copy."
            yield FileDoubt(Doubt.UNSAID, name, text)


def _look_at_qcow2(image: Stored, found: _Found) -> None:
    version, bits, size, entries, directory, counts, clusters = struct.unpack_from(">4xI12xIQ4xIQQI", image.read(0, 72))
    features = struct.unpack(">Q", image.read(72, 8))[0] if version > 2 else 0
    if not 9 <= bits <= 21 or 8 * entries > _LARGEST_DIRECTORY:  # nor does QEMU read it
        found.nowhere += 1
        return
    length, each = 1 << bits, 16 if features & _LONG_ENTRIES else 8
    found.use({0, *range(directory >> bits, (directory + 8 * entries + length - 1) >> bits)}, length)
    blocks = _numbers(">Q", image.read(counts, min(clusters << bits, _LARGEST_DIRECTORY)))
    found.use({at >> bits for at in blocks if 0 < at < image.size}, length)
    for number, entry in enumerate(_numbers(">Q", image.read(directory, 8 * entries))):
        if not (at := entry & _OFFSET):
            continue
        if at % length or at + length > image.size:
            found.nowhere += 1
            continue
        if found.is_late():
            return
        table = _numbers(">Q", image.read(at, length))[:: each // 8]
        plain = [one & _OFFSET for one in table if not one & _COMPRESSED]
        good = [place for place in plain if place and not place % length and place < image.size]
        found.nowhere += len(plain) - plain.count(0) - len(good)
        found.use((at >> bits, *(place >> bits for place in good)), length)
        if (
            good and each == 8 and (last := max(good)) + length > image.size
        ):  # longer entries tell of less than a cluster
            within = next(n for n, one in enumerate(table) if one & _OFFSET == last and not one & _COMPRESSED)
            found.short = last + size - (number * len(table) + within) * length > image.size
        if len(plain) < len(table):
            packed = [one & (_COMPRESSED - 1) for one in table if one & _COMPRESSED]
            # The longer clusters are, the fewer bits tell the place; the others tell how many sectors follow
            sectors = [(one & ((1 << (70 - bits)) - 1)) // SECTOR + (one >> (70 - bits)) for one in packed]
            found.end = max(found.end, max(sectors) * SECTOR + 1)


def _look_at_vmdk(image: Stored, found: _Found) -> None:
    head = image.read(0, SECTOR)
    at_the_end = struct.unpack_from("<Q", head, 56)[0] == _AT_THE_END
    if at_the_end:
        head = image.read(image.size - 2 * SECTOR, SECTOR)
    _, _, flags, capacity, grain, text_at, text, count, second, first = _GRAINS.unpack_from(head)
    if not grain or not 0 < count <= _MOST_IN_TABLE:
        return
    # What of a stream precedes its directory says so. Of one that isn't there any more nothing would be read at all
    if at_the_end and flags & _MARKED and image.read((first - 1) * SECTOR + 12, 4) != _DIRECTORY_FOLLOWS:
        found.elsewhere += 1
    found.as_text = bool(flags & _LINE_ENDS) and head[73:77] != b"\n \r\n"
    grains = -(-capacity // grain)
    begin, tables = text_at + text, -(-grains // count)
    directory = _numbers("<I", image.read(first * SECTOR, min(4 * tables, _LARGEST_DIRECTORY)))
    has_copies = flags & _SECOND_TABLES and second
    copies = _numbers("<I", image.read(second * SECTOR, 4 * len(directory))) if has_copies else ()
    found.unused = not any(directory) and image.size > begin * SECTOR + 8 * tables + _PIECE
    for number, at in enumerate(directory):
        if found.is_late():
            return
        if number < len(copies) and bool(at) != bool(copies[number]):
            found.differing += 1
        if not at:
            continue
        told = image.read(at * SECTOR, 4 * count)
        table = _numbers("<I", told)
        if len(table) < count:
            found.nowhere += 1
            continue
        if number < len(copies) and (copy := copies[number]):
            found.differing += image.read(copy * SECTOR, 4 * count) != told
        there = {number * count + n: place for n, place in enumerate(table) if place > 1}  # 1: it is zeroes
        good = {n: place for n, place in there.items() if begin <= place < -(-image.size // SECTOR) and n < grains}
        found.nowhere += len(there) - len(good)
        if flags & _PACKED:
            _look_at_packed(image, found, good, grain, marked=bool(flags & _MARKED))
            continue
        found.use((place // grain for place in good.values()), grain * SECTOR)
        ends = (place + min(grain, capacity - n * grain) for n, place in good.items())
        found.end = max(found.end, max(ends, default=0) * SECTOR)


def _look_at_packed(image: Stored, found: _Found, there: dict[int, int], grain: int, *, marked: bool) -> None:
    """Look at the first and the last of these grains in the file, of which each says itself which one it is."""
    if not marked or not there:
        return
    for n in {min(there, key=there.__getitem__), max(there, key=there.__getitem__)}:
        marker = image.read(there[n] * SECTOR, _MARKER.size)
        if len(marker) < _MARKER.size:
            found.end = image.size + 1
            continue
        sector, length = _MARKER.unpack(marker)
        if sector != n * grain:
            found.elsewhere += 1
        else:
            found.end = max(found.end, there[n] * SECTOR + _MARKER.size + length)


def _look_at_vhd(image: Stored, found: _Found) -> None:
    begin = struct.unpack(">Q", image.read(16, 8))[0]
    header = image.read(begin, 1024)
    if not header.startswith(b"cxsparse") or len(header) < 1024:
        return
    at, count, length = struct.unpack_from(">Q4xII", header, 16)
    if not length:
        return
    places = sorted(one for one in _numbers(">I", image.read(at, min(4 * count, _LARGEST_DIRECTORY))) if one != _NONE)
    found.twice += sum(later - one < length // SECTOR for one, later in pairwise(places))


def _numbers(shape: str, data: bytes) -> tuple[int, ...]:
    """Return the numbers in a table, each of a shape such as ">Q"; what is left of one that is cut off is left out."""
    count = len(data) // struct.calcsize(shape)
    return struct.unpack_from(f"{shape[0]}{count}{shape[1]}", data)
