"""Ports on networks whose IPv6 addresses follow from MAC addresses: Neutron gives them, and refuses to be asked."""

import time

import pytest
from resource_files import exported, imported, interface, network, of, port, router, subnet

from longshore.tenancy.services.network import Subnets

KINDS = "networks,subnets,routers,router_interfaces,ports"
SLAAC = {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}


@pytest.fixture
def dual(files):
    files.write("networks.yml", network("front"))
    files.write(
        "subnets.yml",
        subnet("v4", "10.1.0.0/24", "front", gateway_ip="10.1.0.1"),
        subnet("v6", "fd01::/64", "front", gateway_ip="fd01::1", **SLAAC),
    )
    files.write("routers.yml", router("edge"), router("other"))
    return files


def interfaces(small):
    subnets = {each["id"]: each["name"] for each in small.things["subnets"].values()}
    routers = {each["id"]: each["name"] for each in small.things["routers"].values()}
    return sorted(
        (routers[p["device_id"]], sorted(subnets[ip["subnet_id"]] for ip in p["fixed_ips"]))
        for p in small.things["ports"].values()
        if p["device_id"]
    )


def test_a_routers_port_with_an_automatic_address_is_made_once(dual, small, tmp_path):
    """As an export has it: with an address that only the original's MAC address gives."""
    v4, v6 = ("v4", "10.1.0.7"), ("v6", "fd01::f816:3eff:fe00:7")
    dual.write("router_interfaces.yml", interface("edge", "front", v4, v6))
    here = small.connect()
    assert {row.action for row in imported(here, dual.path, KINDS).rows} == {"made"}
    assert interfaces(small) == [("edge", ["v4", "v6"])]
    made = small.made()
    assert {row.action for row in imported(here, dual.path, KINDS).rows} == {"left"}
    # What was exported from there is there, and elsewhere it becomes the same
    exported(here, tmp_path / "out", KINDS)
    assert {row.action for row in imported(here, tmp_path / "out", KINDS).rows} == {"left"}
    assert small.made() == made
    assert {row.action for row in imported(small.connect("two"), tmp_path / "out", KINDS).rows} == {"made"}
    assert {row.action for row in imported(small.connect("two"), tmp_path / "out", KINDS).rows} == {"left"}


def test_on_a_prepared_target_the_one_that_is_there_is_found(dual, small):
    dual.write("router_interfaces.yml", interface("edge", "front", ("v4", "10.1.0.7"), ("v6", "fd01::7")))
    here = small.connect()
    imported(here, dual.path, "networks,subnets,routers")
    prepared = here.network.create_port(
        network_id=here.network.find_network("front").id,
        fixed_ips=[{"subnet_id": here.network.find_subnet("v4").id, "ip_address": "10.1.0.7"}],
    )
    here.network.add_interface_to_router(here.network.find_router("edge"), None, prepared.id)
    assert {row.action for row in imported(here, dual.path, KINDS).rows} == {"left"}


def test_two_interfaces_of_a_router_on_one_network_stay_two(dual, small, monkeypatch):
    """A plain port would take the automatic subnet that the other one has."""
    dual.write(
        "router_interfaces.yml",
        interface("edge", "front", ("v4", "10.1.0.7")),
        interface("edge", "front", ("v6", "fd01::1")),
    )
    slowly = Subnets.made

    def noticed_late(self, raw):
        time.sleep(0.2 if raw.name == "v6" else 0.0)  # that it is there, and gives its addresses to all new ports
        slowly(self, raw)

    monkeypatch.setattr(Subnets, "made", noticed_late)
    here = small.connect()
    assert {row.action for row in imported(here, dual.path, KINDS).rows} == {"made"}
    assert interfaces(small) == [("edge", ["v4"]), ("edge", ["v6"])]
    assert {row.action for row in imported(here, dual.path, KINDS).rows} == {"left"}


def test_a_routers_interface_of_several_automatic_subnets_is_gone_on_with(dual, small):
    """Neutron is asked for one after the other; a try that broke off in between is no obstacle."""
    v6b = subnet("v6b", "fd02::/64", "front", gateway_ip="fd02::1", **SLAAC)
    dual.write("subnets.yml", *dual.read("subnets.yml"), v6b)
    dual.write("router_interfaces.yml", interface("edge", "front", ("v6", "fd01::1"), ("v6b", "fd02::1")))
    here = small.connect()
    imported(here, dual.path, "networks,subnets,routers")
    here.network.add_interface_to_router(here.network.find_router("edge"), here.network.find_subnet("v6").id)
    assert of(imported(here, dual.path, KINDS), "made") == {("router interface", "edge fd01::1 v6 fd02::1 v6b")}
    assert {row.action for row in imported(here, dual.path, KINDS).rows} == {"left"}
    assert interfaces(small) == [("edge", ["v6", "v6b"])]


def test_ports_on_such_a_network(dual, small):
    both = [
        {"ip_address": "10.1.0.9", "subnet_ref": {"name": "v4"}},
        {"ip_address": "fd01::9", "subnet_ref": {"name": "v6"}},
    ]
    dual.write(
        "longshore/ports.yml", port("p", "front", fixed_ips_refs=both), port("q", "front", fixed_ips_refs=both[:0])
    )
    here = small.connect()
    assert ("port", "p") in of(imported(here, dual.path, KINDS), "made")
    assert {row.action for row in imported(here, dual.path, KINDS).rows} == {"left"}
