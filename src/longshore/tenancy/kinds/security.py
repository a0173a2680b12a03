"""Kinds that say who may reach what: address groups, security groups and their rules."""

from dataclasses import replace

from longshore.tenancy.forms import between, boolean, ip_protocol, list_of, one_of, prefix, short
from longshore.tenancy.kind import Field, ResourceKind, ref
from longshore.tenancy.kinds.network import COMMON_INFO, DESCRIPTION, NAME, TAGS
from longshore.tenancy.normal import by_text, ether_type, protocol, remote_prefix

_OWN_TAGS = replace(TAGS, extra=True, default=[])

_ADDRESS_GROUPS = "security-groups-remote-address-group"

ADDRESS_GROUP = ResourceKind(
    "address group",
    "address_groups",
    "openstack.network.AddressGroup",
    "network",
    (NAME, DESCRIPTION, Field("addresses", list_of(prefix), required=True, update=True, order=by_text)),
    extension="address-group",
    guards=True,
)

SECURITY_GROUP = ResourceKind(
    "security group",
    "security_groups",
    "openstack.network.SecurityGroup",
    "network",
    (
        NAME,
        DESCRIPTION,
        Field(
            "is_stateful",
            boolean,
            update=True,
            sdk="stateful",
            extra=True,
            default=True,
            extension="stateful-security-group",
        ),
        _OWN_TAGS,
    ),
    info=COMMON_INFO,
    quota="security_groups",
    guards=True,
)

SECURITY_GROUP_RULE = ResourceKind(
    "security group rule",
    "security_group_rules",
    "openstack.network.SecurityGroupRule",
    "network",
    (
        Field("description", short(255), compare=False, dispensable=True),
        Field("direction", one_of("ingress", "egress"), required=True),
        Field("ether_type", one_of("IPv4", "IPv6"), order=ether_type),
        Field("port_range_max", between(0, 65535)),
        Field("port_range_min", between(0, 65535)),
        Field("protocol", ip_protocol, order=protocol),
        Field("remote_ip_prefix", prefix, order=remote_prefix),
        ref("security_group_ref", "security group", required=True),
        ref("remote_group_ref", "security group"),
        ref("remote_address_group_ref", "address group", extra=True, extension=_ADDRESS_GROUPS),
    ),
    info=(*COMMON_INFO, "remote_group_id", "security_group_id"),
    not_carried=("tags",),
    key=(
        "security_group_id",
        "direction",
        "ether_type",
        "protocol",
        "port_range_min",
        "port_range_max",
        "remote_ip_prefix",
        "remote_group_id",
        "remote_address_group_id",
    ),
    parent="security_group_ref",
    quota="security_group_rules",
)

KINDS = (ADDRESS_GROUP, SECURITY_GROUP, SECURITY_GROUP_RULE)
