"""Copies that were broken off for good after they had written, and what those do that come after them."""

import json
from contextlib import ExitStack, suppress

import pytest

from longshore.blocks.copy import Copy
from longshore.blocks.dirty import is_dirty
from longshore.blocks.exports import serve_nbdkit
from longshore.blocks.manifest import read_manifest
from longshore.errors import Cancelled, CheckpointError
from longshore.model.extents import Extent
from longshore.model.verify import Verify

from .conftest import KIB, MIB, copy

SIZE = 4 * MIB
BLOCK = 64 * KIB
OLD, NEW = b"old " * KIB, b"new " * KIB
CHANGED = Extent(5 * BLOCK, len(OLD))


@pytest.fixture
def ends(image, exports):
    """A disk, and a target."""
    source, target = image(SIZE, [(0, MIB), (3 * MIB, MIB)]), image(SIZE)
    source.write(CHANGED.offset, OLD)
    return source, target


@pytest.fixture
def run(ends, exports, tmp_path):
    """A copy between them, of one moment."""
    served = [exports(end) for end in ends]

    def run(moment, **options):
        options = {"checkpoint": tmp_path / f"{moment}.checkpoint", "manifest": tmp_path / moment} | options
        return copy(*served, source_identity=f"s@{moment}", target_identity="t", **options)

    return run


@pytest.fixture
def base(run, tmp_path):
    run("m0")
    return tmp_path / "m0"


@pytest.fixture
def broken_off(monkeypatch):
    """Like `run`, but the copy ends when all is written and nothing is verified."""

    def broken_off(run, *arguments, **options):
        def cancelled(*_):
            raise Cancelled("broken off")

        with monkeypatch.context() as patched, suppress(Cancelled):
            patched.setattr(Copy, "_verify", cancelled)
            run(*arguments, **options)
            pytest.fail("it should have been broken off")

    return broken_off


@pytest.mark.parametrize("told", [(CHANGED,), None], ids=["told", "compared"])
@pytest.mark.parametrize("told_next", [(), (Extent(MIB, 512),), None], ids=["nothing", "elsewhere", "compared"])
def test_what_a_copy_wrote_that_came_to_no_end_is_copied_again(ends, run, base, broken_off, tmp_path, told, told_next):
    source, target = ends
    source.write(CHANGED.offset, NEW)
    broken_off(run, "m1", base_manifest=base, changes=told)
    assert target.read(*CHANGED) == NEW
    source.write(CHANGED.offset, OLD)  # as at the base: nothing that is compared with it would be copied
    result = run("m2", base_manifest=base, changes=told_next)
    assert target.read() == source.read()
    assert result.repaired == ()  # it needn't be found out by reading back
    assert result.root_digest == read_manifest(base)[1]
    if told is not None:
        assert result.bytes_written <= 2 * BLOCK
    assert not is_dirty(tmp_path / "m2", result.root_digest)


def test_where_it_is_written_is_known_before_it_is(ends, exports, base, tmp_path):
    source, target = ends
    parameters = {
        "get_size": f"echo {SIZE}",
        "pread": f"dd if={target.path} bs=1M iflag=skip_bytes,count_bytes,fullblock skip=$4 count=$3 status=none",
        "pwrite": f"cp -n {base}.dirty {tmp_path}/known; cat > /dev/null",
        "can_write": "exit 0",
    }
    source.write(CHANGED.offset, NEW)
    with ExitStack() as stack:
        served = stack.enter_context(serve_nbdkit("eval", parameters, read_only=False))
        copy(
            exports(source), served, base_manifest=base, changes=(CHANGED,), source_identity="s@m1", verify=Verify.NONE
        )
    known = json.loads((tmp_path / "known").read_text())
    assert known["written"] == [list(CHANGED)]
    assert known["moment"] == "s@m1"


def test_a_copy_that_goes_on_writes_what_differs_and_no_more(ends, run, base, broken_off, tmp_path):
    source, target = ends
    source.write(CHANGED.offset, NEW)
    broken_off(run, "m1", base_manifest=base)
    for end in ("", ".log"):  # as when it was killed before it had recorded anything
        (tmp_path / f"m1.checkpoint{end}").unlink()
    assert run("m1", base_manifest=base).bytes_written == BLOCK
    assert target.read() == source.read()


def test_what_a_copy_has_done_is_done_again_if_another_has_written_there_since(ends, run, base, broken_off):
    source, target = ends
    source.write(CHANGED.offset, OLD[::-1])
    broken_off(run, "m1", base_manifest=base)
    source.write(CHANGED.offset, NEW)
    broken_off(run, "m2", base_manifest=base)
    source.write(CHANGED.offset, OLD[::-1])
    run("m1", base_manifest=base, verify=Verify.NONE)
    assert target.read() == source.read()


def test_a_machine_whose_other_disk_failed_begins_at_the_old_base_again(ends, run, base, tmp_path):
    source, target = ends
    source.write(CHANGED.offset, NEW)
    root = run("m1", base_manifest=base).root_digest
    assert not is_dirty(tmp_path / "m1", root)
    source.write(CHANGED.offset, OLD)
    assert run("m2", base_manifest=base).bytes_written == BLOCK
    assert target.read() == source.read()


def test_a_manifest_that_is_brought_up_to_date_in_its_place_is_clean(ends, run, base):
    source, _ = ends
    source.write(CHANGED.offset, NEW)
    run("m1", base_manifest=base, manifest=base)
    assert not base.with_suffix(".dirty").exists()
    assert run("m2", base_manifest=base, manifest=base).bytes_written == 0
    assert not base.with_suffix(".dirty").exists()


def test_a_note_that_was_damaged_is_read_as_everything(ends, run, base, broken_off):
    source, target = ends
    source.write(CHANGED.offset, NEW)
    broken_off(run, "m1", base_manifest=base, changes=(CHANGED,))
    source.write(CHANGED.offset, OLD)
    note = base.with_suffix(".dirty")
    note.write_bytes(note.read_bytes()[:-9])
    assert is_dirty(base, read_manifest(base)[1])
    run("m2", base_manifest=base, changes=())
    assert target.read() == source.read()


def test_a_copy_that_cannot_note_where_it_writes_writes_nothing(ends, run, base):
    source, target = ends
    before = target.read()
    source.write(CHANGED.offset, NEW)
    (base.parent / ".m0.dirty.new").mkdir()
    with pytest.raises(CheckpointError, match=r"can't be noted in .*m0\.dirty: Is a directory\. Nothing was written"):
        run("m1", base_manifest=base, changes=(CHANGED,))
    assert target.read() == before


def test_a_copy_of_everything_notes_nothing(run, base, tmp_path):
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(".dirty")]


def test_a_copy_that_has_more_to_do_for_it_goes_on_from_its_checkpoint(ends, run, base, broken_off):
    source, target = ends
    source.write(CHANGED.offset, NEW)
    broken_off(run, "m1", base_manifest=base, changes=(CHANGED,))
    options = {"base_manifest": base, "changes": (Extent(MIB, 512),)}
    broken_off(run, "m2", **options)
    result = run("m2", **options)
    assert (result.bytes_resumed, result.bytes_read) == (BLOCK + 512, 0)
    assert target.read() == source.read()
