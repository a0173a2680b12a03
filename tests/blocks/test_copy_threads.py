"""Near servers, between which whole blocks are carried on threads; and what happens when that goes wrong."""

import os
import re
from threading import Timer

import pytest

from longshore.blocks.block_reader import Block, BlockReader
from longshore.blocks.connections import CopyLoop
from longshore.blocks.copy_threads import (
    TOGETHER,
    CopyThreads,
    _has_answered,
    joined,
    neighbours,
)
from longshore.blocks.endpoints import connect, describe
from longshore.blocks.exports import Listen, Psk, serve_nbdkit
from longshore.blocks.plan import Fill, Job
from longshore.blocks.request_size import PIECE, TAKES_WHOLE
from longshore.blocks.wire import Wire
from longshore.model.extents import Extent
from longshore.model.verify import Verify

from .conftest import KIB, MIB, copy

pytestmark = pytest.mark.long

SIZE = 32 * MIB
BLOCK = 64 * KIB


@pytest.fixture(autouse=True)
def carried(monkeypatch):
    """The blocks that copy threads have taken; they begin early here."""
    taken = []
    take = CopyThreads.take

    def noted(self, job, expected, read_into=None):
        answer = take(self, job, expected, read_into)
        if answer:
            taken.append(job.extent)
        return answer

    monkeypatch.setattr(CopyThreads, "take", noted)
    monkeypatch.setattr("longshore.blocks.copy.CARRY_FROM", 4)
    monkeypatch.setattr("longshore.blocks.window.FAR_FROM", 10.0)  # this machine may be busy
    monkeypatch.setattr("longshore.blocks.window.SLOW", 0)
    return taken


def test_what_is_carried_arrives_and_zeroes_are_not_written(image, exports, carried):
    # Without a map all of the source is read, and most of it is zero
    source = image(SIZE, [(0, 4 * MIB), (9 * MIB + 512, 5 * MIB), (SIZE - 700, 700)])
    target = image(SIZE, [(MIB, 20 * MIB)], seed=2)
    result = copy(exports(source, filters=("noextents",)), exports(target), verify=Verify.FULL)
    assert target.read() == source.read()
    assert len(carried) > SIZE / BLOCK / 4
    assert result.bytes_read == SIZE
    assert result.bytes_written <= 10 * MIB
    assert result.bytes_written + result.bytes_zeroed + result.bytes_skipped == SIZE
    assert target.allocated <= source.allocated + 4 * 128 * KIB


def test_what_has_not_changed_is_not_written(image, exports, tmp_path, carried):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    base = tmp_path / "base"
    copy(exports(source), exports(target), manifest=base)
    carried.clear()
    source.write(7 * MIB + 5, b"changed")
    result = copy(exports(source), exports(target), base_manifest=base, verify=Verify.FULL)
    assert target.read() == source.read()
    assert result.bytes_written == BLOCK
    assert len(carried) > SIZE / BLOCK / 4


def failing_now_and_then(image, exports, tmp_path, operation):
    """Source and target, what to remove to have an end of the errors, and servers of both."""
    source, target = image(SIZE, [(0, SIZE // 2)]), image(SIZE, [(0, SIZE)], seed=7)
    trigger = tmp_path / "fail"
    trigger.touch()
    failing = {f"error-{operation}-rate": "20%", f"error-{operation}-file": trigger, "error": "EIO"}
    if operation == "pread":
        ends = exports(source, filters=("noextents", "error"), **failing), exports(target)
    else:
        ends = exports(source, filters=("noextents",)), exports(target, filters=("error",), **failing)
    return source, target, trigger, ends


@pytest.mark.parametrize("operation", ["pread", "pwrite", "zero"])
def test_after_an_error_the_loop_does_the_rest(image, exports, tmp_path, monkeypatch, carried, operation):
    source, target, trigger, ends = failing_now_and_then(image, exports, tmp_path, operation)
    left = []
    leave = CopyThreads._leave

    def healed(self, job, read_into, lost):
        trigger.unlink(missing_ok=True)
        left.append(job.extent)
        assert not lost, "the server has answered"
        leave(self, job, read_into, lost)

    monkeypatch.setattr(CopyThreads, "_leave", healed)
    result = copy(*ends, verify=Verify.WRITTEN)
    assert target.read() == source.read()
    assert result.repaired == ()
    assert left
    assert len(carried) < SIZE / BLOCK * 3 / 4


def test_a_carrier_that_breaks_ends_the_copy(image, exports, monkeypatch):
    def breaking(*_):
        raise MemoryError("none left")

    monkeypatch.setattr(CopyThreads, "_carry", breaking)
    with pytest.raises(MemoryError, match="none left"):
        copy(exports(image(SIZE, [(0, SIZE)])), exports(image(SIZE)))


def test_servers_that_do_not_see_each_others_writes_have_no_copy_threads(image, exports, carried):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    copy(
        exports(source), exports(target, filters=("multi-conn",), **{"multi-conn-mode": "disable"}), verify=Verify.FULL
    )
    assert target.read() == source.read()
    assert carried == []


def test_what_goes_through_tls_is_left_to_the_loop(image, exports, tmp_path, carried):
    keys = tmp_path / "keys.psk"
    keys.write_text("longshore:" + os.urandom(32).hex() + "\n")
    keys.chmod(0o600)
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    listen = Listen("127.0.0.1", tls=Psk(keys, "longshore"))
    with serve_nbdkit("file", {"file": str(target.path)}, listen=listen, read_only=False) as served:
        copy(exports(source), served, verify=Verify.FULL)
    assert target.read() == source.read()
    assert carried == []


def test_a_limit_holds_for_what_is_carried(image, exports, carried):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    result = copy(exports(source), exports(target), rate_limit=16 * MIB)
    assert target.read() == source.read()
    assert carried
    assert result.seconds > 1.5


def test_the_deadline_of_a_worker_is_asked_before_each_write(image, exports, monkeypatch, carried):
    asked = []
    monkeypatch.setattr("longshore.blocks.copy_threads.check_deadline", lambda: asked.append(1))
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    copy(exports(source), exports(target))
    assert carried
    assert len(asked) == len(carried)  # blocks as long as pieces


def test_what_waits_for_a_carrier_when_a_copy_ends_is_not_written(image, exports):
    source, target = exports(image(SIZE, [(0, SIZE)])), image(SIZE)
    slow = exports(target, filters=("delay",), wdelay="300ms")
    loop = CopyLoop()
    ends = [describe(export.uri, connect(export.uri, extents=True)) for export in (source, slow)]
    copy_threads = CopyThreads(
        loop,
        *ends,
        count=2,
        reads=True,
        block_size=BLOCK,
        maximum_read=BLOCK,
        request_size=BLOCK,
        carried=lambda _: None,
        left=lambda *_: None,
    )
    for number in range(copy_threads.most):
        extent = Extent(number * BLOCK, BLOCK)
        assert copy_threads.take(Job(extent, [extent], Fill.NOTHING, target_zero=False), None)
    threads = list(copy_threads._threads)
    copy_threads.close()
    for thread in threads:
        thread.join()
    loop.close()
    written = [number for number in range(copy_threads.most) if any(target.read(number * BLOCK, BLOCK))]
    assert len(written) <= 2 < copy_threads.most


def written_lengths(image, exports, log, size=SIZE, maximum_read=None, **delayed):
    """A disk of data, and how long each write was that its copy asked for."""
    filters = ("log", "delay") if delayed else ("log",)
    target = exports(image(size), filters=filters, logfile=log, **delayed)
    source = exports(image(size, [(0, size)]))
    result = copy(source, target, block_size=MIB, maximum_read=maximum_read, verify=Verify.FULL)
    assert result.bytes_written == size
    return [int(count, 16) for count in re.findall(r"\bWrite .*\bcount=(0x[0-9a-f]+)", log.read_text())]


@pytest.mark.parametrize("far_from", [0.0, 10.0], ids=["loop", "copy threads"])
def test_what_is_written_are_pieces_that_are_found_in_any_memory(image, exports, tmp_path, monkeypatch, far_from):
    monkeypatch.setattr("longshore.blocks.window.FAR_FROM", far_from)
    monkeypatch.setattr("longshore.blocks.request_size.SLOWER", 1e6)  # this machine may be busy
    assert set(written_lengths(image, exports, tmp_path / "log")) == {PIECE}


@pytest.mark.parametrize("far_from", [0.0, 10.0], ids=["loop", "copy threads"])
def test_storage_that_needs_long_for_each_write_gets_whole_blocks(image, exports, tmp_path, monkeypatch, far_from):
    monkeypatch.setattr("longshore.blocks.window.FAR_FROM", far_from)
    monkeypatch.setattr("longshore.blocks.request_size.LOOK", 8)
    monkeypatch.setattr("longshore.blocks.request_size.TRIAL", 4)
    monkeypatch.setattr("longshore.blocks.request_size.SLOWER", 0.0)  # reading may take as long on a busy machine
    monkeypatch.setattr("longshore.blocks.request_size.WORSE", 1e6)
    monkeypatch.setattr("longshore.blocks.window.LARGEST", 4)  # or the last blocks would have begun before the trial
    lengths = written_lengths(image, exports, tmp_path / "log", size=2 * SIZE, wdelay="20ms")
    assert set(lengths) == {PIECE, MIB}
    assert lengths[-8:] == [MIB] * 8


@pytest.fixture
def takes_whole(monkeypatch):
    """Each server says that requests are work for its storage, as Ceph's does."""
    monkeypatch.setattr("longshore.blocks.endpoints._description", lambda _: TAKES_WHOLE)


def test_two_blocks_are_one_request_for_storage_to_which_each_is_work(image, exports, tmp_path, takes_whole):
    lengths = written_lengths(image, exports, tmp_path / "log", size=2 * SIZE)
    assert set(lengths) == {MIB, TOGETHER * MIB}
    assert sum(lengths) == 2 * SIZE


def test_no_two_blocks_are_read_together_where_that_is_known_to_fail(image, exports, tmp_path, takes_whole):
    assert set(written_lengths(image, exports, tmp_path / "log", maximum_read=MIB)) == {MIB}


def test_of_blocks_that_go_together_zeroes_and_data_arrive_as_they_are(image, exports, takes_whole, carried):
    source = image(SIZE, [(0, 4 * MIB), (9 * MIB + 512, 5 * MIB), (SIZE - 700, 700)])
    target = image(SIZE, [(MIB, 20 * MIB)], seed=2)
    result = copy(exports(source, filters=("noextents",)), exports(target), verify=Verify.FULL)
    assert target.read() == source.read()
    assert len(carried) > SIZE / BLOCK / 4
    assert result.bytes_written <= 10 * MIB
    assert result.bytes_written + result.bytes_zeroed + result.bytes_skipped == SIZE


@pytest.mark.parametrize("operation", ["pread", "pwrite", "zero"])
def test_blocks_that_failed_together_are_each_done_once_more(image, exports, tmp_path, takes_whole, carried, operation):
    source, target, trigger, ends = failing_now_and_then(image, exports, tmp_path, operation)
    Timer(0.3, trigger.unlink).start()
    result = copy(*ends, verify=Verify.WRITTEN)
    assert target.read() == source.read()
    assert result.repaired == ()
    assert carried


def test_a_connection_is_lost_once_whatever_was_on_its_way(image, exports, monkeypatch, takes_whole):
    confirm, leave, broken, left = Wire.confirm, CopyThreads._leave, [], []

    def breaking(self):
        if self._unconfirmed and not broken:
            broken.append(self)
            raise ConnectionResetError
        confirm(self)

    def noted(self, job, read_into, lost):
        left.append(lost)
        leave(self, job, read_into, lost)

    monkeypatch.setattr(Wire, "confirm", breaking)
    monkeypatch.setattr(CopyThreads, "_leave", noted)
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    copy(exports(source), exports(target), verify=Verify.FULL)
    assert target.read() == source.read()
    assert left.count(True) == 1


def waiting(*extents, expected=None):
    return [Block(Job(extent, [extent], Fill.NOTHING, target_zero=False), expected, None) for extent in extents]


def test_only_neighbours_that_are_surely_written_go_together():
    one, two, four = Extent(0, BLOCK), Extent(BLOCK, BLOCK), Extent(3 * BLOCK, BLOCK)
    assert len(neighbours(waiting(one, two))) == 2
    assert len(neighbours(waiting(one, four))) == 1
    assert len(neighbours(waiting(two, one))) == 1
    assert len(neighbours([*waiting(one), *waiting(two, expected=b"digest")])) == 1


def test_requests_of_one_kind_that_touch_are_one_up_to_a_size():
    data = [(Extent(number, 1), False) for number in range(5)]
    zero = [(Extent(5, 3), True), (Extent(8, 9), True)]
    whole = [(Extent(0, 2), False), (Extent(2, 2), False), (Extent(4, 1), False), *zero]
    assert joined([*data, *zero], 2) == whole
    assert joined([*data, *zero], 12) == [(Extent(0, 5), False), (Extent(5, 12), True)]
    assert joined([data[0], data[2]], 12) == [data[0], data[2]]


def test_a_read_that_fails_while_a_write_is_under_way_loses_nothing(image, exports, tmp_path):
    """The write is waited for, so that it can't come after those of the loop."""
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    trigger = tmp_path / "fail"
    trigger.touch()
    served = exports(source, filters=("error",), **{"error-pread-rate": "3%", "error-pread-file": trigger})
    written = exports(target, filters=("delay",), wdelay="10ms")
    Timer(0.3, trigger.unlink).start()
    copy(served, written, block_size=MIB, verify=Verify.FULL)
    assert target.read() == source.read()


FAR = {"rdelay": "250ms"}


@pytest.fixture(params=["threads ask for it", "the loop reads"])
def far(request, exports, monkeypatch):
    """Serves a source far away: one that threads may have connections to, and one that has a single connection. And the
    blocks from there that threads got, to write them to a target that is near."""
    by_loop, got = request.param == "the loop reads", []
    take, ask = CopyThreads.take, BlockReader.ask

    def noted_take(self, job, expected, read_into=None):
        answer = take(self, job, expected, read_into)
        if by_loop and answer and read_into is not None:
            got.append(job.extent)
        return answer

    def noted_ask(self, block):
        assert not by_loop
        got.append(block.job.extent)
        ask(self, block)

    monkeypatch.setattr(CopyThreads, "take", noted_take)
    monkeypatch.setattr(BlockReader, "ask", noted_ask)
    monkeypatch.setattr("longshore.blocks.window.FAR_FROM", 0.2)

    def serve(source, *filters, **parameters):
        single = {"multi-conn-mode": "disable"} if by_loop else {}
        behind = (*filters, *(["multi-conn"] if by_loop else []), "delay")
        return exports(source, filters=behind, **FAR, **single, **parameters)

    serve.got = got
    return serve


def test_what_comes_from_far_away_is_written_by_threads(image, exports, far):
    size = SIZE // 4
    source, target = image(size, [(0, 3 * MIB), (5 * MIB + 512, 2 * MIB)]), image(size, [(MIB, 4 * MIB)], seed=2)
    result = copy(far(source, "noextents"), exports(target), verify=Verify.FULL)
    assert target.read() == source.read()
    assert len(far.got) > size / BLOCK / 2
    assert result.bytes_read == size
    assert result.bytes_written <= 6 * MIB
    assert result.bytes_written + result.bytes_zeroed + result.bytes_skipped == size
    assert result.repaired == ()


def test_of_what_comes_from_far_away_only_what_differs_is_written(image, exports, tmp_path, far):
    size = SIZE // 4
    source, target = image(size, [(0, size)]), image(size)
    base = tmp_path / "base"
    copy(exports(source), exports(target), manifest=base)
    # The first one soon, and several: the one that is written quickest shows that the target is near
    changed = (0, MIB, 3 * MIB)
    for at in changed:
        source.write(at + 5, b"changed")
    result = copy(far(source), exports(target), base_manifest=base, verify=Verify.FULL)
    assert target.read() == source.read()
    assert result.bytes_written == len(changed) * BLOCK
    assert far.got


@pytest.mark.parametrize("operation", ["pread", "pwrite", "zero"])
def test_what_a_thread_could_not_read_or_write_is_read_once_more(image, exports, tmp_path, far, operation):
    size = SIZE // 4
    data = size // 8 if operation == "zero" else size // 2
    source, target = image(size, [(0, data)]), image(size, [(0, size)], seed=7)
    trigger = tmp_path / "fail"
    trigger.touch()
    failing = {f"error-{operation}-rate": "20%", f"error-{operation}-file": trigger, "error": "EIO"}
    Timer(1.5, trigger.unlink).start()
    reads = operation == "pread"
    result = copy(
        far(source, "noextents", "error", **failing) if reads else far(source, "noextents"),
        exports(target) if reads else exports(target, filters=("error",), **failing),
        verify=Verify.WRITTEN,
    )
    assert target.read() == source.read()
    assert result.repaired == ()
    assert far.got
    assert result.bytes_read > size or reads


def test_requests_of_a_group_are_free_again_once_what_they_asked_for_is_there(image, exports, tmp_path, far):
    """Else nothing could be asked for any more."""
    group = tmp_path / "group"
    group.write_text('{"requests": 5}')
    source, target = image(SIZE // 8, [(0, SIZE // 8)]), image(SIZE // 8)
    copy(far(source), exports(target), limit_groups=(str(group),), verify=Verify.FULL)
    assert target.read() == source.read()
    assert far.got


def test_storage_that_sets_the_pace_gets_its_writes_from_the_loop(image, exports, monkeypatch, far):
    monkeypatch.setattr("longshore.blocks.window.SLOW", 1 << 40)
    source, target = image(SIZE // 4, [(0, SIZE // 4)]), image(SIZE // 4)
    copy(far(source), exports(target), verify=Verify.FULL)
    assert target.read() == source.read()
    assert far.got == []


def test_a_write_under_way_is_over_before_the_loop_gets_its_block(image, exports):
    disk = image(SIZE)
    wire = Wire(exports(disk, filters=("delay",), wdelay="500ms").uri)
    wire.write(memoryview(b"x" * BLOCK), 0)
    assert _has_answered(wire)
    assert disk.read(0, BLOCK) == b"x" * BLOCK
