"""A vault with small packs in a directory, disks to back up, and processes that die at any of their calls."""

import os
import random
import time
from pathlib import Path

from longshore.vault.directory import Directory
from longshore.vault.disks import NewDisk, PointDisk
from longshore.vault.geometry import BLOCK, FANOUT, Top
from longshore.vault.points import Point, new_name, point_names, points, read_point
from longshore.vault.vault import Vault
from longshore.vault.writers import finish, leave, register

GRACE = 1000.0
PACK = 1 << 19  # bytes
LEAF = BLOCK * FANOUT
SIZE = 2 * LEAF + 3 * BLOCK + 5000  # bytes: a map of two levels, and a last block that isn't whole


class Killed(BaseException):
    """The process is no more."""


class Mortal(Directory):
    """As one process sees it, which dies before or after its nth change, and changes nothing any more."""

    def __init__(self, root, dies_at=None):
        super().__init__(root)
        self.changes = 0
        self.dies_at = dies_at
        self.dead = False

    def _change(self, do):
        if self.dead:
            raise Killed
        self.changes += 1
        before = self.dies_at == 2 * self.changes
        after = self.dies_at == 2 * self.changes + 1
        self.dead = before or after
        if not before:
            answer = do()
        if self.dead:
            raise Killed
        return answer

    def create(self, name, data):
        self._change(lambda: super(Mortal, self).create(name, data))

    def delete(self, name):
        self._change(lambda: super(Mortal, self).delete(name))

    def touch(self, name):
        self._change(lambda: super(Mortal, self).touch(name))


def opened(root: Path, keys, dies_at=None) -> Vault:
    """As a process of its own."""
    return Vault("the-vault", Mortal(root, dies_at), keys, GRACE)


def days_pass(root: Path, seconds=2 * GRACE):
    """For all objects."""
    then = time.time() - seconds
    for folder, _, files in os.walk(root):
        for file in files:
            path = Path(folder) / file
            os.utime(path, (0, min(path.stat().st_mtime - seconds, then)))


class Backup:
    """A writer, and what its disk is to be."""

    def __init__(self, root, keys, directory, number, machine="m", dies_at=None):
        self.id = f"w{number}"
        self.root, self.keys = root, keys
        self.folder = keys.name(machine)
        self.journal = directory / f"journal-{number}"
        self.content = bytearray(SIZE)
        self.safe = bytes(SIZE)  # as of the last flush
        self.base = Top(SIZE, None)
        self.name = None
        self.begin(dies_at)

    def begin(self, dies_at=None):
        self.vault = opened(self.root, self.keys, dies_at)
        self.disk = None

    def based_on(self, name):
        self.base = read_point(self.vault, name).top("d")
        register(self.vault, self.id, (self.base,))
        if name not in point_names(self.vault):
            self.base = Top(SIZE, None)

    def open(self):
        register(self.vault, self.id, ())
        self.disk = NewDisk(self.vault, self.base, self.journal, pack_size=PACK)

    def close(self):
        if self.disk is not None:
            self.disk.close()
            self.disk = None

    def write(self, offset, data):
        self.disk.write(offset, data)
        self.content[offset : offset + len(data)] = data

    def zero(self, offset, length):
        self.disk.zero(offset, length)
        self.content[offset : offset + length] = bytes(length)

    def flush(self):
        self.disk.flush()
        self.safe = bytes(self.content)

    def finish(self):
        """The point's name."""
        from datetime import UTC, datetime

        self.name = self.name or new_name(self.folder, datetime.now(UTC))
        top = self.disk.finish()
        self.safe = bytes(self.content)
        finish(self.vault, self.id, Point(self.name, datetime.now(UTC), {"d": top}, {"machine": {"name": "web"}}))
        leave(self.vault, self.id)
        self.close()
        return self.name


def scribble(backup, chance: random.Random, times):
    """What a guest may have written: pieces at block borders and across them, repeated text and noise, zeroes."""
    for _ in range(times):
        offset = chance.choice((chance.randrange(SIZE), chance.randrange(SIZE // BLOCK) * BLOCK, SIZE - 6000))
        length = min(chance.choice((512, 4096, BLOCK, 2 * BLOCK + 700)), SIZE - offset)
        kind = chance.randrange(4)
        if kind == 0:
            backup.zero(offset, chance.choice((length, min(LEAF + BLOCK, SIZE - offset))))
        elif kind == 1:
            backup.write(offset, chance.randbytes(length))
        else:
            backup.write(offset, bytes((chance.randrange(256),)) * length)


def content_of(vault, name):
    disk = PointDisk(vault, read_point(vault, name).top("d"))
    return b"".join(disk.read(at, min(LEAF, SIZE - at)) for at in range(0, SIZE, LEAF))


def all_points(vault):
    return {point.name for point in points(vault)}
