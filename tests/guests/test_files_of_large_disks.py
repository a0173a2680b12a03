"""A disk of 1 TiB: the confined process that looks for files on it takes no more memory for its size, nor for all that
it reads."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from file_disk import FileDisk

from longshore.guests.files import attended, fetched, find_files, list_files

MIB, TIB = 1 << 20, 1 << 40
DIRECTORIES, OF_EACH = 2000, 60_000
MOST = 100  # MiB, of the 200 that all of Longshore may take


class Watched(FileDisk):
    """At every so many reads it looks what the processes that read it take."""

    def __init__(self, path):
        super().__init__(path)
        self._others = children_of(os.getpid())  # of tests before: a database, say
        self.read_bytes = self.most = 0

    def parts(self, offset, length):
        if self.read_bytes // (4 * MIB) != (self.read_bytes + length) // (4 * MIB):
            readers = [child for child in children_of(os.getpid()) if child not in self._others]
            self.most = max(self.most, sum(map(memory_of, readers)))
        self.read_bytes += length
        return super().parts(offset, length)


def children_of(pid):
    lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for told in lists for child in told.split()]


def memory_of(pid):
    """In MiB, with its children; none of one that has just ended."""
    try:
        own = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return (int(own[1]) >> 10 if own else 0) + sum(map(memory_of, children_of(pid)))
    except OSError:
        return 0


@pytest.mark.long
def test_memory_follows_neither_the_disks_size_nor_what_is_read_of_it(tmp_path):
    for number in range(DIRECTORIES):
        directory = tmp_path / f"tree/{number % 50}/{number}"
        directory.mkdir(parents=True)
        (directory / "some").write_bytes(os.urandom(OF_EACH))
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, TIB)
    options = ("-E", "lazy_itable_init=1,lazy_journal_init=1", "-J", "size=8")
    command = ("mke2fs", "-q", "-t", "ext4", *options, "-d", str(tmp_path / "tree"), str(image))
    subprocess.run(command, check=True)

    disk = Watched(image)
    assert len(list_files([disk], "/").entries) == 51
    assert len(find_files([disk], "some").entries) == DIRECTORIES
    with fetched([disk], "/") as everything:
        assert sum(map(len, everything.pieces)) > DIRECTORIES * OF_EACH
    with attended([disk]) as asked:
        for top in asked.children("/"):
            for directory in asked.children(top.path):
                for file in asked.children(directory.path) if directory.kind == "directory" else ():
                    asked.read(file.node, 0, 4096)
    assert disk.read_bytes > 2 * MOST * MIB
    assert 0 < disk.most <= MOST, f"{disk.most} MiB"
