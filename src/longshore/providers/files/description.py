"""One machine as files describe it: its disks, its hardware, and what is odd about either."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import unquote

from longshore.blocks.exports import Export
from longshore.errors import Conflict, LongshoreError, NotFound
from longshore.model.machine import Devices, Disk, Doubt, FileDoubt, Firmware, Machine, Nic, PowerState
from longshore.providers.files.archive import FileArchive
from longshore.providers.files.chains import BASED, Layer, Layers
from longshore.providers.files.exported import Recorded
from longshore.providers.files.headers import Format, format_of, is_text
from longshore.providers.files.images import looked_at, pieces_of, split_name
from longshore.providers.files.manifest import check_manifest, read_manifest
from longshore.providers.files.ovf import OvfSystem
from longshore.providers.files.ovf_disks import OvfDisk
from longshore.providers.files.platform import PLATFORM
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.stored import SECTOR, Bundle, Empty, LocalFile, Scattered, Stored, printable, spellings

STORAGE = "files"  # what the disks are on, for --storage
SYSTEM = "#"  # in a reference, before the id of one of an OVF's several machines
_MOST_REMEMBERED = 10_000
_MOST_CHUNKS = 10_000


@dataclass(frozen=True, slots=True)
class DiskFile:
    """A disk's file, and what was said of it."""

    name: str  # empty: it has no file
    packing: str
    expected: Format | None  # None: what it is by its content
    said: OvfDisk | None  # None: a loose image, of which nothing is said
    doubts: tuple[FileDoubt, ...] = ()  # what was found odd about its name and format


@dataclass(frozen=True, slots=True)
class _Facts:
    size: int  # bytes
    flat: bool  # its file has no tables that would tell whether it is whole
    firmware: Firmware
    doubts: tuple[FileDoubt, ...]


# What was found in images, by what they were then: looking into one costs some 0.2 s, unpacking one minutes
_remembered: dict[tuple[str, str], _Facts] = {}


@dataclass(frozen=True, slots=True)
class Description:
    """The files of one machine. Usable as long as the context that gave it."""

    ref: str
    path: str  # of the file that it is in
    bundle: Bundle
    system: OvfSystem | None  # None: a loose image
    ovf: str  # name of the file that describes it; empty for a loose image
    disks: tuple[DiskFile, ...]
    layers: Layers
    left: tuple[FileDoubt, ...] = ()  # what is beside it and stays behind
    recorded: Recorded | None = None  # as a backup tells of it, its disks in the same order; None: none does

    @property
    def state(self) -> str:
        """Return a text that is another one when any of its files has been changed. Raises NotFound, InvalidInput,
        Unreachable."""
        identities = "\n".join(file.identity for file in self._files().values())
        return hashlib.sha256(identities.encode()).hexdigest()[:32]

    def _files(self) -> dict[str, Stored]:
        """Return all files that it consists of."""
        found: dict[str, Stored] = {}
        if self.ovf:
            found[self.ovf] = self.bundle.open(self.ovf)
        for disk in self.disks:
            if not disk.name:
                continue
            names = [disk.name]
            if disk.said is not None and disk.said.chunk_size:
                names = [name for name, _ in chunks_of(self.bundle, disk.name)]
            elif not disk.packing:
                names += pieces_of(self.bundle, disk.name, disk.expected)
            found |= {name: self.bundle.open(name) for name in names}
            for n, layer in enumerate(self._below(disk)):
                pieces = pieces_of(layer.bundle, layer.name, layer.kind)
                found |= {f"{disk.name} {n} {name}": layer.bundle.open(name) for name in (layer.name, *pieces)}
        return found

    def _open(self, disk: DiskFile) -> Stored:
        """Open a disk's file, or what stands for it. Raises NotFound, InvalidInput."""
        if not disk.name:
            size = disk.said.capacity if disk.said else 0
            return Empty(disk.said.label if disk.said else "", -(-(size or 0) // SECTOR) * SECTOR)
        if disk.said is None or not disk.said.chunk_size:
            return self.bundle.open(disk.name)
        pieces, at = [], 0
        for _, chunk in chunks_of(self.bundle, disk.name):
            pieces.append((at, chunk))
            at += chunk.size
        return Scattered(disk.name, at, pieces)

    def _below(self, disk: DiskFile) -> list[Layer]:
        """Return the images that a disk's is based on. Raises InvalidInput."""
        if not disk.name or disk.packing or (disk.said is not None and disk.said.chunk_size):
            return []
        stored = self.bundle.open(disk.name)
        kind = format_of(stored, disk.expected)
        if kind not in BASED:
            return []
        directory = PurePosixPath() if self.recorded else PurePosixPath(self.path).parent
        return self.layers.below(str(directory / disk.name), stored, kind)

    def machine(self, settings: FilesSettings) -> Machine:
        """Return the machine. Raises NotFound, InvalidInput for images that can't be read, or aren't what was said of
        them."""
        if self.recorded and self.recorded.wrong:
            raise self.recorded.wrong
        facts = [self._facts(disk) for disk in self.disks]
        doubts = tuple(dict.fromkeys(doubt for fact in facts for doubt in fact.doubts))
        path = PurePosixPath(self.path)
        folder = "" if str(path.parent) == "." else str(path.parent)
        if self.recorded is not None:
            return replace(self._as_recorded(self.recorded.machine, facts), file_doubts=doubts)
        name = split_name(path.name)[0]
        loose = OvfSystem("", name, settings.cpus, 1, settings.memory_mib, (), _adapter(self.ref, settings.network))
        said = self.system or loose
        disks = tuple(_disk(n, disk, fact.size) for n, (disk, fact) in enumerate(zip(self.disks, facts, strict=True)))
        if said.cpus is None or said.memory_mib is None:
            text = (
                f"{self.ovf} doesn't say how many CPUs and how much memory {said.name} has; the provider's are taken."
            )
            doubts = (FileDoubt(Doubt.UNSAID, self.ovf, text), *doubts)
        told = facts[0].firmware if facts else Firmware.BIOS
        return Machine(
            ref=self.ref,
            name=said.name or path.stem,
            power=PowerState.OFF,
            cpus=said.cpus or settings.cpus,
            cores_per_socket=said.cores_per_socket,
            memory_mib=said.memory_mib or settings.memory_mib,
            disks=disks,
            nics=said.nics,
            firmware=said.firmware or settings.firmware or told,
            secure_boot=said.secure_boot,
            devices=Devices(vtpm=said.vtpm),
            guest_id=said.guest_id,
            guest_name=said.guest_name,
            annotation=said.annotation,
            folder=folder,
            platform=PLATFORM,
            file_doubts=(*said.doubts, *self.left, *doubts),
        )

    def _as_recorded(self, machine: Machine, facts: list[_Facts]) -> Machine:
        """Return a recorded machine without what was only so of its place."""
        uefi = Firmware.UEFI in (machine.firmware, *(fact.firmware for fact in facts[:1]))
        disks = tuple(
            replace(said, size=fact.size, location=disk.name, tracked=False, raw_device=False, encrypted=False)
            for said, disk, fact in zip(machine.disks, self.disks, facts, strict=True)
        )
        return replace(
            machine.read_elsewhere(),
            ref=self.ref,
            power=PowerState.OFF,
            disks=disks,
            firmware=Firmware.UEFI if uefi else Firmware.BIOS,
            connection="",
            host="",
            encrypted=False,
            snapshots=(),
            consolidation_needed=False,
            change_tracking=False,
            can_track_changes=False,
        )

    def _facts(self, disk: DiskFile) -> _Facts:
        stored = self._open(disk)
        below = self._below(disk)
        identities = "\n".join((stored.identity, *(layer.stored.identity for layer in below)))
        key = (identities, f"{disk.expected}.{disk.packing}")
        facts = _remembered.get(key)
        if facts is None:
            with looked_at(self.bundle, stored, disk.expected, disk.packing, below) as image:
                layout = image.layout()
                facts = _Facts(image.size, image.flat, layout.firmware, tuple(image.doubts))
                if image.kind is Format.RAW and is_text(stored):
                    text = f"{stored.name} is a text, as a page or a pointer to a file elsewhere, and no disk."
                    facts = replace(facts, doubts=(FileDoubt(Doubt.MISSING, stored.name, text), *facts.doubts))
            if len(_remembered) >= _MOST_REMEMBERED:
                _remembered.clear()
            _remembered[key] = facts
        claims = () if disk.said is None else tuple(_claims(self.ovf, disk, disk.said, stored, facts))
        since = () if self.recorded else tuple(_written_since(stored, below))
        return replace(facts, doubts=(*facts.doubts, *disk.doubts, *claims, *since))

    def check(self, on_progress: Callable[[int, int], None]) -> list[FileDoubt]:
        """Return what tells against all being as it was exported: files are read whole where there is a manifest.

        Raises NotFound, InvalidInput for what can't be read at all.
        """
        found: list[FileDoubt] = []
        entries: dict[str, tuple[str, str]] = {}
        manifests = self._manifests()
        for manifest in manifests:
            entries |= read_manifest(manifest, found)
        if manifests:
            found += check_manifest(manifests[0].name, entries, self._files(), self.ovf, on_progress)
            found += self._gone(manifests[0].name, entries)
        for disk in self.disks:
            if disk.name:
                with looked_at(self.bundle, self._open(disk), disk.expected, disk.packing, self._below(disk)) as image:
                    found += image.check()
        return found

    def _gone(self, manifest: str, names: Iterable[str]) -> Iterator[FileDoubt]:
        """Yield doubts about files that were exported with the machine, and aren't here."""
        directory = PurePosixPath(self.ovf).parent
        for name in names:
            told = dict.fromkeys(one for said in (name, unquote(name)) for one in spellings(said))
            if not any(self._has(path) for one in told for path in (str(directory / one), one)):
                text = f"{manifest} has a digest of {printable(name)}, and there is no such file."
                yield FileDoubt(Doubt.CLAIM, printable(name), text)

    def _has(self, name: str) -> bool:
        try:
            self.bundle.open(name)
        except NotFound:
            return False
        except LongshoreError:
            pass  # it is no name of a file here
        return True

    def _manifests(self) -> list[Stored]:
        if not self.ovf:
            return []
        if isinstance(self.bundle, FileArchive):
            return [self.bundle.open(name) for name in self.bundle.named(".mf")]
        try:
            return [self.bundle.open(f"{PurePosixPath(self.ovf).stem}.mf")]
        except NotFound:
            return []

    @contextmanager
    def serve(self, key: str, size: int) -> Iterator[Export]:
        """Serve a disk by its key. Raises NotFound, Conflict when it has another size by now, InvalidInput,
        ExportError."""
        told = self.recorded.machine.disks if self.recorded else ()
        keys = [disk.key for disk in told] or [f"disk{number}" for number in range(len(self.disks))]
        disk = dict(zip(keys, self.disks, strict=True)).get(key)
        if disk is None:
            raise NotFound(f"{self.ref} has no disk {key}.")
        with looked_at(self.bundle, self._open(disk), disk.expected, disk.packing, self._below(disk)) as image:
            if image.size != size:
                raise Conflict(f"{image.name} had {size} bytes and has {image.size} now.", advice="Start again.")
            with image.serve() as export:
                yield export


def _claims(ovf: str, disk: DiskFile, said: OvfDisk, stored: Stored, facts: _Facts) -> Iterator[FileDoubt]:
    """Yield where the OVF says of a disk what isn't so. An image with tables of its own is whole, whatever is said of
    it."""
    name = stored.name
    short = False
    if said.capacity is not None and disk.name:
        over = said.capacity - facts.size
        if not 0 <= over < said.unit:  # a capacity in GiB is rounded up to whole ones
            short = over > 0 and facts.flat
            text = f"The disk in {name} has {facts.size} bytes, and {ovf} says {said.capacity}."
            yield FileDoubt(Doubt.MISSING if short else Doubt.CLAIM, name, text)
    if disk.name and said.file_size not in (None, stored.size) and not short:
        cut = facts.flat and said.capacity is None and stored.size < (said.file_size or 0)
        text = f"{name} has {stored.size} bytes, and {ovf} says {said.file_size}."
        yield FileDoubt(Doubt.MISSING if cut else Doubt.CLAIM, name, text)


def _written_since(top: Stored, below: list[Layer]) -> Iterator[FileDoubt]:
    """Yield which of an image's bases were changed after the one above. Of a VMDK's parents their CIDs tell."""
    above = top
    for layer in below:
        changed = isinstance(above, LocalFile) and layer.stored.modified > above.modified
        if changed and layer.kind is not Format.VMDK:
            text = (
                f"{layer.stored.name} was changed later than {above.name}, which is based on it: if a machine has run "
                "on it since, the two are no disk any more."
            )
            yield FileDoubt(Doubt.CLAIM, layer.stored.name, text)
        above = layer.stored


def chunks_of(bundle: Bundle, name: str) -> list[tuple[str, Stored]]:
    """Return the files that one is cut into, in their order (DSP0243, 7.1). Raises NotFound, InvalidInput."""
    found: list[tuple[str, Stored]] = []
    while len(found) < _MOST_CHUNKS:
        chunk = f"{name}.{len(found):09}"
        try:
            found.append((chunk, bundle.open(chunk)))
        except NotFound:
            if not found:
                raise
            break
    return found


def _disk(number: int, disk: DiskFile, size: int) -> Disk:
    said = disk.said
    return Disk(
        key=f"disk{number}",
        label=f"Disk {number + 1} ({said.label})" if said else "Disk 1",
        position=number,
        size=size,
        location=printable(disk.name, 255) or "(none: it is made empty)",
        storage=STORAGE,
        controller=said.controller if said else "",
        bus=said.bus if said else 0,
        unit=said.address if said else 0,
        shared=said.shared if said else False,
        tracked=False,
    )


def _adapter(ref: str, network: str | None) -> tuple[Nic, ...]:
    """Return the adapter of a loose image. Its MAC is the same each time, and nobody else's."""
    if network is None:
        return ()
    digest = hashlib.sha256(ref.encode()).hexdigest()
    mac = ":".join(("02", *(digest[n : n + 2] for n in range(0, 10, 2))))
    return (Nic("nic0", "Network adapter 1", mac, network),)
