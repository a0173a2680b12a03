"""What a copy does to its target, whole, in parts, and against a manifest."""

import json
import struct

import pytest
from blake3 import blake3

from longshore.blocks.connections import CopyLoop
from longshore.blocks.copy import Copy
from longshore.blocks.manifest import ROOT_CONTEXT, digest_of, read_manifest
from longshore.blocks.request import CopyRequest
from longshore.errors import CheckpointError, CopyError, InvalidInput
from longshore.model.extents import Extent
from longshore.model.verify import Verify

from .conftest import KIB, MIB, copy

PATCHES = [(0, 300 * KIB), (3 * MIB + 512, 5000), (5 * MIB, MIB), (8 * MIB - 700, 700)]
SIZE = 8 * MIB


def test_a_copy_is_equal_and_its_holes_stay_holes(image, exports):
    source, target = image(SIZE, PATCHES), image(SIZE)
    result = copy(exports(source, read_only=True), exports(target), verify=Verify.FULL)
    assert target.read() == source.read()
    assert target.allocated <= source.allocated + len(PATCHES) * 128 * KIB
    assert result.bytes_read < 2 * MIB
    assert result.bytes_verified == SIZE
    assert result.repaired == ()


@pytest.mark.parametrize("processors", [1, 99])
def test_digests_are_the_same_with_and_without_a_thread(image, exports, monkeypatch, processors):
    monkeypatch.setattr("longshore.blocks.digester.PROCESSORS", processors)
    monkeypatch.setattr("longshore.blocks.digester.WORTH_HANDING_OVER", 1)
    source, target = image(SIZE, PATCHES), image(SIZE)
    result = copy(exports(source), exports(target), verify=Verify.FULL)
    assert target.read() == source.read()
    content = source.read()
    blocks = b"".join(digest_of(content[at : at + 64 * KIB]) for at in range(0, SIZE, 64 * KIB))
    assert result.root_digest == blake3(ROOT_CONTEXT + struct.pack("<QQ", SIZE, 64 * KIB) + blocks).hexdigest()


def test_what_the_target_held_before_is_gone(image, exports):
    source, target = image(SIZE, PATCHES), image(SIZE, [(0, SIZE)], seed=2)
    result = copy(exports(source), exports(target), verify=Verify.FULL)
    assert target.read() == source.read()
    assert result.bytes_zeroed > SIZE / 2


@pytest.mark.parametrize("lacking", [("nozero",), ("noextents",), ("nozero", "noextents")])
def test_a_target_that_can_do_less_is_written_all_the_same(image, exports, lacking):
    source, target = image(SIZE, PATCHES), image(SIZE, [(0, SIZE)], seed=2)
    copy(exports(source), exports(target, filters=lacking), verify=Verify.FULL)
    assert target.read() == source.read()


def test_a_source_without_a_map_is_read_whole_and_its_zeroes_are_not_written(image, exports):
    source, target = image(SIZE, PATCHES), image(SIZE)
    result = copy(exports(source, filters=("noextents",)), exports(target), verify=Verify.FULL)
    assert target.read() == source.read()
    assert result.bytes_read == SIZE
    assert result.bytes_written < 2 * MIB
    assert target.allocated <= source.allocated + len(PATCHES) * 128 * KIB


def test_zeroes_within_data_are_found(image, exports):
    source, target = image(SIZE), image(SIZE)
    source.write(0, b"x" + bytes(MIB) + b"y")
    result = copy(exports(source), exports(target), block_size=256 * KIB)
    assert target.read() == source.read()
    assert result.bytes_written == 128 * KIB


def test_a_larger_target_is_left_alone_behind_the_end(image, exports):
    source, target = image(SIZE, PATCHES), image(SIZE + MIB, [(SIZE, MIB)], seed=3)
    behind = target.read(SIZE)
    copy(exports(source), exports(target), verify=Verify.FULL)
    assert target.read(0, SIZE) == source.read()
    assert target.read(SIZE) == behind


@pytest.mark.parametrize("size", [0, 512, 64 * KIB - 512, 64 * KIB + 512, 3 * MIB + 512])
def test_sizes_that_are_not_whole_blocks(image, exports, size, tmp_path):
    source, target = image(size, [(0, size)]), image(size)
    result = copy(exports(source), exports(target), verify=Verify.FULL, manifest=tmp_path / "manifest")
    assert target.read() == source.read()
    assert read_manifest(tmp_path / "manifest")[1] == result.root_digest


def test_reads_are_no_larger_than_asked_for(image, exports, tmp_path):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    log = tmp_path / "log"
    serving = exports(source, filters=("log",), logfile=log)
    copy(serving, exports(target), block_size=MIB, maximum_read=128 * KIB)
    assert target.read() == source.read()
    lengths = {
        int(line.split("count=0x")[1].split()[0], 16) for line in log.read_text().splitlines() if " Read " in line
    }
    assert lengths == {128 * KIB}


@pytest.mark.parametrize("largest", ["32K", "96K", "300K"])
def test_no_request_is_larger_than_the_target_takes(image, exports, largest):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    limits = {"blocksize-maximum": largest, "blocksize-error-policy": "error"}
    copy(exports(source), exports(target, filters=("blocksize-policy",), **limits), block_size=MIB, verify=Verify.FULL)
    assert target.read() == source.read()


def test_holes_are_never_read(image, exports, tmp_path):
    source, target = image(SIZE, PATCHES), image(SIZE)
    log = tmp_path / "log"
    result = copy(exports(source, filters=("log",), logfile=log), exports(target), verify=Verify.NONE)
    read = sum(
        int(line.split("count=0x")[1].split()[0], 16) for line in log.read_text().splitlines() if " Read " in line
    )
    assert read == result.bytes_read
    assert read <= source.allocated


class TestDelta:
    """A list of changed extents."""

    CHANGES = (Extent(100, 50), Extent(MIB + 17, 200 * KIB), Extent(SIZE - 300, 300), Extent(2 * MIB, 1))

    def changed(self, image, exports, tmp_path):
        source, target = image(SIZE, PATCHES), image(SIZE)
        manifest = tmp_path / "base"
        serving = exports(source), exports(target)
        copy(*serving, manifest=manifest)
        for number, extent in enumerate(self.CHANGES):
            source.write(extent.offset, bytes([number + 1]) * extent.length)
        return source, target, serving, manifest

    def test_only_what_changed_is_read_and_written(self, image, exports, tmp_path):
        source, target, serving, _ = self.changed(image, exports, tmp_path)
        changed = sum(extent.length for extent in self.CHANGES)
        result = copy(*serving, changes=self.CHANGES)
        assert target.read() == source.read()
        assert (result.bytes_read, result.bytes_written, result.bytes_verified) == (changed, changed, changed)

    def test_the_base_manifest_is_brought_up_to_date(self, image, exports, tmp_path):
        source, target, serving, base = self.changed(image, exports, tmp_path)
        result = copy(
            *serving,
            changes=self.CHANGES,
            base_manifest=base,
            manifest=tmp_path / "new",
            verify=Verify.FULL,
        )
        assert target.read() == source.read()
        assert result.bytes_read == sum(extent.length for extent in self.CHANGES)
        fresh = copy(serving[0], exports(image(SIZE)))
        assert result.root_digest == fresh.root_digest

    def test_a_target_that_is_not_what_the_base_says_is_mended_where_it_is_touched(self, image, exports, tmp_path):
        source, target, serving, base = self.changed(image, exports, tmp_path)
        target.write(120 * KIB, b"rot")  # a block that the changes touch
        target.write(10 * KIB, b"rot")
        copy(*serving, changes=(*self.CHANGES, Extent(64 * KIB, 512)), base_manifest=base, manifest=tmp_path / "new")
        assert target.read() == source.read()

    def test_large_extents_are_mapped_so_that_their_holes_are_not_read(self, image, exports):
        size = 64 * MIB
        source, target = image(size, [(MIB, MIB), (40 * MIB, MIB)]), image(size, [(0, size)], seed=5)
        changes = (Extent(1000, 30 * MIB), Extent(33 * MIB, 31 * MIB - 1000))
        before = target.read()
        result = copy(exports(source), exports(target), changes=changes, block_size=MIB)
        expected = bytearray(before)
        for extent in changes:
            expected[extent.offset : extent.end] = source.read(extent.offset, extent.length)
        assert target.read() == bytes(expected)
        assert result.bytes_read < 5 * MIB

    def test_a_delta_without_changes_does_nothing(self, image, exports):
        source, target = image(SIZE, PATCHES), image(SIZE)
        result = copy(exports(source), exports(target), changes=())
        assert (result.bytes_read, result.bytes_written) == (0, 0)
        assert target.read() == bytes(SIZE)

    def test_changes_past_the_end_are_refused(self, image, exports):
        with pytest.raises(InvalidInput, match="past the end"):
            copy(exports(image(SIZE)), exports(image(SIZE)), changes=(Extent(SIZE - 1, 2),))

    @pytest.mark.parametrize("asked", [{"manifest": "new"}, {"verify": Verify.FULL}])
    def test_what_needs_a_base_manifest_says_so(self, image, exports, asked, tmp_path):
        options = {key: tmp_path / value if key == "manifest" else value for key, value in asked.items()}
        with pytest.raises(InvalidInput, match="list of changes alone"):
            copy(exports(image(SIZE)), exports(image(SIZE)), changes=(Extent(0, 512),), **options)


class TestCompare:
    """Nobody knows what changed, but there is a manifest."""

    def test_only_blocks_that_differ_are_written(self, image, exports, tmp_path):
        source, target = image(SIZE, PATCHES), image(SIZE)
        serving = exports(source), exports(target)
        copy(*serving, manifest=tmp_path / "base")
        source.write(70 * KIB, b"new")
        source.write(6 * MIB, b"new")
        source.write(5 * MIB, bytes(64 * KIB))
        result = copy(*serving, base_manifest=tmp_path / "base", manifest=tmp_path / "new", verify=Verify.FULL)
        assert target.read() == source.read()
        # What was a block of data is one of zeroes; on both others there is something new
        assert result.bytes_written <= 128 * KIB
        assert result.bytes_zeroed <= 128 * KIB
        assert result.root_digest == copy(serving[0], exports(image(SIZE))).root_digest

    def test_a_manifest_of_another_disk_is_refused(self, image, exports, tmp_path):
        source, target = exports(image(SIZE, PATCHES)), exports(image(SIZE))
        copy(source, target, manifest=tmp_path / "base")
        with pytest.raises(InvalidInput, match="describes a disk of"):
            copy(exports(image(2 * SIZE)), exports(image(2 * SIZE)), base_manifest=tmp_path / "base")
        with pytest.raises(InvalidInput, match="blocks of 65536 bytes"):
            copy(source, target, base_manifest=tmp_path / "base", block_size=MIB)

    def test_a_damaged_manifest_is_refused_and_nothing_written(self, image, exports, tmp_path):
        source, target = image(SIZE, PATCHES), image(SIZE)
        copy(exports(source), exports(image(SIZE)), manifest=tmp_path / "base")
        (tmp_path / "base").write_bytes((tmp_path / "base").read_bytes()[:-1])
        with pytest.raises(CheckpointError, match="cut short or altered"):
            copy(exports(source), exports(target), base_manifest=tmp_path / "base")
        assert target.read() == bytes(SIZE)


class TestRefusals:
    """Nothing is written when it can't be right."""

    def test_a_target_that_is_too_small(self, image, exports):
        target = image(SIZE - 512)
        with pytest.raises(InvalidInput, match="too small") as caught:
            copy(exports(image(SIZE, PATCHES)), exports(target))
        assert caught.value.code == "target-too-small"
        assert target.allocated == 0

    def test_a_target_that_is_read_only(self, image, exports):
        with pytest.raises(CopyError, match="read-only"):
            copy(exports(image(SIZE, PATCHES)), exports(image(SIZE), read_only=True))

    def test_the_same_disk_twice(self, image, exports, tmp_path):
        served = exports(image(SIZE, PATCHES))
        with pytest.raises(InvalidInput, match="the same disk"):
            copy(served, served)
        other_name = tmp_path / "other"
        other_name.symlink_to(served.uri.split("socket=")[1])
        with pytest.raises(InvalidInput, match="the same disk"):
            copy(served, f"nbd+unix:///?socket={other_name}")

    def test_something_else_than_nbd(self, image, exports):
        with pytest.raises(InvalidInput, match="not an NBD URI"):
            copy("/dev/sda", exports(image(SIZE)))

    def test_nobody_there(self, image, exports, tmp_path):
        with pytest.raises(CopyError, match="No such file") as caught:
            copy(f"nbd+unix:///?socket={tmp_path}/nothing", exports(image(SIZE)))
        assert caught.value.code == "unreachable"


def test_progress_ends_with_everything_done(image, exports):
    from longshore.blocks.copy import Copy

    source, target = image(SIZE, PATCHES), image(SIZE)
    seen = []
    request = CopyRequest(source_uri=exports(source).uri, target_uri=exports(target).uri, verify=Verify.FULL)
    Copy(request, seen.append).run()
    copied = [progress for progress in seen if progress.phase == "copy"]
    assert copied[-1].done == copied[-1].total == SIZE
    assert [progress.done for progress in copied] == sorted(progress.done for progress in copied)
    assert seen[-1].phase == "verify"
    assert seen[-1].verified == seen[-1].to_verify == SIZE
    assert json.dumps(seen[-1].phase) == '"verify"'


def test_where_nothing_is_left_to_do_nothing_is_waited_for(image, exports, tmp_path, monkeypatch):
    source, target = exports(image(SIZE, PATCHES)), exports(image(SIZE))
    named = {"checkpoint": tmp_path / "checkpoint", "source_identity": "s@1", "target_identity": "t"}
    copy(source, target, verify=Verify.NONE, **named)
    connected, turns = [], []
    connect, turn = Copy._connect, CopyLoop.turn
    monkeypatch.setattr(Copy, "_connect", lambda self, *a: connected.append(connect(self, *a)) or connected[-1])
    monkeypatch.setattr(CopyLoop, "turn", lambda self, wait: (connected and turns.append(wait), turn(self, wait)))
    result = copy(source, target, verify=Verify.NONE, **named)
    assert result.bytes_resumed == SIZE
    assert connected
    assert turns == []
