"""Reading back near targets, which is done on threads as soon as a few blocks show how near they are."""

import threading

import pytest

from longshore.blocks import verify_threads
from longshore.blocks.connections import CopyLoop
from longshore.blocks.manifest import digest_of
from longshore.blocks.verify_threads import VerifyThreads
from longshore.blocks.wire import Wire
from longshore.model.extents import Extent
from longshore.model.verify import Verify

from .conftest import KIB, MIB, copy

SIZE = 32 * MIB
BLOCK = 64 * KIB


@pytest.fixture
def copied(image, exports, tmp_path):
    """A source, its finished copy, and what to say to have the copy verified."""
    source, target = image(SIZE, [(0, SIZE // 2)]), image(SIZE)
    named = {"checkpoint": tmp_path / "checkpoint", "source_identity": "s@1", "target_identity": "t"}
    copy(exports(source), exports(target), verify=Verify.NONE, **named)
    return source, target, named


def test_what_is_wrong_anywhere_is_found_and_mended(copied, exports):
    source, target, named = copied
    wrong = [2 * BLOCK, SIZE // 4 + 512, SIZE // 2 - BLOCK, SIZE // 2 + 5 * BLOCK, SIZE - 1]
    for offset in wrong:
        target.write(offset, b"?")
    result = copy(exports(source), exports(target), verify=Verify.FULL, **named)
    assert len(result.repaired) == len(wrong)
    for extent, offset in zip(result.repaired, wrong, strict=True):
        assert extent.offset <= offset < extent.end <= extent.offset + BLOCK
    assert result.bytes_verified > SIZE, "what was written again was read again"
    assert target.read() == source.read()


def test_a_target_that_fails_now_and_then_is_read_to_the_end(copied, exports, tmp_path):
    source, target, named = copied
    trigger = tmp_path / "fail"
    trigger.touch()
    failing = {"error-pread-rate": "20%", "error-pread-file": trigger, "error": "EIO"}
    served = exports(target, filters=("error",), **failing)
    healing = threading.Timer(0.5, trigger.unlink)
    healing.start()
    result = copy(exports(source), served, verify=Verify.FULL, **named)
    healing.join()
    assert result.bytes_verified == SIZE
    assert not result.repaired


def read_by_threads(uri, work, size=SIZE):
    loop = CopyLoop()
    found = VerifyThreads(loop, uri, iter(work), size=size, most=4, block_size=BLOCK)
    while not found.ended:
        loop.turn(10)
    loop.close()
    return found


def test_readers_share_the_work_and_name_what_differs(image, exports):
    disk = image(SIZE, [(0, SIZE // 2)])
    work = [
        (Extent(offset, BLOCK), digest_of(disk.read(offset, BLOCK) if offset != 7 * BLOCK else b"else"))
        for offset in range(0, SIZE // 2, BLOCK)
    ]
    done = read_by_threads(exports(disk).uri, work)
    assert done.compared == SIZE // 2
    assert done.wrong == [Extent(7 * BLOCK, BLOCK)]
    assert not done.left


def test_what_readers_cannot_settle_is_left_to_the_loop(image, exports):
    disk = image(SIZE, [(MIB, BLOCK)])
    question = Extent(0, SIZE), None
    done = read_by_threads(exports(disk).uri, [question])
    assert (list(done.left), done.compared) == ([question], 0)
    failing = exports(disk, filters=("error",), **{"error-pread-rate": "100%", "error": "EIO"})
    work = [(Extent(offset, BLOCK), b"") for offset in range(0, MIB, BLOCK)]
    pending = iter(work)
    done = read_by_threads(failing.uri, pending, MIB)
    assert 0 < len(done.left) < len(work), "each gives up at its first error, with what it took"
    assert sorted([*done.left, *pending]) == work


@pytest.mark.parametrize(("delay", "expected"), [({}, 2), ({"rdelay": "3ms"}, 4)])
def test_there_are_more_readers_where_they_only_wait(image, exports, monkeypatch, delay, expected):
    connected = []
    monkeypatch.setattr(verify_threads, "Wire", lambda uri: connected.append(uri) or Wire(uri))
    monkeypatch.setattr(verify_threads, "threads", lambda most: 2)
    monkeypatch.setattr(verify_threads, "WAITING", 7.0 if delay else 1000.0)  # this machine may be busy
    disk = image(SIZE, [(0, SIZE)])
    work = [(Extent(offset, BLOCK), digest_of(disk.read(offset, BLOCK))) for offset in range(0, SIZE, BLOCK)]
    served = exports(disk, filters=("delay",) if delay else (), **delay)
    done = read_by_threads(served.uri, work)
    assert (done.compared, done.wrong, len(connected)) == (SIZE, [], expected)


def test_readers_that_are_stopped_end_within_what_they_took(image, exports):
    disk = image(SIZE, [(0, SIZE)])
    work = [(Extent(offset, BLOCK), b"") for offset in range(0, SIZE, BLOCK)]
    served = exports(disk, filters=("delay",), rdelay="10ms")
    loop = CopyLoop()
    found = VerifyThreads(loop, served.uri, iter(work), size=SIZE, most=4, block_size=BLOCK)
    while not found.compared:
        loop.turn(0.01)
    found.stop()
    turns = 0
    while not found.ended:
        loop.turn(0.1)
        turns += 1
        assert turns < 100
    loop.close()
    assert 0 < found.compared < SIZE


def test_readers_of_a_server_that_is_gone_end(image, exports):
    done = read_by_threads("nbd+unix:///?socket=/nowhere", [(Extent(0, 512), b"")])
    assert (done.compared, list(done.left)) == (0, [])


def test_a_reader_that_breaks_ends_the_copy(copied, exports, monkeypatch):
    source, target, named = copied
    digest = verify_threads.digest_of

    def breaking(data):
        if threading.current_thread() is not threading.main_thread():
            raise MemoryError("none left")
        return digest(data)

    monkeypatch.setattr(verify_threads, "digest_of", breaking)
    monkeypatch.setattr("longshore.blocks.window.FAR_FROM", 10.0)  # this machine may be busy
    with pytest.raises(MemoryError, match="none left"):
        copy(exports(source), exports(target), verify=Verify.FULL, **named)
