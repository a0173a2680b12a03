"""Manifests: what is written can be read, and nothing else can."""

import struct

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.blocks.manifest import Digests, digest_of, read_manifest, write_manifest
from longshore.errors import CheckpointError
from longshore.model.extents import Extent

BLOCK = 4096
REFUSED = r"cut short or altered|not a manifest"


def digests_of(content: bytes) -> Digests:
    digests = Digests(len(content), BLOCK)
    for number in range(digests.blocks):
        extent = digests.extent(number)
        part = content[extent.offset : extent.end]
        if any(part):
            digests.set(number, digest_of(part))
        else:
            digests.set_zero(extent)
    return digests


def contents():
    part = st.one_of(
        st.just(bytes(BLOCK)), st.binary(min_size=1, max_size=8).map(lambda start: start.ljust(BLOCK, b"x"))
    )
    return st.tuples(st.lists(part, max_size=12), st.binary(max_size=100)).map(lambda pair: b"".join(pair[0]) + pair[1])


@given(contents())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_manifest_is_read_as_it_was_written(tmp_path, content):
    digests = digests_of(content)
    path = tmp_path / "manifest"
    write_manifest(path, digests, source="a disk", root=digests.root())
    found, root = read_manifest(path)
    assert (found.size, found.block_size, root) == (len(content), BLOCK, digests.root())
    assert [found.get(number) for number in range(found.blocks)] == [
        digest_of(content[at : at + BLOCK]) for at in range(0, len(content), BLOCK)
    ]


@given(contents())
def test_the_root_is_what_the_format_document_says(content):
    blocks = b"".join(digest_of(content[at : at + BLOCK]) for at in range(0, len(content), BLOCK))
    expected = blake3(b"longshore manifest 1\0" + struct.pack("<QQ", len(content), BLOCK) + blocks).hexdigest()
    assert digests_of(content).root() == expected


def test_a_manifest_altered_or_cut_anywhere_is_refused(tmp_path):
    digests = digests_of(b"a" * BLOCK + bytes(3 * BLOCK) + b"tail")
    path = tmp_path / "manifest"
    write_manifest(path, digests, source="a disk", root=digests.root())
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match=REFUSED):
            read_manifest(path)
        path.write_bytes(whole[:place])
        with pytest.raises(CheckpointError, match=REFUSED):
            read_manifest(path)


def test_digests_that_are_not_all_known_have_no_root():
    digests = Digests(3 * BLOCK, BLOCK)
    digests.set_zero(Extent(0, BLOCK))
    assert not digests.complete
    with pytest.raises(ValueError, match="blocks 1 to 2"):
        digests.root()


def test_a_huge_empty_disk_takes_no_memory_to_speak_of():
    digests = Digests(16 << 40, 1 << 20)
    digests.set_zero(Extent(0, 16 << 40))
    assert digests.complete
    assert len(digests.root()) == 64
