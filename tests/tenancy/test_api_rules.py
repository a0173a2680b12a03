"""A refusal of the APIs is foretold before anything is made, with file and line."""

import pytest
from resource_files import group, interface, network, ref, router, rule, subnet

from longshore.tenancy import validate


def faults(files):
    return [str(fault) for fault in validate(files.path)[1]]


TCP = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (TCP | {"port_range_max": 99999}, "params.port_range_max must be between 0 and 65535, not 99999."),
        (TCP | {"port_range_min": 23}, "The ports from 23 to 22 aren't a range within 1 to 65535."),
        (TCP | {"port_range_min": 0}, "The ports from 0 to 22 aren't a range within 1 to 65535."),
        (TCP | {"port_range_max": None}, "The ports from 22 to None aren't a range within 1 to 65535."),
        (TCP | {"protocol": None}, "A rule with ports needs a protocol."),
        (TCP | {"protocol": "gre"}, "A rule for the protocol gre can't have ports."),
        (
            TCP | {"protocol": "tpc"},
            'params.protocol "tpc" isn\'t a protocol that the network service knows, or a number up to 255.',
        ),
        (
            {"protocol": "icmp", "port_range_min": 300},
            "For ICMP, port_range_min is the type and port_range_max the code: 0 to 255.",
        ),
        ({"protocol": "icmpv6"}, "The protocol ipv6-icmp is one of IPv6, but ether_type is IPv4."),
        ({"remote_ip_prefix": "fd00::/8"}, "fd00::/8 isn't of IPv4, the rule's ether_type."),
        (
            {"remote_ip_prefix": "10.0.0.0/8", "remote_group_ref": ref("web")},
            "A rule has one remote: remote_ip_prefix or remote_group_ref.",
        ),
    ],
)
def test_rules(files, params, said):
    files.write("security_groups.yml", group("web"))
    files.write("security_group_rules.yml", rule("web", **params))
    (found,) = faults(files)
    assert found.startswith("security_group_rules.yml:")
    assert found.endswith(said)


@pytest.mark.parametrize(
    "params",
    [
        TCP,
        {"protocol": "17", "port_range_min": 1, "port_range_max": 65535},
        {"protocol": "112"},
        {"protocol": "icmp", "port_range_min": 0, "port_range_max": 0},
        {"protocol": "icmp", "ether_type": "IPv6"},
        {"remote_ip_prefix": "10.0.0.7"},
    ],
)
def test_rules_that_are_right(files, params):
    files.write("security_groups.yml", group("web"))
    files.write("security_group_rules.yml", rule("web", **params))
    assert faults(files) == []


SLAAC = {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}


@pytest.mark.parametrize(
    ("cidr", "params", "said"),
    [
        ("10.0.0.0/31", {}, "10.0.0.0/31 is too small for DHCP"),
        ("10.0.0.0/24", SLAAC, "is for subnets of IPv6."),
        ("fd00::/80", SLAAC, "slaac needs a prefix of 64 bits, and fd00::/80 has 80."),
        ("fd00::/64", {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "dhcpv6-stateful"}, "must be the same"),
        ("fd00::/64", {"ipv6_ra_mode": "slaac", "is_dhcp_enabled": False}, "needs is_dhcp_enabled to be true"),
        ("10.0.0.0/24", {"dns_nameservers": ["fd00::53"]}, "fd00::53 in dns_nameservers isn't of IPv4"),
        ("10.0.0.0/24", {"dns_nameservers": ["9.9.9.9", "9.9.9.9"]}, "dns_nameservers has an entry twice."),
        ("10.0.0.0/24", {"gateway_ip": "10.0.0.255"}, "is the first or last address of 10.0.0.0/24"),
        (
            "10.0.0.0/24",
            {"gateway_ip": "10.0.0.1", "allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.9"}]},
            "The gateway 10.0.0.1 is in the allocation pool from 10.0.0.1 to 10.0.0.9.",
        ),
        (
            "10.0.0.0/24",
            {"allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.9"}, {"start": "10.0.0.2", "end": "10.0.0.5"}]},
            "Two allocation pools overlap",
        ),
    ],
)
def test_subnets(files, cidr, params, said):
    files.write("subnets.yml", subnet("s", cidr, "front", **params))
    assert any(said in fault for fault in faults(files)), faults(files)


def of_type(type_, **params):
    return {"type": type_, "params": params}


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (interface("edge", "front"), "A router interface needs fixed_ips_refs, each with its subnet_ref."),
        (network("n" * 256), "params.name has 256 characters, and 255 are allowed."),
        (
            of_type("openstack.compute.Keypair", name="k/x", public_key="ssh-rsa AAAA", user_ref={"name": "%auth%"}),
            "params.name can only have letters, digits, spaces and @ . _ - (255 at most).",
        ),
        (
            of_type("openstack.compute.Keypair", name="k", public_key="AAAA", user_ref={"name": "%auth%"}),
            "isn't an SSH public key",
        ),
        (of_type("openstack.compute.Flavor", name="f", ram=0, vcpus=1), "params.ram must be between 1 and"),
        (
            of_type("openstack.compute.ServerGroup", name="g", policies=["affinity"], rules={"max_server_per_host": 2}),
            "max_server_per_host is for the policy anti-affinity only.",
        ),
        (
            of_type("openstack.compute.ServerGroup", name="g", policies=["affinity", "anti-affinity"]),
            "has one policy, not 2.",
        ),
        (
            of_type(
                "openstack.network.SubnetPool",
                name="p",
                prefixes=["10.0.0.0/8"],
                minimum_prefix_length=28,
                default_prefix_length=24,
            ),
            "minimum_prefix_length (28) is more than default_prefix_length (24).",
        ),
        (
            of_type("openstack.network.QosPolicy", name="q", rules=[{"type": ["dscp_marking"], "dscp_mark": 8}]),
            "A rule's type must be one of bandwidth_limit,",
        ),
        (
            of_type("openstack.network.QosPolicy", name="q", rules=[{"type": "bandwidth_limit", "max_kbps": True}]),
            "needs max_kbps, a whole number of at least 0.",
        ),
        (
            router("edge", external_gateway_refinfo={"network_ref": None}),
            "A gateway needs its network_ref; without a gateway, write null.",
        ),
        (router("edge", routes=[{"nexthop": "10.0.0.1"}]), "Each entry of routes needs destination and nexthop."),
        (
            subnet("s", "fd00::/64", "n", host_routes=[{"destination": "fd01::/64"}]),
            "Each entry of host_routes needs destination and nexthop.",
        ),
        (
            subnet("s", "fe80::/64", "n", dns_nameservers=["fe80::1%eth0"]),
            'params.dns_nameservers has an entry that "fe80::1%eth0" isn\'t an IP address.',
        ),
        (
            of_type("openstack.network.QosPolicy", name="q", rules=[{"type": "dscp_marking", "dscp_mark": 7}]),
            "dscp_mark must be one of 0, 8,",
        ),
        (
            of_type(
                "openstack.network.RbacPolicy",
                action="access_as_external",
                object_type="qos_policy",
                object_ref=ref("q"),
                target_project_ref=None,
            ),
            "access_as_external is for networks only.",
        ),
        (of_type("openstack.Quota", project_ref={"name": "p"}, compute={"cores": -2}), "must be at least -1, not -2."),
        (of_type("openstack.identity.Project", name="p" * 65, domain_ref={"name": "d"}), "has 65 characters, and 64"),
        (
            of_type("openstack.image.Image", name="i", disk_format="raw", visibility="secret"),
            "params.visibility must be one of community, private, public, shared",
        ),
    ],
)
def test_other_kinds(files, resource, said):
    files.write("things.yml", resource)
    found = [fault for fault in faults(files) if "bytes of image" not in fault]
    assert len(found) == 1, found
    assert said in found[0]


def test_a_bad_cidr_is_told_where_it_is_and_nowhere_else(files):
    files.write("networks.yml", network("front"))
    files.write("subnets.yml", subnet("s", "10.0.0.0/33", "front"))
    files.write("routers.yml", router("edge"))
    files.write("router_interfaces.yml", interface("edge", "front", ("s", "10.0.0.1")))
    assert faults(files) == ['subnets.yml:6: params.cidr "10.0.0.0/33" isn\'t a CIDR.']
