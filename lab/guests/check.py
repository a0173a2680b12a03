#!/usr/bin/env python3
"""Reads a guest's ledger from its two disks, without the guest: which record came last, and is everything whole.

    check.py ROOT DATA          ROOT, DATA: raw images or block devices, of either guest, mounted nowhere
    {"root": 812, "data": 812, "bad": [], "repairs": []}

The disks are never written: a file system that wasn't unmounted gets its journal replayed in a sparse copy in TMPDIR.
Needs e2fsck and debugfs. The format is described in README.md; ledgerd/records.c is the other implementation. Exit
status 1: something is wrong with the ledger.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

RECORD_SIZE, RECORDS = 64, 1 << 20
SLOT_SIZE, SLOTS, GROUP = 4096, 1 << 14, 16
RAW_DATA_AREA = 128 << 20
"""Where the data area begins on a data disk without a file system."""
_SECTOR = 512
_EXT_MAGIC = (0x438, b"\x53\xef")
_MOST_NAMED = 20


class LedgerError(Exception):
    """There is no ledger to read here."""


@dataclass
class Findings:
    """What is on the two disks."""

    root: int = 0
    """Last record in the root disk's journal; 0: none."""
    data: int = 0
    bad: list[str] = field(default_factory=list)
    """Sentences: what is not as it must be, for the last record found. Empty on a good copy of any moment."""
    repairs: list[str] = field(default_factory=list)
    """What e2fsck changed in its copies beyond replaying a journal. Empty on a good copy of any moment."""

    @property
    def last(self) -> int:
        """The last record that is on both disks."""
        return min(self.root, self.data)

    @property
    def whole(self) -> bool:
        return not self.bad and not self.repairs


def check(root: Path, data: Path) -> Findings:
    """Reads both disks. Raises LedgerError when one of them is no guest's disk, OSError when it can't be read."""
    found = Findings()
    with _journal(root, found) as file:
        found.root = _check_journal(file, found)
    with _data_area(data, found) as (file, begin):
        found.data = _check_data(file, begin, found)
    if found.root not in (found.data, found.data + 1):
        found.bad.append(f"the disks aren't of one moment: last record {found.root} on root, {found.data} on data")
    return found


def record(number: int) -> bytes:
    head = f"ledger {number:020} ".encode()
    return (head + f"{zlib.crc32(head):08x} ".encode()).ljust(RECORD_SIZE - 1, b".") + b"\n"


def slot_index(number: int) -> int:
    group = number // GROUP % (SLOTS // GROUP)
    return group * 2654435761 % (SLOTS // GROUP) * GROUP + number % GROUP


def slot_number(slot: bytes) -> int | None:
    """The record a slot holds, 0 for one never written, None for damage."""
    if not any(slot):
        return 0
    if slot[:8] != b"LEDGSLOT" or int.from_bytes(slot[-8:-4], "little") != zlib.crc32(slot[:-8]):
        return None
    return int.from_bytes(slot[8:16], "little")


def _expected(first: int, last: int, cycle: int) -> int:
    """The record that belongs where FIRST does, when LAST is the last one written and CYCLE records come round."""
    return last - (last - first) % cycle if last >= first else 0


def _check_journal(file: BinaryIO, found: Findings) -> int:
    content = file.read()
    if len(content) % RECORD_SIZE:
        found.bad.append(f"the root disk's journal ends within a record, at byte {len(content)}")
    numbers = []
    for at in range(0, len(content) - RECORD_SIZE + 1, RECORD_SIZE):
        match = re.match(rb"ledger (\d{20}) ", content[at : at + RECORD_SIZE])
        number = int(match[1]) if match else None
        numbers.append(number if number is not None and content[at : at + RECORD_SIZE] == record(number) else None)
    last = max((number for number in numbers if number), default=0)
    wrong = [i for i, number in enumerate(numbers) if number != (_expected(i + 1, last, RECORDS) or None)]
    _name(found, "record", "the root disk's journal", wrong)
    return last


def _check_data(file: BinaryIO, begin: int, found: Findings) -> int:
    file.seek(begin)
    latest = slot_number(file.read(SLOT_SIZE))
    numbers = [slot_number(file.read(SLOT_SIZE)) for _ in range(SLOTS)]
    last = max((number for number in numbers if number), default=0)
    wrong = [
        slot_index(first)
        for first in range(1, SLOTS + 1)
        if numbers[slot_index(first)] != _expected(first, last, SLOTS)
    ]
    _name(found, "slot", "the data area", sorted(wrong))
    # Rewritten with each record: a moment between two writes may be caught.
    if latest is None or not last - 1 <= latest <= last + 1:
        found.bad.append(f"the data area's first block holds record {latest}, the last one is {last}")
    return last


def _name(found: Findings, what: str, where: str, wrong: list[int]) -> None:
    found.bad += [f"{what} {i} of {where} doesn't hold what it must" for i in wrong[:_MOST_NAMED]]
    if len(wrong) > _MOST_NAMED:
        found.bad.append(f"and {len(wrong) - _MOST_NAMED} more in {where}")


@contextmanager
def _journal(root: Path, found: Findings) -> Iterator[BinaryIO]:
    with root.open("rb") as disk:
        offset = _linux_partition(disk, root)
    with _file_from(root, offset, ("/var/lib/ledger/journal", "/ledger/journal"), found) as file:
        yield file


@contextmanager
def _data_area(data: Path, found: Findings) -> Iterator[tuple[BinaryIO, int]]:
    with data.open("rb") as disk:
        has_file_system = _is_ext4(disk, 0)
    if has_file_system:
        with _file_from(data, 0, ("/ledger/slots",), found) as file:
            yield file, 0
    else:
        with data.open("rb") as disk:
            yield disk, RAW_DATA_AREA


def _is_ext4(disk: BinaryIO, offset: int) -> bool:
    disk.seek(offset + _EXT_MAGIC[0])
    return disk.read(2) == _EXT_MAGIC[1]


def _linux_partition(disk: BinaryIO, path: Path) -> int:
    """Byte offset of the MBR partition with an ext4 file system."""
    table = disk.read(_SECTOR)
    if table[510:512] == b"\x55\xaa":
        for entry in range(446, 510, 16):
            start = int.from_bytes(table[entry + 8 : entry + 12], "little") * _SECTOR
            if start and _is_ext4(disk, start):
                return start
    raise LedgerError(f"{path} is no guest's root disk: it has no partition with an ext4 file system.")


@contextmanager
def _file_from(disk: Path, offset: int, names: tuple[str, ...], found: Findings) -> Iterator[BinaryIO]:
    """The first of these files in the ext4 file system at this byte, after its journal was replayed in a copy."""
    with tempfile.TemporaryDirectory(prefix="ledger-") as directory:
        image, content = Path(directory, "ext4"), Path(directory, "content")
        begin = (f"skip={offset}", "iflag=skip_bytes")
        _run("dd", f"if={disk}", f"of={image}", "bs=1M", *begin, "conv=sparse", "status=none")
        found.repairs += _replay(image)
        for name in names:
            _run("debugfs", "-R", f"dump {name} {content}", str(image))
            if content.exists() and content.stat().st_size:
                break
        else:
            content.touch()
        with content.open("rb") as file:
            yield file


def _replay(image: Path) -> list[str]:
    """What e2fsck repaired, as it says it. A mounted file system's journal and orphans are no damage."""
    command = ["e2fsck", "-fy", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    harmless = ("Pass ", "e2fsck ", "recovering journal", "Clearing orphaned inode", " files (", "WAS MODIFIED")
    # Kept in memory while mounted, written at the end.
    counts = re.compile(r"(Free (blocks|inodes) count wrong|Fix\? yes)")
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    odd = [line for line in lines if not any(word in line for word in harmless) and not counts.search(line)]
    if done.returncode > 2:
        odd.append(f"e2fsck ended with {done.returncode}: {done.stderr.strip()}")
    return odd


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        raise LedgerError(f"{command[0]} failed: {done.stderr.strip()}")


def _environment() -> dict[str, str]:
    """e2fsprogs live in sbin, which a plain user's PATH leaves out."""
    return {**os.environ, "LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    try:
        found = check(arguments.root, arguments.data)
    except (LedgerError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(asdict(found)))
    return 0 if found.whole else 1


if __name__ == "__main__":
    sys.exit(main())
