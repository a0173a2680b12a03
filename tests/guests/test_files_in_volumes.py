"""Files on XFS and Btrfs in logical volumes over two disks: as the tools that made them have put them there."""

import os
import random
import secrets
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from test_files_of_guests import FileDisk, ext4, paths, run

from longshore.errors import LongshoreError
from longshore.guests.files import fetched, find_files, list_files
from longshore.guests.lzo import decompress

DATA = Path(__file__).parents[1] / "data" / "file_systems"
MIB = 1 << 20
EXTENT = 4 * MIB
STRIPE = 64 << 10
MANY = 3000  # names of a directory: on XFS that takes blocks, leaves and nodes
BIG = random.Random(7).randbytes(5 * MIB + 17)
SIZES = {"root": 304 * MIB, "home": 128 * MIB, "data": 16 * MIB}
FIRST = {"pv0": MIB, "pv1": MIB}  # where the first extent begins


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Of root (XFS), home (Btrfs) and data (ext4)."""
    home = tmp_path_factory.mktemp("images")
    (home / "big").write_bytes(BIG)
    (home / "sparse").write_bytes(b"begin" + bytes(3 * MIB) + b"end")
    (home / "fstab").write_text("/dev/mapper/vg0-home /home btrfs subvol=/\n/dev/vg0/data /srv/my-data ext4\n")
    many = "".join(f"name-{number:05}-{'n' * 30} l--777 0 0 ../etc/fstab\n" for number in range(MANY))
    (home / "proto").write_text(
        f"/none\n0 0\nd--755 0 0\netc d--755 0 0\nfstab ---644 0 0 {home / 'fstab'}\nmtab l--777 0 0 fstab\n$\n"
        f"home d--755 0 0\n$\nsrv d--755 0 0\nmy-data d--755 0 0\n$\n$\nvar d--700 5 7\nbig ---640 5 7 {home / 'big'}\n"
        f"sparse ---644 0 0 {home / 'sparse'}\nlong l--777 0 0 {'x' * 300}\n$\nmany d--755 0 0\n{many}$\n$\n"
    )
    sized(home / "root.img", SIZES["root"])
    run("mkfs.xfs", "-q", "-p", str(home / "proto"), str(home / "root.img"))
    top = home / "home"
    (top / "ann").mkdir(parents=True)
    (top / "ann/big").write_bytes(BIG)
    (top / "ann/small").write_bytes(b"within the tree")
    (top / "ann/link").symlink_to("small")
    with (top / "ann/holes").open("wb") as file:
        file.seek(4 * MIB)
        file.write(b"end")
    os.close(os.open(os.fsencode(top) + b"/ann/\xff\x1b[2J", os.O_CREAT))
    for number in range(MANY):
        (top / f"{number:05}").touch()
    sized(home / "home.img", SIZES["home"])
    run("mkfs.btrfs", "-q", "--rootdir", str(top), str(home / "home.img"))
    (home / "data").mkdir()
    (home / "data/photo.jpg").write_bytes(b"a picture")
    ext4("-d", home / "data", home / "data.img", "16M")
    return home


def sized(path, size):
    with path.open("wb") as file:
        file.truncate(size)


def described(volumes, seqno=3):
    """As LVM writes it. `volumes`: of each its segments, as (type, extents, [(physical volume, first extent)])."""
    ids = {name: f"{number}" * 32 for number, name in enumerate(FIRST, 1)}
    physical = "".join(
        f'{name} {{\nid = "{dashed(id_)}"\npe_start = {FIRST[name] // 512}\npe_count = 200\n}}\n'
        for name, id_ in ids.items()
    )
    logical = ""
    for name, segments in volumes.items():
        parts, at = "", 0
        for number, (kind, count, stripes) in enumerate(segments, 1):
            told = ", ".join(f'"{where}", {first}' for where, first in stripes)
            width = f"stripe_size = {STRIPE // 512}\n" if len(stripes) > 1 else ""
            parts += (
                f'segment{number} {{\nstart_extent = {at}\nextent_count = {count}\ntype = "{kind}"\n'
                f"stripe_count = {len(stripes)}\n{width}stripes = [{told}]\n}}\n"
            )
            at += count
        logical += (
            f'{name} {{\nid = "x"\nstatus = ["READ", "WRITE", "VISIBLE"]\nsegment_count = {len(segments)}\n{parts}}}\n'
        )
    text = (
        f'vg0 {{\nid = "{dashed("9" * 32)}"\nseqno = {seqno}\nformat = "lvm2" # informational\n'
        f"extent_size = {EXTENT // 512}\n"
        f"physical_volumes {{\n{physical}}}\nlogical_volumes {{\n{logical}}}\n}}\n"
    )
    return ids, text.encode() + b"\0"


def dashed(id_):
    cuts = (6, 4, 4, 4, 4, 4, 6)
    return "-".join(id_[sum(cuts[:n]) : sum(cuts[: n + 1])] for n in range(len(cuts)))


def physical_volume(path, id_, text, size, first):
    """Empty, with its label and its group's description."""
    sized(path, size)
    label = struct.pack("<8sQII8s", b"LABELONE", 1, 0, 32, b"LVM2 001") + id_.encode() + struct.pack("<Q", size)
    label += struct.pack("<6Q", first, 0, 0, 0, 4096, MIB - 4096) + bytes(16)
    header = struct.pack("<I16sIQQQQ", 0, b" LVM2 x[5A%r0N*>", 1, 4096, MIB - 4096, 512, len(text))
    with path.open("r+b") as file:
        for place, data in ((512, label), (4096, header), (4096 + 512, text)):
            file.seek(place)
            file.write(data)


def lay(image, stripes, width):
    """Its content along the stripes, but for zeroes."""
    with image.open("rb") as file:
        number = 0
        while piece := file.read(width):
            if piece.count(0) != len(piece):
                path, start = stripes[number % len(stripes)]
                with path.open("r+b") as disk:
                    disk.seek(start + number // len(stripes) * width)
                    disk.write(piece)
            number += 1


@pytest.fixture(scope="module")
def disks(images, tmp_path_factory):
    """Root is linear, home striped over both, data behind home on the second one; one volume is thin."""
    home = tmp_path_factory.mktemp("volumes")
    counts = {name: size // EXTENT for name, size in SIZES.items()}
    half = counts["home"] // 2
    after = counts["root"] + half
    volumes = {
        "root": [("striped", counts["root"], [("pv0", 0)])],
        "home": [("striped", counts["home"], [("pv0", counts["root"]), ("pv1", 0)])],
        "data": [("striped", counts["data"], [("pv1", half)])],
        "fast": [("thin", 10, [("pv0", after)])],
    }
    ids, text = described(volumes)
    disks = {name: home / f"{name}.img" for name in FIRST}
    for name, path in disks.items():
        physical_volume(path, ids[name], text, 600 * MIB, FIRST[name])
    lay(images / "root.img", [(disks["pv0"], MIB)], MIB)
    lay(images / "home.img", [(disks["pv0"], MIB + counts["root"] * EXTENT), (disks["pv1"], MIB)], STRIPE)
    lay(images / "data.img", [(disks["pv1"], MIB + half * EXTENT)], MIB)
    return [FileDisk(path) for path in disks.values()]


def content(disks, path):
    with fetched(disks, path) as file:
        return b"".join(file.pieces)


def test_volumes_are_where_the_guest_has_them(disks):
    looked = list_files(disks, "/").looked
    assert {(one.kind, one.path) for one in looked.systems} == {
        ("XFS", "/"),
        ("Btrfs", "/home/"),
        ("ext", "/srv/my-data/"),
    }
    assert [one.kind for one in looked.unread] == ["LVM thin volume"]
    assert paths(list_files(disks, "/")) == ["/etc", "/home", "/many", "/srv", "/var"]
    assert content(disks, "/srv/my-data/photo.jpg") == b"a picture"
    assert content(disks, "/etc/mtab").startswith(b"/dev/mapper/vg0-home")


def test_files_of_xfs_are_whole(disks):
    assert content(disks, "/var/big") == BIG
    assert content(disks, "/var/sparse") == b"begin" + bytes(3 * MIB) + b"end"
    (big,) = list_files(disks, "/var/big").entries
    assert (big.kind, big.size) == ("file", len(BIG))
    (long,) = [one for one in list_files(disks, "/var").entries if one.kind == "link"]
    assert long.target == "x" * 300


def test_every_name_of_a_large_directory_is_there(disks):
    for directory, names in (
        ("/many", {f"name-{number:05}-{'n' * 30}" for number in range(MANY)}),
        ("/home", {f"{number:05}" for number in range(MANY)} | {"ann"}),
    ):
        found = [path.rpartition("/")[2] for path in paths(list_files(disks, directory))]
        assert (set(found), len(found)) == (names, len(names))


def test_files_of_btrfs_are_whole(disks):
    assert content(disks, "/home/ann/big") == BIG
    assert content(disks, "/home/ann/small") == content(disks, "/home/ann/link") == b"within the tree"
    assert content(disks, "/home/ann/holes") == bytes(4 * MIB) + b"end"
    assert r"/home/ann/\xff\x1b[2J" in paths(list_files(disks, "/home/ann"))
    assert sorted(paths(find_files(disks, "BIG"))) == ["/home/ann/big", "/var/big"]


def test_a_volume_whose_disk_is_missing_is_told(disks):
    looked = list_files(disks[:1], "/").looked
    assert [one.path for one in looked.systems] == ["/"]
    assert sorted(one.kind for one in looked.unread) == [
        "LVM thin volume",
        "LVM, a disk of it is missing",
        "LVM, a disk of it is missing",
    ]


@pytest.mark.long
@pytest.mark.parametrize("name", ["root", "home"])
def test_whatever_is_flipped_it_ends_and_soon(images, tmp_path, name):
    """With what can be read, or a sentence; a file's own content is taken as it is."""
    whole = (images / f"{name}.img").read_bytes()
    used = [at for at in range(0, len(whole), 4096) if any(whole[at : at + 512])]
    chance = random.Random(11)
    path = tmp_path / "flipped.img"
    for _ in range(6):
        subprocess.run(["cp", "--sparse=always", images / f"{name}.img", path], check=True)
        with path.open("r+b") as file:
            for _ in range(40):
                file.seek(chance.choice(used[: len(used) // 2]) + chance.randrange(512))
                file.write(secrets.token_bytes(1))
        with suppress(LongshoreError):
            list_files([FileDisk(path)], "/")
            content([FileDisk(path)], "/")


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    """A Btrfs that Linux has written, with files compressed by each of its ways; tests can't mount one."""
    path = tmp_path_factory.mktemp("compressed") / "btrfs.img"
    with (DATA / "btrfs-compressed.img.zst").open("rb") as packed, path.open("wb") as file:
        for piece in zstandard.ZstdDecompressor().read_to_iter(packed):
            if piece.count(0) == len(piece):
                file.seek(len(piece), os.SEEK_CUR)
            else:
                file.write(piece)
        file.truncate()
    return [FileDisk(path)]


@pytest.mark.parametrize("kind", ["zlib", "lzo", "zstd"])
def test_what_btrfs_has_compressed_is_whole(compressed, kind):
    text = b"".join(b"%d green bottles on the %s wall, " % (number, kind.encode()) for number in range(9000))
    mixed = b"".join(text[n * 3000 : n * 3000 + 2500] + bytes(range(256)) * 6 + bytes(4000) for n in range(40))
    changed = text[:77777] + b"XX" + text[77779:]
    assert content(compressed, f"/{kind}/text") == changed
    assert content(compressed, f"/{kind}/mixed") == mixed
    assert content(compressed, f"/{kind}/tiny") == text[:1500]


def test_subvolumes_and_what_they_share_are_read(compressed):
    assert content(compressed, "/@home/file") == b"in a subvolume"
    assert content(compressed, "/@home/text") == content(compressed, "/zlib/text")


@given(data=st.binary(max_size=200))
def test_no_stream_of_lzo_makes_more_than_it_may(data):
    with suppress(OSError):
        assert len(decompress(data, 4096)) <= 4096
