"""Files come whole or not at all: what a file system says of content that is elsewhere is looked at.

Long links, holes and what is written into an inode are as Linux shows them; what is encrypted, in a cloud or compressed
by Windows is named and passed over (dissect.ntfs#41, IPED#545, sleuthkit#2615, burp#262, restic#79).
"""

import io
import os
import random
import shutil
import struct
import subprocess
import tarfile

import pytest
from test_files_of_guests import FileDisk, ext4, paths, run

from longshore.errors import InvalidInput
from longshore.guests.files import attended, fetched, list_files
from longshore.guests.reparse_points import ReparsePoint

MIB = 1 << 20
NOTES = "NOT-IN-THIS-ARCHIVE.txt"


def content(disks, path):
    with fetched(disks, path) as file:
        return b"".join(file.pieces)


def unpacked(packed, to):
    """By GNU tar."""
    to.mkdir()
    subprocess.run(["tar", "x", "-C", to], input=packed, check=True)
    return to


def debugfs(image, *commands):
    text = "\n".join(commands)
    done = subprocess.run(["debugfs", "-w", "-f", "-", image], input=text, text=True, check=True, capture_output=True)
    assert not done.stderr.partition("\n")[2], done.stderr


@pytest.fixture
def top(tmp_path):
    (tmp_path / "top").mkdir()
    return tmp_path / "top"


def image_of(top, *options, size="32M"):
    path = top.parent / "image"
    ext4(*options, "-d", top, path, size)
    return path


LENGTHS = (1, 58, 59, 60, 61, 155, 255, 1000, 1023, 4095)


@pytest.mark.parametrize(
    "options",
    [("-b", "4096"), ("-b", "4096", "-I", "256", "-O", "inline_data"), ("-O", "^extents,^64bit", "-b", "4096")],
)
def test_links_of_each_length_lead_where_they_led(top, tmp_path, options):
    for length in LENGTHS:
        (top / f"{length}").symlink_to("/" + "x" * (length - 1))
    disks = [FileDisk(image_of(top, *options))]
    wanted = {f"/{length}": "/" + "x" * (length - 1) for length in LENGTHS}
    assert {one.path: one.target for one in list_files(disks, "/").entries if one.kind == "link"} == wanted
    out = unpacked(content(disks, "/"), tmp_path / "out")
    assert {f"/{path.name}": os.readlink(path) for path in out.iterdir() if path.is_symlink()} == wanted


@pytest.mark.parametrize("options", [("-b", "4096"), ("-O", "^extents,^64bit", "-b", "1024")], ids=["ext4", "blocks"])
def test_a_file_with_nothing_but_a_hole_of_gigabytes_is_there_soon_and_as_small(top, tmp_path, options):
    """As lastlog is where users have large numbers."""
    length = 292 * 10_000_000 if "1024" in options else 292 * 145_000_000
    with (top / "lastlog").open("wb") as file:
        file.write(b"first")
        file.seek(length - 4)
        file.write(b"last")
    disks = [FileDisk(image_of(top, *options))]
    packed = content(disks, "/")
    assert len(packed) < MIB
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getmember("lastlog").size == length
    (found,) = unpacked(packed, tmp_path / "out").glob("lastlog")
    assert (found.stat().st_size, found.stat().st_blocks * 512 < MIB) == (length, True)
    with found.open("rb") as file:
        assert file.read(10) == b"first" + bytes(5)
        file.seek(-10, os.SEEK_END)
        assert file.read() == bytes(6) + b"last"


LAYOUTS = {
    "small blocks": ("-b", "1024"),
    "large blocks": ("-F", "-b", "65536"),
    "no extents": ("-b", "1024", "-O", "^extents,^64bit"),
    "clusters": ("-O", "bigalloc"),
    "large clusters": ("-b", "4096", "-O", "bigalloc", "-C", "65536"),
    "scattered descriptors": ("-b", "1024", "-g", "1024", "-O", "meta_bg,^resize_inode"),
    "scattered, each group with a superblock": (
        "-b",
        "1024",
        "-g",
        "1024",
        "-O",
        "meta_bg,^resize_inode,^sparse_super",
    ),
    "two superblocks": ("-b", "1024", "-g", "1024", "-O", "sparse_super2,^resize_inode"),
}


@pytest.mark.parametrize("end", [b"", b"end"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_holes_are_where_they_were_in_each_file(top, tmp_path, layout, end):
    chance, wanted = random.Random(3), {}
    for number in range(12):
        with (top / f"{number}").open("wb") as file:
            for _ in range(number):
                file.seek(chance.randrange(1, 300_000), os.SEEK_CUR)
                file.write(chance.randbytes(chance.choice((1, 4096, 70_000))))
            file.truncate(file.tell() + number * 100_000)
            file.seek(0, os.SEEK_END)
            file.write(end)
        wanted[f"{number}"] = (top / f"{number}").read_bytes()
    disks = [FileDisk(image_of(top, *LAYOUTS[layout], size="64M"))]
    out = unpacked(content(disks, "/"), tmp_path / "out")
    assert {name: (out / name).read_bytes() for name in wanted} == wanted
    assert content(disks, "/11") == wanted["11"]


def test_what_an_inode_has_itself_is_read(top):
    """Up to sixty bytes, and more as one of its values; a file whose extents were never written is zero."""
    wanted = {f"/{length}": random.Random(length).randbytes(length) for length in (1, 59, 60, 61, 100, 130, 200)}
    for name, data in wanted.items():
        (top / name[1:]).write_bytes(data)
    for number in range(3):
        (top / f"inside/{'n' * 20}{number}").mkdir(parents=True)
    image = image_of(top, "-I", "256", "-O", "inline_data")
    debugfs(image, "fallocate /200 2 30", "sif /200 size 20000")
    disks = [FileDisk(image)]
    wanted["/200"] = wanted["/200"].ljust(20000, b"\0")
    assert {name: content(disks, name) for name in wanted} == wanted
    assert len(paths(list_files(disks, "/inside"))) == 3


def test_hard_links_pipes_and_devices_are_in_an_archive_and_odd_names(top):
    (top / "one").write_bytes(b"once")
    os.link(top / "one", top / "two")
    os.mkfifo(top / "pipe")
    for name in (b"new\nline", b"\xff\xfe", b"a\\b"):
        os.close(os.open(os.fsencode(top) + b"/" + name, os.O_CREAT))
    image = image_of(top)
    debugfs(image, "mknod chr c 1 3", "mknod blk b 259 60000")
    with tarfile.open(fileobj=io.BytesIO(content([FileDisk(image)], "/"))) as archive:
        found = {member.name: member for member in archive}
        assert {archive.extractfile(name).read() for name in ("one", "two")} == {b"once"}
        assert [found[name].islnk() for name in ("one", "two")].count(True) == 1
    assert found["pipe"].isfifo()
    assert (found["chr"].type, found["chr"].devmajor, found["chr"].devminor) == (tarfile.CHRTYPE, 1, 3)
    assert (found["blk"].type, found["blk"].devmajor, found["blk"].devminor) == (tarfile.BLKTYPE, 259, 60000)
    assert {"new\nline", "\udcff\udcfe", "a\\b"} <= found.keys()
    assert NOTES not in found


def test_what_is_encrypted_is_named_and_the_others_come(top):
    """fscrypt: its key is in a kernel that ran then."""
    (top / "plain").write_bytes(b"plain")
    (top / "private").write_bytes(os.urandom(5000))
    (top / "secret").mkdir()
    (top / "secret/x").write_bytes(b"x")
    (top / "link").symlink_to("plain")
    image = image_of(top, "-O", "encrypt")
    debugfs(image, "sif /private flags 0x80800", "sif /secret flags 0x80800", "sif /link flags 0x800")
    disks = [FileDisk(image)]
    with pytest.raises(InvalidInput, match="/private isn't read: it is encrypted, and its key isn't on the disk"):
        content(disks, "/private")
    with pytest.raises(InvalidInput, match="/secret isn't read: its names are encrypted"):
        list_files(disks, "/secret")
    with tarfile.open(fileobj=io.BytesIO(content(disks, "/"))) as archive:
        assert archive.extractfile("plain").read() == b"plain"
        assert not {"private", "link", "secret/x"} & set(archive.getnames())
        assert archive.getnames()[-1] == NOTES
        said = archive.extractfile(NOTES).read().decode()
    assert [line.partition(" ")[0] for line in said.splitlines()] == ["/link", "/private", "/secret/"]
    listing = list_files(disks, "/")
    assert [(one.path, listing.looked.left_out_count) for one in listing.looked.left_out] == [("/link", 1)]


def test_one_that_is_damaged_is_named_and_the_others_come(top):
    for number in range(5):
        (top / f"{number}").write_bytes(b"%d" % number * 9000)
    image = image_of(top)
    debugfs(image, "sif /2 block[0] 0", "sif /3 mode 0")
    packed = content([FileDisk(image)], "/")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert {"0", "1", "4", NOTES} == set(archive.getnames()) - {"lost+found"}
        assert archive.extractfile(NOTES).read().decode().count("isn't in it") == 2


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """An NTFS with what Windows marks: by its own tags, as ntfs-3g stores them."""
    home = tmp_path_factory.mktemp("ntfs")
    if os.geteuid() or not shutil.which("ntfs-3g") or not os.path.exists("/dev/fuse"):
        pytest.skip("it takes root and FUSE to write such files")
    image, mount = home / "image", home / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(48 * MIB)
    run("mkntfs", "-q", "-F", str(image))
    run("ntfs-3g", "-o", "compression,special_files=wsl,streams_interface=windows", str(image), str(mount))
    try:
        wanted = filled_with_files(mount)
    finally:
        run("umount", str(mount))
    return [FileDisk(image)], wanted


def tagged(path, tag, data):
    os.setxattr(path, "system.ntfs_reparse_data", struct.pack("<IHH", tag, len(data), 0) + data)


def named(path, tag, target, *more):
    text = target.encode("utf-16-le")
    tagged(path, tag, struct.pack("<HHHH", 0, len(text), len(text), 0) + b"".join(more) + text)


def filled_with_files(mount):
    chance = random.Random(9)
    text = b"".join(b"%d green bottles on the wall, " % number for number in range(20_000))
    (mount / "compressed").mkdir()
    os.setxattr(mount / "compressed", "system.ntfs_attrib", struct.pack("<I", 0x800))
    wanted = {"small": text[:300], "text": text, "noise": chance.randbytes(200_001), "unit": text[:65536]}
    wanted["mixed"] = b"".join(
        text[n * 300 : n * 300 + 70_000] + chance.randbytes(40_000) + bytes(200_000) for n in range(4)
    )
    wanted["hole"] = text[:5000] + bytes(3 * MIB) + b"end"
    for name, data in wanted.items():
        (mount / "compressed" / name).write_bytes(data)
    with (mount / "compressed/hole").open("wb") as file:
        file.write(text[:5000])
        file.seek(5000 + 3 * MIB)
        file.write(b"end")
    with (mount / "sparse").open("wb") as file:
        file.write(b"begin")
        file.truncate(20 * MIB)
    (mount / "folder").mkdir()
    (mount / "folder/plain").write_bytes(b"plain")
    for name, tag in (("wof", 0x80000017), ("dedup", 0x80000013), ("cloud", 0x9000601A), ("other", 0x80007777)):
        (mount / name).touch()
        os.truncate(mount / name, 100_000)
        tagged(mount / name, tag, bytes(32))
    (mount / "here").write_bytes(text[:100_000])
    tagged(mount / "here", 0x9000601A, bytes(32))
    (mount / "junction").mkdir()
    named(mount / "junction", 0xA0000003, "\\??\\C:\\folder")
    (mount / "shortcut").touch()
    named(mount / "shortcut", 0xA000000C, "folder\\plain", struct.pack("<I", 1))
    (mount / "wsl").symlink_to("folder")
    os.mkfifo(mount / "pipe")
    return {f"1.0:/compressed/{name}": data for name, data in wanted.items()} | {"1.0:/here": text[:100_000]}


def test_what_ntfs_has_compressed_is_read(windows):
    disks, wanted = windows
    for path, data in wanted.items():
        assert content(disks, path) == data


def test_what_windows_has_elsewhere_is_named_and_the_others_come(windows, tmp_path):
    disks, wanted = windows
    said = {"wof": "CompactOS", "dedup": "deduplicated", "cloud": "OneDrive", "other": "0x80007777"}
    for name, why in said.items():
        with pytest.raises(InvalidInput, match=f"/{name} isn't read: .*{why}.*its content is elsewhere"):
            content(disks, f"1.0:/{name}")
    out = unpacked(content(disks, "1.0:/"), tmp_path / "out")
    named = {line.partition(" ")[0] for line in (out / NOTES).read_text().splitlines()}
    assert named == {f"1.0:/{name}" for name in said}
    assert not {path.name for path in out.iterdir()} & said.keys()
    assert {
        f"1.0:/{path}": (out / path).read_bytes() for path in map(str, relative(out)) if f"1.0:/{path}" in wanted
    } == (wanted)
    assert ((out / "sparse").stat().st_size, (out / "sparse").stat().st_blocks * 512 < MIB) == (20 * MIB, True)
    with attended(disks) as reader:
        nodes = {one.path: one.node for one in reader.children("1.0:/")}
        for offset in (0, 4096):
            with pytest.raises(OSError, match="not supported"):
                reader.read(nodes["1.0:/wof"], offset, 4096)


def relative(top):
    return [path.relative_to(top) for path in top.rglob("*")]


def test_links_of_windows_are_links(windows):
    disks, _ = windows
    kinds = {one.path: (one.kind, one.target) for one in list_files(disks, "1.0:/").entries}
    assert kinds["1.0:/junction"] == ("link", "C:/folder")
    assert kinds["1.0:/shortcut"] == ("link", "folder/plain")
    assert kinds["1.0:/wsl"] == ("link", "folder")
    assert kinds["1.0:/pipe"][0] == "other"
    assert content(disks, "1.0:/shortcut") == content(disks, "1.0:/wsl/plain") == b"plain"


@pytest.mark.parametrize("data", [b"", b"\x0c", struct.pack("<IHH", 0xA000000C, 0, 0), b"\x03\0\0\xa0" + b"\xff" * 40])
def test_a_reparse_point_that_makes_no_sense_is_no_link_to_anything(data):
    assert b"\0" not in ReparsePoint.read(data).target
