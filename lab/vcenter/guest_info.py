"""What a guest tells of itself through its tools: nothing, unless they run."""

from __future__ import annotations

import ipaddress
from typing import Any

from pyVmomi import vim

from .hardware import FIRST_NIC, GUEST_NAMES, MachineSpec
from .managed import fill

TOOLS_VERSION = "12352"


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


def guest_info(spec: MachineSpec, tools_running: bool, powered_on: bool) -> Any:
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
    if tools_running:
        info.guestFamily = "linuxGuest"
        info.guestId = spec.guest_id
        info.guestFullName = GUEST_NAMES.get(spec.guest_id, spec.guest_id)
        info.hostName = spec.hostname or spec.name
        info.net = [_nic(i, nic.network, nic.mac, nic.addresses) for i, nic in enumerate(spec.nics)]
        told = [address for nic in info.net for address in nic.ipAddress]
        info.ipAddress = told[0] if told else None
    return fill(info)
