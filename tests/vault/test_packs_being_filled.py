"""Packs that several threads fill: what was added is written by whichever of them comes to it, in its order."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from longshore.vault.directory import Directory
from longshore.vault.disks import NewDisk, PointDisk
from longshore.vault.errors import VaultFull
from longshore.vault.geometry import BLOCK, Top
from longshore.vault.packs import PackWriter
from longshore.vault.vault import Vault
from longshore.vault.writers import register

BLOCKS = 200
THREADS = 4
PACK = 3 << 20  # bytes: so that some get full


@pytest.fixture(params=["sealed", "in clear"])
def vault(request, tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"), "phrase" if request.param == "sealed" else None)
    register(vault, "w1", ())
    return vault


@pytest.fixture
def disk(vault, tmp_path):
    disk = NewDisk(vault, Top(BLOCKS * BLOCK, None), tmp_path / "journal", pack_size=PACK)
    yield disk
    disk.close()


def block(number):
    noise = random.Random(number)
    return noise.randbytes(BLOCK) if number % 3 else noise.randbytes(BLOCK // 8) * 8


def write(disk, numbers):
    for number in numbers:
        disk.write(number * BLOCK, block(number))


def side_by_side(disk):
    with ThreadPoolExecutor(THREADS) as threads:
        return [threads.submit(write, disk, range(first, BLOCKS, THREADS)) for first in range(THREADS)]


def test_what_several_threads_have_written_is_there(vault, disk):
    for writing in side_by_side(disk):
        writing.result()
    assert disk.read(7 * BLOCK, BLOCK) == block(7)  # as long as its pack is open, too
    point = PointDisk(vault, disk.finish())
    assert all(point.read(number * BLOCK, BLOCK) == block(number) for number in range(BLOCKS))
    assert len(list(vault.store.root.glob("packs/*/*"))) > 3


def test_what_was_just_added_is_read_back(disk, monkeypatch):
    """Nobody has written it yet."""
    monkeypatch.setattr(PackWriter, "keep_up", lambda _self: None)
    write(disk, range(4))
    assert [disk.read(number * BLOCK, BLOCK) == block(number) for number in range(4)] == [True] * 4


@pytest.mark.parametrize("left", [0, 1, 5])
@pytest.mark.parametrize("error", [VaultFull("The vault is full."), MemoryError()], ids=["full", "memory"])
def test_once_something_could_not_be_written_nothing_counts_as_being_there(vault, tmp_path, monkeypatch, left, error):
    """Whoever was told of it; the others may have been at it at the same moment."""
    disk = NewDisk(vault, Top(BLOCKS * BLOCK, None), tmp_path / "journal", pack_size=PACK)
    begin, writes, lock = vault.store.begin, [], threading.Lock()

    def failing():
        begun = begin()
        append = begun.append

        def append_once_too_often(data):
            with lock:
                writes.append(len(data))
                fails = len(writes) == left + 1
            if fails:
                append(data[: len(data) // 2])
                raise error
            append(data)

        begun.append = append_once_too_often
        return begun

    monkeypatch.setattr(type(vault.store), "begin", lambda _self: failing())
    told = [writing.exception() for writing in side_by_side(disk)]
    assert any(told)
    assert {type(one) for one in told if one} == {type(error)}
    for _ in range(2):
        with pytest.raises(type(error)):
            disk.flush()
    with pytest.raises(type(error)):
        disk.finish()
    disk.close()
    again = NewDisk(vault, Top(disk.size, None), tmp_path / "journal")
    assert [number for number in range(BLOCKS) if again.entry(number)] == []
    again.close()
