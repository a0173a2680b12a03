"""Servers as Nova, Cinder and Neutron have them, read for whoever writes them down."""

from unittest.mock import MagicMock

import pytest
from openstack import exceptions as sdk
from openstack.network.v2.floating_ip import FloatingIP
from openstack.network.v2.network import Network
from openstack.network.v2.port import Port
from test_openstack_machines import VOLUMES, server

from longshore.errors import NotFound
from longshore.providers.openstack.as_built import NovaAsBuilt


class Has:
    def __init__(self, **fields):
        vars(self).update(fields)


PORTS = {
    "p": Port.existing(
        id="p",
        name="web-0",
        description="longshore:owner=m/port",
        network_id="n",
        mac_address="00:50:56:AB:00:01",
        security_groups=["g"],
        fixed_ips=[{"subnet_id": "x", "ip_address": "10.0.0.5"}],
        allowed_address_pairs=[{"ip_address": "10.0.0.9", "mac_address": "00:50:56:ab:00:01"}],
    ),
    "q": Port.existing(id="q", network_id="n", mac_address="fa:16:3e:00:00:02"),
}


@pytest.fixture
def connection():
    found = MagicMock(current_project_id="mine")
    found.compute.get_server.side_effect = lambda _id: server()
    found.compute.server_groups.return_value = [Has(name="apart", member_ids=["s"])]
    # As Nova keeps them: the order in which the guest sees its interfaces, which Neutron's list isn't in
    found.compute.server_interfaces.return_value = [Has(port_id="q"), Has(port_id="p")]
    found.block_storage.get_volume.side_effect = VOLUMES.__getitem__
    found.network.get_port.side_effect = PORTS.__getitem__
    found.network.get_network.side_effect = lambda _id: Network.existing(id="ext", name="public")
    found.network.ips.return_value = [
        FloatingIP.existing(
            id="f", floating_ip_address="192.0.2.7", floating_network_id="ext", port_id="p", fixed_ip_address="10.0.0.5"
        ),
        FloatingIP.existing(id="free", floating_ip_address="192.0.2.8", floating_network_id="ext", port_id=None),
    ]
    return found


def test_a_server_is_read_with_all_that_is_its_own(connection):
    (web,) = NovaAsBuilt(connection).as_built(["s"])
    assert (web.id, web.name, web.status, web.flavor, web.key_name) == ("s", "web", "ACTIVE", "m1", "ops")
    assert (web.zone, web.tags, web.group) == ("az1", ("blue",), "apart")
    assert web.metadata["longshore:source"] == "vm-1", "Longshore's marks, too: left out, they would be deleted"
    assert [one.id for one in web.volumes] == ["r", "d", "z"], "as they boot, not as Nova lists them"
    assert [one.id for one in web.ports] == ["q", "p"], "as the guest sees them"
    port = web.ports[1]
    assert port.mac == "00:50:56:AB:00:01", "as Neutron writes it"
    assert (port.group_ids, port.fixed) == (("g",), (("x", "10.0.0.5"),))
    assert port.pairs == (("10.0.0.9", "00:50:56:ab:00:01"),)
    (floating,) = port.floating
    assert (floating.id, floating.network, floating.fixed) == ("f", "public", "10.0.0.5")
    assert web.ports[0].floating == ()


def test_a_server_that_is_gone_is_named(connection):
    connection.compute.get_server.side_effect = sdk.NotFoundException("gone")
    with pytest.raises(NotFound, match="Server s, or something of it, isn't there any more"):
        NovaAsBuilt(connection).as_built(["s"])


def test_a_cloud_without_routers_has_no_floating_addresses(connection):
    connection.network.ips.side_effect = sdk.NotFoundException("no such extension")
    (web,) = NovaAsBuilt(connection).as_built(["s"])
    assert [one.floating for one in web.ports] == [(), ()]
