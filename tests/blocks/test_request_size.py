"""How long requests are: pieces, and whole blocks where storage sets the pace and takes them in less time."""

import pytest

from longshore.blocks.request_size import KEPT, PIECE, TRIAL, RequestSize

BLOCK = 1 << 20


def copied(size: RequestSize, blocks: int, seconds, *, paced: bool) -> list[int]:
    """The lengths with which so many blocks were copied, each of which took as long as `seconds` says of its length."""
    lengths = []
    for _ in range(blocks):
        lengths.append(size.length)
        size.note(size.length, seconds(size.length), paced=paced)
    return lengths


def test_pieces_are_the_rule():
    assert set(copied(RequestSize(BLOCK), 10 * KEPT, lambda length: 1 / length, paced=False)) == {PIECE}


def test_whole_blocks_stay_where_storage_that_sets_the_pace_takes_them_in_less_time():
    lengths = copied(RequestSize(BLOCK), 10 * KEPT, lambda length: 0.01 if length == BLOCK else 0.012, paced=True)
    assert lengths[:TRIAL] == [PIECE] * TRIAL
    assert lengths.count(BLOCK) > len(lengths) * 0.8


def test_a_machine_that_is_merely_slow_keeps_pieces():
    lengths = copied(RequestSize(BLOCK), 10 * KEPT, lambda length: 0.02 if length == BLOCK else 0.01, paced=True)
    assert lengths.count(BLOCK) <= len(lengths) * 0.12


def test_whole_blocks_end_when_the_storage_does_not_set_the_pace_any_more():
    size = RequestSize(BLOCK)
    copied(size, 3 * TRIAL, lambda length: 1 / length, paced=True)
    assert size.length == BLOCK
    assert set(copied(size, 2 * KEPT, lambda length: 1 / length, paced=False)[KEPT:]) == {PIECE}


def test_what_was_begun_before_a_decision_says_nothing_of_it():
    size = RequestSize(BLOCK)
    copied(size, TRIAL, lambda _: 0.01, paced=True)
    assert size.length == BLOCK
    for _ in range(3 * TRIAL):
        size.note(PIECE, 5.0, paced=True)
    copied(size, TRIAL, lambda _: 0.02, paced=True)
    assert size.length == PIECE


@pytest.mark.parametrize("block", [4096, PIECE])
def test_small_blocks_are_their_own_pieces(block):
    assert set(copied(RequestSize(block), 5 * KEPT, lambda _: 0.01, paced=True)) == {block}
