"""Which addresses a port gets: those that its file names, any of each subnet, or none at all."""

import pytest
from resource_files import compared, exported, imported, network, of, port, subnet

ONLY = "networks,subnets,ports"


def addresses(small, project="here"):
    ports = [p for p in small.things["ports"].values() if p["project_id"] == project]
    return {p["name"]: [ip["ip_address"] for ip in p["fixed_ips"]] for p in ports}


def test_a_port_that_says_nothing_gets_an_address_of_a_subnet_that_comes_with_it(small, files):
    """terraform-provider-openstack#429, #676"""
    names = [f"n{number}" for number in range(4)]
    files.write("networks.yml", *map(network, names))
    files.write("subnets.yml", *(subnet("s", f"10.76.{i}.0/24", name) for i, name in enumerate(names)))
    files.write("longshore/ports.yml", *(port(f"p{i}", name) for i, name in enumerate(names)))
    imported(small.connect(), files.path, ONLY)
    assert addresses(small) == {f"p{i}": [f"10.76.{i}.1"] for i in range(4)}


@pytest.fixture
def silent(small):
    """A port without addresses, on a network that gives some."""
    here = small.connect("one")
    front = here.network.create_network(name="front")
    here.network.create_subnet(name="s", network_id=front.id, ip_version=4, cidr="10.73.1.0/24")
    return here.network.create_port(name="l2", network_id=front.id, fixed_ips=[])


def test_a_port_without_an_address_gets_none(small, silent, files):
    """terraform-provider-openstack#541"""
    exported(small.connect("one"), files.path, ONLY)
    assert {row.action for row in compared(small.connect("one"), files.path, ONLY).rows} == {"leave"}
    imported(small.connect("two"), files.path, ONLY)
    assert addresses(small, "two") == {"l2": []}
    assert {row.action for row in imported(small.connect("two"), files.path, ONLY).rows} == {"left"}


def test_a_port_that_has_an_address_where_the_files_say_none_is_another(small, silent, files):
    exported(small.connect("one"), files.path, ONLY)
    small.things["ports"][silent.id]["fixed_ips"] = [
        {"subnet_id": next(iter(small.things["subnets"])), "ip_address": "10.73.1.9"}
    ]
    (row,) = [row for row in compared(small.connect("one"), files.path, ONLY).rows if row.action == "conflict"]
    assert "fixed_ips_refs is" in row.said


def test_a_port_that_gets_its_address_when_it_is_bound_does_not_say_that_it_has_none(small, silent, files):
    small.things["ports"][silent.id]["ip_allocation"] = "deferred"
    exported(small.connect("one"), files.path, ONLY)
    assert files.read("longshore/ports.yml")[0]["params"]["fixed_ips_refs"] is None


def test_a_router_of_an_outer_network_of_ones_own_gets_its_address(small, files):
    """Its gateway's address is one of a subnet that the same import makes."""
    files.write("networks.yml", network("outside", is_router_external=True))
    files.write("subnets.yml", subnet("s", "203.0.113.0/24", "outside"))
    gateway = {"network_ref": {"name": "outside", "project_name": "%auth%", "domain_name": "%auth%"}}
    edge = {"type": "openstack.network.Router", "params": {"name": "edge", "external_gateway_refinfo": gateway}}
    files.write("routers.yml", edge)
    assert not of(imported(small.connect("admin"), files.path, "networks,subnets,routers"), "failed")
    made = [path.rpartition("/")[2] for method, path, _ in small.log if method == "POST"]
    assert made == ["networks", "subnets", "routers"]


def test_lists_that_were_emptied_are_emptied_there(small, files):
    files.write("networks.yml", network("front"))
    files.write("longshore/ports.yml", port("p", "front", allowed_address_pairs=[{"ip_address": "10.0.0.9"}]))
    imported(small.connect(), files.path, ONLY)
    files.write("longshore/ports.yml", port("p", "front", allowed_address_pairs=[]))
    assert of(imported(small.connect(), files.path, ONLY), "changed") == {("port", "p")}
    assert [p["allowed_address_pairs"] for p in small.things["ports"].values()] == [[]]
