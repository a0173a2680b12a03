"""Disk images of kinds that qemu-img doesn't write, byte by byte as their makers do."""

import struct
import uuid

SECTOR = 512
MIB = 1 << 20
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"


def gpt_disk(size, *kinds, sector=SECTOR, end=None):
    """Make a disk with a partition of each of these types; its table was made for a disk of `end` bytes."""
    entries = b"".join(uuid.UUID(kind).bytes_le.ljust(128, b"\1") for kind in kinds).ljust(128 * 128, b"\0")
    header = bytearray(b"EFI PART".ljust(72, b"\0") + struct.pack("<QII", 2, 128, 128))
    struct.pack_into("<Q", header, 32, (end or size) // sector - 1)
    mbr = bytes(446) + struct.pack("<B3xB3xII", 0, 0xEE, 1, 0xFFFFFFFF) + bytes(48) + b"\x55\xaa"
    head = mbr.ljust(sector, b"\0") + bytes(header).ljust(sector, b"\0") + entries
    return (head + b"data").ljust(size, b"\0")


def uefi_disk(size):
    return gpt_disk(size, ESP)


def _geometry(size):
    """Return cylinders, heads and sectors as the specification computes them, which round down."""
    total = min(size // SECTOR, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        return total // 255 // 16, 16, 255
    sectors = 17
    cylinders = total // sectors
    heads = max(4, (cylinders + 1023) // 1024)
    if cylinders >= heads * 1024 or heads > 16:
        sectors, heads = 31, 16
        cylinders = total // sectors
    if cylinders >= heads * 1024:
        sectors, heads = 63, 16
        cylinders = total // sectors
    return cylinders // heads, heads, sectors


def vhd_footer(size, creator, kind=2, data_offset=0xFFFFFFFFFFFFFFFF):
    """Return the footer of a VHD that this program has made; kind 2 is fixed, 3 dynamic, 4 differencing."""
    footer = bytearray(SECTOR)
    head = (b"conectix", 2, 0x10000, data_offset, 0x2B000000, creator.ljust(4, b"\0"), 0xA0000, b"Wi2k", size, size)
    struct.pack_into(">8sIIQI4sI4sQQ", footer, 0, *head)
    struct.pack_into(">HBBI", footer, 56, *_geometry(size), kind)
    footer[68:84] = bytes(range(16))
    struct.pack_into(">I", footer, 64, ~sum(footer) & 0xFFFFFFFF)
    return bytes(footer)


def dynamic_vhd(data, creator, kind=3, parent=""):
    """Make a dynamic VHD with a block for each 2 MiB that aren't zeroes."""
    block = 2 * MIB
    count = -(-len(data) // block)
    footer = vhd_footer(len(data), creator, kind, SECTOR)
    header = bytearray(1024)
    struct.pack_into(">8sQQIII", header, 0, b"cxsparse", 0xFFFFFFFFFFFFFFFF, 1536, 0x10000, count, block)
    header[64 : 64 + 2 * len(parent)] = parent.encode("utf-16-be")
    struct.pack_into(">I", header, 36, 0)
    struct.pack_into(">I", header, 36, ~sum(header) & 0xFFFFFFFF)
    table = [0xFFFFFFFF] * (-(-count * 4 // SECTOR) * SECTOR // 4)
    at, blocks = 1536 + len(table) * 4, []
    for n in range(count):
        piece = data[n * block : (n + 1) * block]
        if any(piece):
            table[n] = at // SECTOR
            blocks.append(b"\xff" * SECTOR + piece.ljust(block, b"\0"))
            at += SECTOR + block
    return footer + bytes(header) + struct.pack(f">{len(table)}I", *table) + b"".join(blocks) + footer


def cowd(data):
    """A vmfsSparse extent, as ESXi writes a snapshot's delta: grains of one sector."""
    sectors = len(data) // SECTOR
    grains = 8
    tables = -(-sectors // (4096 * grains))
    header = struct.pack("<4sIIIIIII", b"COWD", 1, 3, sectors, grains, 4, tables, 0).ljust(4 * SECTOR, b"\0")
    directory_sectors = -(-tables * 4 // SECTOR)
    at = 4 + directory_sectors
    first_grain = at + tables * 32
    directory, entries, content = [], [], []
    for table in range(tables):
        directory.append(at + table * 32)
        for n in range(4096):
            place = (table * 4096 + n) * grains * SECTOR
            grain = data[place : place + grains * SECTOR]
            if any(grain):
                entries.append(first_grain + len(content) * grains)
                content.append(grain.ljust(grains * SECTOR, b"\0"))
            else:
                entries.append(0)
    body = struct.pack(f"<{tables}I", *directory).ljust(directory_sectors * SECTOR, b"\0")
    return header + body + struct.pack(f"<{len(entries)}I", *entries) + b"".join(content)


def se_sparse(data):
    """A seSparse extent, as ESXi 6.5 and later writes deltas: grains of 4 KiB."""
    sectors, grain = len(data) // SECTOR, 8
    table_entries = 4096  # of a grain table of 64 sectors
    tables = -(-sectors // (grain * table_entries))
    directory_at, directory_size = 128, -(-tables * 8 // SECTOR)
    tables_at, tables_size = 256, tables * 64
    grains_at = tables_at + tables_size
    fields = (0x00000000CAFEBABE, 0x0000000200000001, sectors, grain, 64, 0, 0, 0, 0, 0)
    places = (1, 1, 2, 1, 3, 1, directory_at, directory_size, tables_at, tables_size, 0, 0, 0, 0, grains_at, 0)
    header = struct.pack("<26Q", *fields, *places)
    directory = [0x1000000000000000 | n for n in range(tables)]
    entries, content = [], []
    for n in range(tables * table_entries):
        piece = data[n * grain * SECTOR : (n + 1) * grain * SECTOR]
        if any(piece):
            place = len(content)
            entries.append(0x3000000000000000 | (place & 0xFFF) << 48 | place >> 12)
            content.append(piece.ljust(grain * SECTOR, b"\0"))
        else:
            entries.append(0)
    whole = bytearray(grains_at * SECTOR)
    whole[: len(header)] = header
    struct.pack_into("<Q", whole, SECTOR, 0x00000000CAFECAFE)
    struct.pack_into(f"<{len(directory)}Q", whole, directory_at * SECTOR, *directory)
    struct.pack_into(f"<{len(entries)}Q", whole, tables_at * SECTOR, *entries)
    return bytes(whole) + b"".join(content)


_OVIRT = """<?xml version="1.0" encoding="UTF-8"?>
<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" ovf:version="4.4.0.0">
 <References>{files}</References>
 <NetworkSection><Info>List of networks</Info><Network ovf:name="VM Network"/></NetworkSection>
 <DiskSection><Info>List of Virtual Disks</Info>{disks}</DiskSection>
 <VirtualSystem ovf:id="0a1b2c3d-0000-4000-8000-000000000001"><Name>{name}</Name><BiosType>1</BiosType>
  <VirtualHardwareSection><Info>1 CPU</Info>
   <Item><rasd:InstanceId>1</rasd:InstanceId><rasd:ResourceType>3</rasd:ResourceType>
    <rasd:cpu_per_socket>1</rasd:cpu_per_socket><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
   <Item><rasd:InstanceId>2</rasd:InstanceId><rasd:ResourceType>4</rasd:ResourceType>
    <rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:VirtualQuantity>{memory}</rasd:VirtualQuantity></Item>
   {items}
   <Item><rasd:InstanceId>n1</rasd:InstanceId><rasd:ResourceType>10</rasd:ResourceType>
    <rasd:ResourceSubType>3</rasd:ResourceSubType><rasd:Connection>VM Network</rasd:Connection>
    <rasd:ElementName>nic1</rasd:ElementName><rasd:MACAddress>{mac}</rasd:MACAddress></Item>
  </VirtualHardwareSection>
 </VirtualSystem>
</ovf:Envelope>
"""


def ovf_of_ovirt(name, mac, memory, *disks):
    """Write an OVF as OvfOvaWriter.java of ovirt-engine does, for (file, bytes of the disk); the last one boots."""
    files, said, items = [], [], []
    for n, (href, size) in enumerate(disks):
        boots = str(n == len(disks) - 1).lower()
        files.append(f'<File ovf:href="{href}" ovf:id="f{n}" ovf:size="{size}"/>')
        said.append(
            f'<Disk ovf:diskId="d{n}" ovf:capacity="{-(-size // (1 << 30))}" ovf:capacityAllocationUnits="byte * 2^30"'
            f' ovf:parentRef="" ovf:fileRef="f{n}" ovf:format="http://www.vmware.com/specifications/vmdk.html#sparse"'
            f' ovf:disk-interface="VirtIO" ovf:boot="{boots}"/>'
        )
        items.append(
            f"<Item><rasd:InstanceId>i{n}</rasd:InstanceId><rasd:ResourceType>17</rasd:ResourceType>"
            f"<rasd:HostResource>ovf:/disk/d{n}</rasd:HostResource>"
            "<rasd:Parent>00000000-0000-0000-0000-000000000000</rasd:Parent></Item>"
        )
    parts = {"files": "".join(files), "disks": "".join(said), "items": "".join(items)}
    return _OVIRT.format(name=name, mac=mac, memory=memory, **parts)
