"""What an OVF says of its machines: their disks and adapters, as DMTF's DSP0243 and VMware's additions have it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from longshore.errors import InvalidInput
from longshore.model.machine import Firmware
from longshore.providers.files import xml
from longshore.providers.files.settings import MOST_CPUS, MOST_MEMORY_MIB

# Of CIM's ResourceType
_CPU, _MEMORY, _IDE, _SCSI, _ADAPTER, _DISK, _OTHER_STORAGE = "3", "4", "5", "6", "10", "17", "20"
MOST_DEVICES = 256  # disks or adapters; as many disks as vSphere has at most
_UNIT = re.compile(r"byte\s*\*\s*(?:2\s*\^\s*(\d{1,2})|10\s*\^\s*(\d{1,2})|(\d{1,19}))")
_NAMED_UNITS = {"": 0, "byte": 0, "bytes": 0, "kilobytes": 10, "megabytes": 20, "gigabytes": 30, "terabytes": 40}
_NAMED_UNITS |= {"kb": 10, "mb": 20, "gb": 30, "tb": 40}
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
_ADAPTERS = {"vmxnet3": "vmxnet3", "e1000e": "e1000e", "e1000": "e1000", "pcnet32": "pcnet32", "virtio": "virtio"}


@dataclass(frozen=True, slots=True)
class OvfDisk:
    label: str
    href: str
    kind: str  # what the OVF calls its format: an URL that may be anything
    compression: str  # "gzip", or empty
    file_size: int | None  # bytes of its file, if it says so
    capacity: int  # bytes; `unit` is how exactly it is told
    unit: int
    controller: str
    bus: int
    address: int


@dataclass(frozen=True, slots=True)
class OvfNic:
    label: str
    network: str
    mac: str
    model: str
    connected: bool


@dataclass(frozen=True, slots=True)
class OvfSystem:
    id: str
    name: str
    cpus: int
    cores_per_socket: int
    memory_mib: int
    disks: tuple[OvfDisk, ...]
    nics: tuple[OvfNic, ...]
    firmware: Firmware
    secure_boot: bool
    guest_id: str
    guest_name: str
    annotation: str


def read_ovf(text: bytes, name: str) -> list[OvfSystem]:
    """Its machines. Raises InvalidInput for what is none, or can't be right."""
    envelope = xml.parse(text, name)
    if xml.local(envelope.tag) != "Envelope":
        raise _refused(name, "it has no Envelope")
    if any(xml.local(str(e.tag)) in ("EncryptedData", "EncryptedKey", "EncryptionSection") for e in envelope.iter()):
        raise InvalidInput(f"{name} is encrypted.", advice="Export the machine without encryption.", code="encrypted")
    files = _files(envelope, name)
    disks = {xml.attribute(e, "diskId"): e for e in _of_sections(envelope, "DiskSection", "Disk")}
    systems = [e for e in envelope.iter() if xml.local(str(e.tag)) == "VirtualSystem"]
    if not systems:
        raise _refused(name, "it describes no machine")
    if len({xml.attribute(system, "id") for system in systems}) != len(systems):
        raise _refused(name, "two of its machines have the same id")
    chosen = _usual_configuration(envelope)
    return [_system(system, files, disks, name, chosen) for system in systems]


def _refused(name: str, why: str) -> InvalidInput:
    return InvalidInput(f"{name} is no OVF that can be read: {why}.", code="ovf-refused")


def _of_sections(envelope: Element, section: str, wanted: str) -> Iterator[Element]:
    """OVF 0.9 has all sections by the name of Section."""
    for found in envelope:
        if xml.local(str(found.tag)) in (section, "Section"):
            yield from xml.children(found, wanted)


def _files(envelope: Element, name: str) -> dict[str, Element]:
    references = xml.child(envelope, "References")
    files = {} if references is None else {xml.attribute(e, "id"): e for e in xml.children(references, "File")}
    if any(xml.attribute(file, "chunkSize") for file in files.values()):
        raise _refused(name, "its disks are cut into chunks, which no maker does any more")
    return files


def _usual_configuration(envelope: Element) -> str:
    """Of the sizes that an appliance can be deployed in, the one that is for whoever chooses none."""
    known = list(_of_sections(envelope, "DeploymentOptionSection", "Configuration"))
    usual = [e for e in known if xml.attribute(e, "default").lower() in ("true", "1")]
    return next((xml.attribute(e, "id") for e in (*usual, *known)), "")


def _items(hardware: Element, chosen: str) -> list[Element]:
    """Without those that say within which bounds another may be changed, and those of other configurations."""
    found: dict[str, Element] = {}
    for number, item in enumerate(xml.children(hardware, "Item", "StorageItem", "EthernetPortItem")):
        configurations = xml.attribute(item, "configuration").split()
        if xml.attribute(item, "bound") or (configurations and chosen not in configurations):
            continue
        instance = xml.text(item, "InstanceID") or xml.text(item, "InstanceId")
        # One of a configuration stands for the general one. Others of the same id are of careless makers
        found[instance if configurations or instance not in found else f"{instance}#{number}"] = item
    return list(found.values())


def _system(system: Element, files: dict[str, Element], disks: dict[str, Element], name: str, chosen: str) -> OvfSystem:
    hardware = xml.child(system, "VirtualHardwareSection")
    if hardware is None:
        hardware = next((s for s in xml.children(system, "Section") if xml.child(s, "Item") is not None), None)
    if hardware is None:
        raise _refused(name, "a machine in it has no hardware")
    by_kind: dict[str, list[Element]] = {}
    for item in _items(hardware, chosen):
        by_kind.setdefault(xml.text(item, "ResourceType"), []).append(item)
    system_id = xml.attribute(system, "id")
    cpu = next(iter(by_kind.get(_CPU, ())), None)
    memory = next(iter(by_kind.get(_MEMORY, ())), None)
    if cpu is None or memory is None:
        raise _refused(name, "it doesn't say how many CPUs and how much memory a machine has")
    if len(by_kind.get(_DISK, ())) > MOST_DEVICES or len(by_kind.get(_ADAPTER, ())) > MOST_DEVICES:
        raise _refused(name, f"a machine in it has more than {MOST_DEVICES} disks or adapters")
    cpus = _number(xml.text(cpu, "VirtualQuantity"), name, "CPUs", MOST_CPUS)
    cores = _number(xml.text(cpu, "CoresPerSocket") or "1", name, "cores")  # 0: as the host sees fit
    guest = xml.child(system, "OperatingSystemSection")
    configured = {xml.attribute(e, "key"): xml.attribute(e, "value") for e in xml.children(hardware, "Config")}
    extra = {xml.attribute(e, "key"): xml.attribute(e, "value") for e in xml.children(hardware, "ExtraConfig")}
    notes = xml.child(system, "AnnotationSection")
    return OvfSystem(
        id=system_id,
        name=xml.text(system, "Name") or system_id,
        cpus=cpus,
        cores_per_socket=max(1, min(cores, cpus)),
        memory_mib=_memory(memory, name),
        disks=tuple(_disks(by_kind, files, disks, name)),
        nics=tuple(_nic(item) for item in by_kind.get(_ADAPTER, ())),
        firmware=_firmware(system, {**extra, **configured}),
        secure_boot=(configured.get("bootOptions.efiSecureBootEnabled") or "").lower() == "true",
        guest_id="" if guest is None else xml.attribute(guest, "osType"),
        guest_name="" if guest is None else xml.text(guest, "Description"),
        annotation="" if notes is None else xml.prose(notes, "Annotation"),
    )


def _firmware(system: Element, configured: dict[str, str]) -> Firmware:
    """As VMware says it, or VirtualBox in a section of its own."""
    told = configured.get("firmware", "")
    for element in system.iter():
        if xml.local(str(element.tag)) == "Firmware":
            told = told or xml.attribute(element, "type")
    return Firmware.UEFI if told.lower().startswith(("efi", "uefi")) else Firmware.BIOS


def _memory(item: Element, name: str) -> int:
    """MiB, rounded up. Without a unit it is MiB already."""
    units = xml.text(item, "AllocationUnits")
    unit = _unit(units, name) if units else 1 << 20
    mib = -(-_number(xml.text(item, "VirtualQuantity"), name, "memory") * unit // (1 << 20))
    if not 0 < mib <= MOST_MEMORY_MIB:
        raise _refused(name, f"a machine in it has {mib} MiB of memory")
    return mib


def _nic(item: Element) -> OvfNic:
    told = xml.text(item, "ResourceSubType").lower()
    return OvfNic(
        label=xml.text(item, "ElementName") or xml.text(item, "Caption") or "Network adapter",
        network=xml.text(item, "Connection"),
        mac=_mac(xml.text(item, "Address")),
        model=next((model for word, model in _ADAPTERS.items() if word in told), ""),
        connected=xml.text(item, "AutomaticAllocation").lower() != "false",
    )


def _mac(told: str) -> str:
    """Lower case with colons; empty where there is none. VirtualBox writes it without anything between."""
    digits = re.sub(r"[:.\-]", "", told).lower()
    return ":".join(digits[n : n + 2] for n in range(0, 12, 2)) if re.fullmatch("[0-9a-f]{12}", digits) else ""


def _disks(
    by_kind: dict[str, list[Element]], files: dict[str, Element], disks: dict[str, Element], name: str
) -> list[OvfDisk]:
    """In the order in which they are listed, those of one controller by their places on it."""
    controllers = {
        xml.text(item, "InstanceID") or xml.text(item, "InstanceId"): item
        for kind in (_IDE, _SCSI, _OTHER_STORAGE)
        for item in by_kind.get(kind, ())
    }
    found: list[tuple[int, int, int, OvfDisk]] = []
    order: dict[str, int] = {}
    for item in by_kind.get(_DISK, ()):
        parent = xml.text(item, "Parent")
        place = order.setdefault(parent, len(order))
        disk = _disk(item, controllers.get(parent), files, disks, name)
        found.append((place, disk.address, len(found), disk))
    return [disk for *_, disk in sorted(found, key=lambda entry: entry[:3])]


def _disk(
    item: Element, controller: Element | None, files: dict[str, Element], disks: dict[str, Element], name: str
) -> OvfDisk:
    label = xml.text(item, "ElementName") or xml.text(item, "Caption") or "Disk"
    kind, _, wanted = xml.text(item, "HostResource").removeprefix("ovf:").strip("/").partition("/")
    disk = disks.get(wanted) if kind == "disk" else None
    if disk is None:
        raise _refused(name, f"it doesn't say which disk {label[:80]} is")
    if xml.attribute(disk, "parentRef"):
        raise _refused(name, f"{label[:80]} holds only what differs from another disk")
    file = files.get(xml.attribute(disk, "fileRef"))
    if file is None:
        raise _refused(name, f"{label[:80]} has no file")
    size = xml.attribute(file, "size")
    unit = _unit(xml.attribute(disk, "capacityAllocationUnits"), name)
    return OvfDisk(
        label=label,
        href=xml.attribute(file, "href"),
        kind=xml.attribute(disk, "format"),
        compression=xml.attribute(file, "compression").replace("identity", ""),
        file_size=_number(size, name, "sizes") if size else None,
        capacity=_number(xml.attribute(disk, "capacity"), name, "capacities") * unit,
        unit=unit,
        controller="" if controller is None else _controller(controller),
        bus=0 if controller is None else int(_digits(xml.text(controller, "Address"))),
        address=int(_digits(xml.text(item, "AddressOnParent"))),
    )


def _controller(item: Element) -> str:
    told = xml.text(item, "ResourceSubType").lower()
    for word, controller in _CONTROLLERS:
        if word in told:
            return controller
    return "ide" if xml.text(item, "ResourceType") == _IDE else ""


def _digits(told: str) -> str:
    return told if re.fullmatch(r"[0-9]{1,4}", told) else "0"


def _number(told: str, name: str, of: str, most: int | None = None) -> int:
    """From 1 on, where there is a bound."""
    if not re.fullmatch(r"[0-9]{1,19}", told) or (most is not None and not 0 < int(told) <= most):
        raise _refused(name, f'"{told[:40]}" is no number of {of}')
    return int(told)


def _unit(told: str, name: str) -> int:
    """Bytes: "byte * 2^30", or a word of older versions."""
    if match := _UNIT.fullmatch(told.strip()):
        two, ten, plain = match.groups()
        unit = 1 << int(two) if two else 10 ** int(ten) if ten else int(plain)
        if 0 < unit <= 1 << 50:
            return unit
    elif (power := _NAMED_UNITS.get(told.strip().lower())) is not None:
        return 1 << power
    raise _refused(name, f'"{told[:40]}" is no unit of sizes')
