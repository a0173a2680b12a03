"""The layout that a disk's partition table tells: how it boots, how large a disk it was written for, in which
sectors."""

import struct
from dataclasses import dataclass

from longshore.model.machine import Firmware
from longshore.providers.files.stored import SECTOR, Stored

# Partitions of the firmware's own, as GPT has them
_ESP = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")
_BIOS_BOOT = bytes.fromhex("4861682149646f6e744e656564454649")
_GPT_ENTRIES, _GPT_ENTRY = 128, 128  # how many, and bytes of each
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
        if header[:8] == b"EFI PART" and len(header) == SECTOR:
            return _of_gpt(disk, header, sector)
    return _of_mbr(first)


def _of_gpt(disk: Stored, header: bytes, sector: int) -> Layout:
    last = struct.unpack_from("<Q", header, 32)[0]  # where the table's second copy is
    end = (last + 1) * sector if 1 < last < 1 << 50 else 0
    first, count, length = struct.unpack_from("<QII", header, 72)
    if not (length == _GPT_ENTRY and count <= _GPT_ENTRIES and first < 1 << 20):
        return Layout(end=end, sector=sector)
    table = disk.read(first * sector, count * length)
    kinds = {table[at : at + 16] for at in range(0, len(table), _GPT_ENTRY)}
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
