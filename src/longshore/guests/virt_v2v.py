"""Runs virt-v2v-in-place, the converter for every family of guests, on all disks of a machine at once.

As of 2.2 it takes several disks, and NBD, only as a libvirt XML description, and NBD only by TCP to a host that is
literally called "localhost": no Unix sockets, no export names, no TLS. Newer ones take that too.
It tells its progress as JSON lines on a descriptor of ours: objects with `message`, `timestamp` and `type`, which is
message, info, warning or error. See "Machine readable output" in virt-v2v(1).
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as xml

from longshore.blocks.attached import attached
from longshore.errors import ConversionError
from longshore.guests.appliance import BACKEND

# Without drivers virt-v2v goes on and leaves Windows on emulated IDE, on which Nova wouldn't boot it
_NO_WINDOWS_DRIVERS = "there are no virtio drivers available"


@dataclass(frozen=True, slots=True)
class Said:
    """What virt-v2v reported while it worked."""

    messages: tuple[str, ...]
    warnings: tuple[str, ...]


def run_virt_v2v(ports: Sequence[int], directory: Path, on_message: Callable[[str], None]) -> Said:
    """Convert the guest whose disks are served over NBD on these loopback ports, the disk it boots from first.

    Writes virt-v2v.xml and virt-v2v.log into `directory`. Raises ConversionError; the disks are then in doubt.
    """
    if shutil.which("virt-v2v-in-place") is None:
        raise ConversionError(
            "virt-v2v-in-place isn't installed on this machine.", advice="Install the package virt-v2v."
        )
    description = directory / "virt-v2v.xml"
    description.write_text(domain_xml(ports))
    log_path = directory / "virt-v2v.log"
    reader, writer = os.pipe()
    with log_path.open("wb") as log, os.fdopen(reader, encoding="utf-8", errors="replace") as lines:
        process = subprocess.Popen(
            attached(
                *("virt-v2v-in-place", "-v", f"--machine-readable=fd:{writer}"),
                *("--root", "single", "-i", "libvirtxml", str(description)),
            ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writer],
            env={**BACKEND, **os.environ, "LC_ALL": "C.UTF-8"},
        )
        os.close(writer)
        try:
            said, errors = _listen(lines, on_message)
            status = process.wait()
        finally:
            process.kill()  # nothing to do when it has ended; libguestfs ends the appliance with it
            process.wait()
    drivers_missing = next((warning for warning in said.warnings if _NO_WINDOWS_DRIVERS in warning), None)
    if drivers_missing is not None:
        raise ConversionError(
            f"The Windows guest can't be converted, its new drivers are missing on this machine: {drivers_missing}",
            advice="Install virtio-win, or name its ISO or directory in the environment variable VIRTIO_WIN.",
        )
    if status != 0:
        raise _failure(errors, status, log_path)
    return said


def domain_xml(ports: Sequence[int]) -> str:
    """The machine as libvirt would describe it. Firmware is left out: virt-v2v finds it on the disks."""
    domain = xml.Element("domain", type="kvm")
    xml.SubElement(domain, "name").text = "longshore"
    xml.SubElement(domain, "memory", unit="MiB").text = "1024"
    xml.SubElement(domain, "vcpu").text = "1"
    xml.SubElement(xml.SubElement(domain, "os"), "type", arch="x86_64").text = "hvm"
    devices = xml.SubElement(domain, "devices")
    for position, port in enumerate(ports):
        disk = xml.SubElement(devices, "disk", type="network", device="disk")
        xml.SubElement(disk, "driver", name="qemu", type="raw")
        source = xml.SubElement(disk, "source", protocol="nbd")
        xml.SubElement(source, "host", name="localhost", port=str(port))
        xml.SubElement(disk, "target", dev=_device(position), bus="scsi")
    return xml.tostring(domain, encoding="unicode")


def _device(position: int) -> str:
    """sda … sdz, sdaa …"""
    name = ""
    position += 1
    while position:
        position, letter = divmod(position - 1, 26)
        name = chr(ord("a") + letter) + name
    return f"sd{name}"


def _listen(lines: Iterable[str], on_message: Callable[[str], None]) -> tuple[Said, list[str]]:
    messages: list[str] = []
    warnings: list[str] = []
    errors: list[str] = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a line cut short by its death; its exit status tells
        text = " ".join(str(event.get("message", "")).split())
        kind = event.get("type")
        if kind == "error":
            errors.append(text)
        elif kind == "warning":
            warnings.append(text)
            on_message(f"Warning: {text}")
        elif text:
            messages.append(text)
            on_message(text)
    return Said(tuple(messages), tuple(warnings)), errors


def _failure(errors: Sequence[str], status: int, log: Path) -> ConversionError:
    said = errors[-1] if errors else f"it ended with status {status} and gave no reason"
    if "rhsrvany" in said:
        return ConversionError(
            f"The Windows guest can't be converted, a program it needs at its first boot is missing: {said}",
            advice="Install rhsrvany.exe (Fedora's package mingw32-srvany) in /usr/share/virt-tools, "
            "or name its directory in the environment variable VIRT_TOOLS_DATA_DIR.",
        )
    return ConversionError(f"virt-v2v couldn't convert the guest: {said}", advice=f"Its log is {log}.")
