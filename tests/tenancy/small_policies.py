"""Policies of a small cloud's network service: what it refuses and doesn't tell, as Neutron's policies and extensions
have it.

The words are Neutron's.
"""

# Attributes that only clouds with an extension have, by collection
OF_EXTENSIONS = {
    "networks": {
        "port_security_enabled": "port-security", "mtu": "net-mtu", "router:external": "external-net",
        "availability_zone_hints": "network_availability_zone", "dns_domain": "dns-integration",
        "vlan_transparent": "vlan-transparent", "is_default": "auto-allocated-topology", "qos_policy_id": "qos",
        "provider:network_type": "provider", "provider:physical_network": "provider",
        "provider:segmentation_id": "provider", "segments": "multi-provider", "tags": "standard-attr-tag",
    },
    "subnets": {"service_types": "subnet-service-types", "subnetpool_id": "subnet_allocation",
                "tags": "standard-attr-tag", "segment_id": "segment"},
    "routers": {"routes": "extraroute", "availability_zone_hints": "router_availability_zone", "distributed": "dvr",
                "ha": "l3-ha", "flavor_id": "l3-flavors", "tags": "standard-attr-tag"},
    "ports": {
        "port_security_enabled": "port-security", "allowed_address_pairs": "allowed-address-pairs",
        "binding:vnic_type": "binding", "extra_dhcp_opts": "extra_dhcp_opt", "dns_name": "dns-integration",
        "qos_policy_id": "qos", "tags": "standard-attr-tag",
    },
    "security-groups": {"stateful": "stateful-security-group", "tags": "standard-attr-tag"},
    "security-group-rules": {"remote_address_group_id": "security-groups-remote-address-group"},
    "floatingips": {"dns_name": "dns-integration", "dns_domain": "dns-integration", "qos_policy_id": "qos-fip"},
}  # fmt: skip

# Attributes that only an administrator may set to anything else than this
OF_ADMINISTRATORS = {
    "networks": {"shared": False, "router:external": False, "is_default": False, "provider:network_type": None,
                 "provider:physical_network": None, "provider:segmentation_id": None, "segments": None},
    "subnets": {"service_types": None, "segment_id": None},
    "subnetpools": {"shared": False, "is_default": False},
    "address-scopes": {"shared": False},
    "routers": {"distributed": None, "ha": None},
    "qos/policies": {"shared": False, "is_default": False},
}  # fmt: skip
HIDDEN = ("provider:network_type", "provider:physical_network", "provider:segmentation_id", "segments")
OF_NETWORK_OWNERS = ("mac_address", "port_security_enabled", "allowed_address_pairs")  # and a fixed address


def attributes(extensions, collection):
    """Return the attributes that a cloud with these extensions doesn't know."""
    return {name for name, alias in OF_EXTENSIONS.get(collection, {}).items() if alias not in extensions}


def told(cloud, collection, thing, project):
    """A resource as the service tells it to somebody."""
    hidden = attributes(cloud.extensions, collection) | (set() if project == "admin" else {*HIDDEN})
    return {name: value for name, value in thing.items() if name not in hidden}


def refusal(cloud, collection, given, project, *, change=False):
    """Return a status and the service's words, or None; `given` is what is asked for."""
    unknown = sorted(attributes(cloud.extensions, collection) & set(given))
    if unknown:
        return 400, f"Unrecognized attribute(s) '{', '.join(unknown)}'"
    gateway = given.get("external_gateway_info") or {}
    if "enable_snat" in gateway and "ext-gw-mode" not in cloud.extensions:
        return 400, "Invalid input for external_gateway_info. Reason: Unexpected keys supplied: enable_snat."
    if project != "admin" and (denied := _denied(cloud, collection, given, gateway, project, change=change)):
        rule = f"rule:{'update' if change else 'create'}_{collection.removesuffix('s')}:{denied}"
        return 403, f"({rule}) is disallowed by policy"
    if collection == "rbac-policies" and given.get("target_tenant") == "*" and project != "admin":
        return 403, "rule:create_rbac_policy and rule:create_rbac_policy:target_tenant is disallowed by policy"
    if (given.get("mtu") or 0) > cloud.largest_mtu:
        return 400, f"Invalid input for operation: Requested MTU is too big, maximum is {cloud.largest_mtu}."
    if given.get("provider:network_type") not in (None, *cloud.network_types):
        return 400, f"Invalid input for operation: network_type value '{given['provider:network_type']}' not supported."
    missing = [zone for zone in given.get("availability_zone_hints") or () if zone not in cloud.zones]
    return (404, f"AvailabilityZone {missing[0]} could not be found.") if missing else None


def _denied(cloud, collection, given, gateway, project, *, change):
    for name, free in OF_ADMINISTRATORS.get(collection, {}).items():
        if name in given and given[name] != free:
            return name
    inner = sorted({"enable_snat", "external_fixed_ips"} & set(gateway))
    if inner:
        return f"external_gateway_info:{inner[0]}"
    network = cloud.things.get("networks", {}).get(given.get("network_id"))
    if collection == "ports" and not change and network and network["project_id"] != project:
        if any("ip_address" in ip for ip in given.get("fixed_ips") or ()):
            return "fixed_ips:ip_address"
        return next((name for name in OF_NETWORK_OWNERS if name in given), None)
    return None
