"""Neutron ports: with the source's MAC and addresses where the project may choose them."""

from typing import Any

from openstack import exceptions as sdk

from longshore.errors import AccessDenied, Conflict, InvalidInput, LongshoreError
from longshore.model.target import Owner, Port, PortRequest
from longshore.providers.openstack import ownership
from longshore.providers.openstack.faults import explained, refused, words
from longshore.providers.openstack.named import Part, marked, needed, of_word, only


def told_port_security(raw: Any) -> bool | None:
    """Return whether a network or a port has port security; None where the service doesn't tell, as it doesn't know it
    or a policy hides it. openstacksdk says False of both."""
    told = "port_security_enabled" in raw._body.attributes
    return bool(raw.is_port_security_enabled) if told else None


class NeutronPorts(Part):
    def create_port(self, request: PortRequest, owner: Owner) -> Port:
        """Make a port. One that carries this owner already is answered instead.

        Raises AccessDenied when the project may not choose MAC or address on that network, Conflict when one of them is
        taken, InvalidInput when an address lies in no subnet of it.
        """
        found = self.find_port(owner)
        if found is not None:
            return found
        attributes: dict[str, Any] = {
            "name": request.name,
            "network_id": request.network_id,
            "description": ownership.description(owner),
        }
        if request.mac is not None:
            attributes["mac_address"] = request.mac
        if not request.plugged:
            attributes["is_admin_state_up"] = False
        if request.fixed_addresses:
            attributes["fixed_ips"] = [{"ip_address": address} for address in request.fixed_addresses]
        elif request.subnet_id is not None:
            attributes["fixed_ips"] = [{"subnet_id": request.subnet_id}]
        if request.allowed_addresses:
            attributes["allowed_address_pairs"] = [
                {"ip_address": allowed.address, **({"mac_address": allowed.mac} if allowed.mac else {})}
                for allowed in request.allowed_addresses
            ]
        if request.security_groups is not None:
            attributes["security_group_ids"] = [self._security_group(name) for name in request.security_groups]
        with explained(f"create port {request.name}"):
            try:
                return _port(self._connection.network.create_port(**attributes))
            except sdk.HttpException as error:
                raise self._port_refusal(error, request) from None

    def find_port(self, owner: Owner) -> Port | None:
        return next(map(_port, marked(self._connection, self._connection.network.ports, owner, "port")), None)

    def port(self, port_id: str) -> Port:
        return _port(needed(self._connection.network.get_port, port_id, "port"))

    def delete_port(self, port_id: str) -> None:
        with explained(f"delete port {port_id}"):
            self._connection.network.delete_port(port_id, ignore_missing=True)

    def _security_group(self, name_or_id: str) -> str:
        with explained(f"look up security group {name_or_id}"):
            project = self._connection.current_project_id
            own = self._connection.network.security_groups(project_id=project, name=name_or_id)
            found = of_word(self._connection.network.get_security_group, own, name_or_id)
        return str(only(found, name_or_id, "security group").id)

    def _port_refusal(self, error: sdk.HttpException, request: PortRequest) -> LongshoreError:
        chosen = _chosen(request)
        network = self._network_name(request.network_id)
        explanation = refused(error, f"create port {request.name} on network {network}")
        if isinstance(explanation, AccessDenied) and chosen:
            return AccessDenied(
                f"A member of this project may not choose {chosen} on network {network}: "
                "the network belongs to another project.",
                advice="Use a network of the project's own, let the cloud choose, "
                "have an administrator make the port in this project, or get a role that the cloud lets choose (advsvc "
                "before 2024.1, service or manager since, by its policy).",
            )
        if error.status_code == 409 and type(explanation) is Conflict and chosen:
            return Conflict(
                f"Port {request.name} can't have {chosen} on network {network}: {words(error)}",
                advice="Remove the port that has it, or choose another.",
            )
        if error.status_code == 400 and chosen:
            return InvalidInput(f"Network {network} can't give a port {chosen}: {words(error)}")
        return explanation

    def _network_name(self, network_id: str) -> str:
        try:
            return str(self._connection.network.get_network(network_id).name)
        except sdk.SDKException:
            return network_id  # only words of an error that is being raised anyway


def _chosen(request: PortRequest) -> str:
    parts = [f"MAC address {request.mac}"] if request.mac is not None else []
    parts += [f"address {address}" for address in request.fixed_addresses]
    parts += [f"further address {allowed.address}" for allowed in request.allowed_addresses]
    return " and ".join(parts)


def _port(found: Any) -> Port:
    return Port(
        id=found.id,
        mac=found.mac_address,
        addresses=tuple(fixed["ip_address"] for fixed in found.fixed_ips or ()),
        network_id=found.network_id,
        in_use=bool(found.device_id),
    )
