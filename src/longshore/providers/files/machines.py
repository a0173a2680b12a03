"""Machines as files describe them: one or more in an OVF, or one of a loose image."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Protocol
from urllib.parse import unquote

from longshore.blocks.exports import Export
from longshore.border.texts import shortened
from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.model.exported import DESCRIPTION
from longshore.model.machine import Disk, Firmware, Machine, Nic, PowerState
from longshore.providers.files import trilio, xml
from longshore.providers.files.archive import Archive
from longshore.providers.files.chains import Layer, Layers, NoLayers
from longshore.providers.files.exported import recorded_at
from longshore.providers.files.headers import BY_SUFFIX, Format, format_of
from longshore.providers.files.images import is_image, looked_at, pieces_of, split_name
from longshore.providers.files.manifest import check_manifest, read_manifest
from longshore.providers.files.ovf import OvfDisk, OvfNic, OvfSystem, read_ovf
from longshore.providers.files.platform import PLATFORM
from longshore.providers.files.recorded import Recorded
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.stored import Bundle, Stored, refuse_path

STORAGE = "files"  # what the disks are on, for --storage
DESCRIBED = (".ova", ".ovf")
BACKUPS = (DESCRIPTION, trilio.MACHINES)  # names of documents that describe machines in backups
_SYSTEM = "#"  # in a reference, before the id of one of an OVF's several machines
_MOST_REMEMBERED = 10_000


class Place(Protocol):
    def is_one(self) -> bool:
        """Whether it is a single file. Raises NotFound, AccessDenied, InvalidInput."""

    def files(self, below: str = "") -> list[str]:
        """Paths of all that is there, or of what is in one of its directories. Raises NotFound, AccessDenied,
        InvalidInput."""

    def bundle(self, path: str) -> AbstractContextManager[Bundle]:
        """The file at this path and those beside it."""

    def layers(self, stack: ExitStack) -> Layers:
        """What images there are based on; as long as the stack is."""


@dataclass(frozen=True, slots=True)
class DiskFile:
    """Where a disk is, and what was said of it."""

    name: str
    packing: str
    expected: Format | None  # None: what it is by its content
    said: OvfDisk | None  # None: a loose image, of which nothing is said


@dataclass(frozen=True, slots=True)
class _Facts:
    size: int  # bytes
    firmware: Firmware | None  # of a loose image


# What was found in images, by what they were then: looking into one costs some 0.1 s, unpacking one minutes
_remembered: dict[tuple[str, str, bool], _Facts] = {}


@dataclass(frozen=True, slots=True)
class Description:
    """The files of one machine. Usable as long as the context that gave it."""

    ref: str
    bundle: Bundle
    system: OvfSystem | None  # None: a loose image
    ovf: str  # name of the file that describes it; empty for a loose image
    disks: tuple[DiskFile, ...]
    layers: Layers
    recorded: Recorded | None = None  # as a backup tells of it, its disks in the same order; None: none does

    @property
    def state(self) -> str:
        """Another one when any of its files has been changed. Raises NotFound, InvalidInput, Unreachable."""
        identities = "\n".join(file.identity for file in self._files().values())
        return hashlib.sha256(identities.encode()).hexdigest()[:32]

    def _files(self) -> dict[str, Stored]:
        """All that it consists of."""
        names = [self.ovf] if self.ovf else []
        layers: dict[str, Stored] = {}
        for disk in self.disks:
            names += [disk.name, *pieces_of(self.bundle, disk.name, None if disk.packing else disk.expected)]
            layers |= {f"{disk.name} {n}": layer.stored for n, layer in enumerate(self._below(disk))}
        return {name: self.bundle.open(name) for name in dict.fromkeys(names)} | layers

    def _below(self, disk: DiskFile) -> list[Layer]:
        """The images that a disk's is based on. Raises InvalidInput."""
        stored = self.bundle.open(disk.name)
        if disk.packing or format_of(stored, disk.expected) is not Format.QCOW2:
            return []
        directory = PurePosixPath() if self.recorded else PurePosixPath(self.ref).parent
        return self.layers.below(str(directory / disk.name), stored)

    def machine(self, settings: FilesSettings) -> Machine:
        """Raises NotFound, InvalidInput for images that can't be read, or aren't what was said of them."""
        if self.recorded and self.recorded.wrong:
            raise self.recorded.wrong
        facts = [self._facts(disk) for disk in self.disks]
        path = PurePosixPath(self.ref.partition(_SYSTEM)[0])
        folder = "" if str(path.parent) == "." else str(path.parent)
        if self.recorded is not None:
            return self._as_recorded(self.recorded.machine, facts)
        said = self.system
        disks = tuple(_disk(n, disk, fact.size) for n, (disk, fact) in enumerate(zip(self.disks, facts, strict=True)))
        if said is None:
            return Machine(
                ref=self.ref,
                name=split_name(path.name)[0],
                power=PowerState.OFF,
                cpus=settings.cpus,
                memory_mib=settings.memory_mib,
                disks=disks,
                nics=_adapter(self.ref, settings.network),
                firmware=settings.firmware or facts[0].firmware or Firmware.BIOS,
                folder=folder,
                platform=PLATFORM,
            )
        return Machine(
            ref=self.ref,
            name=said.name or path.stem,
            power=PowerState.OFF,
            cpus=said.cpus,
            cores_per_socket=said.cores_per_socket,
            memory_mib=said.memory_mib,
            disks=disks,
            nics=tuple(_nic(n, nic) for n, nic in enumerate(said.nics)),
            firmware=said.firmware,
            secure_boot=said.secure_boot,
            guest_id=said.guest_id,
            guest_name=said.guest_name,
            annotation=said.annotation,
            folder=folder,
            platform=PLATFORM,
        )

    def _as_recorded(self, machine: Machine, facts: list[_Facts]) -> Machine:
        """Without what was only so of its place."""
        uefi = Firmware.UEFI in (machine.firmware, *(fact.firmware for fact in facts[:1]))
        disks = tuple(
            replace(said, size=fact.size, location=disk.name, tracked=False, raw_device=False, encrypted=False)
            for said, disk, fact in zip(machine.disks, self.disks, facts, strict=True)
        )
        return replace(
            machine,
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
            over_ssh=None,
        )

    def _facts(self, disk: DiskFile) -> _Facts:
        stored = self.bundle.open(disk.name)
        below = self._below(disk)
        said = disk.said
        if said is not None and said.file_size not in (None, stored.size):
            raise InvalidInput(
                f"{disk.name} has {stored.size} bytes, and {self.ovf} says {said.file_size}: it is cut off or another.",
                advice="Copy or export it again.",
                code="truncated",
            )
        identities = "\n".join((stored.identity, *(layer.stored.identity for layer in below)))
        key = (identities, f"{disk.expected}.{disk.packing}", said is None)
        facts = _remembered.get(key)
        if facts is None:
            with looked_at(self.bundle, disk.name, disk.expected, disk.packing, below) as image:
                facts = _Facts(image.size, image.firmware() if said is None else None)
            if len(_remembered) >= _MOST_REMEMBERED:
                _remembered.clear()
            _remembered[key] = facts
        # A capacity in GiB is rounded up to whole ones
        if said is not None and not 0 <= said.capacity - facts.size < said.unit:
            raise InvalidInput(
                f"The disk in {disk.name} has {facts.size} bytes, and {self.ovf} says {said.capacity}.",
                advice="One of the two was changed: export the machine again.",
                code="capacity-mismatch",
            )
        return facts

    def check(self, on_progress: Callable[[int, int], None]) -> None:
        """That all is as it was exported, as far as anything tells: read whole where there is a manifest.

        Raises InvalidInput.
        """
        if manifest := self._manifest():
            check_manifest(manifest.name, read_manifest(manifest), self._files(), on_progress)
        for disk in self.disks:
            with looked_at(self.bundle, disk.name, disk.expected, disk.packing, self._below(disk)) as image:
                image.check()

    def _manifest(self) -> Stored | None:
        if not self.ovf:
            return None
        if isinstance(self.bundle, Archive):
            found = self.bundle.named(".mf")
            if len(found) > 1:
                raise InvalidInput(f"Several manifests are beside {self.ovf}.", code="manifest-refused")
            return self.bundle.open(found[0]) if found else None
        try:
            return self.bundle.open(f"{PurePosixPath(self.ovf).stem}.mf")
        except NotFound:
            return None

    @contextmanager
    def serve(self, key: str, size: int) -> Iterator[Export]:
        """A disk by its key. Raises NotFound, Conflict when it has another size by now, InvalidInput, ExportError."""
        keys = (
            [disk.key for disk in self.recorded.machine.disks] if self.recorded else map(_key, range(len(self.disks)))
        )
        disk = dict(zip(keys, self.disks, strict=True)).get(key)
        if disk is None:
            raise NotFound(f"{self.ref} has no disk {key}.")
        with looked_at(self.bundle, disk.name, disk.expected, disk.packing, self._below(disk)) as image:
            if image.size != size:
                raise Conflict(f"{disk.name} had {size} bytes and has {image.size} now.", advice="Start again.")
            with image.serve() as export:
                yield export


@contextmanager
def described(place: Place, ref: str) -> Iterator[Description]:
    """Raises NotFound, InvalidInput."""
    with _descriptions(place, ref.partition(_SYSTEM)[0]) as found:
        for description in found:
            if description.ref == ref:
                break
        else:
            raise NotFound(f"There is no machine {ref}.")
        yield description


@contextmanager
def all_in(place: Place, path: str) -> Iterator[list[Description]]:
    """The machines of the file at this path. Raises NotFound, InvalidInput."""
    with _descriptions(place, path) as found:
        yield found


@contextmanager
def _descriptions(place: Place, path: str) -> Iterator[list[Description]]:
    name = PurePosixPath(path).name
    with place.bundle(path) as beside, ExitStack() as stack:
        layers = place.layers(stack)
        suffix = PurePosixPath(name).suffix.lower()
        if suffix == ".ova":
            archive = Archive(beside.open(name))
            yield _of_ovf(path, archive, _ovf_in(archive, name))
        elif suffix == ".ovf":
            yield _of_ovf(path, beside, name)
        elif name in BACKUPS:
            yield _of_backup(place, stack, path, layers)
        elif is_image(name):
            beside.open(name)
            _, kind, packing = split_name(name)
            yield [Description(path, beside, None, "", (DiskFile(name, packing, BY_SUFFIX[kind], None),), layers)]
        else:
            raise NotFound(f"{path} is neither an OVA nor an OVF nor a backup nor a disk image by its name.")


class _Everywhere(Bundle):
    """Files below the provider's directory, by their paths."""

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack
        self._bundles: dict[PurePosixPath, Bundle] = {}

    def open(self, name: str) -> Stored:
        path = PurePosixPath(name)
        if path.parent not in self._bundles:
            self._bundles[path.parent] = self._stack.enter_context(self._place.bundle(name))
        return self._bundles[path.parent].open(path.name)


def _of_backup(place: Place, stack: ExitStack, path: str, layers: Layers) -> list[Description]:
    everywhere = _Everywhere(place, stack)
    if PurePosixPath(path).name == DESCRIPTION:
        found = [recorded_at(everywhere, path)]
    else:
        found = trilio.recorded_in(everywhere, frozenset(place.files(str(PurePosixPath(path).parent))), path)
    return [
        Description(
            f"{path}{_SYSTEM}{one.id}" if one.id else path,
            everywhere,
            None,
            "",
            tuple(DiskFile(image, "", Format.QCOW2, None) for image in one.images),
            layers,
            one,
        )
        for one in found
    ]


def _ovf_in(archive: Archive, name: str) -> str:
    found = archive.named(".ovf")
    if len(found) != 1:
        raise InvalidInput(f"{name} has {len(found)} OVF files; an OVA has one.", code="ovf-refused")
    return found[0]


def _of_ovf(path: str, bundle: Bundle, name: str) -> list[Description]:
    file = bundle.open(name)
    if file.size > xml.LARGEST:
        raise InvalidInput(f"{name} is too large for an OVF.", code="ovf-refused")
    systems = read_ovf(file.read(0, xml.LARGEST), name)
    several = len(systems) > 1
    return [
        Description(
            f"{path}{_SYSTEM}{system.id}" if several else path,
            bundle,
            system,
            name,
            tuple(_file(disk, name, bundle) for disk in system.disks),
            NoLayers(),
        )
        for system in systems
    ]


def _name_of(href: str, ovf: str, bundle: Bundle) -> str:
    """That of a file which is there, if it is: a reference is a URL, which some makers escape and others don't."""
    refuse_path(href, ovf)
    if "%" not in href:
        return href
    try:
        return bundle.open(href).name
    except NotFound:
        name = unquote(href)
        refuse_path(name, ovf)
        return name


def _file(disk: OvfDisk, ovf: str, bundle: Bundle) -> DiskFile:
    name = _name_of(disk.href, ovf, bundle)
    _, suffix, packing = split_name(name)
    packing = {"": packing, "gzip": "gz", "xz": "xz"}.get(disk.compression.lower(), "?")
    if packing == "?":
        raise InvalidInput(f"{name} is packed in a way that isn't known ({shortened(disk.compression, 40)}).")
    expected = Format.VMDK if "vmdk" in disk.kind.lower() else BY_SUFFIX.get(suffix)
    return DiskFile(name, packing, expected, disk)


def _key(number: int) -> str:
    return f"disk{number}"


def _disk(number: int, disk: DiskFile, size: int) -> Disk:
    said = disk.said
    return Disk(
        key=_key(number),
        label=f"Disk {number + 1} ({said.label})" if said else "Disk 1",
        position=number,
        size=size,
        location=disk.name,
        storage=STORAGE,
        controller=said.controller if said else "",
        bus=said.bus if said else 0,
        unit=said.address if said else 0,
        tracked=False,
    )


def _nic(number: int, nic: OvfNic) -> Nic:
    return Nic(f"nic{number}", nic.label, nic.mac, nic.network, nic.model, nic.connected)


def _adapter(ref: str, network: str | None) -> tuple[Nic, ...]:
    """Of a loose image. Its MAC is the same each time, and nobody else's."""
    if network is None:
        return ()
    digest = hashlib.sha256(ref.encode()).hexdigest()
    mac = ":".join(("02", *(digest[n : n + 2] for n in range(0, 10, 2))))
    return (Nic("nic0", "Network adapter 1", mac, network),)
