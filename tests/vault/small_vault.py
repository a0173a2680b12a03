"""A vault with small packs in a directory or a bucket, disks to back up, and processes that die at any call."""

import json
import os
import random
import time
from datetime import UTC, datetime
from pathlib import Path

from longshore.vault.directory import Directory
from longshore.vault.disks import NewDisk, PointDisk
from longshore.vault.geometry import BLOCK, FANOUT, Top
from longshore.vault.known_blocks import KnownBlocks
from longshore.vault.locked_bucket import locked
from longshore.vault.points import Point, has_point, new_name, points, read_point
from longshore.vault.store import Store
from longshore.vault.vault import Vault
from longshore.vault.writers import beat, finish, leave, register

GRACE = 1000.0
PACK = 1 << 19  # bytes
LEAF = BLOCK * FANOUT
SIZE = 2 * LEAF + 3 * BLOCK + 5000  # bytes: a map of two levels, and a last block that isn't whole


class Killed(BaseException):
    """The process is no more."""


def earlier(writer, seconds):
    """Return a writer's object, begun that much before; one that is damaged as it is."""
    try:
        told = json.loads(writer)
    except ValueError:
        return writer
    return json.dumps(told | {"began": told["began"] - seconds}).encode()


class InDirectory:
    """The directory of a vault, and what its tests do there behind its back."""

    lock = None

    def __init__(self, root: Path):
        self.root = root

    def store(self):
        return Directory(self.root)

    def days_pass(self, seconds=2 * GRACE):
        """Let time pass for all objects, and for what writers say of themselves."""
        then = time.time() - seconds
        for path in self.root.glob("writers/*.json"):
            path.write_bytes(earlier(path.read_bytes(), seconds))
        for folder, _, files in os.walk(self.root):
            for file in files:
                path = Path(folder) / file
                os.utime(path, (0, min(path.stat().st_mtime - seconds, then)))

    def lists_come(self):
        """They are never late."""

    def copied_to(self, _directory):
        """Copy all of it into a directory."""
        return self.root


class InBucket:
    def __init__(self, server, url, lock=None):
        """Keep a vault in a bucket. `lock`: seconds, in a bucket that locks."""
        self.server, self.url, self.lock = server, url, lock
        self.bucket = url.split("/")[2]

    def store(self):
        store = self.server.store(self.url)
        return store if self.lock is None else locked(store, self.lock + GRACE)

    def days_pass(self, seconds=2 * GRACE):
        for name, versions in self.server.kept(self.url).items():
            for version in versions if name.startswith("writers/") and hasattr(versions[-1], "value") else ():
                version.value = earlier(version.value, seconds)
        self.server.days_pass(self.url, seconds)

    def lists_come(self):
        self.server.lists_come()

    def copied_to(self, directory):
        """Copy each object to a file of its name, as every S3 client copies them."""
        for name, stored in self.server.stored(self.url).items():
            path = directory / "copied" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(stored.value)
        return directory / "copied"


class Mortal(Store):
    """A store as one process sees it, which dies before or after its nth change, and changes nothing any more."""

    side_by_side = 1  # so that the nth one is the same whenever a story is told

    def __init__(self, store, dies_at=None):
        self._store = store
        self.lists_late, self.far, self.passed_over = store.lists_late, store.far, store.passed_over
        self.changes = 0
        self.dies_at = dies_at
        self.dead = False

    @property
    def versions(self):
        return self._store.versions

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
        self._change(lambda: self._store.create(name, data))

    def delete(self, name):
        self._change(lambda: self._store.delete(name))

    def touch(self, name):
        self._change(lambda: self._store.touch(name))


def _passed_on(method):
    return lambda self, *arguments: getattr(self._store, method)(*arguments)


for _method in Store.__abstractmethods__ - {"create", "delete", "touch"} | {"lock_all", "kept_until"}:
    setattr(Mortal, _method, _passed_on(_method))
Mortal.__abstractmethods__ = frozenset()


def opened(place, keys, dies_at=None) -> Vault:
    """Open the vault as a process of its own."""
    return Vault("the-vault", Mortal(place.store(), dies_at), keys, GRACE, place.lock)


class Content(dict):
    """The content that a disk is to hold: its blocks that aren't zero."""

    def write(self, offset, data):
        done = 0
        while done < len(data):
            number, start = divmod(offset + done, BLOCK)
            room = min(BLOCK, SIZE - number * BLOCK)
            piece = data[done : done + room - start]
            whole = bytearray(self.get(number, bytes(room)))
            whole[start : start + len(piece)] = piece
            if whole.count(0) < len(whole):
                self[number] = bytes(whole)
            else:
                self.pop(number, None)
            done += len(piece)

    def is_in(self, disk):
        """Tell whether every byte of it is in a disk, and nothing else."""
        return all(
            disk.read(n * BLOCK, len(self[n])) == self[n] if n in self else disk.entry(n) is None
            for n in range(-(-SIZE // BLOCK))
        )


class Backup:
    """A writer, and what its disk is to be."""

    def __init__(self, place, keys, directory, number, machine="m", dies_at=None):
        self.id = f"w{number}"
        self.place, self.keys = place, keys
        self.folder = keys.name(machine)
        self.journal = directory / f"journal-{number}"
        self.content = Content()
        self.safe = Content()  # as of the last flush
        self.base = Top(SIZE, None)
        self.known = []
        self.name = None
        self.begin(dies_at)

    def begin(self, dies_at=None):
        self.vault = opened(self.place, self.keys, dies_at)
        self.disk = None

    def based_on(self, name):
        self.base = read_point(self.vault, name).top("d")
        register(self.vault, self.id, (self.base,))
        if not has_point(self.vault, name):
            self.base = Top(SIZE, None)

    def knowing(self, name):
        """Begin with the blocks of another point, in its first breath."""
        self.known = [read_point(self.vault, name).top("d")]
        register(self.vault, self.id, tuple(self.known))
        if not has_point(self.vault, name):
            self.known = []

    def open(self):
        if self.journal.exists():
            beat(self.vault, self.id)
        else:
            register(self.vault, self.id, ())
        known = KnownBlocks(self.vault, self.known) if self.known else None
        self.disk = NewDisk(self.vault, self.base, self.journal, known=known, pack_size=PACK)

    def close(self):
        if self.disk is not None:
            self.disk.close()
            self.disk = None

    def write(self, offset, data):
        self.disk.write(offset, data)
        self.content.write(offset, data)

    def zero(self, offset, length):
        self.disk.zero(offset, length)
        self.content.write(offset, bytes(length))

    def flush(self):
        self.disk.flush()
        self.safe = Content(self.content)

    def finish(self):
        """Finish the backup, and return the point's name."""
        self.name = self.name or new_name(self.folder, datetime.now(UTC))
        self.flush()  # a writer that is killed while it stores the map above goes on with all of this
        top = self.disk.finish()
        finish(
            self.vault, self.id, Point(self.name, datetime.now(UTC), {"d": top}, {"machine": {"name": "web-shop-17"}})
        )
        leave(self.vault, self.id)
        self.close()
        return self.name


def scribble(backup, chance: random.Random, times):
    """Write what a guest may have written: pieces at block borders and across them, repeated text and noise, zeroes."""
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


def holds(vault, name, content):
    return content.is_in(PointDisk(vault, read_point(vault, name).top("d")))


def all_points(vault):
    return {point.name for point in points(vault)}
