"""Checkpoints: they remember, they survive being killed in between, and they refuse what they aren't for."""

import fcntl

import pytest

from longshore.blocks.checkpoint import Checkpoint, CheckpointRecord, Identity, Outcome, is_locked
from longshore.errors import CheckpointError, CheckpointLocked
from longshore.model.extents import Extent

IDENTITY = Identity(source="s@1", target="t", size=1 << 30, block_size=1 << 20, scope="all", base="")
RECORDS = [CheckpointRecord(Extent(number << 20, 1 << 20), Outcome.DATA, bytes([number]) * 32) for number in range(5)]


def reopened(path):
    checkpoint = Checkpoint.open(path, IDENTITY)
    try:
        return list(checkpoint.records())
    finally:
        checkpoint.close()


def written(path, *batches):
    checkpoint = Checkpoint.open(path, IDENTITY)
    for batch in batches:
        checkpoint.append(batch)
    checkpoint.close()


def test_what_was_appended_is_there_after_reopening(tmp_path):
    path = tmp_path / "checkpoint"
    written(path, RECORDS[:2], RECORDS[2:3])
    written(path, RECORDS[3:])
    assert reopened(path) == RECORDS


def test_a_log_longer_than_its_head_says_counts_up_to_there(tmp_path):
    """So it looks after the power went between appending to the log and replacing the head."""
    path = tmp_path / "checkpoint"
    written(path, RECORDS[:2])
    head = path.read_bytes()
    written(path, RECORDS[2:])
    path.write_bytes(head)
    assert reopened(path) == RECORDS[:2]
    written(path, RECORDS[3:4])
    assert reopened(path) == [*RECORDS[:2], RECORDS[3]]


def test_a_log_without_a_head_counts_nothing(tmp_path):
    path = tmp_path / "checkpoint"
    written(path, RECORDS)
    path.unlink()
    assert reopened(path) == []


def test_a_checkpoint_altered_or_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    written(path, RECORDS)
    for damaged in (path, tmp_path / "checkpoint.log"):
        whole = damaged.read_bytes()
        for place in range(len(whole) - 1 if damaged is path else len(whole)):
            for content in (whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], whole[:place]):
                damaged.write_bytes(content)
                with pytest.raises(CheckpointError):
                    reopened(path)
        damaged.write_bytes(whole)
    assert reopened(path) == RECORDS


def test_a_missing_log_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    written(path, RECORDS)
    (tmp_path / "checkpoint.log").unlink()
    with pytest.raises(CheckpointError, match="can't be read"):
        reopened(path)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("source", "s@2", "another source"),
        ("target", "u", "another target"),
        ("size", 1 << 29, "source of another size"),
        ("block_size", 1 << 21, "another block size"),
        ("scope", "abcd", "another list of changes"),
        ("base", "ef", "another base manifest"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path, field, value, words):
    path = tmp_path / "checkpoint"
    written(path, RECORDS)
    with pytest.raises(CheckpointError, match=words):
        Checkpoint.open(path, IDENTITY._replace(**{field: value}))


def test_two_copies_cannot_use_one_checkpoint(tmp_path):
    path = tmp_path / "checkpoint"
    assert not is_locked(path)
    first = Checkpoint.open(path, IDENTITY)
    assert is_locked(path)
    with pytest.raises(CheckpointLocked, match="Another copy is using"):
        Checkpoint.open(path, IDENTITY)
    first.close()
    assert not is_locked(path)


def test_what_another_copy_recorded_while_its_checkpoint_was_read_is_not_cut_off(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    written(path, RECORDS[:1])
    other = Checkpoint.open(path, IDENTITY)
    flock = fcntl.flock

    def last_record(*arguments):
        monkeypatch.undo()
        other.append(RECORDS[1:])
        other.close()
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", last_record)
    with pytest.raises(CheckpointLocked):
        Checkpoint.open(path, IDENTITY)
    assert reopened(path) == RECORDS
