"""The settings of a vCenter: where it is and how to reach it; no secrets in here."""

import re
from dataclasses import dataclass
from typing import Literal

from longshore.errors import InvalidInput
from longshore.model.reach import Reach
from longshore.providers.vsphere import host_keys
from longshore.providers.vsphere.certificate import normalise_fingerprint, refuse_no_host


@dataclass(frozen=True, slots=True)
class VsphereSettings:
    """One vCenter (or a single ESXi host) and the account Longshore uses there.

    The server's certificate is always verified: against `fingerprint` when there is one, else against `ca_file`, else
    against the system's certificate authorities.
    """

    host: str  # name or address
    username: str
    port: int = 443
    fingerprint: str | None = None  # SHA-256 of the server's certificate; colons and case don't matter
    ca_file: str | None = None  # PEM file with the authorities to trust instead of the system's
    vddk_libdir: str | None = None  # the directory that holds VMware's lib64/libvixDiskLib.so.*
    vddk_plugin: str = "vddk"  # nbdkit's plugin that reads the disks: one that takes the parameters of vddk's own
    transports: str = "nbdssl:nbd"  # VDDK transport modes in order of preference, separated by colons
    # How disks are read: through VMware's library, as files of the ESXi hosts, attached to a machine beside them, or as
    # vSphere sends them as a whole
    transport: Literal["vddk", "ssh", "proxy", "export"] = "vddk"
    ssh_host_keys: tuple[str, ...] = ()  # the hosts' keys that are trusted, as lines of a known_hosts file
    ssh_user: str = "root"
    ssh_port: int = 22
    proxies: tuple[str, ...] = ()  # the machines that disks are attached to: their names, paths or references
    labels: tuple[str, ...] | None = None  # only workers that carry all of them take its machines
    reach: Reach | None = None  # never kept: whoever connects says where it may be connected to; None: anywhere

    def __post_init__(self) -> None:
        refuse_no_host(self.host)
        _refuse_no_port(self.port, "A vCenter's is 443, unless somebody moved it.")
        if self.fingerprint is not None:
            object.__setattr__(self, "fingerprint", normalise_fingerprint(self.fingerprint))
        _refuse_no_port(self.ssh_port, "An ESXi host's SSH server is at 22, unless somebody moved it.")
        if not self.ssh_user or not self.ssh_user.isprintable() or " " in self.ssh_user:
            raise InvalidInput(f"{self.ssh_user!r} isn't the name of a user.", advice="ESXi's own is root.")
        if not re.fullmatch("[a-z0-9-]+", self.vddk_plugin):
            raise InvalidInput(
                f"{self.vddk_plugin!r} isn't the name of a plugin of nbdkit.", advice="Give it alone, as in vddk."
            )
        if not self.trusted_hosts and self.transport == "ssh":
            raise host_keys.none_given()
        if not self.proxies and self.transport == "proxy":
            raise no_proxy()

    @property
    def has_no_way(self) -> bool:
        """Tell whether nothing was said by which disks could be read. Another plugin may do without a library."""
        return (self.transport, self.vddk_plugin, self.vddk_libdir) == ("vddk", "vddk", None)

    @property
    def trusted_hosts(self) -> tuple[host_keys.HostKey, ...]:
        return host_keys.parsed(self.ssh_host_keys)


def no_proxy() -> InvalidInput:
    return InvalidInput(
        "To read disks through a proxy, a machine is needed that they are attached to.",
        advice="Make one of the relay's image (docs/howto/vsphere-proxy.md), and name it: --proxy MACHINE.",
    )


def _refuse_no_port(port: int, advice: str) -> None:
    if not 1 <= port <= 65535:
        raise InvalidInput(f"There is no port {port}.", advice=advice)
