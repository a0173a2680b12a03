"""Whatever a stranger's OVF, descriptor or archive holds: it is read, or refused in a sentence of ours."""

import io
import struct
import tarfile
import uuid

import pytest
from files_made import ovf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from virtual_disks import ESP, dynamic_vhd, gpt_disk, vhd_footer

from longshore.errors import InvalidInput, LongshoreError
from longshore.model.machine import Firmware
from longshore.providers.files.archive import FileArchive
from longshore.providers.files.headers import Format, bases_of, format_of, refuse_references, size_of
from longshore.providers.files.manifest import read_manifest
from longshore.providers.files.microsoft import footer_of
from longshore.providers.files.ovf import read_ovf
from longshore.providers.files.partitions import layout_of
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.stored import Stored
from longshore.providers.files.vmdk import cids, descriptor_of, extents_of, refuse_encrypted

MIB = 1 << 20
METADATA_AT = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le  # in a VHDX's table of regions
PLAIN = settings(max_examples=100, deadline=None)
WHOLE = ovf(("disk1.vmdk", 4096, 3 * MIB, 0), ("disk2.vmdk", 4096, 3 * MIB, 1))
DESCRIPTOR = (
    b'# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="twoGbMaxExtentFlat"\n'
    b'RW 2048 FLAT "a-f001.vmdk" 0\nRW 2048 FLAT "a-f002.vmdk" 0\nddb.adapterType = "ide"\n'
)


class Bytes(Stored):
    """In memory."""

    def __init__(self, data):
        super().__init__("stranger", len(data), "")
        self.data = data

    def read(self, offset, length):
        assert offset >= 0
        assert 0 <= length <= 4 * MIB  # nobody has it read what a header says
        return self.data[offset : offset + length]

    def serve(self, offset=0, size=None):
        raise NotImplementedError


def tar_of(*names, format=tarfile.USTAR_FORMAT, **pax):
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=format) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 700
            member.pax_headers = pax
            archive.addfile(member, io.BytesIO(bytes(700)))
    return whole.getvalue()


TARS = [tar_of("a.ovf", "b.vmdk"), tar_of("a.ovf", "b" * 150, format=tarfile.PAX_FORMAT), tar_of("a" * 120, format=1)]


@st.composite
def altered(draw, originals):
    """One of these with a few of its bytes replaced, removed or repeated."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 40))
        data[at : at + length] = draw(st.binary(max_size=40) | st.just(bytes(data[:at][-600:])))
    return bytes(data)


def refused_or_read(read):
    """Only errors of ours, and those in one line that any terminal shows."""
    try:
        read()
    except LongshoreError as error:
        assert error.message.isprintable(), error.message


@PLAIN
@given(altered([WHOLE, WHOLE.decode().encode("utf-16")]) | st.binary(max_size=300))
@example(b"<Envelope>" * 2000 + b"</Envelope>" * 2000)
@example(b'<?xml version="1.0" encoding="hex"?><Envelope/>')
@example(WHOLE.replace(b">2048<", b">9999999999999999999<"))
@example(WHOLE.replace(b">web01<", ">\N{CONTROL SEQUENCE INTRODUCER}2J\nweb<".encode()))
def test_any_ovf_is_read_or_refused(text):
    def read():
        for system in read_ovf(text, "a.ovf"):
            assert system.name.isprintable()
            assert system.cpus is None or 0 < system.cpus <= 4096
            assert system.memory_mib is None or 0 < system.memory_mib <= 1 << 26
            assert all(doubt.text.isprintable() for doubt in system.doubts)

    refused_or_read(read)


@PLAIN
@given(altered([DESCRIPTOR]) | st.binary(max_size=300))
def test_any_descriptor_is_read_or_refused(text):
    image = Bytes(text)

    def read():
        descriptor = descriptor_of(image)
        refuse_encrypted("a.vmdk", descriptor)
        assert all(len(cid) == 8 for cid in cids(descriptor))
        for extent in extents_of("a.vmdk", descriptor):
            assert not any("/" in name for name in extent.names)

    refused_or_read(read)


@PLAIN
@given(
    st.sampled_from(
        [b"KDMV", b"COWD", b"QFI\xfb", b"vhdxfile", b"# Disk DescriptorFile\n", bytes(64) + b"\x7f\x10\xda\xbe", b""]
    ),
    st.binary(max_size=700),
    st.sampled_from([None, *Format]),
)
def test_any_beginning_of_an_image_is_known_or_refused(magic, rest, expected):
    image = Bytes(magic + rest)

    def read():
        kind = format_of(image, expected)
        refuse_references(image, kind)
        bases_of(image, kind)
        size_of(image, kind)

    refused_or_read(read)


@PLAIN
@given(altered([dynamic_vhd(bytes(MIB), b"win ", 4, "a.vhd"), bytes(1024) + vhd_footer(1024, b"wa")]))
@example(bytes(1024) + vhd_footer(1024, b"wa")[:60] + b"\0\0\0\4" + bytes(448))
def test_any_footer_of_a_vhd_is_read_or_refused(data):
    image = Bytes(data)
    refused_or_read(lambda: footer_of(image) and (refuse_references(image, Format.VHD), size_of(image, Format.VHD)))


@PLAIN
@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
@example(struct.pack("<4sIQ48s", b"head", 0, 1, b"\1" * 48), METADATA_AT + struct.pack("<QII", 1 << 63, 9, 1), b"")
def test_any_tables_of_a_vhdx_are_read(head, regions, metadata):
    data = bytearray(1 << 20)
    for at, part in ((64 << 10, head), (192 << 10, b"regi" + bytes(12) + regions), (512 << 10, b"metadata" + metadata)):
        data[at : at + len(part)] = part
    image = Bytes(b"vhdxfile" + bytes(data)[8:])
    refused_or_read(lambda: (bases_of(image, Format.VHDX), size_of(image, Format.VHDX)))


@PLAIN
@given(altered([gpt_disk(40 << 10, ESP), gpt_disk(40 << 10, ESP, sector=4096)]) | st.binary(max_size=1024))
def test_any_partition_table_is_read(data):
    assert layout_of(Bytes(data)).end >= 0


@PLAIN
@given(altered(TARS))
@example(b"")
def test_any_archive_is_read_or_refused(data):
    def read():
        archive = FileArchive(Bytes(data))
        for name in archive.named(""):
            member = archive.open(name)
            assert 0 <= member.size <= len(data)
            assert len(member.read(0, member.size)) == member.size

    refused_or_read(read)


def header_of(name, kind, size):
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, max(size, 0)
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if size < 0:
        block[124:136] = b"\xff" * 4 + (size & (1 << 64) - 1).to_bytes(8, "big")
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


LYING = {
    "a size below zero": header_of("a.ovf", tarfile.REGTYPE, -1024),
    "a directory of a size below zero": header_of("a", tarfile.DIRTYPE, 0) + header_of("b", b"9", -1024),
    "headers of headers": header_of("a", tarfile.GNUTYPE_LONGNAME, 0) * 3000,
    "only directories": header_of("d", tarfile.DIRTYPE, 0) * 9000,
    "a header of 3 GiB": header_of("a", tarfile.XHDTYPE, 3 << 30),
    "a sparse map that is none": tar_of("a.ovf", format=tarfile.PAX_FORMAT, **{"GNU.sparse.map": "x"}),
}


@pytest.mark.parametrize("what", LYING)
def test_headers_of_an_archive_that_lie_are_refused(what):
    with pytest.raises(InvalidInput):
        FileArchive(Bytes(LYING[what] + bytes(1024)))


@PLAIN
@given(altered([b"SHA256(a.ovf)= " + b"0" * 64 + b"\nSHA1(b.vmdk)= " + b"1" * 40 + b"\n"]))
def test_any_manifest_is_read_or_refused(text):
    refused_or_read(lambda: read_manifest(Bytes(text), []))


@PLAIN
@given(st.text(max_size=60).map(lambda rest: f"https://{rest}") | st.text(max_size=60).map(lambda rest: f"file:{rest}"))
@example("https://[host/a.ova")
@example("https://host:x/a.ova")
@example("file://[/a")
def test_any_url_is_taken_or_refused(url):
    refused_or_read(lambda: FilesSettings(url))


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, blacklist_characters="/\\<>&\"'%"), min_size=1)
NAMES = NAMES.filter(lambda name: name.isprintable() and name not in (".", "..") and name == name.strip())


@PLAIN
@given(
    st.lists(st.tuples(NAMES, st.integers(1, 1 << 40), st.integers(0, 63)), max_size=8, unique_by=lambda d: d[2]),
    st.integers(1, 512),
    st.integers(1, 1 << 24),
    st.binary(min_size=6, max_size=6),
    st.sampled_from(["bios", "efi"]),
    NAMES,
)
def test_what_is_written_into_an_ovf_is_what_the_machine_has(disks, cpus, memory, mac, firmware, name):
    text = ovf(*((href, 512, size * 512, place) for href, size, place in disks), firmware=firmware).decode()
    written = ":".join(f"{byte:02X}" for byte in mac)
    for old, new in (
        ("Quantity>2<", f"Quantity>{cpus}<"),
        ("Quantity>2048<", f"Quantity>{memory}<"),
        ("00:50:56:AB:CD:EF", written),
        ("<Name>web01<", f"<Name>{name}<"),
    ):
        assert old in text
        text = text.replace(old, new)
    (system,) = read_ovf(text.encode(), "a.ovf")
    assert (system.name, system.cpus, system.memory_mib) == (name, cpus, memory)
    assert system.firmware is (Firmware.UEFI if firmware == "efi" else Firmware.BIOS)
    assert [nic.mac for nic in system.nics] == [written.lower()]
    in_order = sorted(disks, key=lambda disk: disk[2])
    assert [(d.href, d.capacity, d.address) for d in system.disks] == [(h, s * 512, p) for h, s, p in in_order]
