"""Small disks, and files of all kinds that hold them."""

import functools
import gzip
import hashlib
import http.server
import io
import lzma
import random
import ssl
import subprocess
import tarfile
import threading
from contextlib import contextmanager
from pathlib import Path

import nbd

MIB = 1 << 20
SIZE = 3 * MIB
VMDKS = ("monolithicSparse", "streamOptimized", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat")

OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vmw="http://www.vmware.com/schema/ovf">
 <References>{files}</References>
 <DiskSection>{disks}</DiskSection>
 <NetworkSection><Network ovf:name="VM Network"/></NetworkSection>
 <VirtualSystem ovf:id="web01">
  <Name>web01</Name>
  <OperatingSystemSection ovf:id="96" vmw:osType="debian12_64Guest"><Description>Debian 12</Description>
  </OperatingSystemSection>
  <AnnotationSection><Annotation>The shop</Annotation></AnnotationSection>
  <VirtualHardwareSection>
   <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
    <rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
   <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID>
    <rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>
   <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>3</rasd:InstanceID>
    <rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
   {items}
   <Item><rasd:Address>00:50:56:AB:CD:EF</rasd:Address><rasd:AddressOnParent>7</rasd:AddressOnParent>
    <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>VM Network</rasd:Connection>
    <rasd:ElementName>Ethernet 1</rasd:ElementName><rasd:InstanceID>20</rasd:InstanceID>
    <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
   <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="{firmware}"/>
  </VirtualHardwareSection>
 </VirtualSystem>
</Envelope>"""
FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"


def disk_bytes(seed=1, size=SIZE):
    """Return bytes with data at both ends and nothing between."""
    rng = random.Random(seed)
    return rng.randbytes(192 << 10) + bytes(size - (256 << 10)) + rng.randbytes(64 << 10)


def qemu_img(*words):
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


def make_image(path, kind, *options, seed=1, data=None):
    """Make a disk image of this format; says what is in it."""
    data = disk_bytes(seed) if data is None else data
    raw = path.parent / f".{path.name}.raw"
    raw.write_bytes(data)
    if kind == "raw":
        raw.rename(path)
        return data
    qemu_img("convert", "-f", "raw", "-O", kind, *(w for o in options for w in ("-o", o)), raw, path)
    raw.unlink()
    return data


def ovf(*disks, firmware="bios"):
    """Write an OVF. `disks`: (href, bytes of the file, bytes of the disk, address on the controller)."""
    files = "".join(f'<File ovf:id="f{n}" ovf:href="{h}" ovf:size="{s}"/>' for n, (h, s, _, _) in enumerate(disks))
    said = "".join(
        f'<Disk ovf:diskId="d{n}" ovf:fileRef="f{n}" ovf:capacity="{c}" ovf:format="{FORMAT}"/>'
        for n, (_, _, c, _) in enumerate(disks)
    )
    items = "".join(
        f"<Item><rasd:AddressOnParent>{a}</rasd:AddressOnParent><rasd:ElementName>Hard disk {n + 1}</rasd:ElementName>"
        f"<rasd:HostResource>ovf:/disk/d{n}</rasd:HostResource><rasd:InstanceID>{10 + n}</rasd:InstanceID>"
        "<rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>"
        for n, (_, _, _, a) in enumerate(disks)
    )
    return OVF.format(files=files, disks=said, items=items, firmware=firmware).encode()


def manifest(files, algorithm="SHA256"):
    return "".join(
        f"{algorithm}({name})= {hashlib.new(algorithm.lower(), data).hexdigest()}\n" for name, data in files.items()
    ).encode()


def make_ova(path, *, algorithm="SHA256", change=None, **said):
    """Make an OVA of two disks; `change` may alter its files, by name, before they are packed. Says what is in the
    disks."""
    contents, entries = [], []
    files = {}
    for n in (1, 2):
        image = path.parent / f".{path.name}-{n}.vmdk"
        contents.append(make_image(image, "vmdk", "subformat=streamOptimized", seed=n))
        files[f"web01-disk{n}.vmdk"] = image.read_bytes()
        entries.append((f"web01-disk{n}.vmdk", image.stat().st_size, SIZE, n - 1))
        image.unlink()
    files = {"web01.ovf": ovf(*entries, **said), **files}
    if algorithm:
        files["web01.mf"] = manifest(files, algorithm)
    if change:
        change(files)
    pack(path, files)
    return contents


VMDK = ("vmdk", "-o", "subformat=streamOptimized")


def exported_guest(guest, directory, name, mac, mib, kind=VMDK):
    """Return the files, by name, as which a guest of the lab is exported: `guest` is the directory with its raw disks,
    `name` what the machine is called, `mac` its adapter's address, `mib` its memory. Its images are made in
    `directory`, and removed."""
    files, entries = {}, []
    for number, disk in enumerate(("root", "data")):
        raw, image = guest / f"{disk}.raw", directory / f"{guest.name}-disk{number + 1}.{kind[0]}"
        qemu_img("convert", "-f", "raw", "-O", *kind, raw, image)
        files[image.name] = image.read_bytes()
        entries.append((image.name, image.stat().st_size, raw.stat().st_size, number))
        image.unlink()
    text = ovf(*entries).decode().replace("<Name>web01<", f"<Name>{name}<").replace("00:50:56:AB:CD:EF", mac)
    text = text.replace("Quantity>2<", "Quantity>1<").replace("Quantity>2048<", f"Quantity>{mib}<")
    if kind[0] == "qcow2":
        text = text.replace(FORMAT, "http://www.gnome.org/~markmc/qcow-image-format.html")
    files = {f"{guest.name}.ovf": text.encode(), **files}
    return {**files, f"{guest.name}.mf": manifest(files)}


def pack(path, files):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def packed(data, how):
    return gzip.compress(data, 1) if how == "gz" else lzma.compress(data, preset=0)


def read_all(uri):
    handle = nbd.NBD()
    handle.connect_uri(uri)
    try:
        return b"".join(
            bytes(handle.pread(min(MIB, handle.get_size() - at), at)) for at in range(0, handle.get_size(), MIB)
        )
    finally:
        handle.shutdown()


class Ranges(http.server.SimpleHTTPRequestHandler):
    """A web server that gives parts of a file, as others do and the standard library's doesn't."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # heads and bodies are written apart

    def end_headers(self):
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        wanted = self.headers.get("Range")
        if wanted is None or not path.is_file():
            return super().do_GET()
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        if first >= path.stat().st_size:
            return self.send_error(416)
        with path.open("rb") as file:
            file.seek(first)
            data = file.read(last - first + 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(data) - 1}/{path.stat().st_size}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return None

    def log_message(self, *_):
        pass


@contextmanager
def https(directory, tmp_path, handler=Ranges):
    """A web server that gives ranges, with a certificate of an authority that nobody else trusts."""
    certificate, key = tmp_path / "https.crt", tmp_path / "https.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(directory)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"https://localhost:{server.server_port}", certificate
    finally:
        server.shutdown()
