"""The machines that a file describes: one or more in an OVF or a backup, or one of a loose image."""

import re
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import unquote

from longshore.errors import InvalidInput, LongshoreError, NotFound
from longshore.model.exported import DESCRIPTION
from longshore.model.machine import Doubt, FileDoubt
from longshore.providers.files import trilio, xml
from longshore.providers.files.archive import TARS, FileArchive, first_files, opened
from longshore.providers.files.chains import Layers
from longshore.providers.files.description import SYSTEM, Description, DiskFile, chunks_of
from longshore.providers.files.exported import recorded_at
from longshore.providers.files.headers import BY_SUFFIX, Format, found_in
from longshore.providers.files.images import PACKED, is_image, split_name
from longshore.providers.files.local import DEEPEST
from longshore.providers.files.microsoft import as_posix
from longshore.providers.files.ovf import read_ovf
from longshore.providers.files.ovf_disks import OvfDisk
from longshore.providers.files.stored import Bundle, FilesPlace, Stored, is_below, printable, refuse_path, spellings

DESCRIBED = (".ova", ".ovf")
BACKUPS = (DESCRIPTION, trilio.MACHINES)  # names of documents that describe machines in backups
_CHUNK = re.compile(r"\.[0-9]{9}$")  # behind the name of a file that is cut into several
_OF_MACOS = "._"  # before a name: what its tar keeps of a file beside its content
_OF_A_PACKAGE = (".ovf", ".mf", ".cert")
_NOT_UNPACKED = ("bz2", "zst", "lz4", "lzo", "lzma", "z", "zip", "7z", "rar")
_NOT_READ = ("qcow", "qed", "vma", "xva", "vhds", "hds")  # those of older QEMUs, Proxmox VE, Xen, Hyper-V, Parallels


@contextmanager
def described(place: FilesPlace, ref: str) -> Iterator[Description]:
    """Open the machine's description. Raises NotFound, InvalidInput."""
    with all_in(place, file_of(place, ref)) as found:
        for description in found:
            if description.ref == ref:
                break
        else:
            raise NotFound(f"There is no machine {printable(ref)}.")
        yield description


def file_of(place: FilesPlace, ref: str) -> str:
    """Return the path in a machine's reference. Names of files may have a # in them as well."""
    if SYSTEM not in ref:
        return ref
    known = set(place.files())
    parts = ref.split(SYSTEM)
    prefixes = (SYSTEM.join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in known), parts[0])


@contextmanager
def all_in(place: FilesPlace, path: str) -> Iterator[list[Description]]:
    """Open the machines of the file at this path. Raises NotFound, InvalidInput."""
    name = PurePosixPath(path).name
    with place.bundle(path) as beside, ExitStack() as stack:
        layers = Layers(None if place.is_one() else place, stack)
        suffix = PurePosixPath(name).suffix.lower()
        if suffix == ".ova" or name.lower().endswith(TARS):
            archive = stack.enter_context(opened(beside.open(name)))
            loose = [] if suffix == ".ova" or archive.named(".ovf") else _images_in(archive)
            if len(loose) > 1:
                raise InvalidInput(f"{printable(name)} has {len(loose)} images and no OVF.", advice="Unpack it.")
            if loose:
                yield [_of_image(path, archive, loose[0], Layers(None, stack))]
            else:
                yield _of_ovf(path, archive, _ovf_in(archive, name), Layers(None, stack))
        elif suffix == ".ovf":
            yield _of_ovf(path, beside, name, layers)
        elif name in BACKUPS:
            yield _of_backup(place, stack, path, layers)
        elif is_image(name):
            beside.open(name)
            yield [_of_image(path, beside, name, layers)]
        else:
            if path.endswith("/"):
                if len(PurePosixPath(path).parts) > DEEPEST:
                    raise InvalidInput(
                        f"{printable(path)} is too deep: more than {DEEPEST} directories are above it.",
                        advice="Have a provider for one of these.",
                    )
                beside.open(name)  # which says why it can't be looked into
            refuse_unread(name)
            if "." not in name and (suffix := _called_after(place, path)):
                raise InvalidInput(
                    f"{printable(name)} is like an image ({suffix}), and its name doesn't say that it is one.",
                    advice=f"Give it a name that ends with .{suffix}.",
                )
            raise NotFound(f"{printable(path)} is neither an OVA nor an OVF nor a backup nor a disk image by its name.")


def is_archive(place: FilesPlace, path: str) -> bool:
    """Tell whether a file is an archive, not called an OVA, that begins with an image or an OVF."""
    name = PurePosixPath(path).name
    if not name.lower().endswith(TARS):
        return False
    with suppress(LongshoreError), place.bundle(path) as bundle:
        return any(is_image(one) or one.lower().endswith(".ovf") for one in first_files(bundle.open(name)))
    return False


def without_suffix(place: FilesPlace, files: Collection[str]) -> Iterator[str]:
    """Yield those of the files that begin like an image, and whose names end with nothing that says so: Nova's disks,
    Glance's images, libvirt's. In Trilio's backups documents tell what they are."""
    backups = {path.parent for path in map(PurePosixPath, files) if path.name in trilio.OWN}
    for path in files:
        plain = "." not in PurePosixPath(path).name and not path.endswith("/")
        if plain and backups.isdisjoint(PurePosixPath(path).parents) and _called_after(place, path):
            yield path


def _called_after(place: FilesPlace, path: str) -> str:
    """Return how the name of a file like this one mostly ends, by its content; empty for what is like no image."""
    with suppress(LongshoreError), place.bundle(path) as bundle:
        kind = found_in(bundle.open(PurePosixPath(path).name))
        return "vhd" if kind is Format.VHD else kind.value if kind is not Format.RAW else ""
    return ""


def refuse_unread(name: str) -> None:
    """Raise InvalidInput for a file that, by its name, is an image or a machine of a kind that isn't read here."""
    stem, _, last = name.lower().rpartition(".")
    _, _, inner = stem.removesuffix(".tar").rpartition(".")
    packed = last in _NOT_UNPACKED or (last in PACKED and inner not in BY_SUFFIX)
    if packed and inner in (*BY_SUFFIX, *_NOT_READ, "ova", "ovf"):
        raise InvalidInput(f"{printable(name)} is packed in a way that isn't read here.", advice="Unpack it first.")
    if stem and last in _NOT_READ:
        raise InvalidInput(
            f"{printable(name)} is of a kind that isn't read here.",
            advice="Make an image of it that is: qemu-img convert -O qcow2 OLD NEW, or export the machine.",
        )


class _Everywhere(Bundle):
    """Files below the provider's directory, by their paths."""

    def __init__(self, place: FilesPlace, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack
        self._bundles: dict[PurePosixPath, Bundle] = {}

    def open(self, name: str) -> Stored:
        path = PurePosixPath(name)
        if path.parent not in self._bundles:
            self._bundles[path.parent] = self._stack.enter_context(self._place.bundle(name))
        return self._bundles[path.parent].open(path.name)


def _of_backup(place: FilesPlace, stack: ExitStack, path: str, layers: Layers) -> list[Description]:
    everywhere = _Everywhere(place, stack)
    if PurePosixPath(path).name == DESCRIPTION:
        found = [recorded_at(everywhere, path)]
    else:
        found = trilio.recorded_in(everywhere, frozenset(place.files(str(PurePosixPath(path).parent))), path)
    return [
        Description(
            f"{path}{SYSTEM}{one.id}" if one.id else path,
            path,
            everywhere,
            None,
            "",
            tuple(DiskFile(image, "", Format.QCOW2, None) for image in one.images),
            layers,
            recorded=one,
        )
        for one in found
    ]


def _of_image(path: str, bundle: Bundle, name: str, layers: Layers) -> Description:
    """Describe a loose image, the file at this path or the only image in it."""
    _, kind, packing = split_name(PurePosixPath(name).name)
    return Description(path, path, bundle, None, "", (DiskFile(name, packing, BY_SUFFIX[kind], None),), layers)


def _images_in(archive: FileArchive) -> list[str]:
    return [one for one in archive.named("") if is_image(one) and not PurePosixPath(one).name.startswith(_OF_MACOS)]


def _ovf_in(archive: FileArchive, name: str) -> str:
    found = [one for one in archive.named(".ovf") if not PurePosixPath(one).name.startswith(_OF_MACOS)]
    if len(found) != 1:
        raise InvalidInput(f"{printable(name)} has {len(found)} OVF files; an OVA has one.", code="ovf-refused")
    return found[0]


def _of_ovf(path: str, bundle: Bundle, name: str, layers: Layers) -> list[Description]:
    file = bundle.open(name)
    if file.size > xml.LARGEST:
        raise InvalidInput(f"{file.name} is too large for an OVF.", code="ovf-refused")
    systems = read_ovf(file.read(0, xml.LARGEST), file.name)
    several = len(systems) > 1
    directory = PurePosixPath(name).parent
    left: tuple[FileDoubt, ...] = ()
    found = []
    for system in systems:
        disks = tuple(_file(disk, file.name, directory, bundle) for disk in system.disks)
        ref = f"{path}{SYSTEM}{system.id}" if several else path
        found.append(Description(ref, path, bundle, system, name, disks, layers))
    if isinstance(bundle, FileArchive):
        used = {disk.name for description in found for disk in description.disks}
        named = {str(directory / said) for href in systems[0].named for said in _spellings(href)}
        left = tuple(_not_named(bundle, used | named))
    return [replace(one, left=left) for one in found]


def _not_named(archive: FileArchive, known: set[str]) -> Iterator[FileDoubt]:
    """Yield doubts about those of an archive's files that its OVF doesn't even name."""
    for name in (*archive.named(""), *archive.left_out):
        of_package = name.lower().endswith(_OF_A_PACKAGE) or PurePosixPath(name).name.startswith(_OF_MACOS)
        if {name, _CHUNK.sub("", name)} & known or of_package:
            continue
        kind = Doubt.UNUSED if is_image(name) else Doubt.LEFT
        shown = printable(name)
        yield FileDoubt(kind, shown, f"{shown} is in the archive, and no machine has it as a disk: it stays behind.")


def _spellings(href: str) -> tuple[str, ...]:
    """Return how a file may be called that is referred to so, by makers on Windows, too."""
    told = (*_plain(href), *map(as_posix, _plain(href)))
    return tuple(dict.fromkeys(one for said in told for one in spellings(said.removeprefix("./"))))


def _plain(href: str) -> tuple[str, str]:
    """Return what a URL names, which some makers escape and others don't."""
    plain = href.removeprefix("file:") if not href.startswith("file:/") else href
    while plain.startswith("./"):
        plain = plain[2:]
    return plain, unquote(plain, errors="surrogateescape")


def _name_of(href: str, ovf: str, directory: PurePosixPath, bundle: Bundle) -> str:
    """Return the file's name that is there, if one is. Raises InvalidInput for what leads elsewhere."""
    for said in _plain(href):
        refuse_path(said, ovf, below=True)
    names = [str(directory / one) for one in _spellings(href) if is_below(one)]
    return next((name for name in names if _is_there(bundle, name)), names[0])


def _is_there(bundle: Bundle, name: str) -> bool:
    try:
        bundle.open(name)
    except NotFound:
        return False
    except LongshoreError:
        pass  # which is told when it is looked at
    return True


def _file(disk: OvfDisk, ovf: str, directory: PurePosixPath, bundle: Bundle) -> DiskFile:
    if not disk.href:
        return DiskFile("", "", Format.RAW, disk)
    name = _name_of(disk.href, ovf, directory, bundle)
    _, suffix, packing = split_name(name)
    packing = {"": packing, "gzip": "gz", "xz": "xz"}.get(disk.compression.lower(), "?")
    if packing == "?":
        raise InvalidInput(
            f"{printable(name)} is packed in a way that isn't known ({printable(disk.compression, 40)})."
        )
    doubts: tuple[FileDoubt, ...] = ()
    if not disk.chunk_size and not _is_there(bundle, name):
        name, disk, doubts = _by_numbers(name, disk, ovf, bundle)
    by_name = BY_SUFFIX.get(suffix)
    if packing or disk.chunk_size or by_name is Format.RAW:
        return DiskFile(name, packing, by_name, disk, doubts)
    try:
        found = found_in(bundle.open(name))
    except LongshoreError:
        return DiskFile(name, packing, by_name, disk, doubts)
    by_url = next((kind for word, kind in _URLS.items() if word in disk.kind.lower()), None)
    # What is like no image may be a raw disk, where neither its name nor anything else says that it is an image
    if (found is Format.RAW and by_name is not None) or found is by_name or found is by_url or not disk.kind:
        return DiskFile(name, packing, by_name if found is Format.RAW else found, disk, doubts)
    text = f"{printable(name)} is {found.words}, and {ovf} calls it otherwise ({printable(disk.kind, 100)})."
    return DiskFile(name, packing, found, disk, (*doubts, FileDoubt(Doubt.CLAIM, printable(name), text)))


def _by_numbers(name: str, disk: OvfDisk, ovf: str, bundle: Bundle) -> tuple[str, OvfDisk, tuple[FileDoubt, ...]]:
    """Return the file, with what is said of it, where files are there that are called so but for a number behind: it
    is cut into those, or, where each is an image, they are its states, of which the last one counts."""
    try:
        found = chunks_of(bundle, name)
    except NotFound:
        return name, disk, ()
    if not all(found_in(stored) is not Format.RAW for _, stored in found):
        return name, replace(disk, chunk_size=found[0][1].size), ()
    last = found[-1][0]
    text = f"{ovf} names {printable(name)}, which isn't there: {printable(last)} is taken for it."
    return last, disk, (FileDoubt(Doubt.CLAIM, printable(last), text),)


# What is in the URL that an OVF has for a format, in lower case. oVirt calls raw disks sparse VMDKs
_URLS = {"vmdk": Format.VMDK, "qcow": Format.QCOW2, "vhdx": Format.VHDX, "vhd": Format.VHD, "vdi": Format.VDI}
