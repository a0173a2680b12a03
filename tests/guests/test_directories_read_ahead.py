"""Who looks for a name waits for few blocks: directories are asked for before they are needed, several at once."""

import os
import subprocess
from contextlib import suppress

import pytest

from longshore.guests.parts import Source, parts_of
from longshore.guests.sleuth_kit import SleuthKit

BLOCK = 1 << 17  # bytes that are read at once


class Image(Source):
    """A file that notes what is announced, and what is read without that."""

    def __init__(self, path):
        self._file = os.open(path, os.O_RDONLY)
        self.length = os.fstat(self._file).st_size
        self.announced, self.surprised = set(), set()
        super().__init__()

    def read(self, offset, length):
        end = self.end_of(offset, length)
        self.surprised |= set(range(offset // BLOCK, -(-end // BLOCK))) - self.announced
        return os.pread(self._file, end - offset, offset)

    def ahead(self, ranges):
        for offset, length in ranges:
            self.announced |= set(range(offset // BLOCK, -(-(offset + length) // BLOCK)))


@pytest.fixture
def full(tmp_path):
    """A directory with directories, one of them with more names than a block has room for."""
    top = tmp_path / "top"
    for number in range(40):
        (top / f"of/many-{number}").mkdir(parents=True)
        (top / f"of/many-{number}/file").write_bytes(bytes([number]) * 5000)
    for number in range(400):
        (top / f"of/many-0/{number:040}").touch()
    return top


@pytest.mark.parametrize(
    "kind",
    [
        ("ext4",),
        ("ext4", "-O", "^64bit", "-b", "1024"),
        ("ext4", "-O", "inline_data"),
        ("ext3", "-b", "1024"),
        ("ext2", "-I", "128"),
    ],
    ids=" ".join,
)
def test_what_directories_are_read_from_was_asked_for_before(full, tmp_path, kind):
    path = tmp_path / "image"
    subprocess.run(["mke2fs", "-q", "-t", *kind, "-g", "1024", "-d", full, path, "20M"], check=True)
    image = Image(path)
    (part,) = parts_of(image, 1)
    system = SleuthKit(part)
    (of,) = [system.node(entry.number) for entry in system.entries(system.root) if entry.name == b"of"]
    several = [system.node(entry.number) for entry in system.entries(of)]
    again = Image(path)  # The Sleuth Kit remembers blocks itself
    (part,) = parts_of(again, 1)
    system = SleuthKit(part)
    for directory in several:
        system.ahead(directory)
    again.surprised.clear()
    names = {node.number: {entry.name for entry in system.entries(node)} for node in several}
    assert again.announced
    assert not again.surprised
    assert {len(found) for found in names.values()} == {1, 401}


def test_a_file_system_that_makes_no_sense_is_read_without(full, tmp_path):
    """Descriptors that lead beyond the disk: nothing is asked for there."""
    path = tmp_path / "image"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", full, path, "20M"], check=True)
    image = Image(path)
    (part,) = parts_of(image, 1)
    system = SleuthKit(part)
    top = system.root
    with path.open("r+b") as file:
        file.seek(4096 + 8)
        file.write(b"\xff\xff\xff\x7f")
    with suppress(OSError):
        system.ahead(top)
    assert not {place for place in image.announced if place * BLOCK >= image.length}
