"""Blocks that nobody says have changed are read, and have to be as they were."""

import os

import pytest

from longshore.blocks import spot_check
from longshore.blocks.exports import serve_nbdkit
from longshore.blocks.manifest import Digests, digest_of, write_manifest
from longshore.blocks.spot_check import find_untold
from longshore.errors import CopyError
from longshore.model.extents import Extent

MIB = 1 << 20
BLOCKS = 8
CONTENT = os.urandom(BLOCKS * MIB - 512)  # the last block is shorter


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def manifest(tmp_path):
    digests = Digests(len(CONTENT), MIB)
    for block in range(BLOCKS):
        extent = digests.extent(block)
        digests.set(block, digest_of(CONTENT[extent.offset : extent.end]))
    path = tmp_path / "manifest"
    write_manifest(path, digests, source="disk", root=digests.root())
    return path


def write(disk, offset):
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(b"changed")


def found(disk, manifest, told=(), seed="s"):
    with serve_nbdkit("file", {"file": str(disk)}) as export:
        return find_untold(export.uri, manifest, told, seed=seed)


def test_nothing_is_found_where_nothing_has_changed(disk, manifest):
    assert found(disk, manifest) is None


@pytest.mark.parametrize("offset", [0, 3 * MIB + 5, len(CONTENT) - 7])
def test_a_change_that_was_not_told_is_found(disk, manifest, offset):
    write(disk, offset)
    extent = found(disk, manifest)
    assert extent.offset <= offset < extent.end


def test_what_was_told_is_not_looked_at(disk, manifest):
    write(disk, 3 * MIB + 5)
    assert found(disk, manifest, [Extent(3 * MIB + 5, 1)]) is None


def test_the_same_seed_picks_the_same_blocks_and_others_pick_others(disk, manifest, monkeypatch):
    monkeypatch.setattr(spot_check, "SPOTS", 1)
    write(disk, 3 * MIB)
    by_seed = {seed: found(disk, manifest, seed=str(seed)) for seed in range(40)}
    assert by_seed == {seed: found(disk, manifest, seed=str(seed)) for seed in range(40)}
    assert set(by_seed.values()) == {None, Extent(3 * MIB, MIB)}


def test_a_disk_that_cannot_be_read_is_told(disk, manifest):
    with serve_nbdkit("file", {"file": str(disk)}, filters=("error",), environment={}) as export:
        assert find_untold(export.uri, manifest, (), seed="s") is None
    with pytest.raises(CopyError):
        find_untold(export.uri, manifest, (), seed="s")
