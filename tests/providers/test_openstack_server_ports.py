"""Ports that are taken from a server that is off, and given back: those that Nova keeps, and those that it removes."""

from types import SimpleNamespace

import pytest
from openstack import exceptions as sdk

from longshore.errors import Conflict
from longshore.model.target import Owner, PortRequest, ServerPort
from longshore.providers.openstack.server_ports import ServerPorts

OWNER = Owner("m", "home-port-p")
MAC, ADDRESS, FLOATING = "fa:16:3e:00:00:21", "10.0.0.21", "203.0.113.7"
PORT = ServerPort("p", "s", PortRequest("web-0", "net", MAC, (ADDRESS,), ("sg",)), {ADDRESS: FLOATING})


class Cloud:
    """Nova and Neutron, as far as a server's one port goes. `keeps`: the port wasn't made by Nova."""

    current_project_id = "project"

    def __init__(self, *, keeps, status="SHUTOFF"):
        self.keeps, self.servers, self.ports = keeps, {"s": status}, {}
        self.network = self.compute = self
        self.floating = SimpleNamespace(id="f", floating_ip_address=FLOATING, floating_network_id="x", port_id="p")
        self._add("p", device_id="s", mac_address=MAC, description="theirs", fixed_ips=[{"ip_address": ADDRESS}])

    def _add(self, id_, **has):
        self.ports[id_] = SimpleNamespace(id=id_, network_id="net", **has)
        return self.ports[id_]

    def get_server(self, id_):
        if id_ not in self.servers:
            raise sdk.NotFoundException
        return SimpleNamespace(id=id_, status=self.servers[id_])

    def get_port(self, id_):
        if id_ not in self.ports:
            raise sdk.NotFoundException
        return self.ports[id_]

    def list_ports(self, description=None, **_):
        return [port for port in self.ports.values() if port.description == description]

    def create_port(self, **asked):
        assert asked["mac_address"] not in {port.mac_address for port in self.ports.values()}, "409"
        assert asked["security_group_ids"] == ["sg-id"]
        own = ("mac_address", "fixed_ips", "description")
        return self._add(f"p{len(self.ports) + 2}", device_id="", **{name: asked[name] for name in own})

    def delete_port(self, id_, ignore_missing):
        self.ports.pop(id_, None)

    def delete_server_interface(self, id_, *, server):
        assert self.ports[id_].device_id == server
        if self.keeps:
            self.ports[id_].device_id = ""
        else:
            del self.ports[id_]
            self.floating.port_id = None

    def create_server_interface(self, server, *, port_id):
        assert not self.ports[port_id].device_id
        self.ports[port_id].device_id = server

    def security_groups(self, *, name, **_):
        return [SimpleNamespace(id=f"{name}-id", name=name)]

    def get_security_group(self, _id):
        raise sdk.NotFoundException

    def ips(self, **_):
        return [self.floating]

    def get_ip(self, _id):
        return self.floating

    def update_ip(self, _id, *, port_id, fixed_ip_address):
        assert fixed_ip_address == ADDRESS
        self.floating.port_id = port_id


class Network:
    """Calls `ports` what lists them."""

    def __init__(self, cloud):
        self._cloud = cloud

    def __getattr__(self, name):
        return getattr(self._cloud, {"ports": "list_ports"}.get(name, name))


def of(cloud):
    cloud.network = Network(cloud)
    return ServerPorts(cloud)


def only(cloud):
    (port,) = cloud.ports.values()
    return port


@pytest.mark.parametrize("keeps", [True, False])
def test_what_is_freed_has_all_that_it_had_and_goes_back(keeps):
    cloud = Cloud(keeps=keeps)
    ports = of(cloud)
    freed = ports.free_port(PORT, OWNER)
    assert (freed.mac, freed.addresses, freed.in_use) == (MAC, (ADDRESS,), False)
    assert (freed.id == "p") is keeps
    assert cloud.floating.port_id == freed.id
    assert ports.free_port(PORT, OWNER) == freed, "a second time it is the same one"
    ports.give_port_back(PORT, OWNER)
    ports.give_port_back(PORT, OWNER)
    assert (only(cloud).id, only(cloud).device_id) == (freed.id, "s")


def test_one_that_was_lost_on_the_way_is_made_again():
    """Whoever freed it died before there was another one."""
    cloud = Cloud(keeps=False)
    cloud.delete_server_interface("p", server="s")
    of(cloud).give_port_back(PORT, OWNER)
    assert (only(cloud).mac_address, only(cloud).device_id) == (MAC, "s")
    assert cloud.floating.port_id == only(cloud).id


@pytest.mark.parametrize("status", ["ACTIVE", "SUSPENDED"])
def test_a_server_that_isnt_off_keeps_it(status):
    cloud = Cloud(keeps=True, status=status)
    with pytest.raises(Conflict, match=f"isn't off .{status}."):
        of(cloud).free_port(PORT, OWNER)
    assert only(cloud).device_id == "s"


def test_what_another_server_has_it_keeps():
    cloud = Cloud(keeps=True)
    only(cloud).device_id = "another"
    for change in (of(cloud).free_port, of(cloud).give_port_back):
        with pytest.raises(Conflict, match="belongs to another"):
            change(PORT, OWNER)


def test_where_the_server_is_gone_nothing_is_left_of_what_was_made():
    cloud = Cloud(keeps=False)
    ports = of(cloud)
    ports.free_port(PORT, OWNER)
    del cloud.servers["s"]
    ports.give_port_back(PORT, OWNER)
    assert cloud.ports == {}


def test_a_floating_ip_that_leads_elsewhere_by_now_stays_there():
    cloud = Cloud(keeps=False)
    cloud.delete_server_interface("p", server="s")
    cloud.floating.port_id = "another"
    of(cloud).give_port_back(PORT, OWNER)
    assert cloud.floating.port_id == "another"
