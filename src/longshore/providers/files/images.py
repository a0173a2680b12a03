"""A disk image as its format has it: looked at by QEMU in a sandbox, and served as the disk that is in it."""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from longshore.blocks.exports import Export, serve_qemu_nbd
from longshore.errors import ExportError, InvalidInput, Unreachable
from longshore.model.machine import Firmware
from longshore.providers.files.chains import Layer
from longshore.providers.files.headers import (
    BY_SUFFIX,
    FLAT,
    LARGEST_DESCRIPTOR,
    SPARSE_MAGICS,
    Format,
    backing_of,
    create_type,
    encrypted,
    extents_of,
    format_of,
    is_descriptor,
    needs_another,
    refuse_of_descriptor,
    refuse_references,
    vmdk_descriptor,
)
from longshore.providers.files.sandbox import ask_qemu_img, sandbox, socket_of, unreadable
from longshore.providers.files.served import Served, unpacked_in_place
from longshore.providers.files.spool import LARGEST, spool
from longshore.providers.files.stored import SECTOR, Bundle, LocalFile, Stored

PACKED = ("gz", "xz")
_CHECKABLE = (Format.QCOW2, Format.VMDK, Format.VHDX)
# Partitions of the firmware's own, as GPT has them
_ESP = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")
_BIOS_BOOT = bytes.fromhex("4861682149646f6e744e656564454649")
_GPT_ENTRIES, _GPT_ENTRY = 128, 128  # how many, and bytes of each


def split_name(name: str) -> tuple[str, str, str]:
    """(stem, suffix of the format, suffix of the packing), in lower case; empty where there is none such."""
    stem, _, last = name.rpartition(".")
    packing = last.lower() if last.lower() in PACKED and stem else ""
    rest = stem if packing else name
    stem, _, suffix = rest.rpartition(".")
    return (stem, suffix.lower(), packing) if stem else (rest, "", packing)


def is_image(name: str) -> bool:
    return split_name(name)[1] in BY_SUFFIX


@contextmanager
def looked_at(
    bundle: Bundle, name: str, expected: Format | None, packing: str, below: Sequence[Layer] = ()
) -> Iterator["OpenImage"]:
    """What the image is; `below`: those it is based on. Raises InvalidInput for one that can't be read, or is better
    not."""
    with ExitStack() as stack:
        stored = bundle.open(name)
        if packing:
            stored = stack.enter_context(_unpacked(stored, packing))
        kind = format_of(stored, expected)
        if packing and is_descriptor(stored, kind):
            raise needs_another(name)
        refuse_references(stored, kind)
        if kind is Format.QCOW2 and not below and backing_of(stored) is not None:
            raise needs_another(name)
        for layer in below:
            refuse_references(layer.stored, layer.kind)
        yield OpenImage(stack, bundle, stored, kind, below)


def pieces_of(bundle: Bundle, name: str, expected: Format | None) -> list[str]:
    """The files beside it that a VMDK of several files consists of; none of another image. Raises InvalidInput."""
    stored = bundle.open(name)
    if expected not in (Format.VMDK, None) or stored.size > LARGEST_DESCRIPTOR:
        return []
    if not is_descriptor(stored, format_of(stored, None)):
        return []
    return list(dict.fromkeys(extent.name for extent in extents_of(name, vmdk_descriptor(stored))))


class OpenImage:
    """One that was looked at, as long as its context is open."""

    def __init__(self, stack: ExitStack, bundle: Bundle, stored: Stored, kind: Format, below: Sequence[Layer]) -> None:
        self.kind = kind
        self._below = below
        self.name = stored.name
        self._stored = stored
        self._descriptors: list[int] = []
        self._sockets: list[Export] = []
        self._options: dict[str, str] = {}
        if kind is Format.RAW:
            self.size = _believable(self.name, -(-stored.size // SECTOR) * SECTOR)
            return
        if is_descriptor(stored, kind):
            self._open_pieces(stack, bundle, vmdk_descriptor(stored))
        else:
            source = stack.enter_context(stored.serve())
            self._sockets = [source]
            path = str(socket_of(source))
            self._options = {"driver": kind, "file.driver": "nbd", "file.server.type": "unix", "file.server.path": path}
            self._descriptors = [layer.stored.descriptor for layer in below]
        told = self._ask("info")  # of this image alone: it opens no base
        self._options |= _based_on(below)
        if told.get("encrypted"):
            raise encrypted(self.name)
        specific = (told.get("format-specific") or {}).get("data") or {}
        if specific.get("data-file") or (told.get("backing-filename") and not below):
            raise needs_another(self.name)
        self.size = _believable(self.name, int(told["virtual-size"]))

    def _open_pieces(self, stack: ExitStack, bundle: Bundle, descriptor: str) -> None:
        """A VMDK of several files. QEMU is given a descriptor of our own: the stranger's could name anything."""
        lines = []
        for extent in extents_of(self.name, descriptor):
            piece = bundle.open(extent.name)
            if not isinstance(piece, LocalFile):
                raise InvalidInput(
                    f"{self.name} is a VMDK of several files, which can be read from a directory only.",
                    advice="Export the machine as stream-optimised VMDKs, or unpack it into a directory.",
                )
            own = vmdk_descriptor(piece) if piece.read(0, 4) in SPARSE_MAGICS else ""
            refuse_of_descriptor(extent.name, own)
            if extent.kind in FLAT and piece.size < (extent.offset + extent.sectors) * SECTOR:
                raise InvalidInput(f"{extent.name} is cut off.", advice="Copy it again.", code="truncated")
            self._descriptors.append(piece.descriptor)
            offset = f" {extent.offset}" if extent.kind in FLAT else ""
            lines.append(f'RW {extent.sectors} {extent.kind} "/proc/self/fd/{piece.descriptor}"{offset}')
        text = "\n".join(
            (
                *("# Disk DescriptorFile", "version=1", "CID=fffffffe", "parentCID=ffffffff"),
                f'createType="{create_type(self.name, descriptor)}"',
                *lines,
                "",
            )
        )
        own_file = os.memfd_create("longshore-vmdk")
        stack.callback(os.close, own_file)
        os.write(own_file, text.encode())
        self._descriptors.append(own_file)
        self._options = {"driver": "vmdk", "file.driver": "file", "file.filename": f"/proc/self/fd/{own_file}"}

    def check(self) -> None:
        """That it is whole, as far as its tables tell. Raises InvalidInput."""
        if self.kind not in _CHECKABLE:
            return
        _refuse_damaged(self.name, self._ask("check"))
        for number, layer in enumerate(self._below):
            if layer.kind in _CHECKABLE:
                options, name = _options_of(self._below[number:]), layer.stored.name
                _refuse_damaged(name, ask_qemu_img("check", options, [], self._descriptors, name))

    @contextmanager
    def serve(self) -> Iterator[Export]:
        """The disk in it, read-only. Raises InvalidInput, ExportError."""
        if self.kind is Format.RAW:
            with self._stored.serve() as export, _of_whole_sectors(export, self.size) as disk:
                yield disk
            return
        paths = [socket_of(export) for export in self._sockets]
        with ExitStack() as stack:
            try:
                export = stack.enter_context(
                    serve_qemu_nbd(
                        self._options,
                        read_only=True,
                        confined=lambda directory: sandbox([directory, *paths]),
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
        return ask_qemu_img(verb, self._options, [socket_of(e) for e in self._sockets], self._descriptors, self.name)

    def firmware(self) -> Firmware:
        """What its partitions tell: a disk with an EFI system partition and nothing for a BIOS boots by UEFI."""
        with self.serve() as export:
            disk = Served(self.name, export, "")
            try:
                header = disk.read(SECTOR, SECTOR)
                if header[:8] != b"EFI PART" or len(header) < SECTOR:
                    return Firmware.BIOS
                first, count, length = struct.unpack_from("<Q", header, 72)[0], *struct.unpack_from("<II", header, 80)
                if not (length == _GPT_ENTRY and count <= _GPT_ENTRIES and first < 1 << 20):
                    return Firmware.BIOS
                table = disk.read(first * SECTOR, count * length)
            finally:
                disk.close()
        kinds = {table[at : at + 16] for at in range(0, len(table), _GPT_ENTRY)}
        return Firmware.UEFI if _ESP in kinds and _BIOS_BOOT not in kinds else Firmware.BIOS


def _options_of(layers: Sequence[Layer]) -> dict[str, str]:
    """The first of these images as QEMU opens it. What its header says of its base counts for nothing."""
    first = layers[0]
    path = f"/proc/self/fd/{first.stored.descriptor}"
    return {"driver": first.kind, "file.driver": "file", "file.filename": path} | _based_on(layers[1:])


def _based_on(layers: Sequence[Layer]) -> dict[str, str]:
    return {f"backing.{key}": value for key, value in _options_of(layers).items()} if layers else {}


def _refuse_damaged(name: str, told: dict[str, Any]) -> None:
    """Raises InvalidInput."""
    wrong = int(told.get("corruptions") or 0) + int(told.get("check-errors") or 0)
    if wrong:
        raise InvalidInput(
            f"{name} is damaged or cut off: {wrong} of its entries lead nowhere.",
            advice="Copy or export it again.",
            code="truncated",
        )


def _of_whole_sectors(export: Export, size: int) -> AbstractContextManager[Export]:
    """The same disk, which has this size: what is missing of its last sector is zeroes."""
    if export.probe().size == size:
        return nullcontext(export)
    served = {"file.driver": "nbd", "file.server.type": "unix", "file.server.path": str(socket_of(export))}
    return serve_qemu_nbd({"driver": "raw", **served}, read_only=True)


def _believable(name: str, size: int) -> int:
    """Raises InvalidInput for a size that is none."""
    if 0 <= size <= LARGEST:
        return size
    raise InvalidInput(
        f"{name} says that its disk has {size} bytes, and none has more than {LARGEST >> 40} TiB.", code="image-refused"
    )


@contextmanager
def _unpacked(packed: Stored, how: str) -> Iterator[Stored]:
    """In place where its blocks allow that; else once into a file."""
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
