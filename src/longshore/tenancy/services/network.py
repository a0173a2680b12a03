"""Operations of kinds of the network service."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from openstack import exceptions as sdk
from openstack import resource
from openstack.network.v2.port import Port

from longshore.errors import AccessDenied, NotFound
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.ports import told_port_security
from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import Field
from longshore.tenancy.kinds.network import QOS_RULES, SHAREABLE
from longshore.tenancy.operations import Operations, plain
from longshore.tenancy.services.fixed_ips import askable, is_in_automatic, same_addresses

DELEGATED = "prefix_delegation"  # in the place of a subnet pool's id
OUR_TAGS = "longshore:"  # never exported
# Tells which address a floating IP stands for that got another one here
ORIGIN = f"{OUR_TAGS}was="
# Tells which MTU a network was to have that was too large here
TOO_LARGE = f"{OUR_TAGS}mtu-too-large="


class NetworkOperations(Operations):
    """Address scopes, subnet pools and others: as the API has them."""

    def value(self, raw: Any, field: Field) -> Any:
        if field.extension == "port-security":
            return told_port_security(raw)
        value = super().value(raw, field)
        return [tag for tag in value or () if not tag.startswith(OUR_TAGS)] if field.name == "tags" else value

    def same(self, raw: Any, field: Field, wanted: Any, live: Any) -> bool:
        untold = field.extension == "port-security" and live is None and wanted is True
        return untold or super().same(raw, field, wanted, live)

    def choices(self, field: Field) -> frozenset[str] | None:
        if field.name != "availability_zone_hints":
            return None
        if self.cloud.zones is None:
            try:
                with explained("list availability zones"):
                    self.cloud.zones = [(zone.resource, zone.name) for zone in self.proxy.availability_zones()]
            except (AccessDenied, NotFound):
                return None  # the service says it then
        return frozenset(name for of, name in self.cloud.zones if of == self.kind.name)

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        # By id: openstacksdk's own object would only send what it believes to be different
        super().update(raw.id, {k: v for k, v in values.items() if k != "tags"})
        if "tags" in values:
            self.tag(raw, [*values["tags"], *(tag for tag in raw.tags or () if tag.startswith(OUR_TAGS))])


class Networks(NetworkOperations):
    """Operations of networks. A cloud's own choices for a network aren't carried as if somebody had asked for them."""

    def unsettable(self, field: Field, value: Any, params: Mapping[str, Any]) -> str | None:
        if field.name in ("provider_network_type", "provider_segmentation_id") and not params.get(
            "provider_physical_network"
        ):
            return "since each cloud chooses it for networks that are on no physical one"
        return super().unsettable(field, value, params)

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        """Make a network with the MTU that is wanted where this cloud's networks can have it, else with the most they
        can.

        Nobody but administrators can know beforehand. What was refused is kept as a tag, so that it is no difference.
        """
        try:
            return super().create(values, wanted)
        except sdk.BadRequestException as refused:
            if "mtu" not in values or "mtu" not in str(refused).lower():
                raise
        asked = values["mtu"]
        mark = [f"{TOO_LARGE}{asked}"] if "standard-attr-tag" in self.cloud.extensions else []
        without = {name: value for name, value in values.items() if name != "mtu"}
        identity = super().create({**without, "tags": [*(values.get("tags") or ()), *mark]}, wanted)
        self.cloud.remarks.append(f"networks: {wanted.name} has a smaller MTU than {asked}, which is too large here.")
        return identity

    def same(self, raw: Any, field: Field, wanted: Any, live: Any) -> bool:
        refused = field.name == "mtu" and f"{TOO_LARGE}{wanted}" in (raw.tags or ())
        return refused or super().same(raw, field, wanted, live)


class Guarded(NetworkOperations):
    """Ports that a firewall group may stand before. It isn't carried, and without it they would let in more."""

    def same(self, raw: Any, field: Field, wanted: Any, live: Any) -> bool:
        if field.name == "fixed_ips_refs":
            return same_addresses(self.cloud, wanted, live)
        return super().same(raw, field, wanted, live)

    def hidden(self, raw: Any) -> str | None:
        for group in self.cloud.all(self.cloud.kind("firewall group")):
            if raw.id in (group.ports or ()):
                called = raw.name or ", ".join(ip["ip_address"] for ip in raw.fixed_ips) or raw.id
                return (
                    f"{self.kind.plural}: {called} is left out: the firewall group {group.name or group.id} guards it, "
                    "which isn't carried."
                )
        return super().hidden(raw)


class Subnets(NetworkOperations):
    def project_of(self, raw: Any) -> str:
        """Return the network's project, whoever made the subnet: an administrator's is part of the tenant's network."""
        network = self.cloud.by_id(self.cloud.kind("network")).get(raw.network_id)
        return super().project_of(network or raw)

    def hidden(self, raw: Any) -> str | None:
        if raw.subnet_pool_id != DELEGATED:
            return None
        called = self.cloud.called(self.kind, raw)
        return f"subnets: {called} is left out: its prefix is delegated from outside, which isn't carried."

    def made(self, raw: Any) -> None:
        self.cloud.new_subnets[raw.id] = raw

    def obstacle(self, values: Mapping[str, Any], wanted: Resource) -> str | None:
        net = ipaddress.ip_network(values["cidr"])
        for other in self.cloud.all(self.kind):
            if other.network_id != values["network_id"]:
                continue
            there = ipaddress.ip_network(other.cidr)
            if there.version == net.version and there.overlaps(net):
                return f"{net} overlaps {there} of subnet {other.name}, which its network has already"
        return None


class _OfProject(NetworkOperations):
    """Kinds of which a cloud has too many to list those of all projects, and that nobody else's resources name."""

    def asked_for(self) -> dict[str, Any]:
        return {"project_id": self.cloud.project_id}


class _Port(Port):  # type: ignore[misc]  # openstacksdk isn't typed here
    """A port with what it asks of the network's drivers, of which openstacksdk doesn't know."""

    hints = resource.Body("hints", type=dict)


class Ports(Guarded, _OfProject):
    wider = _Port
    _elsewhere: dict[str, Any] | None = None

    def same(self, raw: Any, field: Field, wanted: Any, live: Any) -> bool:
        if field.name == "allowed_address_pairs":
            # One without a MAC address gets the port's
            wanted = [{"mac_address": raw.mac_address} | {k: v for k, v in pair.items() if v} for pair in wanted]
            wanted = [{**pair, "mac_address": pair["mac_address"].lower()} for pair in wanted]
        return super().same(raw, field, wanted, live)

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        if "fixed_ips" in values:
            values = {**values, "fixed_ips": askable(self.cloud, values["fixed_ips"])}
        return super().create(values, wanted)

    def unmakeable(self, wanted: Resource) -> str | None:
        """A port on another's network is secured as the network is, whatever its own project wants."""
        secured = wanted.params.get("is_port_security_enabled") is not False
        if not secured or self.cloud.is_admin or self._on_own_network(wanted.params):
            return None
        networks = self.cloud.find("network", wanted.params["network_ref"])
        if all(told_port_security(network) is not False for network in networks):
            return None
        return "its network there secures no ports, which only the network's owner may change: all would be let in"

    def own(self, raw: Any) -> bool:
        """Tell whether nothing uses a port: a server's ports go with the server, a router's are its interfaces."""
        return super().own(raw) and raw.device_owner in ("", None, "trunk:subport")

    def hidden(self, raw: Any) -> str | None:
        trunk = self._trunks_elsewhere().get(raw.id)
        if trunk is not None:
            called = self.cloud.called(self.kind, raw)
            return (
                f"ports: {called} is left out: it is part of the trunk {trunk.name or trunk.id}, which is a server's."
            )
        return super().hidden(raw)

    def _trunks_elsewhere(self) -> dict[str, Any]:
        """Return trunks whose own port isn't exported, by subports."""
        if self._elsewhere is None:
            own = {port.id for port in self.cloud.own(self.kind)}
            trunks = [trunk for trunk in self.cloud.all(self.cloud.kind("trunk")) if trunk.port_id not in own]
            self._elsewhere = {sub["port_id"]: trunk for trunk in trunks for sub in trunk.sub_ports or ()}
        return self._elsewhere

    def value(self, raw: Any, field: Field) -> Any:
        value = super().value(raw, field)
        if field.name == "extra_dhcp_opts":
            return [{k: v for k, v in option.items() if v is not None} for option in value or []]
        if field.name == "fixed_ips_refs":
            # Without an address is something else than without one yet, as until a routed network's port is bound
            if raw.ip_allocation == "deferred":
                return None
            return [self._address(ip) for ip in value or [] if not self._is_delegated(ip["subnet_id"])]
        return value

    def _is_delegated(self, subnet_id: str) -> bool:
        """Tell whether its addresses come by themselves, of a subnet that isn't carried."""
        subnet = self.cloud.subnet(subnet_id)
        return subnet is not None and subnet.subnet_pool_id == DELEGATED

    def _address(self, ip: Mapping[str, Any]) -> dict[str, Any]:
        """Return an address as it may be asked for: one that follows from the MAC address may not, and needn't."""
        if is_in_automatic(self.cloud, ip["subnet_id"]):
            return {"subnet_id": ip["subnet_id"]}
        return {"ip_address": ip["ip_address"], "subnet_id": ip["subnet_id"]}


class Trunks(NetworkOperations):
    def project_of(self, raw: Any) -> str:
        """Return the port's project, whoever made the trunk: an administrator's is part of the tenant's port."""
        port = self.cloud.by_id(self.cloud.kind("port")).get(raw.port_id)
        return super().project_of(port or raw)


class FloatingIps(_OfProject):
    """Another cloud gives another address: which one it stands for is kept as a tag."""

    @property
    def plural(self) -> str:
        return "ips"

    def own(self, raw: Any) -> bool:
        return super().own(raw) and self.hidden(raw) is None

    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "load_balancer_ref":
            balancer = self._balancers().get(raw.port_id)
            return balancer and balancer.id
        value = super().value(raw, field)
        if field.name == "fixed_ip_address" and raw.port_id not in self._ports():
            return None
        if field.name == "port_ref" and value not in self._ports():
            return None
        return value

    def not_carried(self, raw: Any) -> list[str]:
        forwards = "floating-ip-port-forwarding" in self.cloud.extensions and not raw.port_id
        more = ["port_forwardings"] if forwards and any(self.proxy.port_forwardings(raw.id)) else []
        return super().not_carried(raw) + more

    def _balancers(self) -> dict[str, Any]:
        """Load balancers by the ports that the service has made for them."""
        return {raw.vip_port_id: raw for raw in self.cloud.own(self.cloud.kind("load balancer")) if raw.vip_port_id}

    def _body(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body of a request. What leads to a load balancer leads to its port, which exists when it does."""
        body = {k: v for k, v in values.items() if k not in ("tags", "load_balancer_id")}
        if values.get("load_balancer_id"):
            found = self.cloud.connection.load_balancer.get_load_balancer(values["load_balancer_id"])
            body["port_id"] = found.vip_port_id
        return body

    def key_value(self, raw: Any, name: str) -> Any:
        if name == "floating_ip_address":
            was = next((tag.removeprefix(ORIGIN) for tag in raw.tags or () if tag.startswith(ORIGIN)), None)
            return was or raw.floating_ip_address
        return super().key_value(raw, name)

    def _ports(self) -> set[str]:
        return {port.id for port in self.cloud.own(self.cloud.kind("port"))}

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        """Make a floating IP with the same address where that can be asked for, else with another."""
        address = values["floating_ip_address"]
        body = {k: v for k, v in self._body(values).items() if k != "floating_ip_address"}
        try:
            made = self.proxy.create_ip(**body, floating_ip_address=address)
        except (sdk.ForbiddenException, sdk.ConflictException, sdk.BadRequestException):
            made = self.proxy.create_ip(**body)
        marked = [f"{ORIGIN}{address}"] if made.floating_ip_address != address else []
        if values.get("tags") or marked:
            try:
                self.set_tags(made, [*(values.get("tags") or ()), *marked])
            except Exception:  # a later import couldn't tell what it stands for, and would make one more
                self.proxy.delete_ip(made.id)
                raise
        if marked:
            self.cloud.remarks.append(
                f"floating_ips: {made.floating_ip_address} is in the place of {address}, which can't be had here."
            )
        return str(made.id)

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        body = self._body(values)
        if body:
            self.proxy.update_ip(raw.id, **body)
        if "tags" in values:
            super().update(raw, {"tags": values["tags"]})

    def hidden(self, raw: Any) -> str | None:
        if raw.port_id and raw.port_id not in self._ports() and raw.port_id not in self._balancers():
            called = raw.floating_ip_address
            return f"floating_ips: {called} leads to a port that isn't exported; a server's goes with the server."
        return None


class QosPolicies(NetworkOperations):
    """A policy's rules are resources of their own for the API; here they are part of it."""

    def value(self, raw: Any, field: Field) -> Any:
        value = super().value(raw, field)
        if field.name != "rules":
            return value
        return [{k: v for k, v in rule.items() if k not in ("id", "qos_policy_id", "tenant_id")} for rule in value]

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        policy = self.proxy.create_qos_policy(**{k: v for k, v in values.items() if k != "rules"})
        self._add(policy.id, values.get("rules") or [])
        return str(policy.id)

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        super().update(raw, {k: v for k, v in values.items() if k != "rules"})
        if "rules" in values:
            for rule in plain(raw.rules):
                getattr(self.proxy, f"delete_qos_{rule['type']}_rule")(rule["id"], raw.id)
            self._add(raw.id, values["rules"])

    def _add(self, policy_id: str, rules: Iterable[Mapping[str, Any]]) -> None:
        for rule in rules:
            said = {name: rule[name] for name in QOS_RULES[rule["type"]] if name in rule}
            getattr(self.proxy, f"create_qos_{rule['type']}_rule")(policy_id, **said)


class RbacPolicies(NetworkOperations):
    def own(self, raw: Any) -> bool:
        """Tell whether it is of what is the project's, also if an administrator shared it; without those that only say
        in other words that a network is shared or external."""
        if raw.object_type == "network" and raw.target_project_id == "*":
            return False
        if super().own(raw):
            return True
        kind = self.cloud.kind(SHAREABLE[raw.object_type]) if raw.object_type in SHAREABLE else None
        return kind is not None and any(each.id == raw.object_id for each in self.cloud.own(kind))

    def unmakeable(self, wanted: Resource) -> str | None:
        everybody = wanted.params["target_project_ref"] is None
        return "only an administrator may share with all projects" if everybody and not self.cloud.is_admin else None

    def value(self, raw: Any, field: Field) -> Any:
        value = super().value(raw, field)
        return None if field.name == "target_project_ref" and value == "*" else value

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        body = {**values, "target_project_id": values.get("target_project_id") or "*"}
        return str(self.proxy.create_rbac_policy(**body).id)
