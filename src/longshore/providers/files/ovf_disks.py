"""The disks of a machine in an OVF: which they are, how large, on what, and in which files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from xml.etree.ElementTree import Element

from longshore.errors import InvalidInput
from longshore.model.machine import Doubt, FileDoubt
from longshore.providers.files import xml
from longshore.providers.files.images import is_image

# Of CIM's ResourceType
_IDE, _SCSI, _OTHER_STORAGE = "5", "6", "20"
_DISKS = ("17", "31", "32")  # disk drive, logical disk, storage volume
_DRIVES = ("14", "15", "16")  # floppy, CD, DVD
_CONTROLLERS = (
    # What a subtype says, in lower case: Longshore's word for it
    ("virtualscsi", "pvscsi"),
    ("pvscsi", "pvscsi"),
    ("lsilogicsas", "lsilogic-sas"),
    ("lsilogic", "lsilogic"),
    ("buslogic", "buslogic"),
    ("virtio", "virtio"),
    ("nvme", "nvme"),
    ("ahci", "sata"),
    ("sata", "sata"),
    ("piix", "ide"),
    ("ide", "ide"),
)
_NO_PARENT = re.compile("[0-]*")  # oVirt has a UUID of zeroes
_SETTING = re.compile(r"\$\{(.+)\}")
_FACTOR = re.compile(r"(\d{1,19})(?:\s*\^\s*(\d{1,2}))?")
_NAMED_UNITS = {"": 0, "b": 0, "byte": 0, "bytes": 0}
_NAMED_UNITS |= {
    f"{word}{end}": 10 * n for n, word in enumerate(("kilo", "mega", "giga", "tera"), 1) for end in ("byte", "bytes")
}
_NAMED_UNITS |= {f"{letter}{end}": 10 * n for n, letter in enumerate("kmgt", 1) for end in ("", "b", "ib")}
LARGEST_UNIT = 1 << 50  # bytes


@dataclass(frozen=True, slots=True)
class OvfDisk:
    label: str
    href: str  # empty: it has no file
    kind: str  # what the OVF calls its format: an URL that may be anything
    compression: str  # "gzip", or empty
    chunk_size: int | None  # bytes of each of the files that its file is cut into; None: it isn't
    file_size: int | None  # bytes of its file, if it says so
    capacity: int | None  # bytes; `unit` is how exactly it is told
    unit: int
    controller: str
    bus: int
    address: int
    boots: bool  # it is the one that the machine boots from
    shared: bool  # with other machines


@dataclass(slots=True)
class Catalogue:
    """The disks and files that an OVF has for all of its machines, by ids. `used`: the files that a disk of one of them
    is in."""

    name: str  # of the OVF
    files: dict[str, Element]
    disks: dict[str, Element]
    settings: dict[str, str]  # values by keys, which a capacity may be: ${key}
    used: set[str] = field(default_factory=set)


def refused(name: str, why: str) -> InvalidInput:
    return InvalidInput(f"{name} is no OVF that can be read: {why}.", code="ovf-refused")


def disks_of(items: Sequence[Element], catalogue: Catalogue, first: str, doubts: list[FileDoubt]) -> list[OvfDisk]:
    """Return the disks of the machine with these items: the one that it boots from first, then as they are listed,
    those of one controller by their places on it. What is left out is added to the doubts. Raises InvalidInput.

    `first`: the instance of the item that it boots from; empty: what is said of the disk itself counts.
    """
    controllers = {
        xml.text(item, "InstanceID", "InstanceId"): item
        for item in items
        if xml.text(item, "ResourceType") in (_IDE, _SCSI, _OTHER_STORAGE)
    }
    found: list[tuple[bool, int, int, int, OvfDisk]] = []
    order: dict[str, int] = {}
    for item, disk, file in _disk_items(items, catalogue, doubts):
        parent = xml.text(item, "Parent")
        place = order.setdefault(parent, len(order))
        one = _disk((item, disk, file), controllers.get(parent), catalogue, doubts)
        boots = one.boots if not first else xml.text(item, "InstanceID", "InstanceId") == first
        found.append((not boots, place, one.address, len(found), one))
    hrefs = [one.href for *_, one in found if one.href]
    for href in dict.fromkeys(href for href in hrefs if hrefs.count(href) > 1):
        text = f"{catalogue.name} has {href} as several disks of one machine: each of them has the same content."
        doubts.append(FileDoubt(Doubt.CLAIM, href, text))
    return [disk for *_, disk in sorted(found, key=lambda entry: entry[:4])]


_Found = tuple[Element, Element | None, Element | None]  # the item of a disk, its Disk, its File


def _disk_items(items: Sequence[Element], catalogue: Catalogue, doubts: list[FileDoubt]) -> list[_Found]:
    """Return the items that are disks, whatever type they say."""
    found: list[_Found] = []
    silent: list[int] = []  # places in `found` of those that don't say which disk they are
    for item in items:
        kind, told = xml.text(item, "ResourceType"), xml.text(item, "HostResource")
        disk, file = _meant(told, catalogue)
        if kind in _DRIVES or (file is not None and kind not in _DISKS and not is_image(xml.reference(file, "href"))):
            continue
        if disk is not None or file is not None:
            found.append((item, disk, file))
        elif kind in _DISKS:
            if not told:
                silent.append(len(found))
            found.append((item, None, None))
    named = {id(disk) for _, disk, _ in found}
    rest = [disk for disk in catalogue.disks.values() if id(disk) not in named]
    if silent and len(silent) == len(rest):  # which leaves no doubt about which is meant
        for place, disk in zip(silent, rest, strict=True):
            found[place] = (found[place][0], disk, None)
    nowhere = [entry for entry in found if entry[1] is None and entry[2] is None and not _is_empty(entry[0])]
    for item, *_ in nowhere:
        label = _label(item)
        text = f"{catalogue.name} doesn't say which disk {label} is: it would be left out."
        doubts.append(FileDoubt(Doubt.MISSING, label, text))
    return [entry for entry in found if entry not in nowhere]


def _is_empty(item: Element) -> bool:
    """Tell whether a disk is one that only its item describes, as items of storage may: by its size."""
    return not xml.text(item, "HostResource") and _size_of_item(item) is not None


def _size_of_item(item: Element) -> int | None:
    told = xml.text(item, "AllocationUnits")
    unit, quantity = unit_of(told), amount(xml.text(item, "VirtualQuantity"))
    return int(quantity * unit) if told and unit and quantity else None


def _meant(told: str, catalogue: Catalogue) -> tuple[Element | None, Element | None]:
    """Return the Disk, or the File, that a HostResource names: ovf:/disk/ID, /disk/ID, ovf:/file/ID, or the id
    alone."""
    if not told:
        return None, None
    plain = told.removeprefix("ovf:").strip("/")
    kind, _, wanted = plain.partition("/")
    if kind == "disk" and wanted in catalogue.disks:
        return catalogue.disks[wanted], None
    if kind == "file" and wanted in catalogue.files:
        return None, catalogue.files[wanted]
    return next(
        (catalogue.disks[one] for one in (plain, plain.rpartition("/")[2]) if one in catalogue.disks), None
    ), None


def _disk(found: _Found, controller: Element | None, catalogue: Catalogue, doubts: list[FileDoubt]) -> OvfDisk:
    item, disk, file = found
    name, label = catalogue.name, _label(item)
    about = disk if disk is not None else item  # which has none of a Disk's attributes
    if not _NO_PARENT.fullmatch(xml.attribute(about, "parentRef")):
        raise refused(name, f"{label} holds only what differs from another disk")
    key = xml.attribute(about, "fileRef")
    if disk is not None:
        file = catalogue.files.get(key)
    unit = unit_of(xml.attribute(about, "capacityAllocationUnits"))
    capacity = amount(_value(xml.attribute(about, "capacity"), catalogue.settings))
    size = None if unit is None or capacity is None else int(capacity * unit)
    if disk is None and file is None:
        size = _size_of_item(item)
    if file is not None and not xml.reference(file, "href"):
        file = None
    if file is None:
        if size is None:
            raise refused(name, f"{label} has neither a file nor a size")
        if key:
            text = f"{name} names no file for {label}: it would be made empty."
            doubts.append(FileDoubt(Doubt.MISSING, label, text))
        else:
            doubts.append(FileDoubt(Doubt.EMPTY, label, f"{label} has no file: it is made empty, with {size} bytes."))
    else:
        catalogue.used |= {one for one, element in catalogue.files.items() if element is file}
        if size is None and disk is not None:
            text = f"{name} doesn't say how large {label} is in a way that is understood; its file tells."
            doubts.append(FileDoubt(Doubt.UNSAID, label, text))
    chunk, file_size = (None if file is None else amount(xml.attribute(file, a)) for a in ("chunkSize", "size"))
    return OvfDisk(
        label=label,
        href="" if file is None else xml.reference(file, "href"),
        kind=xml.attribute(about, "format"),
        compression="" if file is None else xml.attribute(file, "compression").replace("identity", ""),
        chunk_size=None if not chunk else int(chunk),
        file_size=None if file_size is None else int(file_size),
        capacity=size,
        unit=unit or 1,
        controller=_on(xml.attribute(about, "disk-interface")) if controller is None else _controller(controller),
        bus=0 if controller is None else int(_digits(xml.text(controller, "Address"))),
        address=int(_digits(xml.text(item, "AddressOnParent"))),
        boots=xml.attribute(about, "boot").lower() == "true",
        shared=xml.local(str(about.tag)) == "SharedDisk",
    )


def _value(told: str, settings: dict[str, str]) -> str:
    """Return what is told, or of ${key} the value of that setting."""
    match = _SETTING.fullmatch(told)
    return settings.get(match[1], "") if match else told


def _label(item: Element) -> str:
    return (xml.text(item, "ElementName", "Caption") or "Disk")[:80]


def _controller(item: Element) -> str:
    return _on(xml.text(item, "ResourceSubType")) or ("ide" if xml.text(item, "ResourceType") == _IDE else "")


def _on(told: str) -> str:
    return next((controller for word, controller in _CONTROLLERS if word in told.lower()), "")


def _digits(told: str) -> str:
    return told if re.fullmatch(r"[0-9]{1,4}", told) else "0"


def amount(told: str) -> Decimal | None:
    """Return a number from 0 on, which some makers write with a point; None for what is none."""
    return Decimal(told) if re.fullmatch(r"[0-9]{1,19}(\.[0-9]{1,19})?", told) else None


def unit_of(told: str) -> int | None:
    """Return the bytes of a unit: "byte * 2^30" (DSP0004, annex C), or a word; None for what isn't known."""
    word, *factors = (part.strip() for part in told.lower().split("*"))
    power = _NAMED_UNITS.get(word)
    if power is None or len(factors) > 4:
        return None
    unit = 1 << power
    for factor in factors:
        match = _FACTOR.fullmatch(factor)
        if match is None:
            return None
        unit *= int(match[1]) ** int(match[2] or 1)
        if not 0 < unit <= LARGEST_UNIT:
            return None
    return unit
