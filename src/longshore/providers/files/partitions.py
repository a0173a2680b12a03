"""The layout that a disk's partition table tells: how it boots, how large a disk it was written for, in which sectors.

Of a disk without a table the file system, or what else is on it, tells how large it is.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from longshore.model.machine import Firmware
from longshore.providers.files.stored import SECTOR, Stored

# Partitions of the firmware's own, as GPT has them
_ESP = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")
_BIOS_BOOT = bytes.fromhex("4861682149646f6e744e656564454649")
_MOST_ENTRIES, _GPT_ENTRY = 1024, 128  # partitions in a table, and the fewest bytes of each
_MBR_ESP, _MBR_PROTECTIVE = 0xEF, 0xEE
_LARGE_SECTOR = 4096  # bytes


@dataclass(frozen=True, slots=True)
class Layout:
    firmware: Firmware = Firmware.BIOS  # that it boots by
    end: int = 0  # bytes that the disk has at least, by its table; 0: there is none
    sector: int = SECTOR  # bytes of those that the table counts in


def layout_of(disk: Stored) -> Layout:
    """Read a disk's layout. Raises what reading raises."""
    first = disk.read(0, SECTOR)
    for sector in (SECTOR, _LARGE_SECTOR):
        header = disk.read(sector, SECTOR)
        if _is_gpt(header):
            return _of_gpt(disk, header, sector)
    found = _of_mbr(first)
    if _MBR_PROTECTIVE in _kinds(first):  # the table is in its second copy alone, which systems go by as well
        header = disk.read(disk.size - SECTOR, SECTOR)
        return replace(_of_gpt(disk, header, SECTOR), end=0) if _is_gpt(header) else found
    return found if found.end else Layout(end=_end_of_content(disk))


def _is_gpt(header: bytes) -> bool:
    return header[:8] == b"EFI PART" and len(header) == SECTOR


def _of_gpt(disk: Stored, header: bytes, sector: int) -> Layout:
    last = struct.unpack_from("<Q", header, 32)[0]  # where the table's second copy is
    end = (last + 1) * sector if 1 < last < 1 << 50 else 0
    first, count, length = struct.unpack_from("<QII", header, 72)
    if not (_GPT_ENTRY <= length <= SECTOR and count <= _MOST_ENTRIES):
        return Layout(end=end, sector=sector)
    table = disk.read(first * sector, count * length)
    kinds = {table[at : at + 16] for at in range(0, len(table), length)}
    by_uefi = _ESP in kinds and _BIOS_BOOT not in kinds
    return Layout(Firmware.UEFI if by_uefi else Firmware.BIOS, end, sector)


def _of_mbr(first: bytes) -> Layout:
    if first[510:512] != b"\x55\xaa":
        return Layout()
    entries = [struct.unpack_from("<B3xB3xII", first, 446 + n * 16) for n in range(4)]
    # Boot sectors of file systems end alike, with text or code where a table would be
    if any(status not in (0, 0x80) for status, *_ in entries):
        return Layout()
    used = [entry for entry in entries if entry[1] not in (0, _MBR_PROTECTIVE) and entry[2] and entry[3]]
    active = any(status for status, *_ in used)
    by_uefi = any(kind == _MBR_ESP for _, kind, *_ in used) and not active and not any(first[:440])
    end = max((start + length for _, _, start, length in used), default=0) * SECTOR
    return Layout(Firmware.UEFI if by_uefi else Firmware.BIOS, end)


def _kinds(first: bytes) -> set[int]:
    return {first[446 + n * 16 + 4] for n in range(4)} if first[510:512] == b"\x55\xaa" else set()


# How many bytes what is on a disk without partitions says that it has


def _ext(head: bytes) -> int:
    low, high = struct.unpack_from("<I", head, 1024 + 4)[0], struct.unpack_from("<I", head, 1024 + 0x150)[0]
    large = struct.unpack_from("<I", head, 1024 + 0x60)[0] & 0x80  # 64bit, among its incompatible features
    return int((low | (high << 32 if large else 0)) << (10 + min(head[1024 + 0x18], 6)))


def _xfs(head: bytes) -> int:
    size, blocks = struct.unpack_from(">IQ", head, 4)
    return int(size * blocks)


def _ntfs(head: bytes) -> int:
    return int(struct.unpack_from("<H", head, 11)[0] * struct.unpack_from("<Q", head, 0x28)[0])


def _swap(head: bytes) -> int:
    return (int(struct.unpack_from("<I", head, 1028)[0]) + 1) * 4096


def _lvm(head: bytes) -> int:
    at = SECTOR + struct.unpack_from("<I", head, SECTOR + 20)[0]
    return int(struct.unpack_from("<Q", head, at + 32)[0]) if at + 40 <= 2 * SECTOR else 0


def _btrfs(head: bytes) -> int:
    return int(struct.unpack_from("<Q", head, _BTRFS + 0xD1)[0])


_BTRFS = 0x10000  # where its superblock is
_CONTENTS: tuple[tuple[int, bytes, Callable[[bytes], int]], ...] = (
    (0, b"XFSB", _xfs),
    (3, b"NTFS    ", _ntfs),
    (SECTOR, b"LABELONE", _lvm),
    (1024 + 0x38, b"\x53\xef", _ext),
    (4086, b"SWAPSPACE2", _swap),
    (_BTRFS + 0x40, b"_BHRfS_M", _btrfs),
)


def _end_of_content(disk: Stored) -> int:
    head = disk.read(0, _BTRFS + _LARGE_SECTOR).ljust(_BTRFS + _LARGE_SECTOR, b"\0")
    return next((end(head) for at, mark, end in _CONTENTS if head[at : at + len(mark)] == mark), 0)
