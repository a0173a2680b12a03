"""Stream-optimised VMDKs, in which vSphere sends whole disks: compressed grains, in the order of the disk.

A header is followed by markers, each at the beginning of a sector. That of a grain says where it lies on the disk and
how long it is packed; others announce tables, which say nothing that the grains don't. The last one is the end marker.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from longshore.errors import ExportError

SECTOR = 512
_HEAD = struct.Struct("<4sIIQQ")  # magic, version, flags, capacity, grain size; both in sectors
_MARKER = struct.Struct("<QII")  # sector or number of sectors, bytes, kind; of a grain its data begin with the third
_GRAIN_DATA = 12
_COMPRESSED = 1 << 16 | 1 << 17  # flags: grains are compressed, and have markers
_END, _KINDS = 0, range(4)  # the end, tables of grains, a directory of tables, a footer
_LARGEST_GRAIN = 2048  # sectors; vSphere's have 128
_LARGEST_TABLE = 1 << 17  # sectors

_ADVICE = "Such a copy begins anew from the disk's first byte. If it happens again, look at the ESXi host's log."


class PackedGrain(NamedTuple):
    offset: int  # bytes of the disk
    length: int  # bytes of it that are on the disk
    packed: bytes

    def unpack(self) -> bytes:
        """Return what the disk holds there. Raises ExportError when it is damaged."""
        try:
            inner = zlib.decompressobj()
            found = inner.decompress(self.packed, _LARGEST_GRAIN * SECTOR)
        except zlib.error as error:
            raise damaged(f"byte {self.offset} of the disk can't be unpacked ({error})") from None
        if len(found) < self.length or not inner.eof:
            raise damaged(f"byte {self.offset} of the disk can't be unpacked (it has another length)")
        return found[: self.length]


def packed_grains(read: Callable[[int], bytes], size: int) -> Iterator[PackedGrain]:
    """Yield the grains of a disk of `size` bytes up to the end marker; where there is none between two, it is zero.

    `read` returns as many bytes as are asked for, fewer at the end alone. Raises ExportError for a stream that is cut
    off, damaged, or of another disk.
    """
    grain = _read_header(read, size)
    behind = 0  # bytes: no grain comes before
    while True:
        marker = _exactly(read, SECTOR)
        value, length, kind = _MARKER.unpack_from(marker)
        if not length:
            if kind == _END and not value:
                return
            if kind not in _KINDS or value > _LARGEST_TABLE:
                raise damaged(f"it has a marker of an unknown kind ({kind})")
            for _ in range(value):
                _exactly(read, SECTOR)
            continue
        offset = value * SECTOR
        if length > 2 * grain + SECTOR or offset % grain or not behind <= offset < size:
            raise damaged(f"it has a grain of {length} bytes for byte {offset}, behind those before byte {behind}")
        behind = offset + grain
        sectors = -(-(_GRAIN_DATA + length) // SECTOR)
        packed = marker[_GRAIN_DATA:] + _exactly(read, (sectors - 1) * SECTOR)
        yield PackedGrain(offset, min(grain, size - offset), packed[:length])


def _read_header(read: Callable[[int], bytes], size: int) -> int:
    """Return how many bytes a grain has, once all before the first marker is read."""
    head = read(SECTOR)
    if not head:
        raise ExportError("vSphere has sent nothing at all of the disk.", advice=_ADVICE, code="export-cut-off")
    head += _exactly(read, SECTOR - len(head)) if len(head) < SECTOR else b""
    magic, _version, flags, capacity, grain = _HEAD.unpack_from(head)
    if magic != b"KDMV" or flags & _COMPRESSED != _COMPRESSED:
        raise damaged("it isn't a stream-optimised VMDK")
    if capacity * SECTOR != size:
        raise damaged(f"it is of a disk of {capacity * SECTOR} bytes, and not of {size}")
    if not 0 < grain <= _LARGEST_GRAIN or grain & (grain - 1):
        raise damaged(f"its grains have {grain} sectors")
    (overhead,) = struct.unpack_from("<Q", head, 64)
    if not 0 < overhead <= _LARGEST_TABLE:
        raise damaged(f"its header has {overhead} sectors")
    for _ in range(overhead - 1):
        _exactly(read, SECTOR)
    return int(grain * SECTOR)


def _exactly(read: Callable[[int], bytes], length: int) -> bytes:
    found = read(length)
    if len(found) < length:
        raise ExportError(
            "vSphere has ended the disk's stream before its end marker, as if it were whole.",
            advice=_ADVICE,
            code="export-cut-off",
        )
    return found


def damaged(why: str) -> ExportError:
    return ExportError(f"What vSphere has sent of the disk isn't right: {why}.", advice=_ADVICE, code="export-damaged")
