"""Who reads a disk of a bucket in order asks for it in long stretches, and is given what was written."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.errors import NotFound, Unreachable
from longshore.vault.disks import NewDisk
from longshore.vault.geometry import BLOCK, Top
from longshore.vault.read_ahead import STRETCH, ReadAhead
from longshore.vault.vault import Vault
from longshore.vault.writers import register

PACK = random.Random(1).randbytes(4 * STRETCH + 777)
PART = 50_000


class Far:
    """A store with one pack, and what it was asked for."""

    passed_over = 64 << 10

    def __init__(self):
        self.asked = []
        self.failing = 0

    def read_part(self, name, offset, length):
        self.asked.append(length)
        if name != "pack":
            raise NotFound(name)
        if self.failing:
            self.failing -= 1
            raise Unreachable("The bucket doesn't answer.")
        return PACK[offset : offset + length]


def test_parts_in_order_are_asked_for_in_long_stretches():
    far = Far()
    ahead = ReadAhead(far)
    for offset in range(0, len(PACK), PART):
        assert ahead.read("pack", offset, PART) == PACK[offset : offset + PART]
    assert len(far.asked) <= 2 + len(PACK) // (STRETCH - PART)
    assert sum(far.asked) <= 1.2 * len(PACK) + STRETCH


def test_parts_here_and_there_are_asked_for_as_they_are():
    far = Far()
    ahead = ReadAhead(far)
    for number in (40, 3, 77, 20, 61):
        assert ahead.read("pack", number * PART, 100) == PACK[number * PART : number * PART + 100]
    assert far.asked == [100] * 5


@given(st.lists(st.tuples(st.integers(0, len(PACK)), st.integers(1, 3 * STRETCH)), max_size=20))
def test_whatever_is_asked_is_answered_as_the_store_does(asked):
    ahead = ReadAhead(Far())
    for offset, length in asked:
        for part in ((offset, length), (offset + length, 300)):
            assert ahead.read("pack", *part) == Far().read_part("pack", *part)


def test_a_failure_is_not_remembered():
    far = Far()
    ahead = ReadAhead(far)
    ahead.read("pack", 0, PART)
    far.failing = 1
    with pytest.raises(Unreachable):
        ahead.read("pack", PART, PART)
    assert ahead.read("pack", 2 * PART, PART) == PACK[2 * PART : 3 * PART]
    with pytest.raises(NotFound):
        ahead.read("another", 0, PART)


def test_who_asks_for_what_is_on_its_way_waits_for_it():
    far, begun, may_end = Far(), threading.Event(), threading.Event()
    ahead = ReadAhead(far)
    ahead.read("pack", 0, PART)
    read_part = far.read_part

    def read_slowly(*what):
        begun.set()
        assert may_end.wait(10)
        return read_part(*what)

    far.read_part = read_slowly
    with ThreadPoolExecutor(2) as readers:
        first = readers.submit(ahead.read, "pack", PART, PART)
        assert begun.wait(10)
        second = readers.submit(ahead.read, "pack", 2 * PART, PART)
        may_end.set()
        assert first.result() + second.result() == PACK[PART : 3 * PART]
    assert len(far.asked) == 2


def test_what_was_written_into_a_bucket_is_read_back_with_few_requests(tmp_path, s3, monkeypatch):
    vault = Vault.create(s3.store("s3://vaults/read-back"), None)
    register(vault, "w1", ())
    noise = random.Random(2)
    blocks = {number: noise.randbytes(BLOCK // 4) + bytes(BLOCK - BLOCK // 4) for number in range(0, 640, 10)}
    disk = NewDisk(vault, Top(640 * BLOCK, None), tmp_path / "journal")
    for number, data in blocks.items():
        disk.write(number * BLOCK, data)
    disk.flush()
    asked, read_part = [], type(vault.store).read_part
    monkeypatch.setattr(type(vault.store), "read_part", lambda *what: asked.append(what[3]) or read_part(*what))
    for number, data in blocks.items():
        assert disk.read(number * BLOCK, BLOCK) == data
    blocks_asked = [length for length in asked if length > 1000]
    assert len(blocks_asked) <= 5, "two megabytes, and the first of it: 64 blocks"
    assert len(asked) <= 12, "with the nodes of five leaves"
    disk.close()
