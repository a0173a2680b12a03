"""Families of files below a directory: those that belong to others, as parts of machines or bases of newer states.

Nothing here raises: what is wrong with a file is told with it.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath

from longshore.errors import LongshoreError
from longshore.model.exported import DESCRIPTION
from longshore.providers.files.chains import places
from longshore.providers.files.headers import BY_SUFFIX, Format, bases_of, found_in, vdi_identity
from longshore.providers.files.images import is_image, notes_beside, pieces_of, split_name
from longshore.providers.files.machines import FilesPlace, all_in
from longshore.providers.files.microsoft import as_posix
from longshore.providers.files.vmdk import LARGEST_DESCRIPTOR, readings

_TRACKING = re.compile(r"-ctk\.vmdk$", re.IGNORECASE)  # ESXi's notes of what changes, no disk
_CURRENT = re.compile(r'^\s*(\w+\d+:\d+)\.fileName\s*=\s*"([^"]+)"', re.IGNORECASE | re.MULTILINE)
_ABSENT = re.compile(r'^\s*(\w+\d+:\d+)\.present\s*=\s*"FALSE"', re.IGNORECASE | re.MULTILINE)
_ENCODED = re.compile(r'^\s*\.?encoding\s*=\s*"([^"]+)"', re.IGNORECASE | re.MULTILINE)


class Families:
    """The families of these files, of which `machines` may be machines by their names; without a place, nothing is
    looked into."""

    def __init__(self, place: FilesPlace | None, files: list[str], machines: list[str]) -> None:
        self._machines = machines
        self._parts: set[str] = set()
        self._bases: dict[str, set[str]] = {}  # of each image those that lie beside it, or above
        self._current: set[str] = set()
        self._disks: dict[str, tuple[str, ...]] = {}  # by each .vmx
        if place is None or len(files) < 2:
            return
        self._place = place
        known = set(files)
        identities: dict[str, str] = {}
        named: dict[str, tuple[str, ...]] = {}
        for path in machines:
            with suppress(LongshoreError):
                self._look(path, named, identities)
        for path, names in named.items():
            directory = str(PurePosixPath(path).parent)
            wanted = (one for name in names for one in (identities.get(name, ""), *places(directory, name)))
            if (base := next((one for one in wanted if one in known and one != path), None)) is not None:
                self._bases.setdefault(path, set()).add(base)
        self._disks = {path: tuple(self._by_vmx(path, known)) for path in files if path.lower().endswith(".vmx")}
        self._current = {disk for disks in self._disks.values() for disk in disks}

    def _look(self, path: str, named: dict[str, tuple[str, ...]], identities: dict[str, str]) -> None:
        """Look into a file. Raises LongshoreError."""
        directory, name = PurePosixPath(path).parent, PurePosixPath(path).name
        if name.lower().endswith(".ovf") or name == DESCRIPTION:
            with all_in(self._place, path) as found:
                disks = [disk.name for description in found for disk in description.disks]
            # Those of a backup are below the provider's directory, those of an OVF below its own
            self._parts |= {disk if name == DESCRIPTION else str(directory / disk) for disk in disks}
            return
        _, suffix, packing = split_name(name)
        if packing or suffix not in BY_SUFFIX or BY_SUFFIX[suffix] is Format.RAW:
            return
        with self._place.bundle(path) as bundle:
            stored = bundle.open(name)
            kind = found_in(stored)
            if kind is Format.RAW and _TRACKING.search(name):
                self._parts.add(path)
            if kind is Format.VDI:
                identities[vdi_identity(stored)] = path
            with suppress(LongshoreError):
                named[path] = bases_of(stored, kind)
            if kind is Format.VMDK:
                beside = [*notes_beside(bundle, name), *pieces_of(bundle, name, Format.VMDK)]
                self._parts |= {str(directory / piece) for piece in beside}

    def _by_vmx(self, path: str, known: set[str]) -> Iterator[str]:
        """Yield the VMDKs that a machine of ESXi or Workstation writes to, as its .vmx says."""
        directory, name = PurePosixPath(path).parent, PurePosixPath(path).name
        with suppress(LongshoreError), self._place.bundle(path) as bundle:
            text = bundle.open(name).read(0, LARGEST_DESCRIPTOR).decode("utf-8", errors="surrogateescape")
            encoding = match[1] if (match := _ENCODED.search(text)) else ""
            absent = {slot.lower() for slot in _ABSENT.findall(text)}
            for slot, file in _CURRENT.findall(text):
                paths = map(as_posix, readings(file, encoding)) if slot.lower() not in absent else ()
                told = (place for one in paths for place in places(str(directory), one))
                if (disk := next((place for place in told if place in known and is_image(place)), None)) is not None:
                    yield disk

    def heads(self) -> list[str]:
        """Return the machines: neither parts of others nor states that a newer one is based on."""
        below = {one: self._below(one) for one in self._bases}
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
        """Return the other disks of the machine of ESXi or Workstation that has this image as one."""
        found = (disks for disks in self._disks.values() if path in disks)
        return tuple(disk for disk in next(found, ()) if disk != path)

    def counts_instead(self, path: str) -> str:
        """Return the image whose state of the same disk is the present one; empty: this one's is."""
        if path in self._current:
            return ""
        beside = {one for one in self._current if PurePosixPath(one).parent == PurePosixPath(path).parent}
        if current := sorted(self._related(path) & beside):
            return current[0]
        return next((above for above in sorted(self._bases) if path in self._bases[above]), "")

    def _related(self, path: str) -> set[str]:
        """Return the images that are in one chain or tree with this one; itself too."""
        found, ahead = {path}, [path]
        while ahead:
            one = ahead.pop()
            near = self._bases.get(one, set()) | {above for above, below in self._bases.items() if one in below}
            ahead += near - found
            found |= near
        return found
