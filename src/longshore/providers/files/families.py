"""Families of files below a directory: those that belong to others, as parts of machines or bases of newer states.

Nothing here raises: what is wrong with a file is told with it.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import NamedTuple

from longshore.errors import LongshoreError
from longshore.model.exported import DESCRIPTION
from longshore.providers.files import xml
from longshore.providers.files.archive import FileArchive
from longshore.providers.files.chains import places
from longshore.providers.files.headers import BY_SUFFIX, Format, bases_of, data_file_of, found_in, identity_of
from longshore.providers.files.images import PACKED, is_image, pieces_of, split_name
from longshore.providers.files.machines import all_in
from longshore.providers.files.microsoft import as_posix
from longshore.providers.files.spool import PIECE, Unpacked
from longshore.providers.files.stored import FilePart, FilesPlace, Stored
from longshore.providers.files.vmdk import LARGEST_DESCRIPTOR, change_tracking_of, descriptor_of, readings

_TRACKING = re.compile(r"-ctk\.vmdk$", re.IGNORECASE)  # ESXi's notes of what changes, no disk
_DELTA = re.compile(r"-\d{6}(?=\.vmdk$)", re.IGNORECASE)  # in the names of ESXi's and Workstation's snapshots
# VMware's products write values in quotes, and read them without as well
_CURRENT = re.compile(r'^\s*(\w+\d+:\d+)\.fileName\s*=[ \t]*"?([^"\r\n]+)', re.IGNORECASE | re.MULTILINE)
_ABSENT = re.compile(r'^\s*(\w+\d+:\d+)\.present\s*=\s*"?FALSE\b', re.IGNORECASE | re.MULTILINE)
_SUSPENDED = re.compile(r'^\s*checkpoint\.vmState\s*=[ \t]*"?[^"\s]', re.IGNORECASE | re.MULTILINE)
_ENCODED = re.compile(r'^\s*\.?encoding\s*=\s*"([^"]+)"', re.IGNORECASE | re.MULTILINE)


class _Seen(NamedTuple):
    """The signs of its family in an image's header."""

    kind: Format
    bases: tuple[str, ...] = ()
    identity: str = ""
    data: str = ""  # the file that its disk's bytes are in, which is no disk by itself


_remembered: dict[str, _Seen] = {}  # by what files were then: of a packed one it takes some of a second
_MOST_REMEMBERED = 10_000


class Families:
    """The families of these files, of which `machines` may be machines by their names; without a place, nothing is
    looked into."""

    def __init__(self, place: FilesPlace | None, files: list[str], machines: list[str]) -> None:
        self._machines = machines
        self._parts: set[str] = set()
        self._bases: dict[str, set[str]] = {}  # of each image those that lie beside it, or above
        self._current: set[str] = set()
        self._disks: dict[str, tuple[str, ...]] = {}  # by each .vmx and .vbox
        self._absent: dict[str, list[str]] = {}  # disks that each of those names, and that aren't here
        self._suspended: set[str] = set()  # disks of machines of which a part is in their memory's file
        self._described: dict[str, list[str]] = {}  # disks of machines that a document describes
        if place is None or len(files) < 2:
            return
        self._place = place
        self._known = set(files)
        identities: dict[str, str] = {}
        named: dict[str, tuple[str, ...]] = {}
        for path in dict.fromkeys((*machines, *_called_alike(files))):
            with suppress(LongshoreError):
                self._look(path, named, identities)
        for path, names in named.items():
            base = next((one for name in names if (one := identities.get(name) or self._lying(path, [name]))), "")
            if base and base != path:
                self._bases.setdefault(path, set()).add(base)
        for path in files:
            read = _CONFIGURATIONS.get(PurePosixPath(path).suffix.lower())
            with suppress(LongshoreError):
                if read is not None:
                    self._disks[path] = tuple(read(self, path))
        self._current = {disk for disks in self._disks.values() for disk in disks}

    def _look(self, path: str, named: dict[str, tuple[str, ...]], identities: dict[str, str]) -> None:
        """Look into a file. Raises LongshoreError."""
        directory, name = PurePosixPath(path).parent, PurePosixPath(path).name
        if name.lower().endswith(".ovf") or name == DESCRIPTION:
            with all_in(self._place, path) as found:
                for one in found:
                    # Those of a backup are below the provider's directory, those of an OVF below its own
                    files = [disk.name if name == DESCRIPTION else str(directory / disk.name) for disk in one.disks]
                    # A backup says itself of when it is: its images are meant, whichever are based on them
                    self._described[one.ref] = files if name != DESCRIPTION else []
                    self._parts |= set(files)
            return
        if BY_SUFFIX.get(split_name(name)[1]) is Format.RAW:
            return
        with self._place.bundle(path) as bundle:
            for stored in _beginnings(bundle.open(name)):
                seen = _seen(stored)
                if seen.kind is Format.RAW and _TRACKING.search(name):
                    self._parts.add(path)
                named[path] = seen.bases
                if seen.identity:
                    identities[seen.identity] = path
                if seen.data and (data := self._lying(path, [seen.data])):
                    self._bases.setdefault(path, set()).add(data)
                if seen.kind is Format.VMDK and is_image(name):
                    beside = [change_tracking_of(descriptor_of(stored)), *pieces_of(bundle, name, Format.VMDK)]
                    self._parts |= {str(directory / piece) for piece in beside if piece}

    def _lying(self, path: str, names: Iterable[str]) -> str:
        """Return the file that lies here of those that the file at this path may mean by these names; "": none."""
        told = (place for name in names for place in places(str(PurePosixPath(path).parent), name))
        return next((place for place in told if place in self._known), "")

    def _by_vmx(self, path: str) -> Iterator[str]:
        """Yield the VMDKs that a machine of ESXi or Workstation writes to. Raises LongshoreError."""
        with self._place.bundle(path) as bundle:
            text = bundle.open(PurePosixPath(path).name).read(0, LARGEST_DESCRIPTOR)
        said = text.decode("utf-8", errors="surrogateescape")
        encoding = match[1] if (match := _ENCODED.search(said)) else ""
        absent = {slot.lower() for slot in _ABSENT.findall(said)}
        here: set[str] = set()
        for slot, file in _CURRENT.findall(said):
            if slot.lower() in absent or not is_image(file.strip()):
                continue
            names = [as_posix(one) for one in readings(file.strip(), encoding)]
            disk = self._lying(path, names)
            if disk and disk not in here:  # a disk on another datastore may be called alike
                here.add(disk)
                if _SUSPENDED.search(said):
                    self._suspended.add(disk)
                yield disk
            elif not disk and (base := self._lying(path, [_DELTA.sub("", one) for one in names])):
                # The present state isn't here
                newest = next(places(str(PurePosixPath(path).parent), names[0]), names[0])
                older = {one for one in self._known if _DELTA.sub("", one) == base}
                self._bases[newest] = self._bases.get(newest, set()) | older
            else:
                self._absent.setdefault(path, []).append(file.strip())

    def _by_vbox(self, path: str) -> Iterator[str]:
        """Yield the images that a machine of VirtualBox writes to, and note which others they are based on. Raises
        LongshoreError."""
        with self._place.bundle(path) as bundle:
            name = PurePosixPath(path).name
            root = xml.parse(bundle.open(name).read(0, xml.LARGEST), name)
        disks = list(xml.everywhere(root, "HardDisk"))
        found = {}
        for disk in disks:
            location = as_posix(xml.reference(disk, "location"))
            found[xml.attribute(disk, "uuid")] = self._lying(path, [location]) or location
        for disk in disks:
            for newer in xml.children(disk, "HardDisk"):
                of_newer = self._bases.setdefault(found[xml.attribute(newer, "uuid")], set())
                of_newer.add(found[xml.attribute(disk, "uuid")])
        earlier = {id(one) for state in xml.everywhere(root, "Snapshot") for one in xml.everywhere(state, "Image")}
        for one in xml.everywhere(root, "Image"):
            attached = found.get(xml.attribute(one, "uuid"), "") if id(one) not in earlier else ""
            if attached and attached not in self._known:
                self._absent.setdefault(path, []).append(attached)
            elif attached:
                if any(xml.attribute(machine, "stateFile") for machine in xml.everywhere(root, "Machine")):
                    self._suspended.add(attached)
                yield attached

    def heads(self) -> list[str]:
        """Return the machines: neither parts of others nor states that a newer one is based on."""
        below = {one: self._below(one) for one in self._bases if one in self._machines}
        # Of two that name each other as base neither is one
        older = {base for one, bases in below.items() for base in bases if one not in below.get(base, set())}
        return [path for path in self._machines if path not in self._parts and path not in older - self._current]

    def _below(self, path: str) -> set[str]:
        """Return the images that this one is based on, directly or not."""
        found: set[str] = set()
        ahead = [path]
        while ahead:
            near = self._bases.get(ahead.pop(), set()) - found
            ahead += near
            found |= near
        return found

    def further_disks(self, path: str) -> tuple[str, ...]:
        """Return the other disks of the machine of ESXi, Workstation or VirtualBox that has this image as one."""
        found = (disks for disks in self._disks.values() if path in disks)
        return tuple(disk for disk in next(found, ()) if disk != path)

    def absent_disks(self, path: str) -> tuple[str, ...]:
        """Return the disks that this machine has as well, and that aren't here, as it names them."""
        of = (name for name, disks in self._disks.items() if path in disks)
        return tuple(dict.fromkeys(disk for name in of for disk in self._absent.get(name, ())))

    def is_suspended(self, ref: str) -> bool:
        """Tell whether the machine that has this image as a disk was suspended when its files were copied."""
        return not self._suspended.isdisjoint(self._described.get(ref, [ref]))

    def counts_instead(self, ref: str) -> str:
        """Return the image whose state of the same disk is the present one; empty: those of this machine are."""
        return next(filter(None, map(self._newer, self._described.get(ref, [ref]))), "")

    def _newer(self, path: str) -> str:
        if path in self._current:
            return ""
        beside = {one for one in self._current if PurePosixPath(one).parent == PurePosixPath(path).parent}
        if current := sorted(self._related(path) & beside):
            return current[0]
        above = {one: below for one in sorted(self._bases) if path in (below := self._below(one))}
        return max(above, key=lambda one: len(above[one]), default="")

    def _related(self, path: str) -> set[str]:
        """Return the images that are in one chain or tree with this one; itself too."""
        found, ahead = {path}, [path]
        while ahead:
            one = ahead.pop()
            near = self._bases.get(one, set()) | {above for above, below in self._bases.items() if one in below}
            ahead += near - found
            found |= near
        return found


# A template of ESXi has the same in a file of another name
_CONFIGURATIONS = {".vmx": Families._by_vmx, ".vmtx": Families._by_vmx, ".vbox": Families._by_vbox}


def _called_alike(files: list[str]) -> Iterator[str]:
    """Yield the files of no known kind that are called as an image but for what is behind a point: so libvirt calls
    the overlays of snapshots, vda.before-update of vda.qcow2."""
    names = (PurePosixPath(path) for path in files)
    images = {f"{one.parent}/{split_name(one.name)[0]}" for one in names if is_image(one.name)}
    for path in files:
        directory, name = PurePosixPath(path).parent, PurePosixPath(path).name
        stems = (name[: point.start()] for point in re.finditer(r"\.", name))
        if not is_image(name) and any(f"{directory}/{stem}" in images for stem in stems):
            yield path


def _seen(stored: Stored) -> _Seen:
    if stored.identity not in _remembered:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        found = _Seen(found_in(stored))
        with suppress(LongshoreError):
            found = found._replace(identity=identity_of(stored, found.kind))
            found = found._replace(bases=bases_of(stored, found.kind))
            if found.kind is Format.QCOW2:
                found = found._replace(data=data_file_of(stored))
        _remembered[stored.identity] = found
    return _remembered[stored.identity]


def _beginnings(stored: Stored) -> Iterator[Stored]:
    """Yield the image, or as much of what is packed in it as tells what it is based on."""
    how = stored.name.rpartition(".")[2].lower()
    if how in PACKED:
        yield Unpacked(stored, how, PIECE)
    elif how == "zip":
        archive = FileArchive(stored)
        for name in archive.named(""):
            member = archive.open(name)
            yield FilePart(member, name, 0, min(member.size, PIECE))
    else:
        yield stored
