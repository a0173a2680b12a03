"""Machines of an OVF: DMTF's DSP0243, with what VMware, VirtualBox and oVirt add.

What isn't understood, or isn't taken along, is among the doubts of the machine that it would concern.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

from longshore.errors import InvalidInput
from longshore.model.machine import Doubt, FileDoubt, Firmware, Nic
from longshore.providers.files import xml
from longshore.providers.files.images import is_image
from longshore.providers.files.ovf_disks import Catalogue, OvfDisk, amount, disks_of, refused, unit_of
from longshore.providers.files.settings import MOST_CPUS, MOST_MEMORY_MIB
from longshore.providers.files.stored import printable

_CPU, _MEMORY, _ADAPTER = "3", "4", "10"  # of CIM's ResourceType
# Other types that each machine has, or of which nothing is lost: controllers, drives, ports, screens, sound; and those
# that oVirt has for devices of its own
_EVERYWHERE = frozenset(
    ("", "0", "2", *"3456", "10", *map(str, (*range(14, 18), *range(20, 25))), "26", "31", "32", "35", "32768")
)
_OF_EACH = ("vmci",)  # in subtypes of others that each of VMware's machines has
MOST_DEVICES = 256  # disks or adapters; as many disks as vSphere has at most
# Sections that are read, or that say nothing of what a machine consists of
_SECTIONS = frozenset(
    f"{name}Section"
    for name in (
        *("VirtualHardware", "Disk", "SharedDisk", "Network", "OperatingSystem", "Annotation", "DeploymentOption"),
        *("Product", "Eula", "Install", "Startup", "ResourceAllocation", "Environment", "EnvironmentFiles"),
        *("BootDevice", "BootOrder", "Placement", "PlacementGroup", "ScaleOut", ""),
    )
)
_ADAPTERS = {"vmxnet3": "vmxnet3", "e1000e": "e1000e", "e1000": "e1000", "pcnet32": "pcnet32", "virtio": "virtio"}
_OVIRT_ADAPTERS = {"2": "e1000", "3": "virtio", "6": "e1000e"}


@dataclass(frozen=True, slots=True)
class OvfSystem:
    id: str
    name: str
    cpus: int | None  # None: it doesn't say, as of the next ones
    cores_per_socket: int
    memory_mib: int | None
    disks: tuple[OvfDisk, ...]
    nics: tuple[Nic, ...]
    firmware: Firmware | None = None
    secure_boot: bool = False
    vtpm: bool = False
    guest_id: str = ""
    guest_name: str = ""
    annotation: str = ""
    doubts: tuple[FileDoubt, ...] = ()
    named: frozenset[str] = frozenset()  # all files that the OVF names, for whichever machine


def read_ovf(text: bytes, name: str) -> list[OvfSystem]:
    """Read the machines of an OVF. Raises InvalidInput for what is none, or can't be right."""
    envelope = xml.parse(text, name)
    if xml.local(envelope.tag) != "Envelope":
        raise refused(name, "it has no Envelope")
    _call_by_their_types(envelope)
    if next(xml.everywhere(envelope, "EncryptedData", "EncryptedKey", "EncryptionSection"), None) is not None:
        raise InvalidInput(f"{name} is encrypted.", advice="Export the machine without encryption.", code="encrypted")
    chosen = _usual_configuration(envelope)
    disks = (*_of_sections(envelope, "DiskSection", "Disk"), *_of_sections(envelope, "SharedDiskSection", "SharedDisk"))
    catalogue = Catalogue(
        name,
        _by_ids(_of_sections(envelope, "References", "File"), "id", name),
        _by_ids(disks, "diskId", name),
        _settings(envelope, chosen),
    )
    systems = list(xml.everywhere(envelope, "VirtualSystem"))
    if not systems:
        raise refused(name, "it describes no machine")
    if len({xml.attribute(system, "id") for system in systems}) != len(systems):
        raise refused(name, "two of its machines have the same id")
    unknown = tuple(_not_understood(envelope, name))
    found = [_system(system, catalogue, chosen) for system in systems]
    # After all of them: what no machine uses
    left = (*unknown, *_left_behind(catalogue))
    named = frozenset(xml.reference(file, "href") for file in catalogue.files.values())
    return [replace(system, doubts=(*system.doubts, *left), named=named) for system in found]


def _by_ids(elements: Iterable[Element], key: str, name: str) -> dict[str, Element]:
    """Return elements by their ids. Raises InvalidInput where two have the same: which of them is meant isn't said."""
    found: dict[str, Element] = {}
    for element in elements:
        if (identity := xml.attribute(element, key)) and identity in found:
            raise refused(name, f'two of its files or disks have the same id "{printable(identity, 40)}"')
        found[identity] = element
    return found


def _not_understood(element: Element, name: str) -> Iterator[FileDoubt]:
    """Yield the sections that nobody here knows, if the OVF says that whoever reads it has to: it does where it says
    nothing."""
    for child in element:
        tag = xml.local(str(child.tag))
        required = xml.attribute(child, "required").lower()
        if tag.endswith("Section") and tag not in _SECTIONS and required not in ("false", "0"):
            yield FileDoubt(Doubt.UNKNOWN, name, f"{name} has a {tag} that it says is required; nothing is made of it.")


def _left_behind(catalogue: Catalogue) -> Iterator[FileDoubt]:
    """Yield those of the files that the OVF names that aren't a machine's disk."""
    disks = {xml.attribute(disk, "fileRef") for disk in catalogue.disks.values()}
    for key, file in catalogue.files.items():
        if key in catalogue.used:
            continue
        href = xml.attribute(file, "href")
        kind = Doubt.UNUSED if key in disks or is_image(href) else Doubt.LEFT
        yield FileDoubt(kind, href, f"{catalogue.name} names {href}, which no machine has as a disk: it stays behind.")


def _of_sections(envelope: Element, section: str, wanted: str) -> Iterator[Element]:
    for found in xml.children(envelope, section):
        yield from xml.children(found, wanted)


def _call_by_their_types(envelope: Element) -> None:
    """Give the elements of OVF 0.9, all of which are called Section or Content, the names that 1.0 has for them."""
    for element in xml.everywhere(envelope, "Section", "Content"):
        element.tag = xml.attribute(element, "type").rpartition(":")[2].removesuffix("_Type") or element.tag


def _settings(envelope: Element, chosen: str) -> dict[str, str]:
    """Return the values that settings for the first start have where nobody gives another: by their keys, and with
    class and instance around those (DSP0243, 9.5.1)."""
    found: dict[str, str] = {}
    for product in xml.everywhere(envelope, "ProductSection"):
        before, behind = xml.attribute(product, "class"), xml.attribute(product, "instance")
        for element in xml.children(product, "Property"):
            key = xml.attribute(element, "key")
            by_size = {xml.attribute(e, "configuration"): e for e in xml.children(element, "Value")}
            value = xml.attribute(by_size.get(chosen, element), "value")
            found |= dict.fromkeys((key, ".".join(part for part in (before, key, behind) if part)), value)
    return found


def _usual_configuration(envelope: Element) -> str:
    """Return the configuration, of the sizes that an appliance can be deployed in, that is for whoever chooses none."""
    known = list(_of_sections(envelope, "DeploymentOptionSection", "Configuration"))
    usual = [e for e in known if xml.attribute(e, "default").lower() in ("true", "1")]
    return next((xml.attribute(e, "id") for e in (*usual, *known)), "")


def _items(hardware: Element, chosen: str) -> list[Element]:
    """Return the items without those that say within which bounds another may be changed, and those of other
    configurations."""
    found: dict[str, Element] = {}
    for number, item in enumerate(xml.children(hardware, "Item", "StorageItem", "EthernetPortItem")):
        configurations = xml.attribute(item, "configuration").split()
        if xml.attribute(item, "bound") or (configurations and chosen not in configurations):
            continue
        instance = xml.text(item, "InstanceID", "InstanceId")
        # One of a configuration stands for the general one. Others of the same id are of careless makers
        found[instance if configurations or instance not in found else f"{instance}#{number}"] = item
    return list(found.values())


def _system(system: Element, catalogue: Catalogue, chosen: str) -> OvfSystem:
    name = catalogue.name
    sections = list(xml.children(system, "VirtualHardwareSection"))
    if not sections:
        raise refused(name, "a machine in it has no hardware")
    hardware = next((one for one in sections if xml.child(one, "Item") is not None), sections[0])
    items = _items(hardware, chosen)
    by_kind: dict[str, list[Element]] = {}
    for item in items:
        by_kind.setdefault(xml.text(item, "ResourceType"), []).append(item)
    doubts = list(_not_understood(system, name))
    if len(sections) > 1:
        text = f"{name} describes hardware for {len(sections)} kinds of hypervisors; one of them is taken."
        doubts.append(FileDoubt(Doubt.UNSAID, name, text))
    if asked := sum(1 for section in xml.children(system, "ProductSection") for _ in xml.children(section, "Property")):
        text = f"{name} has {asked} setting(s) for the guest's first start, which the guest isn't told."
        doubts.append(FileDoubt(Doubt.LEFT, name, text))
    order = xml.child(system, "BootOrderSection")  # VMware's
    first = "" if order is None or xml.attribute(order, "type") != "disk" else xml.attribute(order, "instanceId")
    disks = disks_of(items, catalogue, first, doubts)
    doubts += _of_devices(by_kind, name)
    if len(disks) > MOST_DEVICES or len(by_kind.get(_ADAPTER, ())) > MOST_DEVICES:
        raise refused(name, f"a machine in it has more than {MOST_DEVICES} disks or adapters")
    cpus, cores = _cpus(next(iter(by_kind.get(_CPU, ())), None), name)
    guest = xml.child(system, "OperatingSystemSection")
    configured = {xml.attribute(e, "key"): xml.attribute(e, "value") for e in xml.children(hardware, "Config")}
    extra = {xml.attribute(e, "key"): xml.attribute(e, "value") for e in xml.children(hardware, "ExtraConfig")}
    notes = xml.child(system, "AnnotationSection")
    system_id = xml.attribute(system, "id")
    return OvfSystem(
        id=system_id,
        name=xml.text(system, "Name") or system_id,
        cpus=cpus,
        cores_per_socket=cores,
        memory_mib=_memory(next(iter(by_kind.get(_MEMORY, ())), None), name),
        disks=tuple(disks),
        nics=tuple(_nic(number, item) for number, item in enumerate(by_kind.get(_ADAPTER, ()))),
        firmware=_firmware(system, {**extra, **configured}),
        secure_boot=(configured.get("bootOptions.efiSecureBootEnabled") or "").lower() == "true"
        or xml.text(system, "BiosType") == _OVIRT_SECURE_BOOT,
        vtpm=any(map(_is_tpm, system.iter())),
        guest_id="" if guest is None else xml.attribute(guest, "osType"),
        guest_name="" if guest is None else xml.text(guest, "Description"),
        annotation="" if notes is None else xml.prose(notes, "Annotation"),
        doubts=tuple(doubts),
    )


def _of_devices(by_kind: dict[str, list[Element]], name: str) -> Iterator[FileDoubt]:
    """Yield what stays behind of a machine's devices, and of what there are several where only one counts."""
    for kind in (_CPU, _MEMORY):
        if len(said := by_kind.get(kind, ())) > 1:
            what = "how many CPUs" if kind == _CPU else "how much memory"
            text = f"{name} says {len(said)} times {what} a machine has; the first is taken."
            yield FileDoubt(Doubt.UNSAID, name, text)
    for item in (one for kind, items in by_kind.items() if kind not in _EVERYWHERE for one in items):
        subtype = xml.text(item, "ResourceSubType")
        told = xml.text(item, "HostResource")  # that of a disk is told with the disks
        if not told and not _is_tpm(item) and not any(word in subtype.lower() for word in _OF_EACH):
            label = (xml.text(item, "ElementName", "Caption") or "a device")[:80]
            of = f"{xml.text(item, 'ResourceType')} {subtype}".strip()[:80]
            yield FileDoubt(Doubt.LEFT, label, f"{name} has {label}, a device of type {of}: it stays behind.")


def _is_tpm(element: Element) -> bool:
    """Tell whether an element is a virtual TPM, as VMware, VirtualBox or oVirt has it."""
    if xml.local(str(element.tag)) == "TrustedPlatformModule":
        return xml.attribute(element, "type").lower() not in ("", "none")
    return "vtpm" in xml.text(element, "ResourceSubType").lower() or xml.text(element, "Type").lower() == "tpm"


def _cpus(item: Element | None, name: str) -> tuple[int | None, int]:
    """Return how many CPUs there are, and cores in a socket. Raises InvalidInput for numbers that are none."""
    told = "" if item is None else xml.text(item, "VirtualQuantity")
    if item is None or not told:
        return None, 1
    cpus = amount(told)
    cores = amount(xml.text(item, "CoresPerSocket", "cpu_per_socket") or "1")
    if cpus is None or cores is None or not 0 < cpus <= MOST_CPUS:
        raise refused(name, f'"{told[:40]}" is no number of CPUs')
    return int(cpus), max(1, min(int(cores), int(cpus)))  # 0 cores: as the host sees fit


# oVirt numbers what a machine boots by. Releases disagree on 2; 0 is what its cluster does
_OVIRT_FIRMWARE = {"1": Firmware.BIOS, "3": Firmware.UEFI, "4": Firmware.UEFI}
_OVIRT_SECURE_BOOT = "4"


def _firmware(system: Element, configured: dict[str, str]) -> Firmware | None:
    """Return the firmware as VMware says it, or VirtualBox and oVirt in elements of their own; None: none does."""
    told = configured.get("firmware", "")
    for element in xml.everywhere(system, "Firmware"):
        told = told or xml.attribute(element, "type")
    if told.lower().startswith(("efi", "uefi")):
        return Firmware.UEFI
    if told.lower().startswith("bios"):
        return Firmware.BIOS
    return _OVIRT_FIRMWARE.get(xml.text(system, "BiosType"))


def _memory(item: Element | None, name: str) -> int | None:
    """Return the memory in MiB, rounded up. Without a unit it is MiB already. Raises InvalidInput for an amount that is
    none."""
    told = "" if item is None else xml.text(item, "VirtualQuantity")
    if item is None or not told:
        return None
    units = xml.text(item, "AllocationUnits")
    unit, quantity = unit_of(units) if units else 1 << 20, amount(told)
    if unit is None or quantity is None:
        raise refused(name, f'"{told[:40]} {units[:40]}" is no amount of memory')
    mib = int(-(-quantity * unit // (1 << 20)))
    if not 0 < mib <= MOST_MEMORY_MIB:
        raise refused(name, f"a machine in it has {mib} MiB of memory")
    return mib


def _nic(number: int, item: Element) -> Nic:
    told = xml.text(item, "ResourceSubType").lower()
    return Nic(
        f"nic{number}",
        label=xml.text(item, "ElementName", "Caption") or "Network adapter",
        network=xml.text(item, "Connection"),
        mac=_mac(xml.text(item, "Address")) or _mac(xml.text(item, "MACAddress")),
        model=_OVIRT_ADAPTERS.get(told) or next((model for word, model in _ADAPTERS.items() if word in told), ""),
        connected=xml.text(item, "AutomaticAllocation").lower() != "false",
        pci_slot=_slot(item),
    )


def _slot(item: Element) -> int | None:
    """Return the slot that VMware has written; it writes -1 of an adapter that has none yet."""
    told = {xml.attribute(one, "key"): xml.attribute(one, "value") for one in xml.children(item, "Config")}
    slot = told.get("slotInfo.pciSlotNumber", "")
    return int(slot) if re.fullmatch(r"[1-9][0-9]{0,4}", slot) else None


def _mac(told: str) -> str:
    """Lower case with colons; empty where there is none. VirtualBox writes it without anything between."""
    digits = re.sub(r"[:.\-]", "", told).lower()
    return ":".join(digits[n : n + 2] for n in range(0, 12, 2)) if re.fullmatch("[0-9a-f]{12}", digits) else ""
