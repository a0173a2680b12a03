"""Headers of images: their first and last bytes tell the format, and what an image wants beside itself.

Whatever leads out of an image is refused here, before QEMU sees it: an image can name any file of the machine that
reads it as its base, and so come to show it.
"""

import re
import struct
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from longshore.errors import InvalidInput
from longshore.providers.files import vmdk
from longshore.providers.files.microsoft import COOKIE, as_posix, end_of_vhdx, footer_of, vhd_of, vhdx_of
from longshore.providers.files.stored import SECTOR, Stored, encrypted, needs_another, printable
from longshore.providers.files.vmdk import (
    SPARSE_MAGICS,
    capacity_of,
    descriptor_of,
    is_like_descriptor,
    parent_of,
    refuse_encrypted,
)

_QCOW2 = struct.Struct(">4sIQIIQI")  # magic, version, backing file's offset and size, cluster bits, size, encryption
_BACKING_FORMAT, _DATA_FILE_NAME = 0xE2792ACA, 0x44415441  # of a header's extensions
_LARGEST_HEADER = 64 << 10  # bytes, with its extensions
_LONGEST_NAME = 1023  # bytes of the name of a base, as QEMU has it
_FIRST_CLUSTER = 2 << 20  # bytes, at most: it holds the header, its extensions and that name
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _LONG_ENTRIES = 1, 2, 4, 8, 16  # a qcow2's incompatible features
_RAW_DATA = 2  # among its features that whoever writes it without knowing them has to clear
_KNOWN_FEATURES = _DIRTY | _CORRUPT | _DATA_FILE | _COMPRESSION | _LONG_ENTRIES
_VDI_MAGIC = b"\x7f\x10\xda\xbe"  # 64 bytes behind the beginning, after a text for people
_VDI_ZEROES = 0xFFFFFFFE  # from here on an entry of its table of blocks says that there is none
_TABLE_PIECE = 1 << 20  # bytes
_LARGEST_POINTER = 64 << 10  # bytes
_PRINTED = bytes(range(32, 127)) + b"\t\r\n"
_BY_UUID = re.compile(r"\{[0-9a-fA-F-]{36}\}")  # how VirtualBox names a base: by what no file is called
_VDI_NORMAL = (1, 2)  # types of images that are whole in themselves


class Format(StrEnum):
    RAW = "raw"
    QCOW2 = "qcow2"
    VMDK = "vmdk"
    VHD = "vpc"  # as QEMU calls it
    VHDX = "vhdx"
    VDI = "vdi"

    @property
    def words(self) -> str:
        return {"qcow2": "qcow2 image", "vpc": "VHD", "raw": "raw"}.get(self.value, self.value.upper())


# "img" says nothing: clouds' images of that name are qcow2, other people's are raw
BY_SUFFIX = {
    "raw": Format.RAW,
    "qcow2": Format.QCOW2,
    "vmdk": Format.VMDK,
    "vhd": Format.VHD,
    "vhdx": Format.VHDX,
    "avhd": Format.VHD,  # Hyper-V's checkpoints
    "avhdx": Format.VHDX,
    "vdi": Format.VDI,
    "img": None,
}


def format_of(image: Stored, expected: Format | None) -> Format:
    """Return an image's format by its content, which has to be what was expected; None: anything. Raises
    InvalidInput."""
    found = found_in(image)
    if expected is Format.RAW:
        return Format.RAW  # a guest may have written anything to the beginning of its disk
    if (expected, found) == (Format.VMDK, Format.RAW) and image.name.lower().endswith("-flat.vmdk"):
        raise InvalidInput(
            f"{image.name} is a disk without the VMDK that describes it.",
            advice="Copy that one beside it, or give this one a name that ends with .raw.",
            code="image-refused",
        )
    if found is Format.VMDK and expected in (found, None) and not descriptor_of(image):
        raise InvalidInput(
            f"{image.name} is a part of a disk, without the VMDK that describes it.",
            advice="Copy that one beside it, and all other parts.",
            code="image-refused",
        )
    if expected is not None and found is not expected:
        cut = " or it is cut off" if expected is Format.VHD else ""
        raise InvalidInput(
            f"{image.name} isn't a {expected.words} by its content{cut}.",
            advice="It may be damaged or of another format: name it by what it is.",
            code="image-refused",
        )
    return found


def found_in(image: Stored) -> Format:
    """Return the format that it begins or ends like; raw is what is like nothing else."""
    head = image.read(0, SECTOR)
    if head[:4] == b"QFI\xfb":
        return Format.QCOW2
    if head[:4] in SPARSE_MAGICS or is_like_descriptor(head):
        return Format.VMDK
    if head[:8] == b"vhdxfile":
        return Format.VHDX
    if head[64:68] == _VDI_MAGIC:
        return Format.VDI
    # A fixed VHD is a raw disk with a footer; of a dynamic one it is there twice, and once where that is cut off
    return Format.VHD if footer_of(image) or head.startswith(COOKIE) else Format.RAW


def is_text(image: Stored) -> bool:
    """Tell whether a file is a small text, as a web server's page or a pointer to a file that wasn't fetched."""
    head = image.read(0, SECTOR)
    return bool(head) and image.size < _LARGEST_POINTER and not head.strip(_PRINTED)


def refuse_references(image: Stored, kind: Format) -> None:
    """Raise InvalidInput for an image that needs a key to be read, or another file other than as its base."""
    if kind is Format.QCOW2:
        _refuse_of_qcow2(image)
    elif kind is Format.VMDK:
        refuse_encrypted(image.name, descriptor_of(image))
    names = () if kind is Format.QCOW2 else bases_of(image, kind)
    if names and (kind is not Format.VMDK or _BY_UUID.fullmatch(names[0])):
        raise InvalidInput(
            f"{image.name} holds only what differs from another disk.",
            advice="Merge the two where it was made: delete the checkpoint or snapshot there.",
            code="outside-reference",
        )


def bases_of(image: Stored, kind: Format) -> tuple[str, ...]:
    """Return how it names the image that it is based on, in the order in which to look; empty: it is whole in itself.

    VirtualBox names no file: of a VDI or VMDK of its it is the other one's UUID, in braces. Raises InvalidInput.
    """
    if kind is Format.QCOW2:
        backing = backing_of(image)
        return () if backing is None else (backing.name,)
    if kind is Format.VMDK:
        parent = parent_of(image.name, descriptor_of(image))
        return () if parent is None else (as_posix(parent),)
    if kind is Format.VHD:
        parent = vhd_of(image).parent
        return () if parent is None else (as_posix(parent),)
    if kind is Format.VHDX:
        return tuple(map(as_posix, vhdx_of(image).parents))
    if kind is Format.VDI and int.from_bytes(image.read(0x4C, 4), "little") not in _VDI_NORMAL:
        return (_vdi_uuid(image, 0x1A8),)
    return ()


def identity_of(image: Stored, kind: Format) -> str:
    """Return the UUID that VirtualBox has given an image, as `bases_of` names it; empty: none. Raises InvalidInput."""
    if kind is Format.VMDK:
        return vmdk.identity_of(descriptor_of(image))
    return _vdi_uuid(image, 0x188) if kind is Format.VDI else ""


def _vdi_uuid(image: Stored, at: int) -> str:
    return f"{{{UUID(bytes_le=image.read(at, 16).ljust(16, bytes(1)))}}}"


def size_of(image: Stored, kind: Format) -> int | None:
    """Return the bytes of the disk in it, by its own header; None where the header doesn't tell, or there is none."""
    if kind is Format.QCOW2:
        return int(_QCOW2.unpack_from(_qcow2_head(image))[5])
    if kind is Format.VMDK:
        sectors = capacity_of(image)
        return None if sectors is None else sectors * SECTOR
    if kind is Format.VHD:
        return vhd_of(image).size
    if kind is Format.VHDX:
        return vhdx_of(image).size
    if kind is Format.VDI:
        return int.from_bytes(image.read(0x170, 8), "little")
    return None


def end_of(image: Stored, kind: Format) -> int:
    """Return how many bytes the file has at least, by its table of blocks; 0 for kinds of which QEMU's check tells."""
    if kind is Format.VHDX:
        return end_of_vhdx(image)
    if kind is not Format.VDI:
        return 0
    table, data = struct.unpack("<II", image.read(0x154, 8).ljust(8, b"\0"))
    size, more, count = struct.unpack("<III", image.read(0x178, 12).ljust(12, b"\0"))
    last = -1
    for at in range(table, min(table + 4 * count, image.size), _TABLE_PIECE):
        piece = image.read(at, min(_TABLE_PIECE, table + 4 * count - at))
        entries = struct.unpack_from(f"<{len(piece) // 4}I", piece)
        last = max([last, *(entry for entry in entries if entry < _VDI_ZEROES)])
    return data + (last + 1) * (size + more) if last >= 0 else 0


def is_marked_corrupt(image: Stored) -> bool:
    """Tell whether QEMU has found a qcow2 image damaged before."""
    head = _qcow2_head(image)
    return len(head) >= 80 and head[7] >= 3 and bool(head[79] & _CORRUPT)


def _refuse_of_qcow2(image: Stored) -> None:
    head = _qcow2_head(image)
    _, version, _, _, _, _, encryption = _QCOW2.unpack_from(head)
    if version == 1:
        raise InvalidInput(
            f"{image.name} is of qcow's first version, which isn't read here.",
            advice="Convert it: qemu-img convert -f qcow -O qcow2 OLD NEW.",
            code="image-refused",
        )
    features = _features(head)
    if features & _DATA_FILE:
        raise needs_another(image.name)
    if features & ~_KNOWN_FEATURES:
        raise InvalidInput(
            f"{image.name} was written by a newer QEMU than the one that reads it here.",
            advice="Convert it where it was made: qemu-img convert -O qcow2 OLD NEW.",
            code="image-refused",
        )
    if encryption:
        raise encrypted(image.name)
    entries, tables = struct.unpack_from(">IQ", head, 36)
    if tables + 8 * entries > image.size:  # which QEMU reads as zeroes: a disk of which nothing is there
        raise InvalidInput(f"{image.name} is cut off: it ends before its tables.", code="truncated")


def _features(head: bytes) -> int:
    """Return the features that whoever reads a qcow2 image has to know."""
    return int(struct.unpack_from(">Q", head, 72)[0]) if _QCOW2.unpack_from(head)[1] >= 3 and len(head) >= 80 else 0


def data_file_of(image: Stored) -> str:
    """Return the file in which a qcow2 image has the bytes of its disk in an order of its own; empty: it has them
    itself, or in a file that is a raw disk. Raises InvalidInput."""
    head = _qcow2_head(image)
    if not _features(head) & _DATA_FILE or len(head) < 104 or struct.unpack_from(">Q", head, 88)[0] & _RAW_DATA:
        return ""
    return _extension(image.read(0, _LARGEST_HEADER), struct.unpack_from(">I", head, 100)[0], _DATA_FILE_NAME) or ""


def _qcow2_head(image: Stored) -> bytes:
    head = image.read(0, 104)
    if len(head) < 72:
        raise InvalidInput(f"{image.name} is cut off: it ends within its header.", code="truncated")
    return head


@dataclass(frozen=True, slots=True)
class Backing:
    """The base of a qcow2 image, as the image names it."""

    name: str
    kind: Format | None  # None: it doesn't say


def backing_of(image: Stored) -> Backing | None:
    """Return the base of a qcow2 image; None: it is whole in itself. Raises InvalidInput.

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
            f'{image.name} is based on an image of the format "{printable(said)}".', code="image-refused"
        )
    return Backing(name, Format(said))


def _extension(header: bytes, at: int, wanted: int) -> str | None:
    """Return what a header's extension of this kind says; None when it has none such."""
    while at + 8 <= len(header):
        kind, length = struct.unpack_from(">II", header, at)
        if kind == 0:
            return None
        if kind == wanted:
            return header[at + 8 : at + 8 + length].decode(errors="replace")
        at += 8 + -(-length // 8) * 8
    return None
