"""How long requests are: pieces, and whole blocks where every write is work for the storage."""

import pytest

from longshore.blocks.request_size import LASTING, LOOK, PIECE, REST, TRIAL, RequestSize

BLOCK = 1 << 20
UNTIL_TRIAL = LASTING * LOOK  # blocks, at least
KEPT = REST * LOOK  # blocks that a trial is good for


def copied(size: RequestSize, blocks: int, reading: float, writing) -> list[int]:
    """The lengths with which so many blocks were copied, each of which took as long as `writing` says of its length."""
    lengths = []
    for _ in range(blocks):
        lengths.append(size.length)
        size.note(size.length, reading, writing(size.length))
    return lengths


def file(length: int) -> float:
    """Seconds that a file takes for a block."""
    return 0.0009 if length == BLOCK else 0.0010


def ceph(length: int) -> float:
    """Seconds that Ceph takes for a block."""
    return 0.010 if length == BLOCK else 0.011


def reclaimed(length: int) -> float:
    """Seconds that a file takes whose server is slow, and has to have its memory back from the host."""
    return 0.030 if length == BLOCK else 0.008


def test_pieces_are_the_rule():
    assert set(copied(RequestSize(BLOCK), 10 * KEPT, 0.0005, file)) == {PIECE}


def test_storage_for_which_every_write_is_work_gets_whole_blocks():
    lengths = copied(RequestSize(BLOCK), 4 * KEPT, 0.001, ceph)
    assert lengths[:UNTIL_TRIAL] == [PIECE] * UNTIL_TRIAL
    assert set(lengths[UNTIL_TRIAL + 2 * TRIAL :][:KEPT]) == {BLOCK}
    assert lengths[UNTIL_TRIAL:].count(BLOCK) > len(lengths[UNTIL_TRIAL:]) * 0.9


def test_whole_blocks_that_take_longer_still_are_tried_and_left():
    lengths = copied(RequestSize(BLOCK), 4 * KEPT, 0.001, reclaimed)
    assert 0 < lengths.count(BLOCK) <= len(lengths) * 0.05


def test_one_block_that_takes_long_is_no_reason_for_a_trial():
    size = RequestSize(BLOCK)
    size.note(PIECE, 0.0005, 0.02)
    assert set(copied(size, KEPT, 0.0005, file)) == {PIECE}


def test_a_file_that_is_slow_for_a_moment_keeps_its_pieces():
    size = RequestSize(BLOCK)
    for _ in range(20):
        assert set(copied(size, 3 * LOOK, 0.0005, ceph)) == {PIECE}
        assert set(copied(size, LOOK, 0.0005, file)) == {PIECE}


def test_whole_blocks_end_once_writing_is_quick():
    size = RequestSize(BLOCK)
    copied(size, UNTIL_TRIAL + 2 * TRIAL, 0.001, ceph)
    assert size.length == BLOCK
    assert set(copied(size, 2 * LOOK, 0.0005, file)[LOOK:]) == {PIECE}


def test_a_far_source_is_no_reason_for_whole_blocks():
    assert set(copied(RequestSize(BLOCK), 4 * KEPT, 0.005, ceph)) == {PIECE}


def test_storage_that_has_become_another_is_tried_again():
    size = RequestSize(BLOCK)
    copied(size, UNTIL_TRIAL + 2 * TRIAL, 0.001, ceph)
    assert size.length == BLOCK
    assert set(copied(size, 2 * KEPT, 0.001, reclaimed)[KEPT + 2 * TRIAL :]) == {PIECE}


def test_blocks_begun_before_a_trial_belong_to_it_by_their_length():
    size = RequestSize(BLOCK)
    copied(size, UNTIL_TRIAL, 0.001, ceph)
    for _ in range(3 * TRIAL):
        size.note(PIECE, 0.001, ceph(PIECE))
    assert size.length == BLOCK
    assert set(copied(size, TRIAL + KEPT, 0.001, ceph)) == {BLOCK}


@pytest.mark.parametrize("block", [4096, PIECE])
def test_small_blocks_are_their_own_pieces(block):
    assert set(copied(RequestSize(block), 5 * KEPT, 0.001, lambda _: 0.01)) == {block}


def test_who_takes_whole_blocks_gets_them_from_the_first_one_on():
    assert set(copied(RequestSize(BLOCK, takes_whole=True), 4 * KEPT, 0.001, ceph)) == {BLOCK}
    assert set(copied(RequestSize(BLOCK, takes_whole=True), 4 * KEPT, 0.001, file)) == {BLOCK}
