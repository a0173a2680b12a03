"""QEMU's command line for a machine as VMware would build it: q35, pvscsi or SATA, vmxnet3 in numbered PCI slots.

A machine with firmware variables starts by UEFI: OVMF with secure boot, whose variables only the firmware can write.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .chain import Chain

TRANSLATION_CACHE_MIB = 64
"""QEMU's default is 1 GiB for each machine."""
FIRST_NIC_SLOT = 192
"""VMware puts network cards into PCI slots 192, 224, 256, …; a guest with udev names the first one ens192."""
NIC_SLOT_STEP = 32
OVMF = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"


def nic_slot(index: int) -> int:
    return FIRST_NIC_SLOT + NIC_SLOT_STEP * index


@dataclass(frozen=True)
class Hardware:
    name: str
    memory_mib: int
    cpus: int
    macs: tuple[str, ...]
    controller: str = "pvscsi"
    """Of all disks: pvscsi or sata, which OVMF sees."""
    nvram: Path | None = None
    """The variables that UEFI firmware begins with; None: a BIOS."""


@dataclass(frozen=True)
class Places:
    """Where QEMU's sockets and logs are."""

    qmp: Path
    tools: Path
    pid: Path
    console: Path
    messages: Path
    variables: Path
    """The machine's own copy of its firmware's variables, if it starts by UEFI."""


def _disk(chain: Chain, index: int, controller: str) -> list[str]:
    arguments = []
    below = None
    for layer in chain.layers:
        node = {
            "driver": chain.format(layer),
            "node-name": chain.node(layer),
            "discard": "unmap",
            "file": {"driver": "file", "filename": layer, "discard": "unmap"},
        }
        if below:
            node["backing"] = below
        below = chain.node(layer)
        arguments += ["-blockdev", json.dumps(node)]
    if controller == "sata":  # q35 has one; what is started is the word of the firmware's variables
        place = f"ide-hd,bus=ide.{index}"
    else:
        place = f"scsi-hd,bus=scsi0.0,scsi-id={index},bootindex={index + 1}"
    return [*arguments, "-device", f"{place},drive={below},id=d{chain.key}"]


def _nic(mac: str, index: int) -> list[str]:
    slot = nic_slot(index)
    return [
        "-device", f"pcie-root-port,id=port{slot},slot={slot},chassis={index + 1}",
        "-netdev", f"user,id=net{index},restrict=on,ipv6=off",
        "-device", f"vmxnet3,bus=port{slot},netdev=net{index},mac={mac},romfile=",
    ]  # fmt: skip


def _uefi(variables: Path) -> list[str]:
    return [
        "-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
        "-blockdev", json.dumps({"driver": "raw", "node-name": "firmware", "read-only": True,
                                 "file": {"driver": "file", "filename": OVMF}}),
        "-blockdev", json.dumps({"driver": "raw", "node-name": "variables",
                                 "file": {"driver": "file", "filename": str(variables)}}),
        "-machine", "pflash0=firmware,pflash1=variables",
    ]  # fmt: skip


def command_line(hardware: Hardware, chains: list[Chain], places: Places) -> list[str]:
    arguments = [
        "qemu-system-x86_64", "-name", hardware.name, "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "q35", "-accel", f"tcg,tb-size={TRANSLATION_CACHE_MIB}", "-cpu", "max",
        "-smp", str(hardware.cpus), "-m", str(hardware.memory_mib),
        # With ACPI hotplug the guest would see ACPI's slot numbers instead of the ports' own.
        "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
        "-device", "VGA",
        "-chardev", f"file,id=console,path={places.console},append=on", "-serial", "chardev:console",
        "-chardev", f"socket,id=tools,path={places.tools},server=on,wait=off", "-serial", "chardev:tools",
        "-qmp", f"unix:{places.qmp},server=on,wait=off", "-pidfile", str(places.pid),
    ]  # fmt: skip
    if hardware.nvram:
        arguments += _uefi(places.variables)
    if hardware.controller == "pvscsi":
        arguments += ["-device", "pvscsi,id=scsi0"]
    for index, chain in enumerate(chains):
        arguments += _disk(chain, index, hardware.controller)
    for index, mac in enumerate(hardware.macs):
        arguments += _nic(mac, index)
    return arguments
