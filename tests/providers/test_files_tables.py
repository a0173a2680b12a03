"""An image that is damaged inside is told before it is copied: its tables say where each part of the disk is."""

import os
import random
import struct
import subprocess

import pytest
from files_made import MIB, SIZE, disk_bytes, make_image, qemu_img
from test_files_kinds import check
from test_files_source import disks_of, source_of
from virtual_disks import dynamic_vhd

from longshore.errors import InvalidInput
from longshore.model.machine import Doubt

GRAIN, CLUSTER = 64 << 10, 64 << 10
FULL = random.Random(5).randbytes(SIZE)
SPARSE_HEADER = struct.Struct("<4sIIQQQQIQQQ")


def qcow2(path, *options):
    make_image(path / "a.qcow2", "qcow2", *options, data=FULL)
    return path / "a.qcow2"


def compressed(path):
    rng = random.Random(5)
    data = b"".join(bytes(rng.choices(range(4), k=4096)) * 16 for _ in range(SIZE // CLUSTER))
    make_image(path / "b.qcow2", "qcow2", data=data)
    qemu_img("convert", "-c", "-O", "qcow2", path / "b.qcow2", path / "a.qcow2")
    (path / "b.qcow2").unlink()
    return path / "a.qcow2"


def vmdk(path, subformat="monolithicSparse"):
    make_image(path / "a.vmdk", "vmdk", f"subformat={subformat}", data=FULL)
    return path / "a.vmdk"


def stream(path):
    """Make one as vSphere exports it: with its directory, and a header that says where that is, at its end."""
    image = vmdk(path, "streamOptimized")
    data = bytearray(image.read_bytes())
    head = list(SPARSE_HEADER.unpack_from(data))
    tables = struct.unpack_from("<I", data, head[9] * 512)
    directory, head[8] = len(data) // 512 + 1, 0
    head[2] &= ~2  # it has no second tables
    data += struct.pack("<QII", 1, 0, 2).ljust(512, b"\0") + struct.pack("<I", *tables).ljust(512, b"\0")
    head[9] = directory
    data += struct.pack("<QII", 1, 0, 3).ljust(512, b"\0")
    data += SPARSE_HEADER.pack(*head).ljust(73, b"\0") + bytes(data[73:512]) + bytes(512)
    struct.pack_into("<Q", data, 56, (1 << 64) - 1)
    image.write_bytes(data)
    return image


def put(image, at, data):
    with image.open("r+b") as file:
        file.seek(at)
        file.write(data)


def number(image, at, shape):
    return struct.unpack_from(shape, image.read_bytes(), at)[0]


def cut(image, size):
    os.truncate(image, image.stat().st_size - size)


def table_of_clusters(image):
    return number(image, number(image, 40, ">Q"), ">Q") & ((1 << 56) - 512)


def table_of_grains(image, which=56):
    return number(image, number(image, which, "<Q") * 512, "<I") * 512


def leads_out_of_the_file(path):
    image = qcow2(path)
    put(image, table_of_clusters(image) + 80, struct.pack(">Q", 1 << 63 | 1 << 40))


def leads_where_no_cluster_begins(path):
    image = qcow2(path)
    put(image, table_of_clusters(image) + 86, b"\x12")


def leads_to_another_cluster(path):
    image = qcow2(path)
    put(image, table_of_clusters(image) + 80, struct.pack(">Q", number(image, table_of_clusters(image) + 8, ">Q")))


def leads_to_a_table(path):
    image = qcow2(path)
    put(image, table_of_clusters(image) + 80, struct.pack(">Q", 1 << 63 | table_of_clusters(image)))


def last_packed_cluster_cut(path):
    cut(compressed(path), 1024)


def grains_lead_out(path):
    image = vmdk(path)
    for which in (48, 56):
        put(image, table_of_grains(image, which) + 28, struct.pack("<I", 1 << 30))


def directory_leads_out(path):
    image = vmdk(path)
    put(image, number(image, 56, "<Q") * 512, struct.pack("<I", 1 << 30))


def directory_is_empty(path):
    image = vmdk(path)
    put(image, number(image, 56, "<Q") * 512, bytes(4))


def a_table_is_empty(path):
    image = vmdk(path)
    put(image, table_of_grains(image), bytes(2048))


def grains_are_one(path):
    image = vmdk(path)
    for which in (48, 56):
        at = table_of_grains(image, which)
        put(image, at + 28, struct.pack("<I", number(image, at, "<I")))


def a_grain_is_the_header(path):
    image = vmdk(path)
    for which in (48, 56):
        put(image, table_of_grains(image, which) + 28, struct.pack("<I", 2))


def last_grain_cut(path):
    cut(vmdk(path), 512)


def piece_of_several_cut(path):
    vmdk(path, "twoGbMaxExtentSparse")
    cut(path / "a-s001.vmdk", 512)


def last_packed_grain_cut(path):
    cut(vmdk(path, "streamOptimized"), 512)


def a_piece_of_the_stream_is_missing(path):
    """Its two parts were put together without what came between, as by a download that was begun again."""
    image = stream(path)
    data = image.read_bytes()
    image.write_bytes(data[:MIB] + data[MIB + 4096 :])


def lines_ends_were_changed(path):
    image = vmdk(path, "streamOptimized")
    image.write_bytes(image.read_bytes().replace(b"\r\n", b"\n"))


def directories_are_empty(path):
    image = vmdk(path)
    for which in (48, 56):
        put(image, number(image, which, "<Q") * 512, bytes(512))


def grains_are_others(path):
    image = vmdk(path, "streamOptimized")
    for which in (48, 56):
        at = table_of_grains(image, which)
        put(image, at, struct.pack("<II", number(image, at + 4, "<I"), number(image, at, "<I")))


def blocks_of_a_vhd_are_one(path):
    (path / "a.vhd").write_bytes(dynamic_vhd(disk_bytes(3, 5 * MIB), b"win "))
    put(path / "a.vhd", 1540, struct.pack(">I", number(path / "a.vhd", 1536, ">I")))


DAMAGED = [
    (leads_out_of_the_file, "1 of its entries lead nowhere"),
    (leads_where_no_cluster_begins, "1 of its entries lead nowhere"),
    (leads_to_another_cluster, "1 parts of its disk lie where others do"),
    (leads_to_a_table, "1 parts of its disk lie where others do"),
    (last_packed_cluster_cut, "it ends within the last part of its disk"),
    (grains_lead_out, "1 of its entries lead nowhere"),
    (directory_leads_out, "1 of its entries lead nowhere"),
    (directory_is_empty, "1 of its tables differ from their second copies"),
    (a_table_is_empty, "1 of its tables differ from their second copies"),
    (grains_are_one, "1 parts of its disk lie where others do"),
    (a_grain_is_the_header, "1 of its entries lead nowhere"),
    (last_grain_cut, "it ends within the last part of its disk"),
    (piece_of_several_cut, "a-s001.vmdk is cut off: it ends within the last part of its disk"),
    (last_packed_grain_cut, "it ends within the last part of its disk"),
    (a_piece_of_the_stream_is_missing, "1 parts of its disk aren't where its tables say"),
    (lines_ends_were_changed, "was copied as if it were a text"),
    (directories_are_empty, "its tables are empty, and its file isn't"),
    (grains_are_others, "1 parts of its disk aren't where its tables say"),
    (blocks_of_a_vhd_are_one, "1 parts of its disk lie where others do"),
]


@pytest.mark.parametrize(("make", "words"), DAMAGED)
def test_an_image_that_is_damaged_inside_is_told_before_it_is_copied(tmp_path, make, words):
    make(tmp_path)
    (ref,) = (path.name for path in tmp_path.iterdir() if path.name.startswith("a."))
    with pytest.raises(InvalidInput) as refusal:
        check(source_of(tmp_path), ref)
    assert refusal.value.code == Doubt.MISSING
    assert words in refusal.value.message
    assert "--accept file-bytes-missing" in refusal.value.advice


def without_second_tables(path):
    """Its flags tell of them all the same."""
    put(vmdk(path), 48, bytes(8))


def with_a_base(path):
    qcow2(path).rename(path / "base.qcow2")
    qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", path / "base.qcow2", path / "a.qcow2")


@pytest.mark.parametrize(
    "make",
    [
        *(qcow2, compressed, vmdk, stream, with_a_base, without_second_tables),
        lambda path: qcow2(path, "extended_l2=on,cluster_size=128k"),
        lambda path: qcow2(path, "compat=0.10"),
        lambda path: qcow2(path, "preallocation=metadata"),
        lambda path: vmdk(path, "streamOptimized"),
        lambda path: vmdk(path, "twoGbMaxExtentSparse"),
    ],
)
def test_an_image_that_is_whole_is_not_doubted(tmp_path, make):
    make(tmp_path)
    (ref,) = (path.name for path in tmp_path.iterdir() if path.name.startswith("a."))
    assert check(source_of(tmp_path), ref) == ()


def test_what_only_counts_for_who_writes_is_a_warning(tmp_path):
    """QEMU counts references lazily, and an image that was copied while a machine ran on it has wrong ones."""
    qemu_img("create", "-f", "qcow2", "-o", "lazy_refcounts=on", tmp_path / "a.qcow2", "8M")
    subprocess.run(
        ["qemu-io", "-c", "write -P 7 0 3M", "-c", "sigraise 9", tmp_path / "a.qcow2"], check=False, capture_output=True
    )
    source = source_of(tmp_path)
    (doubt,) = check(source, "a.qcow2")
    assert doubt.kind is Doubt.CLAIM
    assert "wasn't closed or is damaged" in doubt.text
    assert disks_of(source, "a.qcow2") == [b"\7" * 3 * MIB + bytes(5 * MIB)]


def test_clusters_that_nothing_leads_to_any_more_are_told(tmp_path):
    image = qcow2(tmp_path)
    put(image, table_of_clusters(image), bytes(CLUSTER))
    (doubt,) = check(source_of(tmp_path), "a.qcow2")
    assert doubt.kind is Doubt.CLAIM
    assert f"{SIZE // CLUSTER} clusters that are no part of its disk" in doubt.text


def test_an_image_of_hostile_tables_takes_neither_memory_nor_time(tmp_path, monkeypatch):
    image = qcow2(tmp_path)
    os.truncate(image, 1 << 42)
    monkeypatch.setattr("longshore.providers.files.tables._LONGEST", -1.0)
    doubts = check(source_of(tmp_path), "a.qcow2")
    assert [doubt.kind for doubt in doubts] == [Doubt.UNSAID]
    assert "not all were read" in doubts[0].text
