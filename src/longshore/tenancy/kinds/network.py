"""The kinds of the network service, in OS-Migrate's words where it has them."""

from dataclasses import replace
from typing import Any

from longshore.tenancy.forms import (
    address,
    at_least,
    between,
    boolean,
    cidr,
    list_of,
    mac,
    mapping,
    one_of,
    prefix,
    record,
    reference,
    short,
    text,
)
from longshore.tenancy.kind import Field, ResourceKind, Scope, ref
from longshore.tenancy.normal import by_start, by_text, merged_prefixes, qos_rules

NAME = Field("name", short(255), required=True)
DESCRIPTION = Field("description", short(255), update=True, dispensable=True)
TAGS = Field("tags", list_of(short(255)), update=True, order=by_text, extension="standard-attr-tag", dispensable=True)
_SHARED = Field("is_shared", boolean, admin=True, update=True, default=False, dispensable=True)
_DEFAULT = replace(_SHARED, name="is_default")
_QOS = ref("qos_policy_ref", "qos policy", update=True, extension="qos", dispensable=True)
COMMON_INFO = ("created_at", "id", "project_id", "revision_number", "updated_at")

# The rules of QoS by type: what each may say. The first is what it is about, and has to be there
QOS_RULES = {
    "bandwidth_limit": ("max_kbps", "max_burst_kbps", "direction"),
    "dscp_marking": ("dscp_mark",),
    "minimum_bandwidth": ("min_kbps", "direction"),
    "minimum_packet_rate": ("min_kpps", "direction"),
    "packet_rate_limit": ("max_kpps", "max_burst_kpps", "direction"),
}

QOS_POLICY = ResourceKind(
    "qos policy",
    "qos_policies",
    "openstack.network.QosPolicy",
    "network",
    (
        NAME,
        DESCRIPTION,
        _SHARED,
        _DEFAULT,
        Field("rules", list_of(mapping), update=True, order=qos_rules),
    ),
    extension="qos",
    admin=True,
    not_carried=("tags",),
)


def _zones(extension: str) -> Field:
    """Return the field for zones. Those that the target doesn't have are left out: see NetworkOperations.choices."""
    return Field(
        "availability_zone_hints", list_of(text), quiet=True, order=by_text, extension=extension, dispensable=True
    )


def _dns(name: str, **how: Any) -> Field:
    return Field(name, short(255), quiet=True, extension="dns-integration", dispensable=True, **how)


# Without the extension all ports are secured, which lets in less
_PORT_SECURITY = Field(
    "is_port_security_enabled", boolean, update=True, extension="port-security", default=True, opens=(False,)
)

NETWORK = ResourceKind(
    "network",
    "networks",
    "openstack.network.Network",
    "network",
    (
        _zones("network_availability_zone"),
        DESCRIPTION,
        _dns("dns_domain", update=True),
        Field("is_admin_state_up", boolean, update=True),
        replace(_DEFAULT, extension="auto-allocated-topology"),
        _PORT_SECURITY,
        replace(_SHARED, name="is_router_external", extension="external-net"),
        _SHARED,
        Field("is_vlan_transparent", boolean, default=False, extension="vlan-transparent", dispensable=True),
        Field("mtu", between(68, 65535), update=True, extension="net-mtu", dispensable=True),
        NAME,
        Field("provider_network_type", text, admin=True, extension="provider", dispensable=True),
        Field("provider_physical_network", text, admin=True, extension="provider", dispensable=True),
        Field(
            "provider_segmentation_id", between(0, (1 << 32) - 1), admin=True, extension="provider", dispensable=True
        ),
        Field("segments", list_of(mapping), admin=True, extension="multi-provider", dispensable=True),
        TAGS,
        _QOS,
    ),
    info=("availability_zones", *COMMON_INFO, "qos_policy_id", "status", "subnet_ids"),
    not_carried=("is_vlan_qinq",),
    guarded_by={"pvlan": False},
    quota="networks",
)

ADDRESS_SCOPE = ResourceKind(
    "address scope",
    "address_scopes",
    "openstack.network.AddressScope",
    "network",
    (NAME, Field("ip_version", one_of(4, 6), required=True), _SHARED),
    extension="address-scope",
)

SUBNET_POOL = ResourceKind(
    "subnet pool",
    "subnet_pools",
    "openstack.network.SubnetPool",
    "network",
    (
        NAME,
        DESCRIPTION,
        Field("prefixes", list_of(cidr), required=True, update=True, order=merged_prefixes),
        Field("default_prefix_length", between(0, 128), update=True),
        Field("minimum_prefix_length", between(0, 128), update=True),
        Field("maximum_prefix_length", between(0, 128), update=True),
        Field("default_quota", at_least(0), update=True),
        _DEFAULT,
        Field("is_shared", boolean, admin=True, default=False, dispensable=True),
        TAGS,
        ref("address_scope_ref", "address scope", update=True),
    ),
    info=COMMON_INFO,
    extension="subnet_allocation",
    quota="subnet_pools",
)

SEGMENT = ResourceKind(
    "segment",
    "segments",
    "openstack.network.Segment",
    "network",
    (NAME,),
    scope=Scope.CLOUD,
    extension="segment",
    find_only=True,
)

NETWORK_FLAVOR = ResourceKind(
    "network flavor",
    "flavors",
    "openstack.network.Flavor",
    "network",
    (NAME,),
    scope=Scope.CLOUD,
    extension="flavors",
    find_only=True,
)

SUBNET = ResourceKind(
    "subnet",
    "subnets",
    "openstack.subnet.Subnet",
    "network",
    (
        Field("allocation_pools", list_of(record(start=address, end=address)), update=True, order=by_start),
        Field("cidr", cidr, required=True),
        DESCRIPTION,
        Field("dns_nameservers", list_of(address), update=True, dispensable=True),  # the first is asked first
        Field("gateway_ip", address, update=True, null=True),
        Field("host_routes", list_of(record(destination=prefix, nexthop=address)), update=True, order=by_text),
        Field("ip_version", one_of(4, 6), required=True),
        Field("ipv6_address_mode", one_of("slaac", "dhcpv6-stateful", "dhcpv6-stateless")),
        Field("ipv6_ra_mode", one_of("slaac", "dhcpv6-stateful", "dhcpv6-stateless")),
        Field("is_dhcp_enabled", boolean, update=True),
        NAME,
        Field(
            "service_types",
            list_of(text),
            update=True,
            quiet=True,
            order=by_text,
            admin=True,
            extension="subnet-service-types",
            dispensable=True,
        ),
        TAGS,
        Field(
            "use_default_subnet_pool",
            boolean,
            compare=False,
            default=False,
            extension="default-subnetpools",
            dispensable=True,
        ),
        ref("network_ref", "network", required=True),
        ref("segment_ref", "segment", admin=True, extension="segment", dispensable=True),
        ref("subnet_pool_ref", "subnet pool", extension="subnet_allocation"),
    ),
    info=(*COMMON_INFO, "network_id", "prefix_length", "segment_id", "subnet_pool_id"),
    not_carried=("dns_publish_fixed_ip",),
    key=("network_id", "name"),
    parent="network_ref",
    quota="subnets",
)

ROUTER = ResourceKind(
    "router",
    "routers",
    "openstack.network.Router",
    "network",
    (
        _zones("router_availability_zone"),
        DESCRIPTION,
        Field("is_admin_state_up", boolean, update=True),
        Field("is_distributed", boolean, admin=True, default=False, extension="dvr", dispensable=True),
        Field("is_ha", boolean, admin=True, default=False, extension="l3-ha", dispensable=True),
        NAME,
        TAGS,
        Field(
            "external_gateway_refinfo",
            record(
                network_ref=reference,
                enable_snat=boolean,
                external_fixed_ips=list_of(record(ip_address=address, subnet_ref=reference)),
            ),
            update=True,
            sdk="external_gateway_info",
            extra_parts=("enable_snat",),
            parts=(
                Field("enable_snat", boolean, admin=True, extension="ext-gw-mode", default=True),
                Field("external_fixed_ips", list_of(mapping), admin=True),
            ),
            refs={"network_ref": "network", "subnet_ref": "subnet"},
            dispensable=True,  # the whole: without its enable_snat: false, addresses are translated, and lead outside
        ),
        ref("flavor_ref", "network flavor", extension="l3-flavors", dispensable=True),
        Field(
            "routes",
            list_of(record(destination=prefix, nexthop=address)),
            update=True,
            late=True,
            extra=True,
            default=[],
            order=by_text,
            extension="extraroute",
        ),
    ),
    info=(*COMMON_INFO, "availability_zones", "external_gateway_info", "flavor_id", "routes", "status"),
    not_carried=("enable_default_route_bfd", "enable_default_route_ecmp", "enable_ndp_proxy", "evpn_vni"),
    after=("subnet",),  # on a network without one, its gateway gets no address
    extension="router",
    quota="routers",
)

_FIXED_IPS = Field(
    "fixed_ips_refs",
    list_of(record(ip_address=address, subnet_ref=reference)),
    sdk="fixed_ips",
    refs={"subnet_ref": "subnet"},
    order=by_text,
)

ROUTER_INTERFACE = ResourceKind(
    "router interface",
    "router_interfaces",
    "openstack.network.RouterInterface",
    "network",
    (
        Field("device_owner", text, compare=False, sent=False, dispensable=True),
        ref("device_ref", "router", required=True),
        _FIXED_IPS,
        ref("network_ref", "network", required=True),
    ),
    key=("device_id", "network_id", "subnets"),
    told=("device_ref", "fixed_ips_refs"),
    after=("subnet",),  # how it is made depends on whether its network has one whose addresses Neutron gives by itself
    parent="device_ref",
    extension="router",
    quota="ports",
)

PORT = ResourceKind(
    "port",
    "ports",
    "openstack.network.Port",
    "network",
    (
        Field(
            "allowed_address_pairs",
            list_of(record(ip_address=prefix, mac_address=mac)),
            update=True,
            order=by_text,
            network_owner=True,
            extension="allowed-address-pairs",
            dispensable=True,
        ),
        Field("binding_vnic_type", text, update=True, default="normal", extension="binding", dispensable=True),
        DESCRIPTION,
        _dns("dns_name", update=True),
        Field(
            "extra_dhcp_opts",
            list_of(record(opt_name=short(64), opt_value=short(255), ip_version=one_of(4, 6))),
            update=True,
            order=by_text,
            extension="extra_dhcp_opt",
            dispensable=True,
        ),
        Field("is_admin_state_up", boolean, update=True),
        replace(_PORT_SECURITY, network_owner=True),
        Field("mac_address", mac, network_owner=True, dispensable=True),
        NAME,
        TAGS,
        replace(_FIXED_IPS, parts=(Field("ip_address", address, network_owner=True),)),
        ref("network_ref", "network", required=True),
        _QOS,
        Field(
            "security_group_refs",
            list_of(reference),
            sdk="security_group_ids",
            refs={"security_group_refs": "security group"},
            update=True,
            order=by_text,
        ),
    ),
    info=(*COMMON_INFO, "network_id", "status"),
    key=("network_id", "name"),
    not_carried=(
        "binding_profile",
        "device_profile",
        "dns_domain",
        "hardware_offload_type",
        "hints",
        "numa_affinity_policy",
        "trusted",
    ),
    guarded_by={"pvlan_type": "promiscuous", "pvlan_community": ""},
    after=("subnet",),  # without an address of its own it gets one of each subnet that is there already
    parent="network_ref",
    quota="ports",
)

TRUNK = ResourceKind(
    "trunk",
    "trunks",
    "openstack.network.Trunk",
    "network",
    (
        NAME,
        DESCRIPTION,
        Field("is_admin_state_up", boolean, update=True),
        ref("port_ref", "port", required=True),
        Field(
            "sub_ports",
            list_of(
                record(
                    port_ref=reference, segmentation_id=between(0, 4094), segmentation_type=one_of("vlan", "inherit")
                )
            ),
            refs={"port_ref": "port"},
            order=by_text,
        ),
        TAGS,
    ),
    info=(*COMMON_INFO, "status"),
    extension="trunk",
    quota="trunks",
)

FLOATING_IP = ResourceKind(
    "floating ip",
    "floating_ips",
    "openstack.network.FloatingIP",
    "network",
    (
        DESCRIPTION,
        _dns("dns_domain"),
        _dns("dns_name"),
        Field("fixed_ip_address", address, update=True),
        Field("floating_ip_address", address, required=True, compare=False),
        TAGS,
        ref("floating_network_ref", "network", required=True),
        ref("port_ref", "port", update=True),
        ref("load_balancer_ref", "load balancer", update=True, extra=True),
        replace(_QOS, extension="qos-fip"),
    ),
    info=(*COMMON_INFO, "floating_network_id", "router_id", "status"),
    key=("floating_network_id", "floating_ip_address"),
    told=("floating_ip_address",),
    after=("subnet", "router interface"),  # a port can only have one when a router leads there
    extension="router",
    quota="floating_ips",
)

SHAREABLE = {
    "network": "network",
    "qos_policy": "qos policy",
    "security_group": "security group",
    "address_scope": "address scope",
    "subnetpool": "subnet pool",
    "address_group": "address group",
}

RBAC_POLICY = ResourceKind(
    "rbac policy",
    "rbac_policies",
    "openstack.network.RbacPolicy",
    "network",
    (
        Field("action", one_of("access_as_shared", "access_as_external"), required=True),
        Field("object_type", one_of(*SHAREABLE), required=True),
        Field(
            "object_ref",
            reference,
            required=True,
            sdk="object_id",
            refs={"object_ref": lambda params: SHAREABLE.get(str(params.get("object_type")), "network")},
        ),
        # A null project stands for all of them
        ref("target_project_ref", "project", null=True, lets_in=True),
    ),
    key=("action", "object_type", "object_id", "target_project_id"),
    parent="object_ref",
    extension="rbac-policies",
    quota="rbac_policies",
)

FIREWALL_GROUP = ResourceKind(
    "firewall group",
    "firewall_groups",
    "openstack.network.FirewallGroup",
    "network",
    (NAME,),
    extension="fwaas_v2",
    find_only=True,
)

KINDS = (
    QOS_POLICY,
    ADDRESS_SCOPE,
    SUBNET_POOL,
    NETWORK,
    SUBNET,
    ROUTER,
    ROUTER_INTERFACE,
    PORT,
    TRUNK,
    FLOATING_IP,
    RBAC_POLICY,
    SEGMENT,
    NETWORK_FLAVOR,
    FIREWALL_GROUP,
)
