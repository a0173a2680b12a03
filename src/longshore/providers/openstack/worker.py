"""A worker: a small server of ours in the project, to which volumes are attached and which serves them as NBD over TLS.

It is told its address and its key by user data on a config drive, which only Nova's operators and the worker itself can
read. All that belongs to it (security group, port, floating address, disk, server) carries one owner mark, by which it
is found and removed again.
"""

import ipaddress
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import nbd

from longshore.errors import ExportError, InvalidInput, LongshoreError, NotFound, Unreachable
from longshore.model.target import Flavor, Network, Owner, PortRequest, ServerRequest, VolumeRequest
from longshore.providers.openstack import ownership
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.placement import Placement
from longshore.providers.openstack.ports import Ports
from longshore.providers.openstack.servers import Servers
from longshore.providers.openstack.volumes import GIB, Volumes

NAME = "longshore-worker"
USER = "longshore"  # whom its key is for
WRITING, READING = 10809, 10810  # ports: the second serves the same disks read-only
MEMORY_MIB = 512  # the least it runs with
BOOT_TIMEOUT = 600.0  # seconds from ACTIVE until it answers
_CONSOLE_EVERY = 5.0  # seconds
_ANSWER_WITHIN = 5.0  # seconds until a worker that lives has taken a connection
_LAST_WORDS = 5  # lines of its console
_MARK = "LONGSHORE-WORKER "


@dataclass(slots=True)
class Worker:
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

    def exports(self, *, read_only: bool) -> list[str]:
        """The names of all that it serves. Raises ExportError when it doesn't answer."""
        handle = nbd.NBD()
        handle.set_uri_allow_local_file(True)
        handle.set_opt_mode(True)
        found: list[str] = []
        try:
            handle.connect_uri(self.uri("", read_only=read_only))
            handle.opt_list(lambda name, _description: found.append(name))
            handle.opt_abort()
        except nbd.Error as error:
            raise ExportError(f"The worker at {self.address} didn't answer: {error.string}.") from None
        return found

    def answers(self) -> bool:
        try:
            self.exports(read_only=False)
        except ExportError:
            return False
        return True


def export_of(volume_id: str, names: Collection[str]) -> str | None:
    """Which of the disks that udev has named is this volume. Each bus tells the guest its id in its own way."""
    candidates = (
        f"virtio-{volume_id[:20]}",  # virtio's serial numbers have 20 characters
        f"scsi-0QEMU_QEMU_HARDDISK_{volume_id[:20]}",
        f"scsi-0QEMU_QEMU_HARDDISK_{volume_id}",
        f"scsi-SQEMU_QEMU_HARDDISK_{volume_id}",
        f"wwn-0x{volume_id.replace('-', '')}",
    )
    return next((name for name in candidates if name in names), None)


def instructions(port: Any, subnet: Any, mtu: int | None, key: str) -> str:
    """A worker's user data, as recipe/init reads it. Its network is told here, so that it needs no DHCP."""
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
    """Raises InvalidInput when there is no such network, or none was named and there are several."""
    if wanted is not None:
        found = [network for network in networks if wanted in (network.id, network.name)]
        if len(found) != 1:
            number = "no" if not found else "several"
            raise InvalidInput(
                f"The project has {number} network {wanted} for the worker.",
                advice="Name one by its id (worker_network).",
            )
        return found[0]
    usable = [network for network in networks if network.subnets]
    if len(usable) != 1:
        raise InvalidInput(
            f"The project has {len(usable)} networks; which of them is the worker to be on?",
            advice="Name it (worker_network).",
        )
    return usable[0]


def choose_flavor(flavors: list[Flavor], wanted: str | None) -> Flavor:
    """The one that is named, else the smallest with enough memory. Raises InvalidInput."""
    if wanted is not None:
        found = [flavor for flavor in flavors if wanted in (flavor.id, flavor.name)]
        if not found:
            raise InvalidInput(
                f"The cloud has no flavor {wanted} for the worker.", advice="Name another (worker_flavor)."
            )
        return found[0]
    enough = [flavor for flavor in flavors if flavor.memory_mib >= MEMORY_MIB]
    if not enough:
        raise InvalidInput(f"The cloud has no flavor with the {MEMORY_MIB} MiB of memory that a worker needs.")
    return min(enough, key=lambda flavor: (flavor.memory_mib, flavor.cpus, flavor.disk_gib))


def last_words(console: str) -> str:
    """The end of a worker's console, in one line."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", console)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    return "; ".join(lines[-_LAST_WORDS:])


def image_of(connection: Any, wanted: str) -> Any:
    """The worker image. Raises NotFound."""
    with explained(f"look for image {wanted}"):
        found = connection.image.find_image(wanted)
    if found is None or found.status != "active":
        raise NotFound(
            f"The project has no image {wanted} for the worker.",
            advice="Run: longshore worker-image build; longshore worker-image upload --os-cloud CLOUD.",
        )
    return found


class WorkerServers:
    """Makes workers, and removes them."""

    def __init__(self, connection: Any, settings: OpenstackSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._volumes = Volumes(connection)
        self._servers = Servers(connection, self._volumes)
        self._ports = Ports(connection)
        self._placement = Placement(connection)

    def outlook(self) -> dict[str, str]:
        """What a worker would be made of, or why none could be made, each in a word or a sentence."""
        settings = self._settings
        asked: dict[str, Callable[[], str]] = {
            "worker image": lambda: str(image_of(self._connection, settings.worker_image).name),
            "worker network": lambda: choose_network(self._placement.networks(), settings.worker_network).name,
            "worker flavor": lambda: choose_flavor(self._placement.flavors(), settings.worker_flavor).name,
        }
        found = {}
        for what, ask in asked.items():
            try:
                found[what] = ask()
            except LongshoreError as error:
                found[what] = str(error)
        return found

    def boot(self, owner: Owner) -> Worker:
        """Returns once it answers. Raises LongshoreError; what was made is left for `remove`."""
        image = image_of(self._connection, self._settings.worker_image)
        network = choose_network(self._placement.networks(), self._settings.worker_network)
        flavor = choose_flavor(self._placement.flavors(), self._settings.worker_flavor)
        group = self._group(owner)
        port = self._ports.create(PortRequest(NAME, network.id, mac=None, security_groups=(group,)), owner)
        if not port.addresses:
            raise InvalidInput(f"Network {network.name} has no address for the worker.", advice="Name another network.")
        address = (
            self._floating_address(port.id, owner) if self._settings.worker_floating_network else port.addresses[0]
        )
        self._let_in(group, self._settings.worker_allow or _own_address(address))
        key = secrets.token_hex(32)
        size = max(image.min_disk or 1, -(-(image.virtual_size or 0) // GIB)) * GIB
        disk = self._volumes.create(VolumeRequest(NAME, size, None, image_id=image.id), owner)
        server = self._servers.create(
            ServerRequest(
                name=NAME,
                flavor_id=flavor.id,
                volume_ids=(disk.id,),
                port_ids=(port.id,),
                metadata={ownership.WORKER: "true"},
                user_data=self._instructions(port.id, network.id, key),
                config_drive=True,
            ),
            owner,
        )
        worker = Worker(owner, server.id, address, _in_memory(f"{USER}:{key}\n"))
        try:
            self._wait_until_up(worker)
        except BaseException:
            os.close(worker.key)
            raise
        return worker

    def remove(self, owner: Owner) -> None:
        """All that carries this owner. Nothing to do for what isn't there. Raises LongshoreError."""
        if server := self._servers.find(owner):
            self._servers.delete(server.id)
        mark = ownership.description(owner)
        project = self._connection.current_project_id
        with explained("remove a worker's floating address"):
            for found in self._connection.network.ips(project_id=project, description=mark):
                if found.description == mark:
                    self._connection.network.delete_ip(found.id)
        if port := self._ports.find(owner):
            self._ports.delete(port.id)
        if disk := self._volumes.find(owner):
            self._volumes.delete(disk.id)
        if group := self._find_group(owner):
            with explained("remove a worker's security group"):
                self._connection.network.delete_security_group(group)

    def last_words(self, server_id: str) -> str:
        """What can be told of a worker that doesn't answer, in one line."""
        try:
            server = self._servers.get(server_id)
            if server.status != "ACTIVE":
                return f"its server is {server.status}"
            return last_words(self._servers.console(server_id))
        except NotFound:
            return "its server is gone"
        except LongshoreError as error:
            return f"nor can its console be read: {error}"

    def _wait_until_up(self, worker: Worker) -> None:
        began, looked = time.monotonic(), 0.0
        while True:
            if _takes_connections(worker.address) and worker.answers():
                return
            now = time.monotonic()
            if now - looked >= _CONSOLE_EVERY:
                looked = now
                console = self._servers.console(worker.server_id)
                said = re.findall(rf"{_MARK}(.*)", console)
                if said and said[-1].startswith("failed"):
                    reason = said[-1].removeprefix("failed:").strip()
                    raise ExportError(f"The worker couldn't start: {reason}.")
                if now - began > BOOT_TIMEOUT:
                    raise _no_answer(worker.address, said, console)
            time.sleep(0.5)

    def _instructions(self, port_id: str, network_id: str, key: str) -> str:
        with explained("look up the worker's network"):
            port = self._connection.network.get_port(port_id)
            subnet = self._connection.network.get_subnet(port.fixed_ips[0]["subnet_id"])
            mtu = self._connection.network.get_network(network_id).mtu
        return instructions(port, subnet, mtu, key)

    def _group(self, owner: Owner) -> str:
        """A security group that lets nothing in yet, and nothing out but answers."""
        found = self._find_group(owner)
        if found is not None:
            return found
        with explained("make the worker's security group"):
            group = self._connection.network.create_security_group(name=NAME, description=ownership.description(owner))
            for rule in group.security_group_rules:
                self._connection.network.delete_security_group_rule(rule["id"])
        return str(group.id)

    def _find_group(self, owner: Owner) -> str | None:
        mark = ownership.description(owner)
        with explained(f"look for the security group of {owner.tag}"):
            project = self._connection.current_project_id
            listed = self._connection.network.security_groups(project_id=project, description=mark)
            return next((str(found.id) for found in listed if found.description == mark), None)

    def _let_in(self, group: str, cidr: str) -> None:
        with explained(f"let {cidr} connect to the worker"):
            self._connection.network.create_security_group_rule(
                security_group_id=group,
                direction="ingress",
                ethertype=f"IPv{ipaddress.ip_network(cidr).version}",
                protocol="tcp",
                port_range_min=WRITING,
                port_range_max=READING,
                remote_ip_prefix=cidr,
            )

    def _floating_address(self, port_id: str, owner: Owner) -> str:
        wanted = self._settings.worker_floating_network
        with explained(f"give the worker a floating address of network {wanted}"):
            network = self._connection.network.find_network(wanted)
            if network is None:
                raise InvalidInput(f"There is no network {wanted} for the worker's floating address.")
            made = self._connection.network.create_ip(
                floating_network_id=network.id, port_id=port_id, description=ownership.description(owner)
            )
        return str(made.floating_ip_address)


def _no_answer(address: str, said: Collection[str], console: str) -> LongshoreError:
    if any(line.startswith("ready") for line in said):
        return Unreachable(
            f"The worker is up, but its ports {WRITING} and {READING} at {address} can't be reached from here.",
            advice="Check the route to its network (worker_network, worker_floating_network), and from which address "
            "connections of this machine reach it (worker_allow).",
        )
    return ExportError(
        f"The worker didn't come up within {BOOT_TIMEOUT:.0f} s. Its console ends: {last_words(console) or '(empty)'}",
        advice="Check that the worker image is the one that longshore built, and the flavor.",
    )


def _takes_connections(address: str) -> bool:
    with suppress(OSError), socket.create_connection((address, WRITING), timeout=_ANSWER_WITHIN):
        return True
    return False


def _own_address(towards: str) -> str:
    """Of this machine, as seen from there if nothing translates it on the way. A CIDR. Raises Unreachable."""
    version = ipaddress.ip_address(towards).version
    with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect((towards, WRITING))  # sends nothing: it only asks for the route
        except OSError as error:
            raise Unreachable(
                f"This machine has no route to the worker's address {towards}: {error.strerror}.",
                advice="Give the worker an address that can be reached (worker_network, worker_floating_network).",
            ) from None
        return str(ipaddress.ip_network(unsent.getsockname()[0]))


def _in_memory(content: str) -> int:
    descriptor = os.memfd_create("longshore-worker-key")
    os.write(descriptor, content.encode())
    return descriptor


def is_worker(metadata: Mapping[str, str] | None) -> bool:
    """Whether a server with this metadata is one."""
    return ownership.WORKER in (metadata or {})
