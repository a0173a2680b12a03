"""What somebody looks into is kept for a moment: asked for again, it isn't read again, and nobody else gets it."""

import random
import threading
from types import SimpleNamespace

import pytest
from small_vault import SIZE, Backup, InDirectory

from longshore.vault import kept_blocks
from longshore.vault.disks import PointDisk
from longshore.vault.errors import Damaged
from longshore.vault.geometry import BLOCK
from longshore.vault.kept_blocks import KeptBlocks
from longshore.vault.points import read_point
from longshore.vault.vault import Vault

PARTS = ((0, 2 * BLOCK), (2 * BLOCK + 7, 100))  # whole blocks, and a part of one


@pytest.fixture
def backed_up(tmp_path):
    """An encrypted vault, the only disk of its point, and what is on that."""
    place = InDirectory(tmp_path / "vault")
    vault = Vault.create(place.store(), "a phrase")
    backup = Backup(place, vault.keys, tmp_path, 1)
    backup.open()
    content = random.Random(1).randbytes(3 * BLOCK)
    backup.write(0, content)
    return vault, read_point(vault, backup.finish()).top("d"), content + bytes(SIZE - len(content))


@pytest.fixture
def asked(monkeypatch):
    """The numbers of blocks that were read of packs."""
    asked, checked = [], PointDisk._checked

    def counting(disk, number, entry, found):
        asked.append(number)
        return checked(disk, number, entry, found)

    monkeypatch.setattr(PointDisk, "_checked", counting)
    return asked


class Clock:
    """Goes on when it is told to, and has timers that go by it."""

    def __init__(self):
        self.now, self.timers = 1000.0, []

    def timer(self, seconds, function):
        return SimpleNamespace(start=lambda: self.timers.append((self.now + seconds, function)))

    def goes_on(self, seconds):
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= end]:
            self.now, function = min(due, key=lambda timer: timer[0])
            self.timers.remove((self.now, function))
            function()
        self.now = end


def read(disk):
    return [disk.read(*part) for part in PARTS]


def test_what_was_read_is_not_read_again(backed_up, asked):
    vault, top, content = backed_up
    kept = KeptBlocks(10)
    for _ in range(2):
        assert read(PointDisk(vault, top, kept.of("us"))) == [content[at : at + length] for at, length in PARTS]
        assert sorted(asked) == [0, 1, 2]


def test_nobody_is_given_what_another_has_read(backed_up, asked):
    vault, top, _ = backed_up
    kept = KeptBlocks(10)
    read(PointDisk(vault, top, kept.of("us")))
    read(PointDisk(vault, top, kept.of("them")))
    assert sorted(asked) == [0, 0, 1, 1, 2, 2]


def test_no_more_is_kept_than_may_be(backed_up, asked):
    vault, top, content = backed_up
    kept = KeptBlocks(2)
    for _ in range(2):
        assert PointDisk(vault, top, kept.of("us")).read(0, 3 * BLOCK) == content[: 3 * BLOCK]
    assert asked == [0, 1, 2, 0]


def test_what_nobody_asks_for_any_longer_is_forgotten(backed_up, asked, monkeypatch):
    vault, top, _ = backed_up
    clock = Clock()
    monkeypatch.setattr(kept_blocks, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(kept_blocks, "threading", SimpleNamespace(Timer=clock.timer, Lock=threading.Lock))
    disk = PointDisk(vault, top, KeptBlocks(10, 60.0).of("us"))
    read(disk)
    clock.goes_on(40)
    read(disk)
    clock.goes_on(40)
    read(disk)
    assert sorted(asked) == [0, 1, 2], "it was asked for a moment ago"
    clock.goes_on(61)
    read(disk)
    assert sorted(asked) == [0, 0, 1, 1, 2, 2]


def test_what_is_damaged_is_not_kept(backed_up):
    vault, top, _ = backed_up
    kept = KeptBlocks(10)
    pack = max(vault.store.root.glob("packs/*/*"), key=lambda path: path.stat().st_size)
    spoilt = bytearray(pack.read_bytes())
    spoilt[BLOCK // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(spoilt)
    for _ in range(2):
        with pytest.raises(Damaged):
            PointDisk(vault, top, kept.of("us")).read(0, BLOCK)
