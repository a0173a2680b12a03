"""What an image's first and last bytes tell: its format, and what it wants beside itself.

Whatever leads out of an image is refused here, before QEMU sees it: an image can name any file of the machine that
reads it as its base, and so come to show it.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from longshore.border.texts import shortened
from longshore.errors import InvalidInput
from longshore.providers.files.stored import SECTOR, Stored, is_plain

LARGEST_DESCRIPTOR = 1 << 20  # bytes; QEMU reads no more either
_QCOW2 = struct.Struct(">4sIQIIQI")  # magic, version, backing file's offset and size, cluster bits, size, encryption
_SPARSE = struct.Struct("<4sIIQQQQ")  # magic, version, flags, capacity, grain, descriptor's offset and size (sectors)
_BACKING_FORMAT = 0xE2792ACA
_LONGEST_NAME = 1023  # bytes of the name of a base, as QEMU has it
_FIRST_CLUSTER = 2 << 20  # bytes, at most: it holds the header, its extensions and that name
_NO_PARENT = "ffffffff"
SPARSE_MAGICS = (b"KDMV", b"COWD")  # of a VMDK whose descriptor, if it has one, is inside
_CREATE_TYPES = ("monolithicFlat", "twoGbMaxExtentFlat", "twoGbMaxExtentSparse", "vmfs", "vmfsSparse", "seSparse")
_EXTENT = re.compile(r'(RW|RDONLY|NOACCESS)\s+(\d{1,18})\s+(\w+)(?:\s+"([^"]*)"(?:\s+(\d{1,18}))?)?.*')
_MOST_EXTENTS = 4096
FLAT = ("FLAT", "VMFS")
_SPARSE_KINDS = ("SPARSE", "VMFSSPARSE", "SESPARSE")


class Format(StrEnum):
    RAW = "raw"
    QCOW2 = "qcow2"
    VMDK = "vmdk"
    VHD = "vpc"  # as QEMU calls it
    VHDX = "vhdx"


# "img" says nothing: clouds' images of that name are qcow2, other people's are raw
BY_SUFFIX = {
    "raw": Format.RAW,
    "qcow2": Format.QCOW2,
    "vmdk": Format.VMDK,
    "vhd": Format.VHD,
    "vhdx": Format.VHDX,
    "img": None,
}
_WORDS = {Format.QCOW2: "qcow2 image", Format.VMDK: "VMDK", Format.VHD: "VHD", Format.VHDX: "VHDX", Format.RAW: "raw"}


@dataclass(frozen=True, slots=True)
class VmdkExtent:
    sectors: int
    kind: str
    name: str  # empty: zeroes
    offset: int  # sectors


def format_of(image: Stored, expected: Format | None) -> Format:
    """By its content, which has to be what was expected; None: anything. Raises InvalidInput."""
    found = _found(image)
    if expected is Format.RAW:
        return Format.RAW  # a guest may have written anything to the beginning of its disk
    if expected is not None and found is not expected:
        cut = " or it is cut off" if expected is Format.VHD else ""
        raise InvalidInput(
            f"{image.name} isn't a {_WORDS[expected]} by its content{cut}.",
            advice="It may be damaged or of another format: name it by what it is.",
            code="image-refused",
        )
    return found


def _found(image: Stored) -> Format:
    head = image.read(0, SECTOR)
    if head[:4] == b"QFI\xfb":
        return Format.QCOW2
    if head[:4] in SPARSE_MAGICS or head.lstrip(b"#").lstrip().startswith(b"Disk DescriptorFile"):
        return Format.VMDK
    if head[:8] == b"vhdxfile":
        return Format.VHDX
    # A fixed VHD is a raw disk with a footer, of a dynamic one the footer is there twice
    if image.size >= 2 * SECTOR and image.read(image.size - SECTOR, 8) == b"conectix":
        return Format.VHD
    return Format.RAW


def refuse_references(image: Stored, kind: Format) -> None:
    """Raises InvalidInput for an image that needs another file, or a key, to be read; a qcow2 one may have a base."""
    if kind is Format.QCOW2:
        _refuse_of_qcow2(image)
    elif kind is Format.VHD:
        footer = image.read(image.size - SECTOR, SECTOR)
        if footer[60:64] == b"\0\0\0\4":
            raise needs_another(image.name)
    elif kind is Format.VMDK:
        descriptor = vmdk_descriptor(image)
        if descriptor:
            refuse_of_descriptor(image.name, descriptor)


def _refuse_of_qcow2(image: Stored) -> None:
    head = _qcow2_head(image)
    _, version, _, _, _, _, encryption = _QCOW2.unpack_from(head)
    if version >= 3 and len(head) >= 80 and struct.unpack_from(">Q", head, 72)[0] & 4:  # its data are in another file
        raise needs_another(image.name)
    if encryption:
        raise encrypted(image.name)
    entries, tables = struct.unpack_from(">IQ", head, 36)
    if tables + 8 * entries > image.size:  # which QEMU reads as zeroes: a disk of which nothing is there
        raise InvalidInput(f"{image.name} is cut off: it ends before its tables.", code="truncated")


def _qcow2_head(image: Stored) -> bytes:
    head = image.read(0, 104)
    if len(head) < 72:
        raise InvalidInput(f"{image.name} is cut off: it ends within its header.", code="truncated")
    return head


@dataclass(frozen=True, slots=True)
class Backing:
    """What a qcow2 image says of the one it is based on."""

    name: str
    kind: Format | None  # None: it doesn't say


def backing_of(image: Stored) -> Backing | None:
    """Of a qcow2 image; None: it is whole in itself. Raises InvalidInput.

    Where its name and its format are: docs/interop/qcow2.txt of QEMU.
    """
    head = _qcow2_head(image)
    _, version, at, length, _, _, _ = _QCOW2.unpack_from(head)
    if not at:
        return None
    if not 0 < length <= _LONGEST_NAME or at + length > _FIRST_CLUSTER:
        raise InvalidInput(f"{image.name} names its base where no image does.", code="image-refused")
    first = image.read(0, at + length)
    name = first[at:].decode(errors="replace")
    begin = struct.unpack_from(">I", head, 100)[0] if version >= 3 and len(head) >= 104 else 72
    said = _extension(first[:at], begin, _BACKING_FORMAT)
    if said is None:
        return Backing(name, None)
    if said not in (Format.RAW, Format.QCOW2):
        raise InvalidInput(
            f'{image.name} is based on an image of the format "{shortened(said)}".', code="image-refused"
        )
    return Backing(name, Format(said))


def _extension(header: bytes, at: int, wanted: int) -> str | None:
    """What a header's extension of this kind says; None when it has none such."""
    while at + 8 <= len(header):
        kind, length = struct.unpack_from(">II", header, at)
        if kind == 0:
            return None
        if kind == wanted:
            return header[at + 8 : at + 8 + length].decode(errors="replace")
        at += 8 + -(-length // 8) * 8
    return None


def is_descriptor(image: Stored, kind: Format) -> bool:
    """Whether it is the text alone that says which files a VMDK consists of."""
    return kind is Format.VMDK and image.read(0, 4) not in SPARSE_MAGICS


def vmdk_descriptor(image: Stored) -> str:
    """The text that says what a VMDK consists of; empty for a piece of one, and for those that need none."""
    head = image.read(0, SECTOR)
    if head[:4] == b"COWD":
        return ""
    if head[:4] != b"KDMV":
        if image.size > LARGEST_DESCRIPTOR:
            raise InvalidInput(f"{image.name} is too large for a VMDK's descriptor.", code="image-refused")
        return image.read(0, LARGEST_DESCRIPTOR).decode("utf-8", errors="replace").partition("\0")[0]
    if len(head) < _SPARSE.size:
        raise InvalidInput(f"{image.name} is cut off: it ends within its header.", code="truncated")
    _, _, _, capacity, _, offset, size = _SPARSE.unpack_from(head)
    if not capacity:  # all of it is in files that its descriptor names, which no maker of sparse ones does
        raise needs_another(image.name)
    if not size:
        return ""
    if size * SECTOR > LARGEST_DESCRIPTOR or offset * SECTOR > image.size:
        raise InvalidInput(f"{image.name} has no descriptor where it should be.", code="image-refused")
    return image.read(offset * SECTOR, size * SECTOR).decode("utf-8", errors="replace").partition("\0")[0]


def refuse_of_descriptor(name: str, descriptor: str) -> None:
    """Raises InvalidInput."""
    for key, value in _settings(descriptor):
        if key.startswith("encryption"):
            raise encrypted(name)
        if key == "parentfilenamehint" or (key == "parentcid" and value.lower() != _NO_PARENT):
            raise needs_another(name)
        if key == "changetrackpath" and not is_plain(value):
            raise needs_another(name)


def _settings(descriptor: str) -> Iterator[tuple[str, str]]:
    for line in descriptor.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            yield key.strip().lower(), value.strip().strip('"')


def create_type(name: str, descriptor: str) -> str:
    """How a disk of several files is laid out. Raises InvalidInput."""
    said = dict(_settings(descriptor)).get("createtype", "")
    for known in _CREATE_TYPES:
        if said.lower() == known.lower():
            return known
    raise InvalidInput(
        f'{name} is a VMDK of a kind that can\'t be read: "{shortened(said, 40)}".',
        advice="Export the machine, or convert the disk.",
        code="image-refused",
    )


def extents_of(name: str, descriptor: str) -> list[VmdkExtent]:
    """The files that a descriptor of its own names. Raises InvalidInput, also for names that lead elsewhere."""
    found = []
    for line in descriptor.splitlines():
        match = _EXTENT.fullmatch(line.strip())
        if match is None:
            if line.strip().startswith(("RW ", "RDONLY ", "NOACCESS ")):
                raise _odd(name, line)
            continue
        _, sectors, kind, file, offset = match.groups()
        if kind == "ZERO":
            raise _odd(name, line)  # nobody writes it, and QEMU reads it in raw descriptors only
        if kind not in (*FLAT, *_SPARSE_KINDS) or not file:
            raise _odd(name, line)
        if not is_plain(file):
            raise InvalidInput(
                f'{name} names a file outside its own directory ("{shortened(file)}").',
                advice="Such files aren't opened: put all files of the machine side by side.",
                code="outside-reference",
            )
        found.append(VmdkExtent(int(sectors), kind, file, int(offset or 0)))
    if not 0 < len(found) <= _MOST_EXTENTS:
        raise InvalidInput(f"{name} names no files that its disk consists of.", code="image-refused")
    return found


def _odd(name: str, line: str) -> InvalidInput:
    return InvalidInput(
        f'{name} has a piece that can\'t be read: "{shortened(line.strip(), 80)}".',
        advice="Raw devices and the like aren't files: export the machine.",
        code="image-refused",
    )


def needs_another(name: str) -> InvalidInput:
    return InvalidInput(
        f"{name} holds only a part of a disk, and names another file for the rest.",
        advice="Such files are never opened. Make one image of it first: qemu-img convert, or export the machine.",
        code="outside-reference",
    )


def encrypted(name: str) -> InvalidInput:
    return InvalidInput(f"{name} is encrypted.", advice="Decrypt it, or export the machine in clear.", code="encrypted")
