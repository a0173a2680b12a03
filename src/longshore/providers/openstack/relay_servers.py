"""Makes relays in a project, and removes them."""

import ipaddress
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from longshore.errors import ExportError, InvalidInput, LongshoreError, NotFound, Unreachable
from longshore.model.target import Owner, PortRequest, ServerRequest, VolumeRequest
from longshore.providers.openstack import ownership
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.named import marked, of_word, only
from longshore.providers.openstack.placement import Placement
from longshore.providers.openstack.ports import NeutronPorts
from longshore.providers.openstack.relay import (
    NAME,
    READING,
    USER,
    WRITING,
    Relay,
    choose_flavor,
    choose_network,
    image_of,
    instructions,
    last_words,
)
from longshore.providers.openstack.relay_image.build import RECIPE_PROPERTY, recipe_digest
from longshore.providers.openstack.servers import NovaServers
from longshore.providers.openstack.volumes import GIB, CinderVolumes
from longshore.providers.reaching import refused

BOOT_TIMEOUT = 600.0  # seconds from ACTIVE until it answers
_CONSOLE_EVERY = 5.0  # seconds
_MARK = "LONGSHORE-RELAY "


class RelayServers:
    def __init__(self, connection: Any, settings: OpenstackSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._volumes = CinderVolumes(connection)
        self._servers = NovaServers(connection)
        self._ports = NeutronPorts(connection)
        self._placement = Placement(connection)

    def outlook(self) -> dict[str, str]:
        """Return what a relay would be made of, or why none could be made, each in a word or a sentence."""
        settings, allowed = self._settings, self._settings.relay_allow
        asked: dict[str, Callable[[], str]] = {
            "relay image": lambda: _describe_image(image_of(self._connection, settings.relay_image)),
            "relay network": lambda: choose_network(self._placement.networks(), settings.relay_network).name,
            "relay lets in": lambda: _cidr(allowed) if allowed else "this machine's address",
            "relay flavor": lambda: choose_flavor(self._placement.flavors(), settings.relay_flavor).name,
        }
        found = {}
        for what, ask in asked.items():
            try:
                found[what] = ask()
            except LongshoreError as error:
                found[what] = str(error)
        return found

    def boot(self, owner: Owner) -> Relay:
        """Returns once it answers. Raises LongshoreError; what was made is left for `remove`."""
        image = image_of(self._connection, self._settings.relay_image)
        network = choose_network(self._placement.networks(), self._settings.relay_network)
        flavor = choose_flavor(self._placement.flavors(), self._settings.relay_flavor)
        group = self._group(owner)
        port = self._ports.create_port(PortRequest(NAME, network.id, mac=None, security_groups=(group,)), owner)
        if not port.addresses:
            raise InvalidInput(f"Network {network.name} has no address for the relay.", advice="Name another network.")
        allowed = _cidr(self._settings.relay_allow) if self._settings.relay_allow else None
        version = ipaddress.ip_network(allowed).version if allowed else None
        # Floating addresses are of IPv4. The relay has no address but its own one
        own = _to_be_reached(port.addresses, 4 if self._settings.relay_floating_network else version)
        address = self._floating_address(port.id, owner) if self._settings.relay_floating_network else own
        if self._settings.reach is not None and not self._settings.reach.permits(address):
            raise refused(f"The relay in network {network.name}")  # before it is asked for the way there
        self._let_in(group, allowed or _own_address(address))
        key = secrets.token_hex(32)
        size = max(image.min_disk or 1, -(-(image.virtual_size or 0) // GIB)) * GIB
        disk = self._volumes.create_volume(VolumeRequest(NAME, size, None, image_id=image.id), owner)
        server = self._servers.create_server(
            ServerRequest(
                name=NAME,
                flavor_id=flavor.id,
                volume_ids=(disk.id,),
                port_ids=(port.id,),
                metadata={ownership.RELAY: "true"},
                user_data=self._instructions(port.id, own, network.id, key),
                config_drive=True,
            ),
            owner,
        )
        relay = Relay(owner, server.id, address, _in_memory(f"{USER}:{key}\n"))
        try:
            self._wait_until_up(relay)
        except BaseException:
            os.close(relay.key)
            raise
        return relay

    def remove(self, owner: Owner) -> None:
        """Remove all that carries this owner. Nothing to do for what isn't there. Raises LongshoreError."""
        if server := self._servers.find_server(owner):
            self._servers.delete_server(server.id)
        for found in marked(self._connection, self._connection.network.ips, owner, "floating address"):
            with explained("remove a relay's floating address"):
                self._connection.network.delete_ip(found.id)
        if port := self._ports.find_port(owner):
            self._ports.delete_port(port.id)
        if disk := self._volumes.find_volume(owner):
            self._volumes.delete_volume(disk.id)
        if group := self._find_group(owner):
            with explained("remove a relay's security group"):
                self._connection.network.delete_security_group(group)

    def last_words(self, server_id: str) -> str:
        """Return what can be told of a relay that doesn't answer, in one line."""
        try:
            server = self._servers.server(server_id)
            if server.status != "ACTIVE":
                return f"its server is {server.status}"
            return last_words(self._servers.console(server_id))
        except NotFound:
            return "its server is gone"
        except LongshoreError as error:
            return f"nor can its console be read: {error}"

    def _wait_until_up(self, relay: Relay) -> None:
        began, looked = time.monotonic(), 0.0
        while True:
            if relay.answers(within=_CONSOLE_EVERY):
                return
            now = time.monotonic()
            if now - looked >= _CONSOLE_EVERY:
                looked = now
                console = self._servers.console(relay.server_id)
                said = re.findall(rf"{_MARK}(.*)", console)
                if said and said[-1].startswith("failed"):
                    reason = said[-1].removeprefix("failed:").strip()
                    raise ExportError(f"The relay couldn't start: {reason}.")
                if now - began > BOOT_TIMEOUT:
                    raise _no_answer(relay.address, said, console)
            time.sleep(0.5)

    def _instructions(self, port_id: str, own: str, network_id: str, key: str) -> str:
        with explained("look up the relay's network"):
            port = self._connection.network.get_port(port_id)
            subnet_id = next(fixed["subnet_id"] for fixed in port.fixed_ips if fixed["ip_address"] == own)
            subnet = self._connection.network.get_subnet(subnet_id)
            mtu = self._connection.network.get_network(network_id).mtu
        return instructions(port, subnet, mtu, key)

    def _group(self, owner: Owner) -> str:
        """Make a security group that lets nothing in yet, and nothing out but answers."""
        found = self._find_group(owner)
        if found is not None:
            return found
        with explained("make the relay's security group"):
            group = self._connection.network.create_security_group(name=NAME, description=ownership.description(owner))
            for rule in group.security_group_rules:
                self._connection.network.delete_security_group_rule(rule["id"])
        return str(group.id)

    def _find_group(self, owner: Owner) -> str | None:
        listed = marked(self._connection, self._connection.network.security_groups, owner, "security group")
        return next((str(found.id) for found in listed), None)

    def _let_in(self, group: str, cidr: str) -> None:
        with explained(f"let {cidr} connect to the relay"):
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
        wanted = self._settings.relay_floating_network or ""
        with explained(f"give the relay a floating address of network {wanted}"):
            client = self._connection.network
            network = only(of_word(client.get_network, client.networks(name=wanted), wanted), wanted, "network")
            made = self._connection.network.create_ip(
                floating_network_id=network.id, port_id=port_id, description=ownership.description(owner)
            )
        return str(made.floating_ip_address)


def _no_answer(address: str, said: Collection[str], console: str) -> LongshoreError:
    if any(line.startswith("ready") for line in said):
        return Unreachable(
            f"The relay is up, but its ports {WRITING} and {READING} at {address} can't be reached from here.",
            advice="Check the route to its network (relay_network, relay_floating_network), and from which address "
            "connections of this machine reach it (relay_allow).",
        )
    return ExportError(
        f"The relay didn't come up within {BOOT_TIMEOUT:.0f} s. Its console ends: {last_words(console) or '(empty)'}",
        advice="Check that the relay image is the one that longshore built, and the flavor.",
    )


def _to_be_reached(addresses: Sequence[str], version: int | None) -> str:
    """Return that one of a relay's addresses at which it can be reached: of an IP version, or any to which this machine
    has a route."""
    for one in addresses:
        if version is None:
            with suppress(Unreachable):
                _own_address(one)
                return one
        elif ipaddress.ip_address(one).version == version:
            return one
    return addresses[0]


def _own_address(towards: str) -> str:
    """Return this machine's own address as a CIDR, as seen from there if nothing translates it on the way. A CIDR.
    Raises Unreachable."""
    version = ipaddress.ip_address(towards).version
    with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect((towards, WRITING))  # sends nothing: it only asks for the route
        except OSError as error:
            raise Unreachable(
                f"This machine has no route to the relay's address {towards}: {error.strerror}.",
                advice="Give the relay an address that can be reached (relay_network, relay_floating_network).",
            ) from None
        return str(ipaddress.ip_network(unsent.getsockname()[0]))


def _cidr(allowed: str) -> str:
    """Return a range of addresses as a CIDR. Raises InvalidInput."""
    try:
        return str(ipaddress.ip_network(allowed, strict=False))
    except ValueError:
        raise InvalidInput(
            f"{allowed} isn't a range of addresses that a relay could let in.",
            advice="Write it like 192.0.2.0/24 (relay_allow).",
        ) from None


def _describe_image(image: Any) -> str:
    """Return the image's name, and whether a newer one could be built."""
    recipe = (image.properties or {}).get(RECIPE_PROPERTY)
    if recipe == recipe_digest():
        return str(image.name)
    return f"{image.name}, which isn't of this Longshore's recipe. Build and upload it again."


def _in_memory(content: str) -> int:
    descriptor = os.memfd_create("longshore-relay-key")
    os.write(descriptor, content.encode())
    return descriptor
