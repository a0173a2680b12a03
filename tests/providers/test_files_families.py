"""Images that belong to others: bases of newer states, snapshots, overlays."""

import gzip
import lzma
import os
import re
import struct
import uuid
import zipfile

import pytest
from files_made import MIB, SIZE, make_image, ovf, qemu_img
from test_files_kinds import check, doubts_of
from test_files_source import disks_of, source_of
from virtual_disks import ESP, dynamic_vhd, gpt_disk

from longshore.errors import InvalidInput
from longshore.model.machine import Doubt


def vhdx_upon(path, parent):
    """A differencing VHDX as Hyper-V's checkpoints are, as far as it is looked at."""
    value = parent.encode("utf-16-le")
    key = "relative_path".encode("utf-16-le")
    item = uuid.UUID("b04aefb7-d19e-4a81-b789-25b8e9445913").bytes_le + struct.pack("<HH", 0, 1)
    item += struct.pack("<IIHH", 64, 128, len(key), len(value))
    item = item.ljust(64, b"\0") + key.ljust(64, b"\0") + value
    image = bytearray(path.read_bytes())
    at = image.index(b"metadata")
    while image[at - 1 : at] != b"\0" or at % (64 << 10):
        at = image.index(b"metadata", at + 1)
    entries = struct.unpack_from("<H", image, at + 10)[0]
    locator = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le + struct.pack(
        "<III4x", 128 << 10, len(item), 4
    )
    image[at + 32 + entries * 32 : at + 64 + entries * 32] = locator
    struct.pack_into("<H", image, at + 10, entries + 1)
    image[at + (128 << 10) : at + (128 << 10) + len(item)] = item
    path.write_bytes(image)


def hyper_v(path):
    make_image(path / "web.vhdx", "vhdx")
    make_image(path / "web_1A2B.avhdx", "vhdx")
    vhdx_upon(path / "web_1A2B.avhdx", ".\\web.vhdx")
    return "web.vhdx", "web_1A2B.avhdx"


def virtual_pc(path):
    make_image(path / "web.vhd", "vpc", "force_size=on")
    (path / "web-diff.vhd").write_bytes(dynamic_vhd(bytes(SIZE), b"win ", 4, "C:\\vms\\web.vhd"))
    return "web.vhd", "web-diff.vhd"


def virtualbox(path):
    """Snapshots of VirtualBox lie in a folder of their own and name their base by its UUID."""
    make_image(path / "web.vdi", "vdi")
    base = (path / "web.vdi").read_bytes()
    (path / "Snapshots").mkdir()
    newer = bytearray(base)
    struct.pack_into("<I", newer, 0x4C, 4)
    newer[0x188:0x198], newer[0x1A8:0x1B8] = bytes(range(16)), base[0x188:0x198]
    (path / "Snapshots" / "{0001}.vdi").write_bytes(newer)
    return "web.vdi", "Snapshots/{0001}.vdi"


@pytest.mark.parametrize("make", [hyper_v, virtual_pc, virtualbox])
def test_the_state_before_a_checkpoint_is_no_machine(tmp_path, make):
    base, newer = make(tmp_path)
    source = source_of(tmp_path)
    (machine,) = source.machines()
    assert machine.ref == newer
    assert "holds only what differs from another disk" in machine.unreadable_because
    assert doubts_of(source, base) == {Doubt.OLDER}
    with pytest.raises(InvalidInput, match=re.escape(f"the present state of its disk: that is in {newer}")):
        check(source, base)
    check(source, base, "file-older-state")


def test_a_base_beside_its_overlay_is_no_machine(tmp_path):
    data = make_image(tmp_path / "base.qcow2", "qcow2")
    qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", tmp_path / "base.qcow2", tmp_path / "web.qcow2")
    source = source_of(tmp_path)
    assert [machine.ref for machine in source.machines()] == ["web.qcow2"]
    assert disks_of(source, "web") == [data]
    assert doubts_of(source, "base.qcow2") == {Doubt.OLDER}


def test_a_base_that_is_cut_off_is_told(tmp_path):
    """An overlay that is larger than its base tells nothing: cloud images are used so."""
    base, top = tmp_path / "base.raw", tmp_path / "web.qcow2"
    base.write_bytes(gpt_disk(SIZE, ESP))
    qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", base, top, 2 * SIZE)
    source = source_of(tmp_path)
    check(source, top.name)
    os.truncate(base, SIZE - MIB)
    with pytest.raises(InvalidInput, match=f"base.raw has {SIZE - MIB} bytes, and what is on it was made for {SIZE}"):
        check(source, top.name)


def test_a_parent_that_was_written_to_since_is_told(tmp_path):
    make_image(tmp_path / "vm.vmdk", "vmdk", "subformat=monolithicFlat")
    qemu_img("create", "-f", "vmdk", "-F", "vmdk", "-b", tmp_path / "vm.vmdk", tmp_path / "vm-000001.vmdk")
    text = (tmp_path / "vm.vmdk").read_text()
    line = next(line for line in text.splitlines() if line.startswith("CID="))
    (tmp_path / "vm.vmdk").write_text(text.replace(line, "CID=12345678"))
    (machine,) = source_of(tmp_path).machines()
    assert "was made upon another state of vm.vmdk" in machine.unreadable_because


def test_notes_of_changed_blocks_are_no_machine(tmp_path):
    make_image(tmp_path / "vm.vmdk", "vmdk")
    (tmp_path / "vm-ctk.vmdk").write_bytes(bytes.fromhex("391fc800").ljust(4096, b"\0"))
    assert [machine.ref for machine in source_of(tmp_path).machines()] == ["vm.vmdk"]


@pytest.mark.parametrize("raw", [False, True])
def test_the_file_of_a_qcow2_s_data_is_a_machine_only_where_it_is_a_raw_disk(tmp_path, raw):
    """Else its clusters lie in the order in which they were written."""
    make_image(tmp_path / "disk", "raw")
    said = f"data_file={tmp_path / 'web.raw'},data_file_raw={'on' if raw else 'off'}"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-o", said, tmp_path / "disk", tmp_path / "web.qcow2")
    source = source_of(tmp_path)
    assert [machine.ref for machine in source.machines()] == ["web.qcow2", *(["web.raw"] if raw else [])]
    assert doubts_of(source, "web.raw") == (set() if raw else {Doubt.OLDER})


def overlay(path, base, kind="qcow2"):
    qemu_img("create", "-u", "-f", kind, "-F", kind, "-b", base, path, SIZE)


def snapshot_of_virtualbox(directory):
    """A VMDK and a snapshot of it: VirtualBox names the parent by its UUID alone, and says CIDs as of whole images."""
    ids = [str(uuid.UUID(int=n)) for n in (7, 8)]
    (directory / "Snapshots").mkdir()
    for path, own, parent in (
        ("web.vmdk", ids[0], str(uuid.UUID(int=0))),
        (f"Snapshots/{{{ids[1]}}}.vmdk", *ids[::-1]),
    ):
        make_image(directory / path, "vmdk", "subformat=monolithicSparse")
        image = bytearray((directory / path).read_bytes())
        at = image.index(b"ddb.virtualHWVersion")
        text = f'ddb.uuid.image="{own}"\nddb.uuid.parent="{parent}"\n'.encode()
        image[at : at + len(text)] = text
        (directory / path).write_bytes(image)
    return ids


def vbox(directory, ids, attached):
    """Write a machine's settings, which went to a snapshot and are attached to one of the two images now."""
    of_snapshot = (
        f'<Snapshot><Hardware><AttachedDevice><Image uuid="{{{ids[0]}}}"/></AttachedDevice></Hardware></Snapshot>'
    )
    (directory / "web.vbox").write_text(
        '<?xml version="1.0"?>\n<VirtualBox xmlns="http://www.virtualbox.org/"><Machine><MediaRegistry><HardDisks>'
        f'<HardDisk uuid="{{{ids[0]}}}" location="web.vmdk"><HardDisk uuid="{{{ids[1]}}}" '
        f'location="Snapshots/{{{ids[1]}}}.vmdk"/></HardDisk></HardDisks></MediaRegistry>{of_snapshot}<Hardware>'
        f'<AttachedDevice><Image uuid="{{{attached}}}"/></AttachedDevice></Hardware></Machine></VirtualBox>'
    )


@pytest.mark.parametrize("with_vbox", [False, True])
def test_the_state_before_a_snapshot_of_virtualbox_in_vmdks_is_no_machine(tmp_path, with_vbox):
    ids = snapshot_of_virtualbox(tmp_path)
    if with_vbox:
        vbox(tmp_path, ids, ids[1])
    source = source_of(tmp_path)
    (machine,) = source.machines()
    assert machine.ref == f"Snapshots/{{{ids[1]}}}.vmdk"
    assert "holds only what differs from another disk" in machine.unreadable_because
    assert doubts_of(source, "web.vmdk") == {Doubt.OLDER}


def test_a_machine_of_virtualbox_that_went_back_to_its_snapshot_is_read(tmp_path):
    ids = snapshot_of_virtualbox(tmp_path)
    vbox(tmp_path, ids, ids[0])
    assert doubts_of(source_of(tmp_path), "web.vmdk") == set()


def test_a_newer_state_that_was_left_behind_is_told(tmp_path):
    ids = snapshot_of_virtualbox(tmp_path)
    vbox(tmp_path, ids, ids[1])
    (tmp_path / "Snapshots" / f"{{{ids[1]}}}.vmdk").unlink()
    make_image(tmp_path / "vm.vmdk", "vmdk")
    qemu_img("create", "-f", "vmdk", "-F", "vmdk", "-b", tmp_path / "vm.vmdk", tmp_path / "vm-000001.vmdk")
    (tmp_path / "vm.vmx").write_text('scsi0:0.fileName = "vm-000002.vmdk"\n')
    source = source_of(tmp_path)
    assert {m.ref: [d.kind for d in m.file_doubts] for m in source.machines()} == {
        "web.vmdk": [Doubt.OLDER],
        "vm-000001.vmdk": [Doubt.OLDER],
    }
    for ref in ("vm.vmdk", "vm-000001.vmdk"):
        with pytest.raises(InvalidInput, match=re.escape("that is in vm-000002.vmdk")):
            check(source, ref)


def test_the_present_state_that_a_vmx_names_and_that_is_gone_is_told_of_each_machine(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        make_image(tmp_path / name / "disk.vmdk", "vmdk")
        (tmp_path / name / "vm.vmx").write_text('scsi0:0.fileName = "disk-000001.vmdk"\n')
    source = source_of(tmp_path)
    for name in "ab":
        with pytest.raises(InvalidInput, match=re.escape(f"that is in {name}/disk-000001.vmdk")):
            check(source, f"{name}/disk.vmdk")


def test_an_image_whose_name_has_no_ending_is_told_and_so_is_its_base(tmp_path):
    """Nova's are called disk, and Glance's by their ids."""
    make_image(tmp_path / "base.qcow2", "qcow2")
    overlay(tmp_path / "disk", "/var/lib/nova/base.qcow2")
    make_image(tmp_path / "7c3d0f1e", "vhdx")
    make_image(tmp_path / "raw", "raw")
    (tmp_path / "README").write_text("none")
    source = source_of(tmp_path)
    found = {machine.ref: machine.unreadable_because for machine in source.machines()}
    assert found == {
        "disk": "disk is like an image (qcow2), and its name doesn't say that it is one.",
        "7c3d0f1e": "7c3d0f1e is like an image (vhdx), and its name doesn't say that it is one.",
    }
    with pytest.raises(InvalidInput) as refused:
        source.machine("7c3d0f1e")
    assert refused.value.advice == "Give it a name that ends with .vhdx."
    with pytest.raises(InvalidInput, match="that is in disk"):
        check(source, "base.qcow2")


def test_a_snapshot_of_libvirt_is_told_though_its_name_doesn_t_say_what_it_is(tmp_path):
    make_image(tmp_path / "vda.qcow2", "qcow2")
    overlay(tmp_path / "vda.before", "/var/lib/libvirt/images/vda.qcow2")
    overlay(tmp_path / "vda.2026.1", "/var/lib/libvirt/images/vda.before")
    (tmp_path / "vda.txt").write_text("none")
    source = source_of(tmp_path)
    (machine,) = source.machines()
    assert machine.ref == "vda.qcow2"
    said = "that is in vda.2026.1. Give that a name that ends with .qcow2"
    with pytest.raises(InvalidInput, match=re.escape(said)):
        check(source, "vda.qcow2")
    (tmp_path / "vda.2026.1").rename(tmp_path / "vda.2026.1.qcow2")
    (machine,) = source.machines()
    assert machine.ref == "vda.2026.1.qcow2" and not machine.unreadable


@pytest.mark.parametrize("how", ["gz", "xz", "zip"])
def test_the_base_of_an_overlay_that_is_packed_is_no_machine(tmp_path, how):
    make_image(tmp_path / "web.qcow2", "qcow2")
    newer = tmp_path / "web-1.qcow2"
    overlay(newer, "web.qcow2")
    if how == "zip":
        with zipfile.ZipFile(f"{newer}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(newer, newer.name)
    else:
        packed = (gzip if how == "gz" else lzma).compress(newer.read_bytes())
        (tmp_path / f"{newer.name}.{how}").write_bytes(packed)
    newer.unlink()
    source = source_of(tmp_path)
    (machine,) = source.machines()
    assert machine.ref == f"web-1.qcow2.{how}" and machine.unreadable
    assert doubts_of(source, "web.qcow2") == {Doubt.OLDER}


@pytest.mark.parametrize(
    ("name", "quote"), [("vm.vmx", '"'), ("vm.vmtx", '"'), ("vm.vmx", "")], ids=["machine", "template", "by hand"]
)
def test_the_present_state_is_the_one_that_is_named_by_a_template_or_without_quotes_too(tmp_path, name, quote):
    make_image(tmp_path / "vm.vmdk", "vmdk", "subformat=monolithicFlat")
    for number in (1, 2):
        qemu_img("create", "-f", "vmdk", "-F", "vmdk", "-b", tmp_path / "vm.vmdk", tmp_path / f"vm-00000{number}.vmdk")
    (tmp_path / name).write_text(f"scsi0:0.fileName = {quote}vm-000001.vmdk{quote}\r\n")
    source = source_of(tmp_path)
    assert doubts_of(source, "vm-000001.vmdk") == set()
    assert doubts_of(source, "vm-000002.vmdk") == {Doubt.OLDER}


def texts_of(source, ref):
    return [doubt.text for doubt in source.machine(ref).file_doubts if doubt.kind is Doubt.UNUSED]


def test_disks_that_a_vmx_names_and_that_are_elsewhere_are_told(tmp_path):
    """The first disk that a machine has on a datastore is called as the machine is, on each of them."""
    make_image(tmp_path / "web.vmdk", "vmdk")
    (tmp_path / "web.vmx").write_text(
        'scsi0:0.fileName = "web.vmdk"\nscsi0:1.fileName = "web_1.vmdk"\nide0:0.fileName = "tools.iso"\n'
        'scsi0:2.fileName = "/vmfs/volumes/data/web/web.vmdk"\n'
        'scsi0:3.fileName = "web_3.vmdk"\nscsi0:3.present = "FALSE"\n'
    )
    assert texts_of(source_of(tmp_path), "web.vmdk") == [
        "web.vmdk is one of several disks of a machine, as its .vmx or .vbox says, and not all of them are here: "
        "web_1.vmdk, /vmfs/volumes/data/web/web.vmdk."
    ]


def test_a_disk_that_a_vbox_names_and_that_is_elsewhere_is_told(tmp_path):
    ids = snapshot_of_virtualbox(tmp_path)
    vbox(tmp_path, ids, ids[0])
    settings = tmp_path / "web.vbox"
    other = uuid.UUID(int=9)
    said = settings.read_text().replace(
        "</HardDisks>", f'<HardDisk uuid="{{{other}}}" location="D:\\x\\data.vdi"/></HardDisks>'
    )
    settings.write_text(
        said.replace("<Hardware><AttachedDevice>", f'<Hardware><AttachedDevice><Image uuid="{{{other}}}"/>')
    )
    (told,) = texts_of(source_of(tmp_path), "web.vmdk")
    assert told.endswith("and not all of them are here: /x/data.vdi.")


def suspended_vmx(directory):
    make_image(directory / "web.vmdk", "vmdk")
    (directory / "web.vmx").write_text(
        'scsi0:0.fileName = "web.vmdk"\ncheckpoint.vmState.readOnly = "FALSE"\ncheckpoint.vmState = "web-1a2b.vmss"\n'
    )


def suspended_vbox(directory):
    ids = snapshot_of_virtualbox(directory)
    vbox(directory, ids, ids[0])
    settings = directory / "web.vbox"
    settings.write_text(settings.read_text().replace("<Machine>", '<Machine stateFile="Snapshots/2026.sav">'))


@pytest.mark.parametrize("make", [suspended_vmx, suspended_vbox])
def test_a_machine_that_was_suspended_is_told_and_refused_until_that_is_accepted(tmp_path, make):
    make(tmp_path)
    source = source_of(tmp_path)
    assert doubts_of(source, "web.vmdk") == {Doubt.SUSPENDED}
    with pytest.raises(InvalidInput, match="was suspended when its files were copied") as refused:
        check(source, "web.vmdk")
    assert refused.value.code == "file-machine-suspended"
    check(source, "web.vmdk", "file-machine-suspended")


def test_a_machine_that_was_resumed_is_no_suspended_one(tmp_path):
    make_image(tmp_path / "web.vmdk", "vmdk")
    (tmp_path / "web.vmx").write_text('checkpoint.vmState = ""\nscsi0:0.fileName = "web.vmdk"\n')
    assert doubts_of(source_of(tmp_path), "web.vmdk") == set()


def test_an_ovf_that_names_an_older_state_than_the_vmx_beside_it_is_told(tmp_path):
    make_image(tmp_path / "vm.vmdk", "vmdk")
    qemu_img("create", "-f", "vmdk", "-F", "vmdk", "-b", tmp_path / "vm.vmdk", tmp_path / "vm-000001.vmdk")
    (tmp_path / "vm.ovf").write_bytes(ovf(("vm.vmdk", (tmp_path / "vm.vmdk").stat().st_size, SIZE, 0)))
    (tmp_path / "vm.vmx").write_text('scsi0:0.fileName = "vm-000001.vmdk"\n')
    source = source_of(tmp_path)
    assert doubts_of(source, "vm.ovf") == {Doubt.OLDER}
    with pytest.raises(InvalidInput, match=re.escape("that is in vm-000001.vmdk")):
        check(source, "vm.ovf")
    (tmp_path / "vm.vmx").write_text('scsi0:0.fileName = "vm.vmdk"\n')
    assert doubts_of(source, "vm.ovf") == set()


def test_a_base_that_was_changed_later_than_its_overlay_is_told(tmp_path):
    make_image(tmp_path / "base.qcow2", "qcow2")
    overlay(tmp_path / "web.qcow2", "base.qcow2")
    source = source_of(tmp_path)
    assert doubts_of(source, "web.qcow2") == set()
    os.utime(tmp_path / "web.qcow2", (1, 1))
    (doubt,) = source.machine("web.qcow2").file_doubts
    assert doubt.kind is Doubt.CLAIM
    assert doubt.text.startswith("base.qcow2 was changed later than web.qcow2, which is based on it")
