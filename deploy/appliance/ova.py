"""usage: ova.py DISK OVA    The appliance as a machine of vSphere: OVF, manifest and disk in a tar.

What cloud-init is to do there is a property, user-data, in base64.
"""

import hashlib
import sys
import tarfile
import tempfile
from pathlib import Path

from longshore.providers.vsphere.proxy_ova import pack_disk

DISK = "longshore-disk1.vmdk"
OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
    xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
    xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References><File ovf:id="file1" ovf:href="{disk}" ovf:size="{stored}"/></References>
  <DiskSection><Info>Its disk, which may be made larger</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="{size}" ovf:capacityAllocationUnits="byte"
        ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <NetworkSection><Info>Its network</Info>
    <Network ovf:name="VM Network">
      <Description>Where it reaches clouds and vCenters</Description></Network></NetworkSection>
  <VirtualSystem ovf:id="longshore"><Info>Longshore</Info><Name>longshore</Name>
    <OperatingSystemSection ovf:id="96" vmw:osType="debian11_64Guest"><Info>Debian</Info></OperatingSystemSection>
    <ProductSection ovf:required="false"><Info>What cloud-init reads</Info><Product>Longshore</Product>
      <Property ovf:key="instance-id" ovf:type="string" ovf:userConfigurable="true" ovf:value="longshore"/>
      <Property ovf:key="hostname" ovf:type="string" ovf:userConfigurable="true" ovf:value="longshore"/>
      <Property ovf:key="user-data" ovf:type="string" ovf:userConfigurable="true" ovf:value=""/></ProductSection>
    <VirtualHardwareSection ovf:transport="iso com.vmware.guestInfo"><Info>Hardware</Info>
      <System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>longshore</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
      <Item><rasd:ElementName>2 processors</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>4 GiB</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>4096</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address>
        <rasd:ElementName>SCSI 0</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>Disk 1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>7</rasd:AddressOnParent><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>VM Network</rasd:Connection><rasd:ElementName>Network 1</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType></Item>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
    </VirtualHardwareSection></VirtualSystem></Envelope>
"""


def as_nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(image: Path, ova: Path) -> None:
    with tempfile.TemporaryDirectory(dir=ova.parent) as place:
        disk, described, manifest = (Path(place) / name for name in (DISK, "longshore.ovf", "longshore.mf"))
        size = pack_disk(image, disk)
        described.write_text(OVF.format(disk=DISK, stored=disk.stat().st_size, size=size))
        manifest.write_text("".join(f"SHA256({path.name})= {digest(path)}\n" for path in (described, disk)))
        with tarfile.open(ova, "w", format=tarfile.USTAR_FORMAT) as archive:
            for path in (described, manifest, disk):
                archive.add(path, path.name, filter=as_nobodys)


main(Path(sys.argv[1]), Path(sys.argv[2]))
