"""Kinds of images and packages that QEMU, or whoever reads carelessly, makes something else of: nothing is lost
without a word."""

import gzip
import hashlib
import io
import os
import struct
import subprocess
import tarfile
import zipfile

import pytest
from files_made import MIB, SIZE, disk_bytes, make_image, make_ova, manifest, ovf, pack, packed
from test_files_source import disks_of, source_of
from virtual_disks import BIOS_BOOT, ESP, dynamic_vhd, gpt_disk, uefi_disk, vhd_footer

from longshore.errors import InvalidInput
from longshore.model.machine import Doubt, Firmware
from longshore.model.request import MigrationRequest
from longshore.planning.kinds import accept_blockers
from longshore.planning.machine_checks import machine_concerns
from longshore.providers.files.vmdk import is_like_descriptor


def doubts_of(source, ref):
    return {doubt.kind for doubt in source.machine(ref).file_doubts}


def check(source, ref, *accept):
    return source.check_machine(ref, lambda _done, _total: None, accept)


# Sizes


@pytest.mark.parametrize("creator", [b"wa", b"vbox", b"vpc ", b"qemu", b"abcd"])
def test_a_dynamic_vhd_has_the_size_that_its_footer_says(tmp_path, creator):
    data = disk_bytes(3, 5 * MIB + 512 * 7)
    (tmp_path / "a.vhd").write_bytes(dynamic_vhd(data, creator))
    source = source_of(tmp_path)
    assert source.machine("a").disks[0].size == len(data)
    check(source, "a.vhd")
    assert disks_of(source, "a") == [data]


def test_a_fixed_vhd_larger_than_qemu_takes_is_read(tmp_path):
    """Azure's disks may have 4 TiB and more, a VHD has 2040 GiB by its specification."""
    size = 3 << 40
    with (tmp_path / "a.vhd").open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(vhd_footer(size, b"wa"))
    assert source_of(tmp_path).machine("a").disks[0].size == size


def test_a_fixed_vhd_that_is_shorter_than_its_footer_says_is_refused_until_it_is_accepted(tmp_path):
    data = disk_bytes(3, 4 * MIB)
    (tmp_path / "a.vhd").write_bytes(data + vhd_footer(5 * MIB, b"win "))
    source = source_of(tmp_path)
    machine = source.machine("a")
    (concern,) = machine_concerns(machine, MigrationRequest())
    assert concern.code == "file-bytes-missing"
    assert "holds 4194304 bytes of a disk of 5242880" in concern.text
    with pytest.raises(InvalidInput, match="--accept file-bytes-missing"):
        check(source, "a.vhd")
    (accepted,) = accept_blockers([concern], ["file-bytes-missing"])
    assert accepted.severity.value == "warning"
    check(source, "a.vhd", "file-bytes-missing")
    assert disks_of(source, "a") == [data]


def test_the_maker_of_virtual_pc_says_more_than_the_disk_has(tmp_path):
    data = disk_bytes(3, 8 * MIB - 32768)
    (tmp_path / "a.vhd").write_bytes(data + vhd_footer(8 * MIB, b"vpc "))
    source = source_of(tmp_path)
    assert doubts_of(source, "a") == set()
    assert disks_of(source, "a") == [data]


def test_an_old_footer_lacks_its_last_byte(tmp_path):
    data = disk_bytes(3, 4 * MIB)
    (tmp_path / "a.vhd").write_bytes(data + vhd_footer(len(data), b"vpc ")[:-1])
    assert disks_of(source_of(tmp_path), "a") == [data]


def test_blocks_of_a_vhd_that_are_not_there_are_told(tmp_path):
    whole = dynamic_vhd(disk_bytes(3, 5 * MIB), b"win ")
    footer = whole[-512:]
    (tmp_path / "a.vhd").write_bytes(whole[: -MIB - 512] + footer)
    (machine,) = source_of(tmp_path).machines()
    assert "has been truncated" in machine.unreadable_because


@pytest.mark.parametrize("suffix", ["raw", "qcow2", "vmdk"])
def test_a_disk_that_ends_before_its_partition_table_does_is_told(tmp_path, suffix):
    """What a raw image can't say, what is on it can."""
    make_image(tmp_path / f"a.{suffix}", suffix, data=gpt_disk(4 * MIB, ESP, end=5 * MIB))
    source = source_of(tmp_path)
    assert doubts_of(source, "a") == {Doubt.MISSING}
    with pytest.raises(InvalidInput, match="what is on it was made for 5242880"):
        check(source, f"a.{suffix}")


_MADE_BY = {
    "ext4": ("mke2fs", "-q", "-F", "-t", "ext4"),
    "ext2 of large blocks": ("mke2fs", "-q", "-F", "-t", "ext2", "-b", "4096"),
    "NTFS": ("mkntfs", "-q", "-F", "-f"),
    "swap": ("mkswap",),
    "Btrfs": ("mkfs.btrfs", "-q"),
    "XFS": ("mkfs.xfs", "-q"),
}


@pytest.mark.parametrize("what", _MADE_BY)
def test_a_disk_that_ends_before_the_file_system_on_all_of_it_is_told(tmp_path, what):
    """Data disks are often made so, without a partition table. Nothing else shows that the end of a copy is missing."""
    size = (320 if what in ("XFS", "Btrfs") else 8) * MIB
    whole, cut = tmp_path / "whole.raw", tmp_path / "cut.raw"
    whole.touch()
    os.truncate(whole, size)
    subprocess.run([*_MADE_BY[what], whole], check=True, capture_output=True)
    subprocess.run(["cp", "--sparse=always", whole, cut], check=True)
    os.truncate(cut, size - 2 * MIB)
    source = source_of(tmp_path)
    assert doubts_of(source, "whole") == set()
    with pytest.raises(InvalidInput, match=f"has {size - 2 * MIB} bytes, and what is on it was made for"):
        check(source, "cut.raw")


def test_a_disk_that_ends_before_its_physical_volume_does_is_told(tmp_path):
    label = b"LABELONE" + struct.pack("<QIIQ", 1, 0, 32, 0).ljust(24, b"\0") + b"u" * 32 + struct.pack("<Q", 6 * MIB)
    (tmp_path / "a.raw").write_bytes((bytes(512) + label).ljust(4 * MIB, b"\0"))
    assert doubts_of(source_of(tmp_path), "a") == {Doubt.MISSING}


@pytest.mark.parametrize(("count", "length"), [(256, 128), (128, 256)])
def test_partition_tables_of_other_shapes_tell_the_firmware(tmp_path, count, length):
    """`sfdisk` makes tables of any length, and UEFI allows larger entries."""
    disk = bytearray(uefi_disk(4 * MIB))
    struct.pack_into("<II", disk, 512 + 80, count, length)
    (tmp_path / "a.raw").write_bytes(disk)
    assert source_of(tmp_path).machine("a").firmware is Firmware.UEFI


def test_the_second_copy_of_a_partition_table_counts_where_the_first_is_damaged(tmp_path):
    disk = bytearray(uefi_disk(4 * MIB))
    header, entries = disk[512:1024], disk[1024 : 1024 + 16384]
    struct.pack_into("<Q", header, 72, 4 * MIB // 512 - 33)
    disk[512:1024] = bytes(512)
    disk[-33 * 512 :] = entries + header
    (tmp_path / "a.raw").write_bytes(disk)
    assert source_of(tmp_path).machine("a").firmware is Firmware.UEFI


def test_an_image_of_qcows_first_version_is_told_to_be_one(tmp_path):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow", tmp_path / "a.img", "4M"], check=True)
    (machine,) = source_of(tmp_path).machines()
    assert machine.unreadable_because == "a.img is of qcow's first version, which isn't read here."


def test_an_image_that_is_a_link_to_nothing_is_told(tmp_path):
    """This is what a share that isn't mounted leaves. It isn't left out of the list."""
    (tmp_path / "a.img").symlink_to("/nowhere/a.img")
    (machine,) = source_of(tmp_path).machines()
    assert machine.unreadable_because == "There is no a.img."


def test_partitions_that_count_in_large_sectors_are_told(tmp_path):
    (tmp_path / "a.raw").write_bytes(gpt_disk(4 * MIB, ESP, sector=4096))
    source = source_of(tmp_path)
    assert doubts_of(source, "a") == {Doubt.SECTORS}
    assert source.machine("a").firmware is Firmware.UEFI


def test_a_vmdk_whose_descriptor_says_more_than_its_header_is_told(tmp_path):
    make_image(tmp_path / "a.vmdk", "vmdk")
    data = (tmp_path / "a.vmdk").read_bytes()
    (tmp_path / "a.vmdk").write_bytes(data.replace(b"RW 6144 ", b"RW 8192 ", 1))
    assert doubts_of(source_of(tmp_path), "a") == {Doubt.MISSING}


def test_a_piece_of_another_size_than_is_said_would_shift_the_rest(tmp_path):
    make_image(tmp_path / "a.vmdk", "vmdk", "subformat=twoGbMaxExtentSparse")
    text = (tmp_path / "a.vmdk").read_text()
    line = next(line for line in text.splitlines() if line.startswith("RW "))
    (tmp_path / "a.vmdk").write_text(text.replace(line, f"{line.replace('6144', '4096')}\n{line}"))
    (machine,) = source_of(tmp_path).machines()
    assert "holds 6144 sectors, and a.vmdk says 4096" in machine.unreadable_because


def test_extents_of_zeroes_and_read_only_ones_are_read(tmp_path):
    data = make_image(tmp_path / "a.vmdk", "vmdk", "subformat=monolithicFlat")
    text = (tmp_path / "a.vmdk").read_text().rstrip("\0 ")
    line = 'RW 6144 FLAT "a-flat.vmdk" 0'
    (tmp_path / "a.vmdk").write_text(text.replace(line, f"RDONLY{line[2:]}\nRW 2048 ZERO"))
    assert disks_of(source_of(tmp_path), "a") == [data + bytes(MIB)]


def test_a_disk_of_virtualbox_is_read(tmp_path):
    for subformat in ("off", "on"):
        data = make_image(tmp_path / f"{subformat}.vdi", "vdi", f"static={subformat}")
        source = source_of(tmp_path)
        check(source, f"{subformat}.vdi")
        assert disks_of(source, subformat) == [data]


# Packages


def sparse_tar(path, files):
    """As GNU tar packs files with holes, by its --sparse."""
    directory = path.parent / "to-pack"
    directory.mkdir()
    for name, data in files.items():
        with (directory / name).open("wb") as file:
            for at in range(0, len(data), 4096):
                piece = data[at : at + 4096]
                if any(piece):
                    file.seek(at)
                    file.write(piece)
            file.truncate(len(data))
    return directory


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "v7"])
def test_an_archive_of_any_age_and_kind_is_read(tmp_path, form):
    data = disk_bytes(9)
    text = ovf(("disk1.raw", len(data), len(data), 0))
    directory = sparse_tar(tmp_path / "a.ova", {"a.ovf": text, "disk1.raw": data})
    options = ["--sparse"] if form in ("gnu", "pax") else []
    command = ["tar", f"--format={form}", *options, "-cf", tmp_path / "a.ova", "-C", directory, "a.ovf", "disk1.raw"]
    assert os.spawnvp(os.P_WAIT, "tar", list(map(str, command))) == 0
    for file in directory.iterdir():
        file.unlink()
    source = source_of(tmp_path)
    check(source, "a.ova", "file-claim-differs")
    assert disks_of(source, "a.ova") == [data]


@pytest.mark.parametrize("said", [True, False])
def test_a_disk_that_is_cut_into_chunks_is_put_together(tmp_path, said):
    """DSP0243, 7.1: the pieces of a file are called after it, with nine digits."""
    image = tmp_path / "disk.vmdk"
    data = make_image(image, "vmdk", "subformat=streamOptimized")
    whole = image.read_bytes()
    image.unlink()
    cut = 100_000
    chunks = {f"disk.vmdk.{n:09}": whole[n * cut : (n + 1) * cut] for n in range(-(-len(whole) // cut))}
    text = ovf(("disk.vmdk", len(whole), SIZE, 0))
    if said:
        text = text.replace(b"ovf:size=", b'ovf:chunkSize="100000" ovf:size=')
    files = {"a.ovf": text, **chunks}
    pack(tmp_path / "a.ova", {**files, "a.mf": manifest(files)})
    source = source_of(tmp_path)
    assert check(source, "a.ova") == ()
    assert doubts_of(source, "a.ova") == set()
    assert disks_of(source, "a.ova") == [data]


@pytest.mark.parametrize("claim", ["packed", "unpacked"])
def test_a_disk_that_is_packed_may_be_said_to_have_either_size(tmp_path, claim):
    image = tmp_path / "disk.vmdk"
    data = make_image(image, "vmdk")
    whole = image.read_bytes()
    image.unlink()
    zipped = gzip.compress(whole, 1)
    size = len(zipped if claim == "packed" else whole)
    text = ovf(("disk.vmdk", size, SIZE, 0)).replace(b"ovf:size=", b'ovf:compression="gzip" ovf:size=')
    pack(tmp_path / "a.ova", {"a.ovf": text, "disk.vmdk": zipped})
    source = source_of(tmp_path)
    check(source, "a.ova")
    assert doubts_of(source, "a.ova") == (set() if claim == "packed" else {Doubt.CLAIM})
    assert disks_of(source, "a.ova") == [data]


def test_a_raw_disk_that_is_shorter_than_the_ovf_says_is_cut_off(tmp_path):
    data = disk_bytes(9)
    (tmp_path / "a.ovf").write_bytes(ovf(("disk.raw", SIZE, SIZE, 0)))
    (tmp_path / "disk.raw").write_bytes(data[:-MIB])
    source = source_of(tmp_path)
    assert doubts_of(source, "a.ovf") == {Doubt.MISSING}
    with pytest.raises(InvalidInput) as refusal:
        check(source, "a.ovf")
    assert refusal.value.code == "file-bytes-missing"


def test_what_lies_in_an_archive_unnamed_is_told(tmp_path):
    def more(files):
        files["web01-disk3.vmdk"] = files["web01-disk1.vmdk"]
        files["readme.txt"] = b"text"

    make_ova(tmp_path / "a.ova", algorithm="", change=more)
    machine = source_of(tmp_path).machine("a.ova")
    assert {doubt.subject: doubt.kind for doubt in machine.file_doubts} == {
        "web01-disk3.vmdk": Doubt.UNUSED,
        "readme.txt": Doubt.LEFT,
    }


def test_a_disk_that_nobody_says_what_it_is_is_a_blocker(tmp_path):
    def unknown(files):
        files["web01.ovf"] = files["web01.ovf"].replace(b"ovf:/disk/d1", b"ovf:/disk/other")

    make_ova(tmp_path / "a.ova", algorithm="", change=unknown)
    source = source_of(tmp_path)
    assert doubts_of(source, "a.ova") == {Doubt.MISSING, Doubt.UNUSED}
    with pytest.raises(InvalidInput, match="doesn't say which disk Hard disk 2 is"):
        check(source, "a.ova")


def test_files_in_a_directory_below_an_ovf_are_its_own(tmp_path):
    (tmp_path / "disks").mkdir()
    data = make_image(tmp_path / "disks" / "a.qcow2", "qcow2")
    text = ovf(("disks/a.qcow2", (tmp_path / "disks" / "a.qcow2").stat().st_size, SIZE, 0)).replace(b"vmdk", b"q")
    (tmp_path / "a.ovf").write_bytes(text)
    source = source_of(tmp_path)
    assert [machine.ref for machine in source.machines()] == ["a.ovf"]
    assert disks_of(source, "a.ovf") == [data]


def test_links_in_an_archive_are_left_out_and_told(tmp_path):
    make_ova(tmp_path / "a.ova", algorithm="")
    with tarfile.open(tmp_path / "a.ova", "a") as archive:
        link = tarfile.TarInfo("passwd.vmdk")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link, io.BytesIO())
    assert doubts_of(source_of(tmp_path), "a.ova") == {Doubt.UNUSED}


@pytest.mark.parametrize("how", ["zip", "zip -0", "gz", "xz"])
def test_an_archive_of_another_kind_is_read_too(tmp_path, how):
    """libguestfs/virt-v2v, tests/test-i-ova-formats.sh: zip, tar.gz and tar.xz are called OVAs as well."""
    contents = make_ova(tmp_path / "a.ova")
    whole = (tmp_path / "a.ova").read_bytes()
    if how in ("gz", "xz"):
        (tmp_path / "a.ova").write_bytes(packed(whole, how))
    else:
        kind = zipfile.ZIP_STORED if how.endswith("0") else zipfile.ZIP_DEFLATED
        with tarfile.open(fileobj=io.BytesIO(whole)) as old, zipfile.ZipFile(tmp_path / "a.ova", "w", kind) as new:
            for member in old:
                new.writestr(member.name, old.extractfile(member).read())
    source = source_of(tmp_path)
    check(source, "a.ova")
    assert doubts_of(source, "a.ova") == set()
    assert disks_of(source, "a.ova") == contents


@pytest.mark.parametrize(
    ("name", "mode"), [("web.tar.gz", "w:gz"), ("web.tgz", "w:gz"), ("web.tar.xz", "w:xz"), ("web.tar", "w:")]
)
def test_a_disk_in_an_archive_as_clouds_export_it_is_read(tmp_path, name, mode):
    """Google's has one file, disk.raw."""
    (tmp_path / "out").mkdir()
    data = make_image(tmp_path / "disk.raw", "raw")
    with tarfile.open(tmp_path / "out" / name, mode, format=tarfile.GNU_FORMAT) as archive:
        archive.add(tmp_path / "disk.raw", "disk.raw")
    for url in (tmp_path / "out", tmp_path / "out" / name):
        source = source_of(url)
        assert source.check()["machines"] == "1"
        assert [machine.ref for machine in source.machines()] == [name]
        assert disks_of(source, "web") == [data]
    (tmp_path / "out" / name).write_bytes((tmp_path / "out" / name).read_bytes()[: 200 << 10])
    (machine,) = source_of(tmp_path / "out").machines()
    assert "cut off" in machine.unreadable_because


def test_an_archive_of_several_disks_needs_an_ovf_and_one_of_other_files_is_no_machine(tmp_path):
    make_image(tmp_path / ".a.vmdk", "vmdk")
    disk = (tmp_path / ".a.vmdk").read_bytes()
    files = {"a.vmdk": disk, "b.vmdk": disk}
    pack(tmp_path / "two.tar", files)
    said = ovf(*((name, len(data), SIZE, n) for n, (name, data) in enumerate(files.items())))
    pack(tmp_path / "web.tar", {"web.ovf": said, **files})
    pack(tmp_path / "logs.tar", {"messages": b"x", "a.vmdk.log": b"y"})
    found = {machine.ref: machine for machine in source_of(tmp_path).machines()}
    assert set(found) == {"two.tar", "web.tar"}
    assert "has 2 images and no OVF" in found["two.tar"].unreadable_because
    assert (found["web.tar"].name, len(found["web.tar"].disks)) == ("web01", 2)


def test_a_zip_that_lies_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.ova", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../a.ovf", b"x" * 1000)
    (tmp_path / "b.ova").write_bytes((tmp_path / "a.ova").read_bytes()[:-40])
    with zipfile.ZipFile(tmp_path / "c.ova", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.ovf", b"x" * 1000)
    said = {machine.ref: machine.unreadable_because for machine in source_of(tmp_path).machines()}
    assert all("is no zip archive that can be read" in said[f"{name}.ova"] for name in "abc")


# Names


@pytest.mark.parametrize(
    "name",
    [
        *("\u30b5\u30fc\u30d0\u300001", "web\u00a001", "\u0645\u06cc\u200c\u062e", "auto\u00adfahrt"),
        *("a\\b", "a#b", "a\\x41", "e\u0301tat"),
    ],
)
def test_letters_that_no_screen_shows_are_no_danger(tmp_path, name):
    data = make_image(tmp_path / f"{name}.raw", "raw")
    source = source_of(tmp_path)
    (machine,) = source.machines()
    assert disks_of(source, machine.ref) == [data]
    assert all(disk.location.isprintable() for disk in machine.disks)
    assert disks_of(source_of(tmp_path / f"{name}.raw".replace("#", "%23")), machine.name) == [data]


def test_names_of_other_encodings_have_a_reference_that_can_be_written_down(tmp_path):
    data = make_image(tmp_path / os.fsdecode(b"M\xfcller.raw"), "raw")
    source = source_of(tmp_path)
    (machine,) = source.machines()
    assert machine.ref == "M\\xfcller.raw"
    machine.ref.encode()
    assert disks_of(source, machine.ref) == [data]
    assert disks_of(source_of(tmp_path / "M%FCller.raw"), machine.ref) == [data]
    with pytest.raises(InvalidInput, match="aren't UTF-8"):
        source_of(tmp_path / os.fsdecode(b"M\xfcller.raw"))


def test_a_name_with_control_characters_is_listed_and_not_opened(tmp_path):
    (tmp_path / "a\x1b[2J.raw").write_bytes(bytes(SIZE))
    (tmp_path / "b\nc.raw").write_bytes(bytes(SIZE))
    found = {machine.ref: machine for machine in source_of(tmp_path).machines()}
    assert set(found) == {"a\\x1b[2J.raw", "b\\x0ac.raw"}
    assert all("has control characters in it" in machine.unreadable_because for machine in found.values())


# Firmware


def mbr(*partitions, code=b""):
    """`partitions`: (active, type)."""
    entries = b"".join(
        struct.pack("<B3xB3xII", 0x80 if active else 0, kind, 64 + n * 64, 64)
        for n, (active, kind) in enumerate(partitions)
    )
    return (code.ljust(446, b"\0") + entries.ljust(64, b"\0") + b"\x55\xaa").ljust(SIZE, b"\0")


@pytest.mark.parametrize(
    ("data", "firmware"),
    [
        (gpt_disk(SIZE, ESP), Firmware.UEFI),
        (gpt_disk(SIZE, ESP, BIOS_BOOT), Firmware.BIOS),
        (gpt_disk(SIZE, BIOS_BOOT), Firmware.BIOS),
        (mbr((False, 0xEF), (False, 0x83)), Firmware.UEFI),
        (mbr((True, 0x83), (False, 0xEF)), Firmware.BIOS),
        (mbr((False, 0xEF), code=b"code"), Firmware.BIOS),
        (bytes(SIZE), Firmware.BIOS),
    ],
)
def test_what_is_not_said_of_firmware_the_partitions_say(tmp_path, data, firmware):
    def silent(files):
        text = files["web01.ovf"].decode()
        start = text.index("<vmw:Config")
        files["web01.ovf"] = (text[:start] + text[text.index("/>", start) + 2 :]).encode()
        image = tmp_path / ".x.vmdk"
        make_image(image, "vmdk", "subformat=streamOptimized", data=data)
        files["web01-disk1.vmdk"] = image.read_bytes()
        image.unlink()

    make_ova(tmp_path / "a.ova", algorithm="", change=silent)
    assert source_of(tmp_path).machine("a.ova").firmware is firmware


@pytest.mark.parametrize(
    "write",
    [
        lambda files: manifest(files).decode().replace("\n", "\r\n").encode("utf-16"),
        lambda files: "".join(f"{hashlib.md5(data).hexdigest()} *{name}\n" for name, data in files.items()).encode(),
    ],
    ids=["PowerShell", "md5sum"],
)
def test_a_manifest_by_a_common_tool_is_understood(tmp_path, write):
    make_ova(tmp_path / "a.ova", algorithm=None, change=lambda files: files.update({"a.mf": write(files)}))
    assert check(source_of(tmp_path), "a.ova") == ()


@pytest.mark.parametrize(
    ("said", "there"),
    [
        *(("\u00e9", "e\u0301"), ("e\u0301", "\u00e9"), ("\u00e9", "\udce9")),
        ("\u00c2\u20ac", "\u00c2\u20ac"),  # an old Windows' letters of which UTF-8 would make a control character
    ],
)
def test_a_name_may_be_spelled_otherwise_than_it_is_said(tmp_path, said, there):
    """Composed, as most write it; in parts, as macOS keeps it; in the one byte that an old Windows has for it."""
    image = tmp_path / "disk.vmdk"
    data = make_image(image, "vmdk", "subformat=streamOptimized")
    text = ovf((f"{said}.vmdk", image.stat().st_size, SIZE, 0))
    files = {"a.ovf": text, f"{there}.vmdk": image.read_bytes()}
    pack(tmp_path / "a.ova", {**files, "a.mf": manifest({"a.ovf": text, f"{said}.vmdk": image.read_bytes()})})
    below = tmp_path / "below"
    below.mkdir()
    for name, content in files.items():
        (below / name).write_bytes(content)
    (below / "flat.vmdk").write_text(
        "# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\n"
        f'createType="vmfs"\nRW {SIZE // 512} VMFS "{said}-flat.vmdk"\n'
    )
    (below / f"{there}-flat.vmdk").write_bytes(data)
    image.unlink()
    source = source_of(tmp_path)
    for ref in ("a.ova", "below/a.ovf", "below/flat.vmdk"):
        assert check(source, ref) == ()
        assert disks_of(source, ref) == [data]


@pytest.mark.parametrize(
    "head",
    [
        "\ufeff# Disk DescriptorFile\nversion=1\n",
        "# Disk Descriptor File\nversion=1\n",
        "\r\n# disk descriptorfile\r\nversion = 1\r\n",
        "# by hand\n\nversion=1\n",
    ],
)
@pytest.mark.parametrize("path", ["", "./", "/vmfs/volumes/datastore1/vm/", r"C:\vms" + "\\"])
def test_a_vmdk_by_another_hand_is_read(tmp_path, head, path):
    data = make_image(tmp_path / "flat.raw", "raw")
    (tmp_path / "disk.vmdk").write_text(
        f'{head}CID=1\nparentCID=ffffffff\ncreateType="vmfs"\nRW {SIZE // 512} VMFS "{path}flat.raw"\n'
    )
    source = source_of(tmp_path)
    assert [machine.ref for machine in source.machines()] == ["disk.vmdk"]
    assert disks_of(source, "disk.vmdk") == [data]


@pytest.mark.parametrize(
    ("encoding", "name"), [("GBK", "服务器"), ("Shift_JIS", "サーバ"), ("windows-1252", "Müller"), ("", "Müller")]
)
def test_a_vmdk_names_its_files_in_its_own_encoding(tmp_path, encoding, name):
    """As Workstation on Windows writes it; its files are copied to where names are UTF-8."""
    data = make_image(tmp_path / f"{name}-flat.raw", "raw")
    text = (
        f'# Disk DescriptorFile\nversion=1\nencoding="{encoding}"\nCID=1\nparentCID=ffffffff\n'
        f'createType="monolithicFlat"\nRW {SIZE // 512} FLAT "{name}-flat.raw" 0\n'
    )
    (tmp_path / "disk.vmdk").write_bytes(text.encode(encoding or "windows-1252"))
    assert disks_of(source_of(tmp_path), "disk.vmdk") == [data]


def test_a_newline_of_many_is_no_burden():
    """What a stranger's file begins with is matched in no more time than it has letters."""
    assert not is_like_descriptor(b"\n \t#\r" * 100)


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "big5", "shift_jis", "euc-kr"])
def test_an_ovf_in_an_encoding_of_the_east(tmp_path, encoding):
    name = {"big5": "伺服器", "shift_jis": "サーバ", "euc-kr": "서버"}.get(encoding, "服务器")

    def change(files):
        text = files["web01.ovf"].decode().replace("UTF-8", encoding).replace("<Name>web01<", f"<Name>{name}<")
        files["web01.ovf"] = text.encode(encoding)

    make_ova(tmp_path / "a.ova", algorithm=None, change=change)
    assert [machine.name for machine in source_of(tmp_path).machines()] == [name]


@pytest.mark.parametrize("name", ["web01-disk3.vmdk", "web01-file3.nvram"])
def test_what_a_manifest_names_and_is_not_there_is_told(tmp_path, name):
    def add(files):
        files["web01.mf"] += f"SHA256({name})= {'0' * 64}\n".encode()

    make_ova(tmp_path / "a.ova", change=add)
    source = source_of(tmp_path)
    (doubt,) = check(source, "a.ova")
    assert (doubt.kind, doubt.text) == (Doubt.CLAIM, f"web01.mf has a digest of {name}, and there is no such file.")


@pytest.mark.parametrize("place", ["vsan://52ab3c4d-1111", "vvol://52ab3c4d-1111/rfc4122.aa"])
def test_a_disk_that_no_file_holds_is_to_be_exported(tmp_path, place):
    head = '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="vmfs"\n'
    (tmp_path / "a.vmdk").write_text(f'{head}RW 8192 VMFS "{place}"\n')
    with pytest.raises(InvalidInput, match="piece that can't be read") as refusal:
        source_of(tmp_path).by_reference("a.vmdk")
    assert "export the machine" in refusal.value.advice


def test_a_disk_without_its_descriptor_is_told_to_be_one(tmp_path):
    make_image(tmp_path / "a-flat.vmdk", "raw")
    with pytest.raises(InvalidInput, match="a disk without the VMDK that describes it"):
        source_of(tmp_path).by_reference("a-flat.vmdk")


@pytest.mark.parametrize("subformat", ["twoGbMaxExtentSparse", "monolithicSparse"])
def test_a_part_of_a_disk_without_its_descriptor_is_told_to_be_one(tmp_path, subformat):
    make_image(tmp_path / "web.vmdk", "vmdk", f"subformat={subformat}")
    if subformat == "monolithicSparse":  # as ESXi's deltas are
        (tmp_path / "web-delta.vmdk").write_bytes(b"COWD" + (tmp_path / "web.vmdk").read_bytes()[4:])
    (tmp_path / "web.vmdk").unlink()
    (machine,) = source_of(tmp_path).machines()
    assert machine.unreadable_because == f"{machine.ref} is a part of a disk, without the VMDK that describes it."


def test_a_maker_on_windows_names_a_file_beside_its_ovf(tmp_path):
    data = make_image(tmp_path / "d.vmdk", "vmdk", "subformat=streamOptimized")
    (tmp_path / "a.ovf").write_bytes(ovf((".\\d.vmdk", (tmp_path / "d.vmdk").stat().st_size, SIZE, 0)))
    assert disks_of(source_of(tmp_path), "a.ovf") == [data]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.raw", "<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 50),
        ("a.img", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
    ],
)
def test_a_page_or_a_pointer_is_no_disk(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInput, match=f"{name} is a text") as refusal:
        check(source_of(tmp_path), name)
    assert "--accept file-bytes-missing" in refusal.value.advice
