"""Operations of routers and their interfaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from openstack import resource
from openstack.network.v2.router import Router

from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import Field
from longshore.tenancy.operations import plain
from longshore.tenancy.services.fixed_ips import askable, is_in_automatic, same_addresses, told_subnets
from longshore.tenancy.services.network import Guarded, NetworkOperations

INTERFACE_OWNERS = (
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
)


class _Router(Router):  # type: ignore[misc]  # openstacksdk isn't typed here
    """A router with all of its gateways, of which openstacksdk tells one, and how it watches and shares them."""

    external_gateways = resource.Body("external_gateways", type=list)
    enable_default_route_bfd = resource.Body("enable_default_route_bfd", type=bool)
    enable_default_route_ecmp = resource.Body("enable_default_route_ecmp", type=bool)


class Routers(NetworkOperations):
    wider = _Router

    def not_carried(self, raw: Any) -> list[str]:
        parts: dict[str, tuple[str, Callable[[], Iterable[Any]]]] = {
            "vpn_services": ("vpnaas", lambda: self.proxy.vpn_services(router_id=raw.id)),
            "conntrack_helpers": ("l3-conntrack-helper", lambda: self.proxy.conntrack_helpers(raw.id)),
            "ndp_proxies": ("l3-ndp-proxy", lambda: self.proxy.ndp_proxies(router_id=raw.id)),
        }
        has = [name for name, (alias, ask) in parts.items() if alias in self.cloud.extensions and any(ask())]
        more = ["external_gateways beyond the first"] if len(raw.external_gateways or ()) > 1 else []
        limited = (
            ["qos_policy_id of external_gateway_info"] if (raw.external_gateway_info or {}).get("qos_policy_id") else []
        )
        return super().not_carried(raw) + has + more + limited

    def same(self, raw: Any, field: Field, wanted: Any, live: Any) -> bool:
        if field.name != "external_gateway_refinfo" or not isinstance(wanted, Mapping) or not live:
            return super().same(raw, field, wanted, live)
        there = plain(raw.external_gateway_info)
        addresses = wanted.get("external_fixed_ips") or []
        return (
            wanted["network_id"] == there["network_id"]
            and (not self.cloud.is_admin or wanted.get("enable_snat", True) == there.get("enable_snat", True))
            and (not addresses or same_addresses(self.cloud, addresses, there.get("external_fixed_ips") or []))
        )

    def value(self, raw: Any, field: Field) -> Any:
        """The gateway's address is the cloud's choice and not carried; translation of addresses is on if not said."""
        value = super().value(raw, field)
        if field.name == "external_gateway_refinfo" and value:
            return {"network_id": value["network_id"]} | (
                {} if value.get("enable_snat", True) else {"enable_snat": False}
            )
        return value


class RouterInterfaces(Guarded):
    """Ports, for the API; made by way of their router."""

    def listing(self) -> Iterable[Any]:
        """List the interfaces of the project's routers, whoever made the ports.

        Only those with fixed IPs: a highly available router has others, which aren't anyone's to carry.
        """
        routers = self.cloud.own(self.cloud.kind("router"))
        ports = (port for router in routers for port in self.proxy.ports(device_id=router.id))
        return [port for port in ports if port.device_owner in INTERFACE_OWNERS]

    def own(self, raw: Any) -> bool:
        return True

    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "subnets":
            return told_subnets(self.cloud, raw.fixed_ips)
        return super().value(raw, field)

    def wanted_key(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        subnets = told_subnets(self.cloud, values.get("fixed_ips") or [])
        return values.get("device_id"), values.get("network_id"), subnets

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        """Attach a router with the subnets' gateway addresses, or by way of a port of the wanted addresses.

        A port that an earlier try made and didn't attach is known by its description, and taken.
        """
        router, fixed_ips = values["device_id"], values.get("fixed_ips") or []
        if self._by_subnet(fixed_ips):
            return self._add_subnets(router, [ip["subnet_id"] for ip in fixed_ips])
        mark = f"longshore: interface of router {router}"
        made = self.proxy.ports(network_id=values["network_id"], project_id=self.cloud.project_id, description=mark)
        port = next((p for p in made if not p.device_id and same_addresses(self.cloud, fixed_ips, p.fixed_ips)), None)
        if port is None:
            body = {"network_id": values["network_id"], "fixed_ips": askable(self.cloud, fixed_ips)}
            # A plain port would get addresses of all automatic subnets; one that is a router's has what it asks for
            owner = (
                {"device_owner": INTERFACE_OWNERS[0]} if self._would_get_more(values["network_id"], fixed_ips) else {}
            )
            port = self.proxy.create_port(**body, **owner, description=mark)
        self.proxy.add_interface_to_router(router, None, port.id)
        return str(port.id)

    def _add_subnets(self, router: str, subnets: list[str]) -> str:
        """Neutron gives the subnets of IPv6 on one network to one port. An earlier try may have added some."""
        there = self.proxy.ports(device_id=router) if len(subnets) > 1 else ()
        port_of = {ip["subnet_id"]: port.id for port in there for ip in port.fixed_ips}
        for subnet in subnets:
            if subnet not in port_of:
                port_of[subnet] = self.proxy.add_interface_to_router(router, subnet)["port_id"]
        return str(port_of[subnets[0]])

    def _would_get_more(self, network_id: str, fixed_ips: list[Mapping[str, Any]]) -> bool:
        wanted = {ip["subnet_id"] for ip in fixed_ips}
        there = [*self.cloud.all(self.cloud.kind("subnet")), *self.cloud.new_subnets.values()]
        on_network = {subnet.id for subnet in there if subnet.network_id == network_id} - wanted
        return any(is_in_automatic(self.cloud, subnet) for subnet in on_network)

    def _by_subnet(self, fixed_ips: list[Mapping[str, Any]]) -> bool:
        """Tell whether the router is to have the gateway address of each: then the router's port can be left to
        Neutron."""
        subnets = [self.cloud.subnet(ip["subnet_id"]) for ip in fixed_ips]
        one = len(fixed_ips) == 1 or (len(fixed_ips) > 1 and all(each and each.ip_version == 6 for each in subnets))
        return one and all(
            ip.get("ip_address") in (None, each.gateway_ip if each else None)
            for ip, each in zip(fixed_ips, subnets, strict=True)
        )
