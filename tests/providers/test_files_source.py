"""Machines in files: every format reads as what is in it, and what is wrong with a file is said in a sentence."""

import os
import random
import struct
import uuid

import pytest
from files_made import MIB, SIZE, VMDKS, https, make_image, make_ova, manifest, ovf, packed, qemu_img, read_all

from longshore.errors import AccessDenied, Conflict, InvalidInput, LongshoreError, NotFound
from longshore.model.changes import Unknown
from longshore.model.concern import Severity
from longshore.model.machine import Firmware, PowerState
from longshore.model.reach import Reach
from longshore.model.selection import MachineFilter
from longshore.model.target import Owner
from longshore.planning.file_checks import file_concerns
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.source import FilesSource

OWNER = Owner("m-1", "snapshot")


def source_of(directory, **settings):
    return FilesSource(FilesSettings(f"file://{directory}", **settings))


def disks_of(source, name):
    """What is read of each disk of a machine."""
    snapshot = source.snapshot(source.machine(name).ref, "s", OWNER, quiesce=False)
    found = []
    for disk in snapshot.disks:
        with source.open_disk(snapshot, disk.key) as export:
            found.append(read_all(export.uri))
    return found


FORMATS = [
    ("raw", "raw", ()),
    ("img", "raw", ()),
    ("img", "qcow2", ()),
    ("qcow2", "qcow2", ()),
    ("qcow2", "qcow2", ("compat=0.10",)),
    ("vhd", "vpc", ("force_size=on",)),
    ("vhd", "vpc", ("subformat=fixed", "force_size=on")),
    ("vhdx", "vhdx", ()),
    ("vhdx", "vhdx", ("subformat=fixed",)),
    *(("vmdk", "vmdk", (f"subformat={subformat}",)) for subformat in VMDKS),
]


@pytest.mark.parametrize(("suffix", "kind", "options"), FORMATS)
def test_a_loose_image_is_read_as_what_is_in_it(tmp_path, suffix, kind, options):
    data = make_image(tmp_path / f"db.{suffix}", kind, *options)
    source = source_of(tmp_path, cpus=2, memory_mib=512, network="lan")
    (machine,) = source.machines()
    assert (machine.name, machine.ref, machine.power) == ("db", f"db.{suffix}", PowerState.OFF)
    assert (machine.cpus, machine.memory_mib, machine.firmware) == (2, 512, Firmware.BIOS)
    assert [disk.size for disk in machine.disks] == [SIZE]
    assert [nic.network for nic in machine.nics] == ["lan"]
    source.check_machine(machine.ref, lambda _done, _total: None)
    assert disks_of(source, "db") == [data]


@pytest.mark.parametrize(
    ("suffix", "kind", "how"),
    [
        ("raw", "raw", "gz"),
        ("vmdk", "vmdk", "gz"),
        ("vhd", "vpc", "gz"),
        ("raw", "raw", "xz"),
        ("qcow2", "qcow2", "xz"),
    ],
)
def test_a_packed_image_is_read_as_what_is_in_it(tmp_path, suffix, kind, how):
    data = make_image(tmp_path / f"db.{suffix}", kind, *(("force_size=on",) if kind == "vpc" else ()))
    (tmp_path / f"db.{suffix}.{how}").write_bytes(packed((tmp_path / f"db.{suffix}").read_bytes(), how))
    (tmp_path / f"db.{suffix}").unlink()
    assert disks_of(source_of(tmp_path), "db") == [data]


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512", ""])
def test_an_ova_says_what_its_machine_is(tmp_path, algorithm):
    contents = make_ova(tmp_path / "export.ova", algorithm=algorithm, firmware="efi")
    source = source_of(tmp_path)
    machine = source.machine("web01")
    assert (machine.ref, machine.cpus, machine.memory_mib) == ("export.ova", 2, 2048)
    assert (machine.firmware, machine.guest_id, machine.annotation) == (Firmware.UEFI, "debian12_64Guest", "The shop")
    assert [(d.size, d.controller, d.unit) for d in machine.disks] == [(SIZE, "pvscsi", 0), (SIZE, "pvscsi", 1)]
    (nic,) = machine.nics
    assert (nic.mac, nic.network, nic.model) == ("00:50:56:ab:cd:ef", "VM Network", "vmxnet3")
    seen = []
    source.check_machine(machine.ref, lambda done, total: seen.append((done, total)))
    assert bool(seen) == bool(algorithm)
    assert all(done == total for done, total in seen[-1:])
    assert disks_of(source, "web01") == contents


def test_of_an_appliance_for_several_sizes_the_usual_one_is_taken(tmp_path):
    def choices(files):
        item = b"<Item%s><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>"
        item += b"<rasd:VirtualQuantity>%d</rasd:VirtualQuantity></Item>"
        text = files["web01.ovf"].replace(
            b"<VirtualSystem ",
            b'<DeploymentOptionSection><Configuration ovf:id="small"/><Configuration ovf:id="large" ovf:default='
            b'"true"/></DeploymentOptionSection><VirtualSystem ',
        )
        bound = item % (b' ovf:bound="min"', 1)
        text = text.replace(b"<VirtualHardwareSection>", b"<VirtualHardwareSection>" + bound)
        sizes = item % (b' ovf:configuration="small"', 4) + item % (b' ovf:configuration="large other"', 8)
        files["web01.ovf"] = text.replace(b"</VirtualHardwareSection>", sizes + b"</VirtualHardwareSection>")

    make_ova(tmp_path / "a.ova", algorithm="", change=choices)
    machine = source_of(tmp_path).machine("web01")
    assert (machine.cpus, len(machine.disks), len(machine.nics)) == (8, 2, 1)


def test_names_of_files_may_be_escaped(tmp_path):
    def spaces(files):
        files["web 01%.vmdk"] = files.pop("web01-disk1.vmdk")
        files["web 02.vmdk"] = files.pop("web01-disk2.vmdk")
        text = files["web01.ovf"].replace(b"web01-disk1.vmdk", b"web%2001%25.vmdk")
        files["web01.ovf"] = text.replace(b"web01-disk2.vmdk", b"web 02.vmdk")
        listed = {"web01.ovf": files["web01.ovf"], "web%2001%25.vmdk": files["web 01%.vmdk"]}
        files["web01.mf"] = manifest(listed | {"web 02.vmdk": files["web 02.vmdk"]})

    make_ova(tmp_path / "a.ova", algorithm="", change=spaces)
    source = source_of(tmp_path)
    assert [d.location for d in source.machine("web01").disks] == ["web 01%.vmdk", "web 02.vmdk"]
    assert source.check_machine("a.ova", lambda _done, _total: None) == ()


def test_an_ovf_beside_its_disks_is_one_machine_and_a_single_file_can_be_named(tmp_path):
    data = make_image(tmp_path / "a.qcow2", "qcow2")
    (tmp_path / "a.ovf").write_bytes(
        ovf(("a.qcow2", (tmp_path / "a.qcow2").stat().st_size, SIZE, 0)).replace(b"vmdk", b"q")
    )
    make_image(tmp_path / "other.raw", "raw")
    assert sorted(machine.ref for machine in source_of(tmp_path).machines()) == ["a.ovf", "other.raw"]
    assert source_of(tmp_path).machine("web01").ref == "a.ovf"
    assert disks_of(source_of(tmp_path / "a.ovf"), "web01") == [data]
    (tmp_path / "below").mkdir()
    make_image(tmp_path / "below" / "deep.raw", "raw")
    (machine,) = source_of(tmp_path).machines(MachineFilter(folder="below"))
    assert (machine.ref, machine.folder) == ("below/deep.raw", "below")


def test_a_machine_in_a_file_is_off_for_ever(tmp_path):
    make_image(tmp_path / "a.raw", "raw")
    source = source_of(tmp_path)
    assert source.power_state("a.raw") is PowerState.OFF
    assert source.wait_powered_off("a.raw", 0)
    assert source.last_start("a.raw") == ""
    assert source.set_change_tracking("a.raw", True) is False
    snapshot = source.snapshot("a.raw", "s", OWNER, quiesce=False)
    assert [disk.change_id for disk in snapshot.disks] == [None]
    assert isinstance(source.changed(snapshot, "disk0", "x"), Unknown)
    with pytest.raises(Conflict):
        source.power_on("a.raw")
    (tmp_path / "a.raw").write_bytes(b"something else".ljust(SIZE, b"."))
    with pytest.raises(Conflict, match="changed since"), source.open_disk(snapshot, "disk0"):
        pass


def test_a_disk_with_an_efi_partition_boots_by_uefi(tmp_path):
    (tmp_path / "u.raw").write_bytes(gpt("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"))
    (tmp_path / "b.raw").write_bytes(
        gpt("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "21686148-6449-6e6f-744e-656564454649")
    )
    found = {machine.name: machine.firmware for machine in source_of(tmp_path).machines()}
    assert found == {"u": Firmware.UEFI, "b": Firmware.BIOS}
    assert source_of(tmp_path, firmware=Firmware.BIOS).machine("u.raw").firmware is Firmware.BIOS


def gpt(*kinds):
    """A disk with a partition of each of these types."""
    entries = b"".join(uuid.UUID(kind).bytes_le.ljust(128, b"\1") for kind in kinds).ljust(128 * 128, b"\0")
    header = b"EFI PART".ljust(72, b"\0") + struct.pack("<QII", 2, 128, 128)
    return (bytes(512) + header.ljust(512, b"\0") + entries).ljust(SIZE, b"\0")


# What is wrong with a file


def bad_backing(path):
    make_image(path / "base.raw", "raw")
    qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", path / "base.raw", path / "bad.qcow2")
    qemu_img("rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", "/elsewhere/base.raw", path / "bad.qcow2")
    (path / "base.raw").rename(path / "base")


def bad_data_file(path):
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={path / 'secret'},data_file_raw=on", path / "bad.qcow2", "1M")


def bad_luks(path):
    """Its header says so; making a real one takes as many seconds as its key's derivation."""
    make_image(path / "bad.qcow2", "qcow2")
    with (path / "bad.qcow2").open("r+b") as file:
        file.seek(32)
        file.write(struct.pack(">I", 2))


def bad_extent(where):
    def make(path):
        make_image(path / "bad.vmdk", "vmdk", "subformat=monolithicFlat")
        text = (path / "bad.vmdk").read_text().replace("bad-flat.vmdk", where)
        (path / "bad.vmdk").write_text(text)

    return make


def bad_parent(path):
    make_image(path / "base.vmdk", "vmdk")
    qemu_img("create", "-f", "vmdk", "-F", "vmdk", "-b", path / "base.vmdk", path / "bad.vmdk")
    (path / "base.vmdk").rename(path / "base")
    here, elsewhere = str(path).encode(), b"/elsewhere".ljust(len(str(path)), b"x")
    (path / "bad.vmdk").write_bytes((path / "bad.vmdk").read_bytes().replace(here, elsewhere))


def bad_encryption(path):
    make_image(path / "bad.vmdk", "vmdk", "subformat=monolithicFlat")
    with (path / "bad.vmdk").open("r+") as file:
        text = file.read().rstrip("\0 ").replace("# Extent", 'encryption.keySafe = "vmware:key/list"\n# Extent')
        file.seek(0)
        file.write(text)


def bad_cut(suffix, kind, *options, keep=0.6):
    def make(path):
        make_image(path / f"bad.{suffix}", kind, *options, data=random.Random(5).randbytes(SIZE))
        os.truncate(path / f"bad.{suffix}", int((path / f"bad.{suffix}").stat().st_size * keep) & ~511)

    return make


def bad_packed(how):
    def make(path):
        (path / f"bad.raw.{how}").write_bytes(packed(random.Random(5).randbytes(MIB), how)[:-9000])

    return make


def bad_content(path):
    (path / "bad.qcow2").write_bytes(b"no image".ljust(4096, b"\0"))


def bad_size(path):
    """A qcow2 that says it has 2^62 bytes, in tables that would take all memory."""
    make_image(path / "bad.qcow2", "qcow2")
    with (path / "bad.qcow2").open("r+b") as file:
        file.seek(24)
        file.write(struct.pack(">Q", 1 << 62))


def bad_embedded(path):
    """A sparse VMDK of no size, whose descriptor names where the disk is."""
    text = b'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
    text += b'RW 4 FLAT "/etc/passwd" 0\n'
    header = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 0, 128, 1, 2)
    (path / "bad.vmdk").write_bytes(header.ljust(512, b"\0") + text.ljust(4096, b"\0"))


def bad_packed_descriptor(path):
    make_image(path / "bad.vmdk", "vmdk", "subformat=monolithicFlat")
    (path / "bad.vmdk.gz").write_bytes(packed((path / "bad.vmdk").read_bytes(), "gz"))
    (path / "bad.vmdk").unlink()


def bad_sparse(path):
    qemu_img("create", "-f", "qcow2", "-o", "cluster_size=2M", path / "bad.qcow2", "100T")


REFUSED = [
    (bad_backing, "outside-reference", "isn't there"),
    (bad_data_file, "outside-reference", "names another file"),
    (bad_luks, "encrypted", "is encrypted"),
    (bad_extent("/etc/passwd"), "not-found", "There is no passwd"),
    (bad_extent("../../etc/passwd"), "not-found", "There is no passwd"),
    (bad_extent(".."), "image-refused", "can't be read"),
    (bad_extent("/dev/sda"), "image-refused", "can't be read"),
    (bad_extent("nbd:127.0.0.1:1"), "not-found", "There is no"),
    (bad_parent, "outside-reference", "isn't there"),
    (bad_encryption, "encrypted", "is encrypted"),
    (bad_cut("qcow2", "qcow2"), "file-bytes-missing", "cut off"),
    (bad_cut("vmdk", "vmdk", "subformat=streamOptimized"), "file-bytes-missing", "cut off"),
    (bad_cut("vmdk", "vmdk"), "file-bytes-missing", "cut off"),
    (bad_cut("vhdx", "vhdx"), "truncated", "it is cut off"),
    (bad_cut("vhd", "vpc", "force_size=on"), "truncated", "is cut off"),
    (bad_packed("gz"), "truncated", "cut off"),
    (bad_packed("xz"), "truncated", "cut off"),
    (bad_content, "image-refused", "isn't a qcow2 image"),
    (bad_size, "image-refused", "no qcow2 image that can be read"),
    (bad_embedded, "outside-reference", "names another file"),
    (bad_packed_descriptor, "outside-reference", "names another file"),
    (bad_sparse, "image-refused", "none has more than 64 TiB"),
]


@pytest.mark.parametrize(("make", "code", "words"), REFUSED)
def test_what_is_wrong_with_an_image_is_said_in_a_sentence(tmp_path, make, code, words):
    make(tmp_path)
    source = source_of(tmp_path)
    ref = next(path.name for path in tmp_path.iterdir() if path.name.startswith("bad.") and "-" not in path.name)
    with pytest.raises(LongshoreError) as refusal:
        source.check_machine(source.machine(ref).ref, lambda _done, _total: None)
    assert refusal.value.code == code, refusal.value
    assert words in refusal.value.message
    assert "\n" not in refusal.value.message
    assert str(tmp_path) not in refusal.value.message
    (shown,) = [machine for machine in source.machines() if machine.ref == ref]  # the list is none the worse for it
    assert shown.power is PowerState.OFF


def changed(name, old, new):
    def change(files):
        assert old in files[name]
        files[name] = files[name].replace(old, new)

    return change


def without(name):
    return lambda files: files.pop(name)


def renamed_manifest(files):
    files["export.mf"] = files.pop("web01.mf")
    data = bytearray(files["web01-disk1.vmdk"])
    data[-1] ^= 1
    files["web01-disk1.vmdk"] = bytes(data)


def two_of_one_id(files):
    start, end = (files["web01.ovf"].index(tag) for tag in (b" <VirtualSystem ", b"</Envelope>"))
    files["web01.ovf"] = files["web01.ovf"][:end] + files["web01.ovf"][start:]


def more_disks_than_any_machine(files):
    item = files["web01.ovf"][files["web01.ovf"].index(b"<Item><rasd:AddressOnParent>0") :]
    item = item[: item.index(b"</Item>") + 7]
    files["web01.ovf"] = files["web01.ovf"].replace(item, item * 257)


OVAS = [
    (changed("web01-disk1.vmdk", b"KDMV", b"KDMV"), None),
    (lambda files: files.update({"web01-disk2.vmdk": files["web01-disk1.vmdk"]}), "file-manifest-differs"),
    (renamed_manifest, "file-manifest-differs"),
    (changed("web01.ovf", b'"web01-disk2.vmdk"', b'"../web01-disk2.vmdk"'), "outside-reference"),
    (changed("web01.ovf", b'"web01-disk2.vmdk"', b'"/etc/passwd"'), "outside-reference"),
    (changed("web01.ovf", b'"web01-disk2.vmdk"', b'"..%2fweb01-disk2.vmdk"'), "outside-reference"),
    (changed("web01.ovf", b'"web01-disk2.vmdk"', b'"https://evil/disk.vmdk"'), "outside-reference"),
    (changed("web01.ovf", b'"web01-disk2.vmdk"', b'"web01-disk9.vmdk"'), "not-found"),
    (
        changed("web01.ovf", b"<Envelope", b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Envelope'),
        "ovf-refused",
    ),
    (changed("web01.ovf", b"</Envelope>", b"<EncryptedData/></Envelope>"), "encrypted"),
    (changed("web01.ovf", b"</Envelope>", b""), "ovf-refused"),
    (two_of_one_id, "ovf-refused"),
    (more_disks_than_any_machine, "ovf-refused"),
    (changed("web01.ovf", b"Quantity>2048<", b"Quantity>0<"), "ovf-refused"),
    (changed("web01.ovf", b"Quantity>2<", b"Quantity>9999999<"), "ovf-refused"),
    (without("web01-disk2.vmdk"), "not-found"),
    (without("web01.ovf"), "ovf-refused"),
    (lambda files: files.update({"../evil": b"x"}), "invalid-input"),
]


@pytest.mark.parametrize(("change", "code"), OVAS)
def test_an_ova_that_lies_is_refused(tmp_path, change, code):
    make_ova(tmp_path / "bad.ova", change=change)
    source = source_of(tmp_path)
    if code is None:
        source.check_machine(source.machine("bad.ova").ref, lambda _done, _total: None)
        return
    with pytest.raises(LongshoreError) as refusal:
        source.check_machine(source.machine("bad.ova").ref, lambda _done, _total: None)
    assert refusal.value.code in code.split("|"), refusal.value
    assert "\n" not in refusal.value.message


CLAIMS = [
    (changed("web01.mf", b"web01-disk2.vmdk", b"web01-disk3.vmdk"), "has no digest of web01-disk2.vmdk"),
    (changed("web01.mf", b"SHA256", b"CRC32"), "has a line that can't be read"),
    (changed("web01.ovf", b"The shop", b"A shop"), "web01.ovf isn't what web01.mf says"),
    (changed("web01.ovf", b'ovf:capacity="3145728"', b'ovf:capacity="3145216"'), "web01.ovf says 3145216"),
    (changed("web01.ovf", b'ovf:size="', b'ovf:size="9'), "web01.ovf says 9"),
]


@pytest.mark.parametrize(("change", "words"), CLAIMS)
def test_what_is_said_of_a_disk_and_is_not_so_is_a_warning(tmp_path, change, words):
    """hashicorp/packer#8995, vmware/govmomi#3440: sizes in OVFs are wrong as often as not."""
    contents = make_ova(tmp_path / "odd.ova", change=change)
    source = source_of(tmp_path)
    machine = source.machine("odd.ova")
    doubts = (*machine.file_doubts, *source.check_machine("odd.ova", lambda _done, _total: None))
    concerns = list(file_concerns(doubts))
    assert any(words in concern.text for concern in concerns), concerns
    assert {concern.code for concern in concerns} == {"file-claim-differs"}
    assert {concern.severity for concern in concerns} == {Severity.WARNING}
    assert disks_of(source, "odd.ova") == contents


def test_an_ova_that_was_cut_off_says_so(tmp_path):
    make_ova(tmp_path / "bad.ova")
    os.truncate(tmp_path / "bad.ova", (tmp_path / "bad.ova").stat().st_size // 2)
    with pytest.raises(InvalidInput, match="cut off"):
        source_of(tmp_path).machine("bad.ova")


def test_an_ova_does_not_end_where_a_header_is_damaged(tmp_path):
    """tarfile takes what is no header for the end: the digests behind it would be left out without a word."""
    path = tmp_path / "web01.ova"
    make_ova(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"web01.mf\0")] ^= 1
    path.write_bytes(data)
    (machine,) = source_of(tmp_path).machines()
    assert machine.unreadable_because == "web01.ova is no tar archive, or damaged: one of its headers is none."


# Behind HTTPS


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    directory = tmp_path_factory.mktemp("web")
    served = directory / "served"
    served.mkdir()
    contents = make_ova(served / "web01.ova")
    data = make_image(served / "db.qcow2", "qcow2")
    with https(served, directory) as (url, certificate):
        yield url, str(certificate), contents, data


@pytest.mark.long
@pytest.mark.parametrize("reach", [None, Reach(allowed=("127.0.0.1", "::1"))])
def test_files_on_the_web_are_read_where_they_are(web, reach):
    url, certificate, contents, data = web
    image = FilesSource(FilesSettings(f"{url}/db.qcow2", ca_file=certificate, reach=reach))
    assert disks_of(image, "db") == [data]
    archive = FilesSource(FilesSettings(f"{url}/web01.ova", ca_file=certificate, reach=reach))
    archive.check_machine("web01.ova", lambda _done, _total: None)
    assert disks_of(archive, "web01") == contents


def test_who_answers_on_the_web_has_to_be_trusted_and_within_reach(web):
    url, certificate, _, _ = web
    with pytest.raises(AccessDenied, match="isn't trusted"):
        FilesSource(FilesSettings(f"{url}/db.qcow2")).check()
    with pytest.raises(AccessDenied, match="doesn't connect"):
        FilesSource(FilesSettings(f"{url}/db.qcow2", ca_file=certificate, reach=Reach())).check()
    with pytest.raises(NotFound):
        FilesSource(FilesSettings(f"{url}/other.qcow2", ca_file=certificate)).check()


def test_a_provider_of_one_file_that_is_not_read_is_refused(tmp_path):
    (tmp_path / "web.vma.zst").write_bytes(b"x")
    with pytest.raises(InvalidInput, match="is packed in a way that isn't read here"):
        source_of(tmp_path / "web.vma.zst").check()
