"""A first copy that breaks off for good, and what the copy of a later moment needn't move any more."""

from contextlib import ExitStack

import pytest

from longshore.blocks.checkpoint import Checkpoint, CheckpointRecord, Identity, Outcome
from longshore.blocks.exports import serve_nbdkit
from longshore.blocks.manifest import digest_of, read_manifest
from longshore.blocks.unfinished import keep_unfinished
from longshore.errors import CopyError
from longshore.model.extents import Extent
from longshore.model.verify import Verify

from .conftest import KIB, MIB, copy

BLOCK = 64 * KIB
SIZE = 4 * MIB + 5 * 512  # its last block is a short one
HALF = 2 * MIB
CHANGED = Extent(3 * BLOCK + 512, 1024)


@pytest.fixture
def ends(image):
    return image(SIZE, [(0, MIB), (3 * MIB, SIZE - 3 * MIB)]), image(SIZE)


@pytest.fixture
def run(ends, exports, tmp_path):
    """A copy between them, of one moment."""

    def run(moment, *, fails_from=None, **options):
        source, target = ends
        reads = f"dd if={source.path} bs=1M iflag=skip_bytes,count_bytes,fullblock skip=$4 count=$3 status=none"
        fails = f"if [ $(($4 + $3)) -gt {fails_from} ]; then echo EIO broken >&2; exit 1; fi; "
        parameters = {"get_size": f"echo {SIZE}", "pread": (fails if fails_from is not None else "") + reads}
        files = {"checkpoint": tmp_path / f"{moment}.checkpoint", "manifest": tmp_path / moment}
        with ExitStack() as stack:
            served = stack.enter_context(serve_nbdkit("eval", parameters))
            return copy(
                served,
                exports(target),
                source_identity=f"s@{moment}",
                target_identity="t",
                retry_for=0,
                **files | options,
            )

    return run


@pytest.fixture
def broken_off(run, tmp_path):
    """What the first half of a copy has brought."""
    with pytest.raises(CopyError):
        run("m0", fails_from=HALF)
    assert keep_unfinished(tmp_path / "m0.checkpoint", tmp_path / "m0.unfinished")
    return tmp_path / "m0.unfinished"


def known(manifest):
    digests, _ = read_manifest(manifest)
    return SIZE - sum(extent.length for extent in digests.unknown())


@pytest.mark.parametrize("told", [True, False], ids=["told", "compared"])
@pytest.mark.parametrize("changes", [(), (CHANGED,)], ids=["nothing", "something"])
def test_what_has_arrived_is_moved_once(ends, run, broken_off, told, changes):
    source, target = ends
    for extent in changes:
        source.write(extent.offset, b"x" * extent.length)
    there = known(broken_off)
    assert MIB <= there < SIZE
    result = run("m1", base_manifest=broken_off, changes=changes if told else None, verify=Verify.FULL)
    assert target.read() == source.read()
    again = len(changes) * 2 * BLOCK
    assert result.bytes_written <= SIZE - there + again
    if told:
        assert result.bytes_read <= SIZE - there + again
    assert result.repaired == ()
    assert result.bytes_verified == SIZE
    assert read_manifest(broken_off.with_name("m1"))[0].complete


def test_a_second_one_that_breaks_off_adds_to_it(ends, run, broken_off, tmp_path):
    source, target = ends
    source.write(CHANGED.offset, b"x" * CHANGED.length)
    with pytest.raises(CopyError):
        run("m1", fails_from=3 * MIB + 4 * BLOCK, base_manifest=broken_off, changes=(CHANGED,))
    assert keep_unfinished(tmp_path / "m1.checkpoint", tmp_path / "m1.unfinished", broken_off)
    more = tmp_path / "m1.unfinished"
    assert known(more) > known(broken_off)
    source.write(CHANGED.offset, b"y" * CHANGED.length)
    result = run("m2", base_manifest=more, changes=(CHANGED,), verify=Verify.FULL)
    assert target.read() == source.read()
    assert result.repaired == ()
    assert result.bytes_read <= SIZE - known(more) + 2 * BLOCK


def test_what_a_second_one_may_have_written_isnt_known_any_more(ends, run, broken_off, tmp_path):
    """It was killed after it had written there, and before it had recorded that."""
    source, target = ends
    before = source.read(*CHANGED)
    source.write(CHANGED.offset, b"x" * CHANGED.length)
    with pytest.raises(CopyError):
        run("m1", fails_from=HALF, base_manifest=broken_off, changes=(CHANGED,), checkpoint_interval=1000.0)
    source.write(CHANGED.offset, before)
    keep_unfinished(tmp_path / "m1.checkpoint", tmp_path / "m1.unfinished", broken_off)
    base = next(path for path in (tmp_path / "m1.unfinished", broken_off) if path.exists())
    result = run("m2", base_manifest=base, changes=(CHANGED,), verify=Verify.FULL)
    assert target.read() == source.read()
    assert result.repaired == ()


def test_what_has_arrived_behind_a_gap_is_known_too(ends, run, tmp_path):
    source, target = ends
    identity = Identity("s@m0", "t", SIZE, BLOCK, "all", "")
    size = SIZE - SIZE // BLOCK * BLOCK
    records = [CheckpointRecord(Extent(0, BLOCK), Outcome.DATA, digest_of(source.read(0, BLOCK)))]
    records += [CheckpointRecord(Extent(SIZE - size, size), Outcome.DATA, digest_of(source.read(SIZE - size, size)))]
    for extent, *_ in records:
        target.write(extent.offset, source.read(*extent))
    checkpoint = Checkpoint.open(tmp_path / "m0.checkpoint", identity)
    checkpoint.append(records)
    checkpoint.close()
    assert keep_unfinished(tmp_path / "m0.checkpoint", tmp_path / "m0.unfinished")
    assert known(tmp_path / "m0.unfinished") == BLOCK + size
    run("m1", base_manifest=tmp_path / "m0.unfinished", changes=(), verify=Verify.FULL)
    assert target.read() == source.read()


def test_it_may_be_asked_for_again_and_nothing_is_kept_of_nothing(run, broken_off, tmp_path):
    root = read_manifest(broken_off)[1]
    assert not (tmp_path / "m0.checkpoint").exists()
    assert keep_unfinished(tmp_path / "m0.checkpoint", broken_off) == root
    with pytest.raises(CopyError):
        run("m1", fails_from=0)
    assert keep_unfinished(tmp_path / "m1.checkpoint", tmp_path / "m1.unfinished") is None
    (tmp_path / "m2.checkpoint").write_bytes(b"garbage")
    assert keep_unfinished(tmp_path / "m2.checkpoint", tmp_path / "m2.unfinished") is None
