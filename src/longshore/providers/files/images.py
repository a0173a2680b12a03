"""A disk image as its format has it: looked at by QEMU in a sandbox, and served as the disk that is in it.

What the image says of its own size is compared with what QEMU makes of it: QEMU guesses at some formats, and a disk
without its end would be copied as if it were whole.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from longshore.blocks.exports import Export, serve_qemu_nbd
from longshore.errors import ExportError, InvalidInput, NotFound, Unreachable
from longshore.model.machine import Doubt, FileDoubt
from longshore.providers.files.chains import Layer
from longshore.providers.files.headers import (
    BY_SUFFIX,
    Format,
    bases_of,
    format_of,
    found_in,
    is_marked_corrupt,
    refuse_references,
    size_of,
)
from longshore.providers.files.microsoft import vhd_of, vhdx_of
from longshore.providers.files.partitions import Layout, layout_of
from longshore.providers.files.sandbox import ask_qemu_img, sandbox, socket_of, unreadable
from longshore.providers.files.served import ServedFile, unpacked_in_place
from longshore.providers.files.spool import LARGEST, spool
from longshore.providers.files.stored import SECTOR, Bundle, LocalFile, Stored, encrypted, needs_another
from longshore.providers.files.tables import faults_of
from longshore.providers.files.vmdk import (
    FLAT,
    LARGEST_DESCRIPTOR,
    ZERO,
    VmdkExtent,
    capacity_of,
    cids,
    descriptor_of,
    embedded_sectors,
    extents_of,
    is_descriptor,
    open_extent,
    refuse_encrypted,
    written_for_qemu,
)

PACKED = ("gz", "xz")
_CHECKABLE = (Format.QCOW2, Format.VMDK, Format.VHDX, Format.VDI)


def split_name(name: str) -> tuple[str, str, str]:
    """Split into (stem, suffix of the format, suffix of the packing), in lower case; empty where there is none such."""
    stem, _, last = name.rpartition(".")
    packing = last.lower() if last.lower() in PACKED and stem else ""
    rest = stem if packing else name
    stem, _, suffix = rest.rpartition(".")
    return (stem, suffix.lower(), packing) if stem else (rest, "", packing)


def is_image(name: str) -> bool:
    return split_name(name)[1] in BY_SUFFIX


@contextmanager
def looked_at(
    bundle: Bundle, stored: Stored, expected: Format | None, packing: str, below: Sequence[Layer] = ()
) -> Iterator["OpenImage"]:
    """Open an image; `below`: those it is based on. Raises InvalidInput for one that can't be read, or is better
    not."""
    with ExitStack() as stack:
        name = stored.name
        if stored.scattered:
            stored = stack.enter_context(spool(*stored.to_be_put_together()))
        if packing:
            stored = stack.enter_context(_unpacked(stored, packing))
        kind = format_of(stored, expected)
        if packing and kind is Format.VMDK and is_descriptor(stored):
            raise needs_another(name)
        refuse_references(stored, kind)
        if not below and bases_of(stored, kind):
            raise needs_another(name)
        yield OpenImage(stack, bundle, stored, kind, below)


def pieces_of(bundle: Bundle, name: str, expected: Format | None) -> list[str]:
    """Return the files beside it that a VMDK of several files consists of; none of another image. Raises
    InvalidInput."""
    stored = bundle.open(name)
    if expected not in (Format.VMDK, None) or stored.size > LARGEST_DESCRIPTOR or stored.scattered:
        return []
    if format_of(stored, None) is not Format.VMDK or not is_descriptor(stored):
        return []
    extents = [extent for extent in extents_of(stored.name, descriptor_of(stored)) if extent.names]
    return list(dict.fromkeys(_called(bundle, extent) for extent in extents))


def _called(bundle: Bundle, extent: VmdkExtent) -> str:
    """Return how its file is called here; where it isn't here, as it is said to be."""
    for name in extent.names:
        try:
            bundle.open(name)
        except NotFound:
            continue
        return name
    return extent.names[0]


class OpenImage:
    """One that was looked at, as long as its context is open."""

    def __init__(self, stack: ExitStack, bundle: Bundle, stored: Stored, kind: Format, below: Sequence[Layer]) -> None:
        self.kind = kind
        self.name = stored.name
        self.doubts: list[FileDoubt] = []
        self._stack = stack
        self._below = below
        self._stored = stored
        self._descriptors: list[int] = []
        self._pieces: list[Stored] = []  # of VMDKs of several files
        self._sockets: list[Path] = []
        self._options: dict[str, str] = {}
        self.flat = kind is Format.RAW or (kind is Format.VHD and vhd_of(stored).fixed)
        if kind is Format.RAW and (like := found_in(stored)) is not Format.RAW:
            text = f"{self.name} is called a raw disk, and is like a {like.words}: the guest would see all of that."
            self._doubt(Doubt.CLAIM, text)
        if self.flat:
            self.size = _believable(self.name, self._flat_size())
            return
        if kind is Format.VMDK and is_descriptor(stored):
            self._options = self._descriptor_for_qemu(bundle, stored)
        else:
            self._options, path = _over_nbd(kind, stack.enter_context(stored.serve()))
            self._sockets = [path]
            if kind is Format.VHD:  # QEMU would go by cylinders, heads and sectors, which fall short, by its maker
                self._options["force_size_calc"] = "current_size"
        told = self._ask("info")  # of this image alone: it opens no base
        if told.get("encrypted"):
            raise encrypted(self.name)
        specific = (told.get("format-specific") or {}).get("data") or {}
        if specific.get("data-file") or (told.get("backing-filename") and not below):
            raise needs_another(self.name)
        self.size = _believable(self.name, int(told["virtual-size"]))
        self._compare(stored)
        self._layers = self._open_layers()
        self._options |= _based_on(self._layers)

    def _flat_size(self) -> int:
        """Return the size of a raw disk, with Microsoft's footer behind it or not."""
        if self.kind is Format.RAW:
            return -(-self._stored.size // SECTOR) * SECTOR
        vhd = vhd_of(self._stored)
        if vhd.said > vhd.size:
            self._doubt(Doubt.MISSING, f"{self.name} holds {vhd.size} bytes of a disk of {vhd.said}: it is cut off.")
        elif vhd.said < vhd.size:
            self._doubt(Doubt.CLAIM, f"{self.name} holds a disk of {vhd.size} bytes, and its footer says {vhd.said}.")
        return vhd.size

    def _compare(self, stored: Stored) -> None:
        """Compare what QEMU makes of it with what its own tables say."""
        if self.kind is Format.VMDK and is_descriptor(stored):
            said = sum(extent.sectors for extent in extents_of(self.name, descriptor_of(stored))) * SECTOR
        else:
            said = size_of(stored, self.kind) or 0
        if self.kind is Format.VMDK and not is_descriptor(stored):
            described = embedded_sectors(descriptor_of(stored)) * SECTOR
            if described > said:
                text = f"{self.name} is described as a disk of {described} bytes, and holds one of {said}."
                self._doubt(Doubt.MISSING, text)
            elif 0 < described < said:
                text = f"{self.name} holds a disk of {said} bytes, and is described as one of {described}."
                self._doubt(Doubt.CLAIM, text)
        if said and self.size < said:
            text = f"{self.name} says that its disk has {said} bytes, of which {self.size} can be read."
            self._doubt(Doubt.MISSING, text)
        elif said and self.size >= said + SECTOR:
            text = f"{self.name} says that its disk has {said} bytes, and {self.size} can be read."
            self._doubt(Doubt.CLAIM, text)
        if self.kind is Format.QCOW2 and is_marked_corrupt(stored):
            self._doubt(Doubt.CLAIM, f"{self.name} is marked as damaged by the QEMU that used it.")

    def _doubt(self, kind: Doubt, text: str) -> None:
        self.doubts.append(FileDoubt(kind, self.name, text))

    def _descriptor_for_qemu(self, bundle: Bundle, stored: Stored) -> dict[str, str]:
        """Return options for a VMDK of several files. QEMU is given a descriptor of our own. Raises NotFound,
        InvalidInput."""
        descriptor = descriptor_of(stored)
        lines = []
        extents = extents_of(stored.name, descriptor)
        for number, extent in enumerate(extents):
            if extent.kind == ZERO:
                lines.append((extent.sectors, "FLAT", self._in_memory(b"", extent.sectors * SECTOR), 0))
                continue
            piece = open_extent(bundle, extent)
            if not isinstance(piece, LocalFile):
                raise InvalidInput(
                    f"{stored.name} is a VMDK of several files, which can be read from a directory only.",
                    advice="Export the machine as stream-optimised VMDKs, or unpack it into a directory.",
                )
            self._look_at_piece(stored.name, piece, extent, last=number == len(extents) - 1)
            self._descriptors.append(piece.descriptor)
            self._pieces.append(piece)
            kind = "FLAT" if extent.kind in FLAT else extent.kind
            lines.append((extent.sectors, kind, f"/proc/self/fd/{piece.descriptor}", extent.offset))
        text = written_for_qemu(*cids(descriptor), lines).encode()
        return {"driver": "vmdk", "file.driver": "file", "file.filename": self._in_memory(text, len(text))}

    def _in_memory(self, data: bytes, size: int) -> str:
        """Make a file for QEMU of this size, zeroes after its data. Returns how QEMU calls it."""
        file = os.memfd_create("longshore-vmdk")
        self._stack.callback(os.close, file)
        os.write(file, data)
        os.ftruncate(file, size)
        self._descriptors.append(file)
        return f"/proc/self/fd/{file}"

    def _look_at_piece(self, name: str, piece: LocalFile, extent: VmdkExtent, *, last: bool) -> None:
        """Look at a piece of a VMDK. Raises InvalidInput."""
        refuse_encrypted(piece.name, descriptor_of(piece) if capacity_of(piece) is not None else "")
        end = (extent.offset + extent.sectors) * SECTOR
        if extent.kind in FLAT:
            if piece.size < end:
                text = f"{piece.name} has {piece.size} bytes, and {name} says {end}: it is cut off."
                self._doubt(Doubt.MISSING, text)
            return
        sectors = capacity_of(piece)
        # QEMU goes by the piece: those behind it would be elsewhere on the disk
        if sectors is None or (sectors != extent.sectors and not (last and sectors > extent.sectors)):
            raise InvalidInput(
                f"{piece.name} holds {sectors or 0} sectors, and {name} says {extent.sectors}.",
                advice="One of the two is of another disk: copy or export both again.",
                code="image-refused",
            )

    def _open_layers(self) -> list[dict[str, str]]:
        """Return options for each image that this one is based on."""
        found = []
        for layer in self._below:
            if layer.kind is Format.VMDK and is_descriptor(layer.stored):
                found.append(self._descriptor_for_qemu(layer.bundle, layer.stored))
                continue
            self._descriptors.append(layer.stored.descriptor)
            path = f"/proc/self/fd/{layer.stored.descriptor}"
            found.append({"driver": layer.kind, "file.driver": "file", "file.filename": path})
        return found

    def check(self) -> list[FileDoubt]:
        """Return what its tables tell against its being whole."""
        if self.flat:
            return []
        found = [doubt for piece in self._pieces for doubt in faults_of(piece, Format.VMDK)]
        self._add_damage(found, self._stored, self.kind, self._options)
        for number, layer in enumerate(self._below):
            options = self._layers[number] | _based_on(self._layers[number + 1 :])
            self._add_damage(found, layer.stored, layer.kind, options)
            if layer.kind is Format.RAW and (end := layout_of(layer.stored).end) > layer.stored.size:
                text = f"{layer.stored.name} has {layer.stored.size} bytes, and what is on it was made for {end}."
                found.append(FileDoubt(Doubt.MISSING, layer.stored.name, text))
        return found

    def _add_damage(self, found: list[FileDoubt], image: Stored, kind: Format, options: dict[str, str]) -> None:
        """Add what an image's tables tell to what was found; QEMU is asked where nothing is known to be missing."""
        name = image.name
        found += faults_of(image, kind)
        if kind not in _CHECKABLE or any(doubt.kind is Doubt.MISSING for doubt in found):
            return
        try:
            told = ask_qemu_img("check", options, self._sockets, self._descriptors, name)
        except InvalidInput as error:
            if error.code != "truncated":
                raise
            found.append(FileDoubt(Doubt.MISSING, name, error.message))
            return
        wrong = int(told.get("corruptions") or 0) + int(told.get("check-errors") or 0)
        if wrong and kind is not Format.QCOW2:
            text = f"{name} is damaged or cut off: {wrong} of its entries lead nowhere."
            found.append(FileDoubt(Doubt.MISSING, name, text))
        elif wrong:  # what is read goes by the other tables, of which all was found to be right
            text = f"{name} wasn't closed or is damaged: {wrong} of its counts of references are wrong."
            found.append(FileDoubt(Doubt.CLAIM, name, text))
        elif lost := int(told.get("leaks") or 0):
            text = f"{name} has {lost} clusters that are no part of its disk, as after a crash, or of a lost table."
            found.append(FileDoubt(Doubt.CLAIM, name, text))

    @contextmanager
    def serve(self) -> Iterator[Export]:
        """Serve the disk in it, read-only. Raises InvalidInput, ExportError."""
        if self.kind is Format.RAW:
            with self._stored.serve() as export, _of_whole_sectors(export, self.size) as disk:
                yield disk
            return
        if self.flat:
            with self._stored.serve(0, self.size) as export:
                yield export
            return
        with ExitStack() as stack:
            try:
                export = stack.enter_context(
                    serve_qemu_nbd(
                        self._options,
                        read_only=True,
                        confined=lambda directory: sandbox([directory, *self._sockets]),
                        descriptors=self._descriptors,
                    )
                )
                size = export.probe().size
            except ExportError as error:
                raise unreadable(self.name, error.message, self._options) from error
            if size != self.size:
                raise ExportError(f"{self.name} has {size} bytes as it is opened, and had {self.size} before.")
            yield export

    def _ask(self, verb: str) -> dict[str, Any]:
        try:
            return ask_qemu_img(verb, self._options, self._sockets, self._descriptors, self.name)
        except InvalidInput:
            if self.kind is Format.VHDX and vhdx_of(self._stored).log:
                raise InvalidInput(
                    f"{self.name} wasn't closed: what was written to it last is in its log alone.",
                    advice="Mount and dismount it on Windows, or let QEMU write the log into a copy: "
                    "qemu-img check -r all COPY.",
                    code="image-refused",
                ) from None
            if self.kind is Format.VHDX and (cut := faults_of(self._stored, self.kind)):
                raise InvalidInput(cut[0].text, advice="Copy or export it again.", code="truncated") from None
            raise

    def layout(self) -> Layout:
        """Return what its partitions tell. Raises InvalidInput, ExportError."""
        with self.serve() as export:
            try:
                disk = ServedFile(self.name, export, "")
                try:
                    found = layout_of(disk)
                finally:
                    disk.close()
            except Unreachable as error:
                self._stored.read(0, 1)  # which raises it as well when the image isn't to blame
                raise InvalidInput(error.message, advice="It is damaged: copy it again.", code="truncated") from None
        if found.end > self.size:
            text = f"The disk in {self.name} has {self.size} bytes, and what is on it was made for {found.end}."
            self._doubt(Doubt.MISSING, text)
        if found.sector != SECTOR:
            text = f"The partitions in {self.name} count in sectors of {found.sector} bytes, and a volume has {SECTOR}."
            self._doubt(Doubt.SECTORS, text)
        return found


def _based_on(layers: Sequence[dict[str, str]]) -> dict[str, str]:
    """Return QEMU's options for the first of these as the base of an image, the next as its. What headers say of bases
    counts for nothing."""
    if not layers:
        return {}
    return {f"backing.{key}": value for key, value in (layers[0] | _based_on(layers[1:])).items()}


def _of_whole_sectors(export: Export, size: int) -> AbstractContextManager[Export]:
    """Serve the same disk, which has this size: what is missing of its last sector is zeroes."""
    if export.probe().size == size:
        return nullcontext(export)
    return serve_qemu_nbd(_over_nbd(Format.RAW, export)[0], read_only=True)


def _over_nbd(kind: Format, export: Export) -> tuple[dict[str, str], Path]:
    """Return QEMU's options for an image of this kind that is served, and its socket."""
    path = socket_of(export)
    served = {"file.driver": "nbd", "file.server.type": "unix", "file.server.path": str(path)}
    return {"driver": kind, **served}, path


def _believable(name: str, size: int) -> int:
    """Return the size. Raises InvalidInput for one that no disk has."""
    if not size:
        raise InvalidInput(f"{name} holds nothing.", advice="It is cut off: copy it again.", code="truncated")
    if 0 < size <= LARGEST:
        return size
    raise InvalidInput(
        f"{name} says that its disk has {size} bytes, and none has more than {LARGEST >> 40} TiB.", code="image-refused"
    )


@contextmanager
def _unpacked(packed: Stored, how: str) -> Iterator[Stored]:
    """Unpack in place where the file's blocks allow that; else once into a file."""
    with ExitStack() as stack:
        if how == "xz":
            try:
                served = stack.enter_context(unpacked_in_place(packed))
            except (ExportError, Unreachable):
                pass  # one block for all of it; or it is damaged, which shows when it is unpacked
            else:
                yield served
                return
        yield stack.enter_context(spool(packed, how))
