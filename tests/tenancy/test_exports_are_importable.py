"""Whatever a project has, its export can be imported: what files can't say is named and left out."""

import pytest
from resource_files import compared, exported, imported, of

from longshore.tenancy import validate

NETS = "networks,subnets,security_groups,security_group_rules,ports,trunks,floating_ips,routers,router_interfaces"


def there_and_back(small, files, only=NETS):
    """Valid, the same as where it came from, made elsewhere, and nothing to do the second time. Answers the notes."""
    notes = exported(small.connect("one"), files.path, only).notes
    assert [str(fault) for fault in validate(files.path)[1]] == []
    assert {row.action for row in compared(small.connect("one"), files.path, only).rows} <= {"leave"}
    assert {row.action for row in imported(small.connect("two"), files.path, only).rows} <= {"made", "left"}
    assert {row.action for row in imported(small.connect("two"), files.path, only).rows} <= {"left"}
    return notes


def test_things_of_one_name_are_told_apart(small, files):
    """ansible#26634, SovereignCloudStack/k8s-cluster-api-provider#343"""
    network = small.connect("one").network
    for number in (0, 1):
        net = network.create_network(name="net")
        sub = network.create_subnet(name="s", network_id=net.id, ip_version=4, cidr=f"10.0.{number}.0/24")
        group = network.create_security_group(name="k8s", description=str(number))
        network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ether_type="IPv4", remote_group_id=group.id
        )
        ips = [{"subnet_id": sub.id, "ip_address": f"10.0.{number}.7"}]
        network.create_port(name="p", network_id=net.id, fixed_ips=ips, security_group_ids=[group.id])
    notes = there_and_back(small, files)
    assert sorted(note.partition(",")[0] for note in notes) == [
        f"{kind}: {name} is the name of several there"
        for kind, name in (("networks", "net"), ("ports", "p"), ("security_groups", "k8s"))
    ]
    # Each has its own of everything
    made = {id_: t for things in small.things.values() for id_, t in things.items() if t["project_id"] == "two"}
    ports = [thing for thing in made.values() if "mac_address" in thing]
    assert len(ports) == 2
    for port in ports:
        (ip,), (group,) = port["fixed_ips"], port["security_groups"]
        number = ip["ip_address"].split(".")[2]
        assert made[group]["description"] == number
        assert made[ip["subnet_id"]]["network_id"] == port["network_id"]
        assert [r["remote_group_id"] for r in made[group]["security_group_rules"] if r["direction"] == "ingress"] == [
            group
        ]


def test_a_name_that_looks_like_another_ones_is_none(small, files):
    network = small.connect("one").network
    first = network.create_network(name="net")
    network.create_network(name="net")
    network.create_network(name=f"net-{first.id[:8]}")
    network.create_network(name="x" * 255)
    network.create_network(name="x" * 255)
    there_and_back(small, files)


def test_two_outer_networks_of_one_name(small, files):
    """The member can't see whose they are."""
    for owner in ("operator", "other"):
        outside = small.add("networks", {"name": "public", "router:external": True, "shared": True}, owner)
        small.add("routers", {"name": f"to-{owner}", "external_gateway_info": {"network_id": outside["id"]}}, "one")
    exported(small.connect("one"), files.path, NETS)
    assert {row.action for row in compared(small.connect("one"), files.path, NETS).rows} == {"leave"}
    same_owner = small.add("networks", {"name": "public", "router:external": True, "shared": True}, "operator")
    small.add("routers", {"name": "third", "external_gateway_info": {"network_id": same_owner["id"]}}, "one")
    exported(small.connect("one"), files.path, NETS, overwrite=True)
    assert {row.action for row in compared(small.connect("one"), files.path, NETS).rows} == {"leave"}


@pytest.fixture
def trunk(small):
    """A server with two networks on one port."""
    network = small.connect("one").network
    front, vlan7 = network.create_network(name="front"), network.create_network(name="vlan7")
    parent, sub = (network.create_port(name=f"of-{net.name}", network_id=net.id) for net in (front, vlan7))
    subs = [{"port_id": sub.id, "segmentation_id": 7, "segmentation_type": "vlan"}]
    network.create_trunk(name="vm", port_id=parent.id, sub_ports=subs)
    small.things["ports"][sub.id] |= {"device_owner": "trunk:subport", "device_id": "the-trunk"}
    return small.things["ports"][parent.id]


def test_a_trunk_of_a_server_goes_with_the_server(small, trunk, files):
    """kubernetes/cloud-provider-openstack#2228, #1535"""
    trunk |= {"device_owner": "compute:nova", "device_id": "a-server"}
    assert there_and_back(small, files) == [
        "ports: of-vlan7 is left out: it is part of the trunk vm, which is a server's.",
        "trunks: vm is left out: what its port_ref names belongs to a server or a service, and isn't carried.",
    ]


def test_a_trunk_of_nobody_comes_along(small, trunk, files):
    assert there_and_back(small, files) == []
    assert len(files.read("longshore/trunks.yml")) == 1


def test_what_validate_would_refuse_is_left_out_with_what_needs_it(small, files):
    """Things that a cloud has from former times, or from an operator's own hand."""
    net = small.add("networks", {"name": "front", "mtu": 0}, "one")
    small.add("subnets", {"name": "s", "network_id": net["id"], "cidr": "10.0.0.0/24", "ip_version": 4}, "one")
    small.add("networks", {"name": "back"}, "one")
    group = small.add("security-groups", {"name": "web"}, "one")
    for _ in range(2):
        small.add("security-group-rules", {"security_group_id": group["id"], "direction": "ingress"}, "one")
    assert set(there_and_back(small, files)) == {
        "networks: front is left out: params.mtu must be between 68 and 65535, not 0.",
        "subnets: s is left out: what its network_ref names is left out, too.",
        "security_group_rules: web ingress IPv4 is left out: The security group rule web ingress IPv4 is here a second "
        "time; the first is in security_group_rules.yml.",
    }


def test_a_part_of_a_project_is_importable_too(small, files):
    network = small.connect("one").network
    web, db = (network.create_security_group(name=name) for name in ("web", "db"))
    network.create_security_group_rule(
        security_group_id=web.id, direction="ingress", ether_type="IPv4", remote_group_id=db.id
    )
    done = exported(small.connect("one"), files.path, NETS, filters=["name=web"])
    assert [str(fault) for fault in validate(files.path)[1]] == []
    assert any("which isn't in these files" in note for note in done.notes)
    assert of(imported(small.connect("two"), files.path, NETS), "failed") == set()


def test_a_subnet_with_a_delegated_prefix_stays(small, files):
    """terraform-provider-openstack#1103"""
    net = small.add("networks", {"name": "v6"}, "one")
    slaac = {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac", "subnetpool_id": "prefix_delegation"}
    small.add("subnets", {"name": "pd", "network_id": net["id"], "cidr": "::/64", "ip_version": 6, **slaac}, "one")
    small.add("ports", {"name": "p", "network_id": net["id"]}, "one")
    assert there_and_back(small, files) == [
        "subnets: pd is left out: its prefix is delegated from outside, which isn't carried."
    ]
    assert len(files.read("longshore/ports.yml")) == 1


def test_an_export_of_nothing_is_one_too(small, files):
    done = exported(small.connect("one"), files.path, "images,keypairs")
    assert (sum(done.files.values()), done.notes) == (0, [])
    assert [str(fault) for fault in validate(files.path)[1]] == []
    assert compared(small.connect("one"), files.path, "images,keypairs").rows == []
    assert imported(small.connect("two"), files.path, "images,keypairs").rows == []
