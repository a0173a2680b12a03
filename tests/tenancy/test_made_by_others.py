"""What administrators made in a tenant's project is part of the project."""

import pytest
from resource_files import compared, exported, imported, interface, network, of, router, subnet

RULES = "security_groups,security_group_rules"
NETS = "networks,subnets,routers,router_interfaces"
WEB = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 443, "port_range_max": 443}


@pytest.fixture
def web(small):
    """A tenant's group with a rule of an administrator's."""
    group = small.connect("one").network.create_security_group(name="web")
    small.add("security-group-rules", {**WEB, "security_group_id": group.id}, "admin")


def test_rules_that_an_administrator_made_in_a_tenants_group_come_along(small, web, files):
    """os-migrate#82, ansible#19124"""
    exported(small.connect("one"), files.path, RULES)
    assert [r["params"]["port_range_min"] for r in files.read("security_group_rules.yml")] == [None, None, 443]
    assert {row.action for row in compared(small.connect("one"), files.path, RULES).rows} == {"leave"}
    assert not of(imported(small.connect("two"), files.path, RULES), "failed")
    assert {row.action for row in imported(small.connect("two"), files.path, RULES).rows} == {"left"}


def test_a_rule_that_an_administrator_has_made_on_the_target_is_there(small, web, files):
    exported(small.connect("one"), files.path, RULES)
    there = small.connect("two").network.create_security_group(name="web")
    small.add("security-group-rules", {**WEB, "security_group_id": there.id}, "admin")
    assert {row.action for row in imported(small.connect("two"), files.path, RULES).rows} == {"left"}


def test_a_subnet_and_an_interface_that_an_administrator_made(small, files, tmp_path):
    files.write("networks.yml", network("front"))
    files.write("subnets.yml", subnet("s", "10.1.0.0/24", "front", gateway_ip="10.1.0.1"))
    files.write("routers.yml", router("edge"))
    files.write("router_interfaces.yml", interface("edge", "front", ("s", "10.1.0.1")))
    imported(small.connect("one"), files.path, NETS)
    for made in (*small.things["subnets"].values(), *small.things["ports"].values()):
        made["project_id"] = "admin"
    assert exported(small.connect("one"), tmp_path / "out", NETS).files == {
        "networks.yml": 1, "subnets.yml": 1, "routers.yml": 1, "router_interfaces.yml": 1
    }  # fmt: skip
    assert {row.action for row in compared(small.connect("one"), tmp_path / "out", NETS).rows} == {"leave"}
    assert {row.action for row in imported(small.connect("two"), tmp_path / "out", NETS).rows} == {"made"}


def test_a_share_that_an_administrator_made_of_a_tenants_network(small, files):
    front = small.connect("one").network.create_network(name="front")
    share = {"object_type": "network", "object_id": front.id, "action": "access_as_shared", "target_tenant": "one"}
    small.add("rbac-policies", share, "admin")
    assert (
        exported(small.connect("one"), files.path, "networks,rbac_policies").files["longshore/rbac_policies.yml"] == 1
    )


def test_a_trunk_that_an_administrator_made_of_a_tenants_port(small, files):
    only = "networks,ports,trunks"
    front = small.add("networks", {"name": "front"}, "one")
    parent, sub = (small.add("ports", {"name": name, "network_id": front["id"]}, "one") for name in ("eth0", "vlan7"))
    sub["device_owner"] = "trunk:subport"
    subs = [{"port_id": sub["id"], "segmentation_id": 7, "segmentation_type": "vlan"}]
    small.add("trunks", {"name": "vm", "port_id": parent["id"], "sub_ports": subs}, "admin")
    assert exported(small.connect("one"), files.path, only).files["longshore/trunks.yml"] == 1
    assert {row.action for row in compared(small.connect("one"), files.path, only).rows} == {"leave"}
    assert {row.action for row in imported(small.connect("two"), files.path, only).rows} == {"made"}
    assert {row.action for row in imported(small.connect("two"), files.path, only).rows} == {"left"}


def test_a_floating_ip_that_leads_to_a_port_of_somebody_else_is_named(small, files):
    public = small.add("networks", {"name": "public", "router:external": True}, "operator")
    theirs = small.add("ports", {"name": "p", "network_id": public["id"]}, "admin")
    small.add("floatingips", {"floating_network_id": public["id"], "port_id": theirs["id"]}, "one")
    assert exported(small.connect("one"), files.path, "floating_ips").notes == [
        "floating_ips: 203.0.113.1 leads to a port that isn't exported; a server's goes with the server."
    ]
