"""Reading the names in an initramfs, as the tools of several distributions make them."""

import subprocess

import pytest

from longshore.guests import initramfs
from longshore.guests.initramfs import NotAnInitramfs, file_names

MAIN = {"init", "lib/modules/6.1.0/kernel/drivers/scsi/vmw_pvscsi.ko"}
MICROCODE = {"kernel/x86/microcode/GenuineIntel.bin"}


@pytest.fixture
def archive(tmp_path):
    """An uncompressed cpio archive with these files in it, and their directories."""

    def make(paths, size=1500):
        tree = tmp_path / "-".join(sorted(paths)).replace("/", "_")[:100]
        for path in paths:
            file = tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"\x07" * size)
        listed = "\n".join(str(file.relative_to(tree)) for file in sorted(tree.rglob("*")))
        done = subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=listed.encode(), capture_output=True, check=True
        )
        return done.stdout

    return make


def names(tmp_path, content):
    path = tmp_path / "initramfs"
    path.write_bytes(content)
    return set(file_names(path))


def compressed(program, content):
    return subprocess.run([*program, "-c"], input=content, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "program",
    [["gzip"], ["xz", "--check=crc32"], ["xz", "--format=lzma"], ["zstd"], ["bzip2"], ["lz4", "-l"], ["lz4"], ["lzop"]],
    ids=" ".join,
)
def test_every_compression_that_distributions_use(tmp_path, archive, program):
    assert names(tmp_path, compressed(program, archive(MAIN))) >= MAIN


def test_the_archives_before_the_compressed_one_count_too(tmp_path, archive):
    early = archive(MICROCODE, size=3001)
    found = names(tmp_path, early + bytes(4096 - len(early) % 4096) + early + compressed(["zstd"], archive(MAIN)))
    assert found >= MAIN | MICROCODE


def test_one_that_is_not_compressed(tmp_path, archive):
    assert names(tmp_path, archive(MICROCODE) + archive(MAIN)) >= MAIN | MICROCODE


def test_what_cannot_be_read_is_never_taken_for_empty(tmp_path, archive):
    main = archive(MAIN)
    with pytest.raises(NotAnInitramfs, match="doesn't know"):
        names(tmp_path, b"something else altogether")
    with pytest.raises(NotAnInitramfs, match="cut short"):
        names(tmp_path, main[:1000])
    with pytest.raises(NotAnInitramfs, match=r"cut short|can't decompress"):
        names(tmp_path, compressed(["gzip"], main)[:60])
    with pytest.raises(NotAnInitramfs, match="damaged"):
        names(tmp_path, main[:54] + b"not a hex number" + main[70:])


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("LARGEST", 1 << 20, "larger than 0 GiB"),
        ("LONGEST", -1.0, "takes longer than"),
        ("_MOST_FILES", 1, "more than 1 files"),
    ],
)
def test_few_bytes_that_become_many_are_not_read_to_their_end(tmp_path, archive, monkeypatch, limit, value, said):
    monkeypatch.setattr(initramfs, limit, value)
    with pytest.raises(NotAnInitramfs, match=said):
        names(tmp_path, compressed(["zstd"], archive(MAIN, size=2 << 20)))


def test_padding_without_end_is_not_read_to_its_end(tmp_path, archive):
    with pytest.raises(NotAnInitramfs, match="damaged"):
        names(tmp_path, compressed(["zstd"], archive(MICROCODE) + bytes(3 << 20) + archive(MAIN)))
