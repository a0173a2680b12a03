"""What a guest tells of itself through its tools: nothing, unless they run."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from .hardware import FIRST_NIC, GUEST_NAMES, MachineSpec
from .managed import fill

TOOLS_VERSION = "12352"


@dataclass(frozen=True)
class GuestReport:
    """The answer of the program in the guest to "info"."""

    hostname: str
    addresses: dict[str, tuple[str, ...]]
    """MAC address -> addresses with prefix lengths."""

    @classmethod
    def parse(cls, line: str) -> GuestReport:
        """Raises ValueError or KeyError for a line that is no report (cut short while the guest was starting, say)."""
        told = json.loads(line)
        return cls(told["hostname"], {nic["mac"].lower(): tuple(nic["addrs"]) for nic in told["nics"]})


def _nic(index: int, network: str, mac: str, addresses: tuple[str, ...]) -> Any:
    interfaces = [ipaddress.ip_interface(address) for address in addresses]
    told = [
        vim.net.IpConfigInfo.IpAddress(ipAddress=str(i.ip), prefixLength=i.network.prefixlen, state="preferred")
        for i in interfaces
    ]
    return fill(
        vim.vm.GuestInfo.NicInfo(
            network=network,
            macAddress=mac,
            ipAddress=[str(i.ip) for i in interfaces],
            connected=True,
            deviceConfigId=FIRST_NIC + index,
            ipConfig=vim.net.IpConfigInfo(ipAddress=told),
        )
    )


def guest_info(spec: MachineSpec, report: GuestReport | None, powered_on: bool) -> Any:
    """`report` None: the tools do not run."""
    tools_running = report is not None
    info = vim.vm.GuestInfo(
        toolsStatus="toolsOk" if tools_running else "toolsNotRunning",
        toolsRunningStatus="guestToolsRunning" if tools_running else "guestToolsNotRunning",
        toolsVersionStatus="guestToolsUnmanaged",
        toolsVersionStatus2="guestToolsUnmanaged",
        toolsVersion=TOOLS_VERSION,
        toolsInstallType="guestToolsTypeOpenVMTools",
        guestState="running" if powered_on else "notRunning",
        guestOperationsReady=False,
        interactiveGuestOperationsReady=False,
        guestStateChangeSupported=tools_running,
    )
    if report is not None:
        info.guestFamily = "linuxGuest"
        info.guestId = spec.guest_id
        info.guestFullName = GUEST_NAMES.get(spec.guest_id, spec.guest_id)
        info.hostName = report.hostname
        info.net = [
            _nic(i, nic.network, nic.mac, report.addresses.get(nic.mac.lower(), ())) for i, nic in enumerate(spec.nics)
        ]
        told = [address for nic in info.net for address in nic.ipAddress]
        info.ipAddress = told[0] if told else None
    return fill(info)
