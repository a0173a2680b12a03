"""Who looks for a name waits for few blocks: directories are asked for before they are needed, several at once.

And what is in them is told as The Sleuth Kit tells it, without a look at every file.
"""

import os
import random
import shutil
import subprocess
from contextlib import suppress

import pytest
import pytsk3

from longshore.guests.ext import Ext
from longshore.guests.nodes import DirectoryEntry
from longshore.guests.parts import ByteRange, parts_of

BLOCK = 1 << 17  # bytes that are read at once


class Image(ByteRange):
    """A file that notes what is announced, and what is read without that."""

    def __init__(self, path):
        self._file = os.open(path, os.O_RDONLY)
        self.length = os.fstat(self._file).st_size
        self.announced, self.surprised = set(), set()
        super().__init__()

    def read(self, offset, length):
        end = min(offset + length, self.length)
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
    os.mkfifo(top / "of/many-1/pipe")
    (top / "of/many-1/link").symlink_to("file")
    (top / "of/many-1/gerät").touch()
    (top / os.fsdecode(b"of/many-1/\xff")).touch()
    return top


def opened(path):
    (part,) = parts_of(Image(path), 1)
    return Ext(part)


LEAVES = {int(getattr(pytsk3, f"TSK_FS_NAME_TYPE_{kind}")) for kind in ("REG", "LNK", "FIFO", "SOCK", "CHR", "BLK")}


def entries_by_sleuth_kit(system, node):
    kit = pytsk3.FS_Info(system.part.source, offset=system.part.start, type=pytsk3.TSK_FS_TYPE_EXT_DETECT)
    for found in kit.open_dir(inode=node.number):
        name = found.info.name
        if int(name.flags) == int(pytsk3.TSK_FS_NAME_FLAG_ALLOC) and name.type != pytsk3.TSK_FS_NAME_TYPE_VIRT:
            said = name.name if isinstance(name.name, bytes) else name.name.encode(errors="surrogateescape")
            if said not in {b".", b"..", b"$OrphanFiles"}:
                yield DirectoryEntry(said, int(name.meta_addr), int(name.type) in LEAVES)


def below(system, node):
    """All directories from this one on, as The Sleuth Kit finds them."""
    yield node
    for entry in entries_by_sleuth_kit(system, node):
        if not entry.leaf and (child := system.node(entry.number)).kind == "directory":
            yield from below(system, child)


KINDS = [
    ("ext4",),
    ("ext4", "-O", "^64bit", "-b", "1024"),
    ("ext4", "-O", "inline_data"),
    ("ext3", "-b", "1024"),
    ("ext2", "-I", "128"),
]


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_what_directories_are_read_from_was_asked_for_before(full, tmp_path, kind):
    path = tmp_path / "image"
    subprocess.run(["mke2fs", "-q", "-t", *kind, "-g", "1024", "-d", full, path, "20M"], check=True)
    image = Image(path)
    (part,) = parts_of(image, 1)
    system = Ext(part)
    (of,) = [system.node(entry.number) for entry in system.entries(system.root) if entry.name == b"of"]
    several = [system.node(entry.number) for entry in system.entries(of)]
    again = Image(path)  # The Sleuth Kit remembers blocks itself
    (part,) = parts_of(again, 1)
    system = Ext(part)
    for directory in several:
        system.ahead(directory)
    again.surprised.clear()
    names = {node.number: {entry.name for entry in system.entries(node)} for node in several}
    assert again.announced
    assert not again.surprised
    assert {len(found) for found in names.values()} == {1, 5, 401}


def test_a_file_system_that_makes_no_sense_is_read_without(full, tmp_path):
    """Descriptors that lead beyond the disk: nothing is asked for there."""
    path = tmp_path / "image"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", full, path, "20M"], check=True)
    image = Image(path)
    (part,) = parts_of(image, 1)
    system = Ext(part)
    top = system.root
    with path.open("r+b") as file:
        file.seek(4096 + 8)
        file.write(b"\xff\xff\xff\x7f")
    with suppress(OSError):
        system.ahead(top)
    assert not {place for place in image.announced if place * BLOCK >= image.length}


@pytest.mark.parametrize("kind", [*KINDS, ("ext4", "-O", "^filetype"), ("ext4", "-O", "casefold")], ids=" ".join)
def test_what_is_in_a_directory_is_told_as_the_sleuth_kit_tells_it(full, tmp_path, kind):
    """Names were deleted among them, and the large one has an index."""
    path = tmp_path / "image"
    subprocess.run(["mke2fs", "-q", "-t", *kind, "-d", full, path, "40M"], check=True)
    deleted = [f"rm /of/many-0/{number:040}" for number in range(0, 400, 7)]
    deleted += ["rm /of/many-2/file", "rmdir /of/many-2", "rm /of/many-1/pipe"]
    subprocess.run(
        ["debugfs", "-w", "-f", "-", path], input="\n".join(deleted), text=True, check=True, capture_output=True
    )
    for index in (False, True):
        if index:
            subprocess.run([shutil.which("e2fsck") or "/sbin/e2fsck", "-fyD", path], capture_output=True)
        system = opened(path)
        for directory in below(system, system.root):
            assert list(system.entries(directory)) == list(entries_by_sleuth_kit(system, directory))


def test_a_directory_that_lies_in_many_places_is_read_as_a_whole(tmp_path):
    """Each directory made in it takes the block behind its own."""
    path = tmp_path / "image"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-b", "1024", path, "20M"], check=True)
    names = [f"{number:060}" for number in range(200)]
    made = "\n".join(["mkdir /of", *(f"mkdir /of/{name}" for name in names)])
    subprocess.run(["debugfs", "-w", "-f", "-", path], input=made, text=True, check=True, capture_output=True)
    system = opened(path)
    (of,) = [system.node(entry.number) for entry in system.entries(system.root) if entry.name == b"of"]
    known = list(entries_by_sleuth_kit(system, of))
    assert len(runs_of(system, of.number)) > 4
    assert list(system.entries(of)) == known
    assert {entry.name.decode() for entry in known} == set(names)


def test_whatever_is_flipped_names_come_to_an_end(full, tmp_path):
    path, chance = tmp_path / "image", random.Random(7)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-b", "1024", "-d", full, path, "20M"], check=True)
    system = opened(path)
    directories = [node.number for node in below(system, system.root)]
    places = [run for number in directories for run in runs_of(system, number)]
    whole = path.read_bytes()
    for _ in range(60):
        changed = bytearray(whole)
        for _ in range(20):
            place, length = chance.choice(places)
            changed[place + chance.randrange(length)] = chance.randrange(256)
        path.write_bytes(changed)
        system = opened(path)
        for number in directories:
            with suppress(OSError):
                for entry in system.entries(system.node(number)):
                    assert b"/" not in entry.name


def runs_of(system, number):
    block = system._inodes.block
    runs = system._inodes.runs(system._inodes.inode(number), 0, 1 << 32)
    return [(run.block * block, run.length * block) for run in runs]


def test_the_disk_after_the_26th_is_called_as_linux_calls_it(tmp_path):
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    (part,) = parts_of(Image(tmp_path / "disk"), 27)
    assert {"/dev/sdaa", "/dev/vdaa"} <= part.devices
