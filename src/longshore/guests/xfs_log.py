"""The log of an XFS: whether all that it holds is in its place, so that nothing is missing for a reader who doesn't
replay it.

It is after an unmount, and in a file system that was frozen: that one's log holds no more than its superblock again.
"""

import struct

from longshore.guests.parts import GuestVolume

_SECTOR = 512
_HEADER = struct.Struct(">IIIIQQIII")  # mark, cycle, version, length, place, place of the oldest, …, operations
_MARK = 0xFEEDBABE
_LONGEST = 512 + 8  # sectors of a record
_UNMOUNT = 0x20  # flag of an operation
_FEW = 16  # records that a frozen one may have
_FORMAT = struct.Struct("<HHHHQ")  # of a buffer: type, size, flags, length, its sector; as the guest's processor has it
_BUFFER = 0x123C


def is_interrupted(part: GuestVolume, start: int, sectors: int) -> bool:
    """Tell whether the log holds what isn't in its place. `start`: of the log, in bytes. True when it can't be told.
    Raises OSError."""
    log = _Log(part, start, sectors)
    head = log.head()
    place = log.last_record(head)
    if place is None:
        return True
    header, operations = log.record(place)
    if header[8] == 1 and operations[9:10] and operations[9] & _UNMOUNT:
        return False
    cycle, place = header[5] >> 32, header[5] & 0xFFFFFFFF
    for _ in range(_FEW):
        if place == head:
            return False
        header, operations = log.record(place)
        if header[0] != _MARK or header[1] != cycle or not _of_superblock_alone(operations):
            return True
        place += 1 + header[3] // _SECTOR
    return True


class _Log:
    def __init__(self, part: GuestVolume, start: int, sectors: int) -> None:
        self._part = part
        self._start = start
        self._sectors = sectors

    def head(self) -> int:
        """Return the sector behind the newest one: from there on all are of the round before."""
        low, high = 0, self._sectors - 1
        last = self._cycle(high)
        if self._cycle(low) == last:
            return self._sectors
        while high - low > 1:
            middle = (low + high) // 2
            if self._cycle(middle) == last:
                high = middle
            else:
                low = middle
        return high

    def last_record(self, head: int) -> int | None:
        begin = max(head - _LONGEST, 0)
        data = self._read(begin, head - begin)
        for place in range(head - 1, begin - 1, -1):
            if struct.unpack_from(">I", data, (place - begin) * _SECTOR)[0] == _MARK:
                return place
        return None

    def record(self, place: int) -> tuple[tuple[int, ...], bytes]:
        """Return a record's header, and the operations in it when they fit into a sector."""
        data = self._read(place, 1)
        header = _HEADER.unpack_from(data)
        size = struct.unpack_from(">I", data, 320)[0]
        headers = max(1, -(-size // 32768)) if header[2] & 2 else 1  # a header covers 32 KiB
        short = header[3] == _SECTOR and place + headers < self._sectors
        return header, self._read(place + headers, 1) if short else b""

    def _cycle(self, sector: int) -> int:
        first, second = struct.unpack_from(">II", self._read(sector, 1))
        return int(second if first == _MARK else first)

    def _read(self, sector: int, count: int) -> bytes:
        if sector + count > self._sectors:
            raise OSError("its log is damaged")
        return self._part.read(self._start + sector * _SECTOR, count * _SECTOR)


def _of_superblock_alone(operations: bytes) -> bool:
    """Tell whether the one buffer that is changed is the first sector: start, transaction, buffer, its content,
    commit."""
    at, lengths = 0, list[int]()
    while at + 12 <= len(operations):
        (length,) = struct.unpack_from(">I", operations, at + 4)
        if len(lengths) == 2:
            kind, *_, sector = _FORMAT.unpack_from(operations.ljust(at + 12 + _FORMAT.size, b"\xff"), at + 12)
            if kind != _BUFFER or sector != 0:
                return False
        lengths.append(length)
        at += 12 + length
        if len(lengths) > 3 and length == 0:
            return at <= len(operations) and not any(operations[at:])
    return False
