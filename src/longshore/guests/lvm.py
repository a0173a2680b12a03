"""Logical volumes of LVM 2 on a guest's disks, as far as they are linear or striped.

Each physical volume has a label, and most have the description of their volume group: text, of which the newest of all
disks counts. Limits: LVM's own are far beyond what a guest has.
"""

import re
import struct
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from longshore.guests.parts import ByteRange, GuestVolume, UnreadVolume

_SECTOR = 512
_LABEL = struct.Struct("<8sQII8s")
_PLACE = struct.Struct("<QQ")
_TEXT_HEADER = struct.Struct("<I16sIQQQQ")  # …, its place, its size; then of the newest text: where, how long
_TEXT_MARK = b" LVM2 x[5A%r0N*>"
_MOST_TEXT = 16 << 20  # bytes
_DEEPEST = 8  # sections inside each other
_MOST_SEGMENTS = 100_000  # of all of a group's volumes
_TOKEN = re.compile(r'\s+|#[^\n]*|("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?)|([A-Za-z0-9_.+-]+)|([{}\[\]=,])')
_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,127}")
_KINDS = {  # of segments that can't be read, by how their names begin
    "thin-pool": "LVM thin pool",
    "thin": "LVM thin volume",
    "raid": "LVM RAID",
    "mirror": "LVM mirror",
    "cache": "LVM cache",
    "writecache": "LVM cache",
    "vdo": "LVM VDO volume",
    "integrity": "LVM integrity volume",
}


class DamagedGroup(Exception):
    """A group's description, or what it says, makes no sense."""


@dataclass(frozen=True)
class _Segment:
    at: int  # all in bytes
    size: int
    width: int  # of a stripe
    stripes: Sequence[tuple[GuestVolume, int]]  # where each begins


class LogicalVolume(ByteRange):
    def __init__(self, segments: Sequence[_Segment]) -> None:
        """Make a volume of segments in their order, without gaps."""
        self._segments = segments
        self._begins = [segment.at for segment in segments]
        self.length = segments[-1].at + segments[-1].size
        super().__init__()

    def read(self, offset: int, length: int) -> bytes:
        return b"".join(
            part.read(start, count) for part, start, count in self._places(offset, min(offset + length, self.length))
        )

    def ahead(self, ranges: Sequence[tuple[int, int]]) -> None:
        for offset, length in ranges:
            for part, start, count in self._places(offset, min(offset + length, self.length)):
                part.ahead([(start, count)])

    def _places(self, at: int, end: int) -> Iterator[tuple[GuestVolume, int, int]]:
        """Yield where a range is: part, offset in it, length."""
        while at < end:
            segment = self._segments[bisect_right(self._begins, at) - 1]
            within = at - segment.at
            row, in_row = divmod(within, segment.width * len(segment.stripes))
            number, in_stripe = divmod(in_row, segment.width)
            count = min(end - at, segment.size - within, segment.width - in_stripe)
            part, start = segment.stripes[number]
            yield part, start + row * segment.width + in_stripe, count
            at += count


@dataclass(frozen=True)
class Volumes:
    """The logical volumes that the physical volumes hold."""

    parts: list[GuestVolume]  # logical volumes
    unread: list[UnreadVolume]
    physical: list[GuestVolume]  # volumes that belong to groups that are known


def logical_volumes(physical: Sequence[GuestVolume]) -> Volumes:
    by_id: dict[str, GuestVolume] = {}
    texts: OrderedDict[str, Mapping[str, Any]] = OrderedDict()  # the newest of each group, by its id
    for part in physical:
        with suppress(OSError, DamagedGroup):
            own, found = _described(part)
            by_id.setdefault(own, part)
            for text in found:
                name, group = _group(text)
                before = texts.get(str(group.get("id")))
                if before is None or _number(before, "seqno") < _number(group, "seqno"):
                    texts[str(group.get("id"))] = {**group, "name": name}
    volumes = Volumes([], [], [])
    taken: set[str] = set()
    for group in texts.values():
        with suppress(DamagedGroup):
            _add_group(volumes, group, by_id, taken)
    return volumes


def _described(part: GuestVolume) -> tuple[str, list[str]]:
    """Return the physical volume's id, and the descriptions of its group that are on it.

    Raises OSError, DamagedGroup.
    """
    sector = part.read(_SECTOR, _SECTOR)
    mark, _, _, offset, kind = _LABEL.unpack_from(sector)
    if mark != b"LABELONE" or kind != b"LVM2 001" or offset > 64:
        raise DamagedGroup
    own = sector[offset : offset + 32].decode("ascii", "replace")
    places, lists = [], 0
    for place, size in _PLACE.iter_unpack(sector[offset + 40 : offset + 40 + 16 * 16]):
        if place == 0:  # first areas of data, then those of descriptions
            lists += 1
        elif lists == 1:
            places.append((place, size))
    texts = []
    for place, size in places:
        with suppress(OSError, DamagedGroup):
            texts.append(_text(part, place, size))
    return own, texts


def _text(part: GuestVolume, place: int, size: int) -> str:
    """Read a description, which goes on at the area's beginning when it reaches its end."""
    _, mark, _, _, _, offset, length = _TEXT_HEADER.unpack_from(part.read(place, _SECTOR))
    if mark != _TEXT_MARK or not _SECTOR <= offset < size or not 0 < length <= min(size - _SECTOR, _MOST_TEXT):
        raise DamagedGroup
    first = min(length, size - offset)
    data = part.read(place + offset, first) + part.read(place + _SECTOR, length - first)
    return data.rstrip(b"\0").decode(errors="replace")


def _group(text: str) -> tuple[str, Mapping[str, Any]]:
    for name, section in _parsed(text).items():
        if isinstance(section, dict) and _NAME.fullmatch(name):
            return name, section
    raise DamagedGroup


def _parsed(text: str) -> dict[str, Any]:
    """Parse sections with values in them: texts, numbers and lists of both."""
    top: dict[str, Any] = {}
    open_: list[dict[str, Any]] = [top]
    words = _words(text)
    for word in words:
        if word == "}" and len(open_) > 1:
            open_.pop()
            continue
        what = next(words, None)
        if not isinstance(word, str) or (what == "{" and len(open_) > _DEEPEST):
            raise DamagedGroup
        if what == "{":
            section: dict[str, Any] = {}
            open_[-1][word] = section
            open_.append(section)
        elif what == "=":
            open_[-1][word] = _value(words)
        else:
            raise DamagedGroup
    return top


def _value(words: Iterator[Any]) -> Any:
    value = next(words, None)
    if value != "[":
        return value
    values: list[Any] = []
    for word in words:
        if word == "]":
            return values
        if word != ",":
            values.append(word)
    raise DamagedGroup


def _words(text: str) -> Iterator[Any]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise DamagedGroup
        at = found.end()
        quoted, number, name, sign = found.groups()
        if quoted:
            yield quoted[1:-1]
        elif number:
            yield int(number) if number.lstrip("-").isdigit() and len(number) < 20 else 0
        elif name or sign:
            yield name or sign


def _add_group(volumes: Volumes, group: Mapping[str, Any], by_id: Mapping[str, GuestVolume], taken: set[str]) -> None:
    extent = _number(group, "extent_size") * _SECTOR
    disks: dict[str, tuple[GuestVolume, int]] = {}
    for name, one in _section(group, "physical_volumes").items():
        part = by_id.get(str(one.get("id")).replace("-", "")) if isinstance(one, dict) else None
        if part is not None:
            disks[name] = part, _number(one, "pe_start") * _SECTOR
    described = _section(group, "logical_volumes") if "logical_volumes" in group else {}
    copies = {str(one.get("cow_store")) for lv in described.values() for one in _segments_of(lv)}
    left = _MOST_SEGMENTS
    for name, lv in described.items():
        if not _NAME.fullmatch(name) or not isinstance(lv, dict) or "VISIBLE" not in _list(lv, "status"):
            continue
        described_segments = list(_segments_of(lv))
        if (left := left - len(described_segments)) < 0:
            raise DamagedGroup
        mapped = f"{group['name'].replace('-', '--')}-{name.replace('-', '--')}"
        place = next(one for one in _tries(mapped) if one not in taken)
        taken.add(place)
        devices = frozenset((f"/dev/mapper/{mapped}", f"/dev/{group['name']}/{name}"))
        size = sum(_number(one, "extent_count") for one in described_segments) * extent
        unread = _unread(described_segments, disks) if name not in copies else "LVM snapshot"
        try:
            if not unread:
                source = LogicalVolume(list(_segments(described_segments, extent, disks)))
                volumes.parts.append(GuestVolume(source, place, devices, 0, source.length))
                continue
        except DamagedGroup:
            unread = "LVM, damaged"
        volumes.unread.append(UnreadVolume(place, unread, size))
    volumes.physical.extend(part for part, _ in disks.values())


def _tries(name: str) -> Iterator[str]:
    """Two groups may have the same name, as copies of machines have."""
    yield name
    for number in range(2, 1000):
        yield f"{name}.{number}"
    raise DamagedGroup


def _unread(segments: Sequence[Mapping[str, Any]], disks: Mapping[str, Any]) -> str:
    """Return why a volume can't be read; empty when it can."""
    for segment in segments:
        kind = str(segment.get("type"))
        if kind != "striped":
            return next((said for begin, said in _KINDS.items() if kind.startswith(begin)), f"LVM {kind[:40]}")
    for segment in segments:
        if not set(_list(segment, "stripes")[::2]) <= set(disks):
            return "LVM, a disk of it is missing"
    return ""


def _segments(
    segments: Sequence[Mapping[str, Any]], extent: int, disks: Mapping[str, tuple[GuestVolume, int]]
) -> Iterator[_Segment]:
    at = 0
    for segment in sorted(segments, key=lambda one: _number(one, "start_extent")):
        size, stripes = _number(segment, "extent_count") * extent, _list(segment, "stripes")
        width = _number(segment, "stripe_size") * _SECTOR if len(stripes) > 2 else size
        places = list(zip(stripes[::2], stripes[1::2], strict=False))
        if _number(segment, "start_extent") * extent != at or not places or size <= 0 or width <= 0:
            raise DamagedGroup
        if len(stripes) % 2 or size % len(places) or any(not isinstance(one, int) or one < 0 for _, one in places):
            raise DamagedGroup
        starts = [(disks[name][0], disks[name][1] + first * extent) for name, first in places]
        if any(start + size // len(places) > part.size for part, start in starts):
            raise DamagedGroup
        yield _Segment(at, size, width, starts)
        at += size
    if at == 0:
        raise DamagedGroup


def _segments_of(lv: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(lv, dict):
        for name, one in lv.items():
            if name.startswith("segment") and isinstance(one, dict):
                yield one


def _section(group: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = group.get(name)
    if not isinstance(found, dict):
        raise DamagedGroup
    return found


def _number(section: Mapping[str, Any], name: str) -> int:
    found = section.get(name)
    if not isinstance(found, int) or found < 0:
        raise DamagedGroup
    return found


def _list(section: Mapping[str, Any], name: str) -> list[Any]:
    found = section.get(name)
    return [one for one in found if isinstance(one, str | int)] if isinstance(found, list) else []
