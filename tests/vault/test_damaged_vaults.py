"""Stories as in test_vault_model, in which the storage lies: bits flip, files are cut off or lost, others put theirs
among them, clocks jump. What is restored is what was backed up, or it isn't restored; verify names exactly those points
that can't be; nothing that is sound is ever lost by it; and in the end all of it can be deleted."""

import importlib.util
import os
import random
import secrets
import sys
from contextlib import suppress
from importlib.resources import files

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from small_vault import GRACE, SIZE, InDirectory, Killed, opened
from test_vault_model import Story

from longshore.errors import Conflict
from longshore.model.point import Hold
from longshore.vault.disks import PointDisk
from longshore.vault.errors import Damaged, WriterLost
from longshore.vault.geometry import BLOCK
from longshore.vault.holds import DAMAGED, Held, delete_point, hold_point, release_point
from longshore.vault.points import has_point, point_names, points, read_point
from longshore.vault.prune import PrunedInPart, prune
from longshore.vault.sealing import Sealed
from longshore.vault.verify import verify

FOREIGN = (
    "packs/ab/.nfs00000000000c1a2b00000001",
    "packs/ab/{hex}.pack.a1b2c3d4.partial",
    "points/{folder}/._20261123T014500250Z-01234567.point",
    "points/{folder}/.DS_Store",
    "condemned/.nfs00000000000c1a2b00000001",
    "condemned/1.json~",
    "writers/.nfs00000000000c1a2b00000001",
    "holds/.directory",
    "lost+found/x",
    "Thumbs.db",
)


def script():
    """restore.py, as a module."""
    path = files("longshore.vault") / "left" / "restore.py"
    spec = importlib.util.spec_from_file_location("restore_by_itself", str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


RESTORE = script()


class DamagedStory(Story):
    def __init__(self, directory, place, seed):
        super().__init__(directory, place, seed)
        self.foreign = []
        self.vault = opened(place, self.keys)

    def tell(self, steps):
        for number in range(steps):
            before = self.sound()
            do = self.chance.choices(
                (self.begin, self.go_on, self.finish, self.delete, self.prune, self.sleep, self.hold),
                (4, 5, 6, 1, 4, 2, 1),
            )[0]
            do()
            assert before & self.held.keys() <= self.sound(), f"{do.__name__} has lost what was sound"
            if self.chance.random() < 0.5:
                self.harm()
            if number % 4 == 0:
                self.look()
        self.look()
        self.look_by_script()

    def sound(self):
        """Points of which every byte is had, by reading them."""
        return {name for name in self.held if self.is_sound(name)}

    def is_sound(self, name):
        """Never bytes that weren't backed up."""
        try:
            disk = PointDisk(self.vault, read_point(self.vault, name).top("d"))
            whole = disk.read(0, SIZE) if self.chance.random() < 0.1 else None
            content = self.held[name]
            for number in range(-(-SIZE // BLOCK)):
                length = min(BLOCK, SIZE - number * BLOCK)
                entry = disk.entry(number)
                found = bytes(length) if entry is None else disk.read(number * BLOCK, length)
                assert found == content.get(number, bytes(length)), "wrong bytes are handed out"
                assert whole is None or whole[number * BLOCK : number * BLOCK + length] == found
        except Damaged as error:
            assert str(error)
            return False
        return True

    def look(self):
        assert set(point_names(self.vault)) == set(self.held)
        damaged = []
        assert {point.name for point in points(self.vault, damaged=damaged.append)} | {
            one.name for one in damaged
        } == set(self.held)
        found = verify(self.vault)
        assert {fault.point for fault in found.faults} == self.held.keys() - self.sound()

    def look_by_script(self):
        """It comes to the same as Longshore."""
        vault = RESTORE.Vault.__new__(RESTORE.Vault)
        vault.root, vault._ciphers, vault._aes, vault._wrong = self.place.root, {}, AESGCM, InvalidTag
        vault.key = self.keys.key if isinstance(self.keys, Sealed) else None
        whole = set()
        for name, content in self.held.items():
            try:
                (disk,) = vault.point(name)["disks"]
            except RESTORE.Damaged:
                continue
            found, lost = {}, False
            for offset, data in vault.blocks(disk):
                lost = lost or isinstance(data, RESTORE.Lost)
                if not isinstance(data, RESTORE.Lost):
                    found[offset // BLOCK] = data
            assert all(content.get(number) == data for number, data in found.items()), "wrong bytes are handed out"
            if not lost:
                assert found.keys() == content.keys()
                whole.add(name)
        assert whole == self.sound()

    def harm(self):
        self.chance.choice((self.flip, self.flip, self.flip, self.cut, self.lose, self.put_foreign, self.clock))()

    def one_of(self, *folders):
        root = self.place.root
        found = sorted(
            path
            for folder in folders
            for path in root.glob(f"{folder}/**/*")
            if path.is_file() and str(path.relative_to(root)) not in self.foreign and not path.name.startswith(".")
        )
        return self.chance.choice(found) if found else None

    def change(self, path, do):
        """As a disk does it: no time tells of it."""
        if path is not None:
            times = path.stat()
            path.write_bytes(do(path.read_bytes()))
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def flip(self):
        def flipped(data):
            at = self.chance.randrange(len(data)) if data else 0
            return data[:at] + bytes((data[at] ^ 1 << self.chance.randrange(8),)) + data[at + 1 :] if data else data

        self.change(self.one_of(self.chance.choice(("packs", "packs", "points", "holds", "condemned"))), flipped)

    def cut(self):
        self.change(
            self.one_of(self.chance.choice(("packs", "points", "holds", "writers", "condemned"))),
            lambda data: data[: self.chance.choice((0, len(data) // 2, max(0, len(data) - 1)))],
        )

    def lose(self):
        if (path := self.one_of(self.chance.choice(("packs", "points", "writers", "condemned")))) is not None:
            path.unlink()
            self.held = {name: content for name, content in self.held.items() if has_point(self.vault, name)}

    def put_foreign(self):
        name = self.chance.choice(FOREIGN).format(folder=self.keys.name("m0"), hex="ab" * 32)
        path = self.place.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.chance.randbytes(9))
        self.foreign.append(name)

    def clock(self):
        """Of the file server's, and back."""
        self.place.days_pass(self.chance.choice((-3, -1, 1, 3)) * GRACE)

    def survive(self, backup, do):
        try:
            super().survive(backup, do)
        except pytest.fail.Exception:  # it lives: what it is based on is damaged, and so it is begun without
            assert backup not in self.writers

    def begin(self):
        with suppress(Damaged, WriterLost):  # a base that can't be read is none
            super().begin()

    def hold(self):
        if self.held:
            with suppress(Conflict):
                hold_point(self.vault, self.chance.choice(sorted(self.held)), Hold("audit", None))

    def delete(self):
        if self.held:
            self.delete_by_name(self.chance.choice(sorted(self.held)))

    def delete_by_name(self, name):
        try:
            delete_point(self.vault, name)
        except Held as error:
            held_by = DAMAGED if f"({DAMAGED})" in error.message else "audit"
            release_point(self.vault, name, held_by)
            delete_point(self.vault, name)
        del self.held[name]

    def prune(self):
        with suppress(Killed, Conflict, PrunedInPart):
            prune(opened(self.place, self.keys, self.dies_at()))

    def end(self):
        for backup in self.writers:
            backup.close()
        self.writers = []
        for name in list(self.held):
            self.delete_by_name(name)
        for _ in range(4):
            self.place.days_pass(3 * GRACE)
            with suppress(PrunedInPart):
                prune(self.vault)
        assert prune(self.vault).packs == 0
        left = {name for name in self.left("") if not name.startswith("holds/")}
        assert left <= {*self.foreign, "lost+found/"}, "but for what isn't ours nothing is left"


def told(tmp_path, seed, steps):
    (tmp_path / "vault").mkdir()
    story = DamagedStory(tmp_path, InDirectory(tmp_path / "vault"), seed)
    story.tell(steps)
    story.end()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_storage_does_nothing_wrong_is_restored_and_verify_names_what_is_lost(tmp_path, seed):
    told(tmp_path, seed, 16)


FIRST, STORIES = int(os.environ.get("LONGSHORE_SEED", "1000")), int(os.environ.get("LONGSHORE_STORIES", "500"))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + STORIES))
def test_whatever_the_storage_does_in_many_stories(tmp_path, seed):
    told(tmp_path, seed, 80)


def test_bits_of_documents_at_random(tmp_path):
    """None of a point's bits can be flipped unseen, by Longshore or the script."""
    (tmp_path / "vault").mkdir()
    story = DamagedStory(tmp_path, InDirectory(tmp_path / "vault"), 1)
    story.begin()
    story.writers[0].vault.store.dies_at = None
    story.write(story.writers[0])
    story.complete(story.writers[0])
    (name,) = story.held
    path, chance = tmp_path / f"vault/points/{name}.point", random.Random(secrets.randbits(32))
    good = path.read_bytes()
    for _ in range(200):
        at = chance.randrange(len(good) - 1)  # the last one is the line's end
        path.write_bytes(good[:at] + bytes((good[at] ^ 1 << chance.randrange(8),)) + good[at + 1 :])
        assert not story.is_sound(name)
