"""The relay's image packed as a machine of vSphere: an OVA of which a proxy is made by deploying it.

All that a proxy has to have is in it: controllers that no running machine can be given, the setting by which its guest
tells disks apart, and its address. Nothing in it is secret.
"""

import hashlib
import ipaddress
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from xml.sax.saxutils import quoteattr

from longshore.errors import ExportError, InvalidInput
from longshore.model.strict_reading import read_json
from longshore.processes.installed import refuse_without

NAME = "longshore-proxy"
CPUS, MEMORY_MIB = 2, 1024  # TLS takes CPU
CONTROLLERS = 4  # as many as a machine may have
ANNOTATION = (
    "A proxy of Longshore: disks of other machines are attached to it, and read there. Never delete it while it has "
    "any: vSphere would delete them, too. No backups, no snapshots, no change tracking."
)
_DISK = f"{NAME}-disk1.vmdk"
_ADAPTERS = 3  # number of the first controller: processors and memory are 1 and 2
_FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
_OVF = "http://schemas.dmtf.org/ovf/envelope/1"
_CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2"


def pack(image: Path, ova: Path, address: str, gateway: str | None) -> None:
    """Write an OVA of an image. `address`: with its prefix, as the proxy is to have it; `gateway`: None where nobody
    connects from another network.

    Raises InvalidInput for addresses that can't be meant, NotInstalled, ExportError.
    """
    settings = settings_of(address, gateway)
    with tempfile.TemporaryDirectory(prefix=".longshore-proxy-", dir=ova.parent) as place:
        work = Path(place)
        size = pack_disk(image, work / _DISK)
        described = work / f"{NAME}.ovf"
        described.write_text(_description((work / _DISK).stat().st_size, size, settings))
        write_ova(ova, described, work / _DISK)


def write_ova(ova: Path, described: Path, disk: Path) -> None:
    """Write an archive of an OVF and its disk, beside which a manifest and the archive are made first."""
    manifest, packed = described.with_suffix(".mf"), described.with_name("packed")
    manifest.write_text("".join(f"SHA256({path.name})= {_sha256(path)}\n" for path in (described, disk)))
    with tarfile.open(packed, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in (described, manifest, disk):  # in the standard's order
            archive.add(path, path.name, filter=_as_nobodys)
    packed.replace(ova)


def pack_disk(image: Path, disk: Path) -> int:
    """Write the disk of an image as vSphere takes it in, and return its size in bytes. Raises NotInstalled,
    ExportError."""
    refuse_without("qemu-img")
    _run("convert", "-O", "vmdk", "-o", "subformat=streamOptimized", str(image), str(disk))
    return int(read_json(_run("info", "--output=json", str(image)))["virtual-size"])


def settings_of(address: str, gateway: str | None) -> dict[str, str]:
    """Return the settings that a proxy with this address has. Raises InvalidInput for addresses that can't be meant."""
    interface = None
    with suppress(ValueError):
        interface = ipaddress.ip_interface(address)
    if interface is None or interface.network.num_addresses == 1:
        raise InvalidInput(
            f"{address!r} isn't an address with the prefix of its network.", advice="Give it as 192.0.2.10/24."
        )
    found = {"disk.EnableUUID": "TRUE", "guestinfo.longshore.address": str(interface)}
    if gateway is None:
        return found
    reached = False
    with suppress(ValueError):
        reached = ipaddress.ip_address(gateway) in interface.network
    if not reached:
        raise InvalidInput(f"{gateway!r} isn't an address in the network {interface.network}, as a gateway there has.")
    return found | {"guestinfo.longshore.gateway": gateway}


def _run(*words: str) -> str:
    done = subprocess.run(["qemu-img", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExportError(f"The image couldn't be packed: {done.stderr.strip().removeprefix('qemu-img: ')}")
    return done.stdout


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _as_nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry


def _description(stored: int, size: int, settings: dict[str, str]) -> str:
    """Return the OVF. `stored`, `size`: bytes of the disk's file, and of the disk."""
    items = [
        _item(1, 3, f"{CPUS} virtual CPUs", VirtualQuantity=CPUS, AllocationUnits="hertz * 10^6"),
        _item(2, 4, f"{MEMORY_MIB} MiB of memory", VirtualQuantity=MEMORY_MIB, AllocationUnits="byte * 2^20"),
    ]
    for bus in range(CONTROLLERS):
        items.append(_item(_ADAPTERS + bus, 6, f"SCSI controller {bus}", Address=bus, ResourceSubType="VirtualSCSI"))
    disk, card = _ADAPTERS + CONTROLLERS, _ADAPTERS + CONTROLLERS + 1
    on_first: dict[str, str | int] = {"HostResource": "ovf:/disk/disk1", "Parent": _ADAPTERS, "AddressOnParent": 0}
    items.append(_item(disk, 17, "Hard disk 1", **on_first))
    plugged: dict[str, str | int] = {"AutomaticAllocation": "true", "Connection": "proxy", "AddressOnParent": 7}
    items.append(_item(card, 10, "Network adapter 1", ResourceSubType="VmxNet3", **plugged))
    told = "".join(
        f'      <vmw:ExtraConfig ovf:required="false" vmw:key={quoteattr(key)} vmw:value={quoteattr(value)}/>\n'
        for key, value in settings.items()
    )
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="{_OVF}" xmlns:ovf="{_OVF}" xmlns:rasd="{_CIM}/CIM_ResourceAllocationSettingData"
    xmlns:vssd="{_CIM}/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:href="{_DISK}" ovf:id="file1" ovf:size="{stored}"/>
  </References>
  <DiskSection>
    <Info>The disk it boots from; nothing is written to it</Info>
    <Disk ovf:capacity="{size}" ovf:capacityAllocationUnits="byte" ovf:diskId="disk1" ovf:fileRef="file1"
        ovf:format="{_FORMAT}"/>
  </DiskSection>
  <NetworkSection>
    <Info>The network in which Longshore reaches it</Info>
    <Network ovf:name="proxy">
      <Description>The network in which Longshore reaches it at TCP ports 10810 and 10809</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{NAME}">
    <Info>A proxy of Longshore</Info>
    <Name>{NAME}</Name>
    <AnnotationSection>
      <Info>What it is</Info>
      <Annotation>{ANNOTATION}</Annotation>
    </AnnotationSection>
    <OperatingSystemSection ovf:id="96" vmw:osType="debian10_64Guest">
      <Info>Debian</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>What it needs</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{NAME}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-14</vssd:VirtualSystemType>
      </System>
{"".join(items)}      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="bios"/>
{told}    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""


def _item(instance: int, kind: int, name: str, **said: str | int) -> str:
    """Return a piece of hardware, whose elements the standard wants in the order of the alphabet."""
    elements = {**said, "ElementName": name, "InstanceID": instance, "ResourceType": kind}
    lines = "".join(f"        <rasd:{key}>{elements[key]}</rasd:{key}>\n" for key in sorted(elements))
    return f"      <Item>\n{lines}      </Item>\n"
