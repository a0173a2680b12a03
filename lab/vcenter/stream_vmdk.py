"""Writes stream-optimized VMDKs as ESXi sends them: grains in the order of the disk, each table behind its grains,
then directory, footer and end marker. qemu-img's own have no end marker."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SECTOR = 512
GRAIN = 128  # sectors
TABLE = 512  # grains
OVERHEAD = 128  # sectors before the first marker
AT_END = (1 << 64) - 1
_TABLE, _DIRECTORY, _FOOTER = 1, 2, 3
_DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=7b9d2c41
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RW {sectors} SPARSE "disk.vmdk"

# The Disk Data Base
#DDB
ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.virtualHWVersion = "19"
"""


def stream(raw: Path, capacity: int) -> Iterator[bytes]:
    """Yield a disk of `capacity` bytes, piece by piece; `raw` holds it."""
    sectors = capacity // SECTOR
    text = _DESCRIPTOR.format(sectors=sectors, cylinders=sectors // (255 * 63)).encode()
    head = _header(sectors, AT_END) + text.ljust(20 * SECTOR, b"\0")
    yield head.ljust(OVERHEAD * SECTOR, b"\0")
    at = OVERHEAD
    tables: list[int] = []
    with raw.open("rb") as disk:
        for first in range(0, sectors, TABLE * GRAIN):
            table = [0] * TABLE
            for number, offset in enumerate(range(first, min(first + TABLE * GRAIN, sectors), GRAIN)):
                if (grain := _read(disk, offset)) is not None:
                    table[number] = at
                    yield (packed := _packed(offset, grain))
                    at += len(packed) // SECTOR
            tables.append(at + 1 if any(table) else 0)
            if any(table):
                yield (made := _metadata(_TABLE, struct.pack(f"<{TABLE}I", *table)))
                at += len(made) // SECTOR
    yield (made := _metadata(_DIRECTORY, struct.pack(f"<{len(tables)}I", *tables)))
    yield _metadata(_FOOTER, _header(sectors, at + 1))
    yield bytes(SECTOR)


def _read(disk: BinaryIO, sector: int) -> bytes | None:
    disk.seek(sector * SECTOR)
    grain = disk.read(GRAIN * SECTOR)
    return grain.ljust(GRAIN * SECTOR, b"\0") if grain.count(0) != len(grain) else None


def _packed(sector: int, grain: bytes) -> bytes:
    packed = zlib.compress(grain, 1)
    return _whole(struct.pack("<QI", sector, len(packed)) + packed)


def _metadata(kind: int, content: bytes) -> bytes:
    content = _whole(content)
    return struct.pack("<QII", len(content) // SECTOR, 0, kind).ljust(SECTOR, b"\0") + content


def _whole(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")


def _header(sectors: int, directory: int) -> bytes:
    return struct.pack(
        "<4sIIQQQQIQQQ?4sH", b"KDMV", 3, 0x30001, sectors, GRAIN, 1, 20, TABLE, 0, directory, OVERHEAD, False,
        b"\n \r\n", 1,
    ).ljust(SECTOR, b"\0")  # fmt: skip
