"""A relay: a small server of ours in the project, to which volumes are attached and which serves them as NBD over TLS.

It is told its address and its key by user data on a config drive, which only Nova's operators and the relay itself can
read. All that belongs to it (security group, port, floating address, disk, server) carries one owner mark, by which it
is found and removed again.
"""

from __future__ import annotations

import ipaddress
import os
import re
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from longshore.blocks.remote import list_exports
from longshore.errors import ExportError, InvalidInput, NotFound
from longshore.model.target import Flavor, Network, Owner
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.named import of_word, only

T = TypeVar("T", Network, Flavor)

NAME = "longshore-relay"
USER = "longshore"  # whom its key is for
WRITING, READING = 10809, 10810  # ports: the second serves the same disks read-only
MEMORY_MIB = 512  # the least it runs with
PATIENCE = 60.0  # seconds until one that is busy has answered: who takes it for dead ends all that goes through it
_LAST_WORDS = 5  # lines of its console
# What nbdkit says of a client that went away, as all of them do
_GOODBYE = re.compile(r"nbdkit: .*(reading initial client flags|non-properly terminated|read request: Input/output)")


@dataclass(slots=True)
class Relay:
    """One that was seen up."""

    owner: Owner
    server_id: str
    address: str  # at which we reach it
    key: int  # descriptor of a file in memory: no disk ever holds the key
    users: int = 0
    free_since: float = field(default_factory=time.monotonic)

    def uri(self, export: str, *, read_only: bool) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        port = READING if read_only else WRITING
        # By way of /proc, so that our child processes can open it too
        key_file = quote(f"/proc/{os.getpid()}/fd/{self.key}")
        return f"nbds://{USER}@{host}:{port}/{quote(export)}?tls-psk-file={key_file}"

    def exports(self, *, read_only: bool, within: float | None = None) -> list[str]:
        """Return the names of all that it serves. Raises ExportError when it doesn't answer within that many seconds
        (None: what one that is busy may take)."""
        uri = self.uri("", read_only=read_only)
        return list_exports(uri, name=f"The relay at {self.address}", within=PATIENCE if within is None else within)

    def answers(self, within: float | None = None) -> bool:
        """Tell whether it serves what it has to whoever has the key, within as many seconds as `exports` says."""
        try:
            self.exports(read_only=False, within=within)
        except ExportError:
            return False
        return True


def export_of(volume_id: str, names: Collection[str]) -> str | None:
    """Return which of the disks that udev has named is this volume. Each bus tells the guest its id in its own way."""
    candidates = (
        f"virtio-{volume_id[:20]}",  # virtio's serial numbers have 20 characters
        f"scsi-0QEMU_QEMU_HARDDISK_{volume_id[:20]}",
        f"scsi-0QEMU_QEMU_HARDDISK_{volume_id}",
        f"scsi-SQEMU_QEMU_HARDDISK_{volume_id}",
        f"wwn-0x{volume_id.replace('-', '')}",
    )
    return next((name for name in candidates if name in names), None)


def instructions(port: Any, subnet: Any, mtu: int | None, key: str) -> str:
    """Return a relay's user data, as recipe/init reads it. Its network is told here, so that it needs no DHCP."""
    (address,) = (fixed["ip_address"] for fixed in port.fixed_ips if fixed["subnet_id"] == subnet.id)
    told: dict[str, str | None] = {
        "address": f"{address}/{ipaddress.ip_network(subnet.cidr).prefixlen}",
        "gateway": subnet.gateway_ip,
        "mac": port.mac_address,
        "mtu": str(mtu) if mtu else None,
        "key": key,
    }
    return "".join(f"{name}={value}\n" for name, value in told.items() if value is not None)


def choose_network(networks: list[Network], wanted: str | None) -> Network:
    """Choose the relay's network. Raises InvalidInput when there is no such network, or none was named and there are
    several."""
    if wanted is not None:
        return _named(networks, wanted, "network")
    usable = [network for network in networks if network.subnets]
    if len(usable) != 1:
        raise InvalidInput(
            f"The project has {len(usable)} networks; which of them is the relay to be on?",
            advice="Name it (relay_network).",
        )
    return usable[0]


def choose_flavor(flavors: list[Flavor], wanted: str | None) -> Flavor:
    """Choose the flavor that is named, else the smallest with enough memory. Raises InvalidInput."""
    if wanted is not None:
        return _named(flavors, wanted, "flavor")
    enough = [flavor for flavor in flavors if flavor.memory_mib >= MEMORY_MIB]
    if not enough:
        raise InvalidInput(f"The cloud has no flavor with the {MEMORY_MIB} MiB of memory that a relay needs.")
    return min(enough, key=lambda flavor: (flavor.memory_mib, flavor.cpus, flavor.disk_gib))


def _named(things: list[T], wanted: str, what: str) -> T:
    found = [thing for thing in things if wanted in (thing.id, thing.name)]
    if len(found) != 1:
        raise InvalidInput(
            f"The project has {'more than one' if found else 'no'} {what} {wanted} for the relay.",
            advice=f"Name one by what only that one has, its id or its name (relay_{what}).",
        )
    return found[0]


def last_words(console: str) -> str:
    """Return the end of a relay's console, in one line."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", console)
    lines = [line.strip() for line in plain.splitlines() if line.strip() and not _GOODBYE.search(line)]
    return "; ".join(lines[-_LAST_WORDS:])


def image_of(connection: Any, wanted: str) -> Any:
    """Return the relay image. Raises NotFound."""
    with explained(f"look for image {wanted}"):
        fitting = of_word(connection.image.get_image, connection.image.images(name=wanted), wanted)
    found = only(fitting, wanted, "image") if fitting else None
    if found is None or found.status != "active":
        raise NotFound(
            f"The project has no image {wanted} for the relay.",
            advice="Run: longshore relay-image build; longshore relay-image upload --os-cloud CLOUD.",
        )
    return found
