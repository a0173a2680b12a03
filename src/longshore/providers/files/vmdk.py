"""Descriptions that VMDKs have of themselves: the text, and the headers of sparse files."""

import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from longshore.errors import InvalidInput, NotFound
from longshore.providers.files.stored import (
    SECTOR,
    Bundle,
    Stored,
    encrypted,
    is_plain,
    needs_another,
    printable,
    spellings,
)

LARGEST_DESCRIPTOR = 1 << 20  # bytes; QEMU reads no more either
SPARSE_MAGICS = (b"KDMV", b"COWD")  # of a VMDK whose descriptor, if it has one, is inside
NO_PARENT = "ffffffff"
_SE_SPARSE = b"\xbe\xba\xfe\xca\0\0\0\0"  # what a seSparse file begins with
_SPARSE = struct.Struct("<4sIIQQQQ")  # magic, version, flags, capacity, grain, descriptor's offset and size (sectors)
_EXTENT = re.compile(r'(RW|RDONLY|NOACCESS)\s+(\d{1,18})\s+(\w+)(?:\s+"([^"]*)"(?:\s+(\d{1,18}))?)?.*')
_MOST_EXTENTS = 4096
ZERO = "ZERO"
FLAT = ("FLAT", "VMFS")
_SPARSE_KINDS = ("SPARSE", "VMFSSPARSE", "SESPARSE")
# As QEMU and VirtualBox know one: by its first lines, of which some makers' are comments, or none
_DESCRIPTOR = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:[ \t]*(?:#[^\r\n]*)?[\r\n])*[ \t]*"
    rb"(?:#[ \t]*Disk Descriptor ?File|version[ \t]*=[ \t]*[1-4]\b)",
    re.IGNORECASE,
)
_DEVICE = re.compile(r"/dev/|\\\\[.?]\\|\w+://")  # also of vSAN, and of virtual volumes
# Which of Python's encodings a descriptor may name: those of file names, of which none is slow or runs anything
_ENCODING = re.compile(
    r"(utf-8|windows-\d{3,4}|cp\d{3,5}|ibm\d{3,5}|iso-8859-\d{1,2}|gbk|gb2312|gb18030|big5|shift_jis|euc-(jp|kr))"
)


@dataclass(frozen=True, slots=True)
class VmdkExtent:
    sectors: int
    kind: str
    names: tuple[str, ...]  # how its file may be called, the likeliest first; empty: zeroes
    offset: int  # sectors


def is_like_descriptor(head: bytes) -> bool:
    """Tell whether a file that begins so is a VMDK's descriptor."""
    return _DESCRIPTOR.match(head) is not None


def is_descriptor(image: Stored) -> bool:
    """Tell whether a VMDK is the text alone that says which files it consists of."""
    return image.read(0, 4) not in SPARSE_MAGICS


def descriptor_of(image: Stored) -> str:
    """Return the text that says what a VMDK consists of; empty for a piece of one, and for those that need none.

    Letters beyond ASCII that aren't UTF-8 are there as Python's surrogates. Raises InvalidInput.
    """
    head = image.read(0, SECTOR)
    if head[:4] == b"COWD" or head[:8] == _SE_SPARSE:
        return ""
    if head[:4] != b"KDMV":
        if image.size > LARGEST_DESCRIPTOR:
            raise InvalidInput(f"{image.name} is too large for a VMDK's descriptor.", code="image-refused")
        return _text(image.read(0, LARGEST_DESCRIPTOR))
    if len(head) < _SPARSE.size:
        raise InvalidInput(f"{image.name} is cut off: it ends within its header.", code="truncated")
    _, _, _, capacity, _, offset, size = _SPARSE.unpack_from(head)
    if not capacity:  # all of it is in files that its descriptor names, which no maker of sparse ones does
        raise needs_another(image.name)
    if not size:
        return ""
    if size * SECTOR > LARGEST_DESCRIPTOR or offset * SECTOR > image.size:
        raise InvalidInput(f"{image.name} has no descriptor where it should be.", code="image-refused")
    return _text(image.read(offset * SECTOR, size * SECTOR))


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8-sig", errors="surrogateescape")


def refuse_encrypted(name: str, descriptor: str) -> None:
    """Raise InvalidInput for an encrypted VMDK."""
    if any(key.startswith("encryption") for key, _ in _settings(descriptor)):
        raise encrypted(name)


def cids(descriptor: str) -> tuple[str, str]:
    """Return which state of the disk it is, and which of its parent's it was made upon; both as 8 digits."""
    said = dict(_settings(descriptor))
    return _cid(said.get("cid", "")), _cid(said.get("parentcid", NO_PARENT))


def _cid(told: str) -> str:
    return told.lower().zfill(8) if re.fullmatch(r"[0-9a-fA-F]{1,8}", told) else "0" * 8


def parent_of(name: str, descriptor: str) -> str | None:
    """Return the file whose disk it only says the differences from, as it names that; None: it is whole in itself.

    VirtualBox names no file: it is the other one's UUID, in braces. Raises InvalidInput when it has a parent and
    doesn't say which.
    """
    said = dict(_settings(descriptor))
    hint = said.get("parentfilenamehint")
    if hint:
        return readings(hint, said.get("encoding", ""))[0]
    if (uuid := said.get("ddb.uuid.parent", "")).strip("0-"):
        return f"{{{uuid.lower()}}}"
    if cids(descriptor)[1] != NO_PARENT:
        raise needs_another(name)
    return None


def identity_of(descriptor: str) -> str:
    """Return the UUID that VirtualBox has given it, in braces; empty: none."""
    uuid = dict(_settings(descriptor)).get("ddb.uuid.image", "")
    return f"{{{uuid.lower()}}}" if uuid else ""


def change_tracking_of(descriptor: str) -> str:
    """Return the file beside it in which ESXi notes what changes; empty: there is none."""
    return dict(_settings(descriptor)).get("changetrackpath", "")


def _settings(descriptor: str) -> Iterator[tuple[str, str]]:
    for line in descriptor.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            yield key.strip().lower(), value.strip().strip('"')


def extents_of(name: str, descriptor: str) -> list[VmdkExtent]:
    """Return the files that a descriptor of its own names. Of a path the last part counts: whatever it names has to lie
    beside the descriptor. Raises InvalidInput."""
    found = []
    encoding = dict(_settings(descriptor)).get("encoding", "")
    for line in descriptor.splitlines():
        match = _EXTENT.fullmatch(line.strip())
        if match is None:
            if line.strip().startswith(("RW ", "RDONLY ", "NOACCESS ")):
                raise _odd(name, line)
            continue
        _, sectors, kind, file, offset = match.groups()
        kind = kind.upper()
        parts = (last for one in readings(file or "", encoding) for last in _last_parts(one))
        names = tuple(dict.fromkeys(filter(is_plain, parts)))
        known = kind == ZERO or (kind in (*FLAT, *_SPARSE_KINDS) and names)
        if not known or not int(sectors) or _DEVICE.match(file or ""):
            raise _odd(name, line)
        found.append(VmdkExtent(int(sectors), kind, () if kind == ZERO else names, int(offset or 0)))
    if not 0 < len(found) <= _MOST_EXTENTS:
        raise InvalidInput(f"{name} names no files that its disk consists of.", code="image-refused")
    return found


def _last_parts(path: str) -> tuple[str, str]:
    """Return a path's last part, as Linux and as Windows has it."""
    last = path.rpartition("/")[2]
    return last, last.rpartition("\\")[2]


def readings(told: str, encoding: str) -> tuple[str, ...]:
    """Return a name as it may be spelled: makers write it in the encoding that they say, files are copied to UTF-8 or
    not."""
    raw, encoding = told.encode("utf-8", errors="surrogateescape"), encoding.lower()
    read = [told]
    if not raw.isascii() and _ENCODING.fullmatch(encoding):
        with suppress(LookupError, UnicodeError):
            read.insert(0, raw.decode(encoding))
    return tuple(dict.fromkeys(spelled for name in read for spelled in spellings(name)))


def open_extent(bundle: Bundle, extent: VmdkExtent) -> Stored:
    """Open the file of an extent. Raises NotFound, AccessDenied, InvalidInput."""
    for name in extent.names:
        try:
            return bundle.open(name)
        except NotFound:
            continue
    raise NotFound(
        f"There is no {printable(extent.names[0])}, which the disk consists of.",
        advice="Put it beside the descriptor that names it.",
    )


def capacity_of(image: Stored) -> int | None:
    """Return the sectors of the disk in a sparse file, by its own header; None for other files."""
    head = image.read(0, SECTOR)
    if len(head) < _SPARSE.size:
        return None
    if head[:4] == b"KDMV":
        return int(_SPARSE.unpack_from(head)[3])
    if head[:4] == b"COWD":
        return int(struct.unpack_from("<I", head, 12)[0])
    if head[:8] == _SE_SPARSE:
        return int(struct.unpack_from("<Q", head, 16)[0])
    return None


def embedded_sectors(descriptor: str) -> int:
    """Return what the extents in a sparse file's own descriptor add up to; 0 where it names none."""
    found = (_EXTENT.fullmatch(line.strip()) for line in descriptor.splitlines())
    return sum(int(match[2]) for match in found if match)


def written_for_qemu(cid: str, parent_cid: str, extents: Sequence[tuple[int, str, str, int]]) -> str:
    """Write a descriptor of ours: (sectors, kind, file, offset in it in sectors) of each. The stranger's could name
    anything.

    QEMU 7.2 passes over extents that aren't RW, and takes no offset for VMFS: those are flat ones to it.
    """
    lines = [f'RW {n} {kind} "{file}"{f" {at}" if kind == "FLAT" else ""}' for n, kind, file, at in extents]
    head = ("# Disk DescriptorFile", "version=1", f"CID={cid}", f"parentCID={parent_cid}")
    return "\n".join((*head, 'createType="twoGbMaxExtentFlat"', *lines, ""))


def _odd(name: str, line: str) -> InvalidInput:
    return InvalidInput(
        f'{name} has a piece that can\'t be read: "{printable(line.strip(), 80)}".',
        advice="Raw devices and the like aren't files: export the machine.",
        code="image-refused",
    )
