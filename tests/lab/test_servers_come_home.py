"""The whole life of a server that a replica protects in another project: tried, failed over to, and home again.

One boots from a volume; one has its root disk on its compute node, and, when it comes home, a port that is Nova's own.
"""

import json
import time

import pytest
from moves import READY, seen_on, state_of
from test_openstack_source import as_it_is, cli, flavors, servers, sides
from test_protected_machines import replica_until, sync

from conftest import last_acknowledged, wait_for

__all__ = ["cli", "flavors", "servers", "sides"]  # fixtures

pytestmark = [
    pytest.mark.lab,
    pytest.mark.soak,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore:::openstack"),
]
TO = ["--from", "here", "--to", "there", "--network", "front=front", "--boot-mark", READY]
TO += ["--accept", "allowed-address-mac"]  # where OVN makes the target's networks


@pytest.fixture(scope="module", autouse=True)
def room(sides, admin_cloud):
    """More than a project's ten snapshots and volumes: points, what is read, and the server twice at home."""
    for project in sides[:2]:
        path = f"/os-quota-sets/{project.cloud.current_project_id}"
        answer = admin_cloud.block_storage.put(path, json={"quota_set": {"snapshots": 60, "volumes": 40}})
        assert answer.ok, answer.text


def port_of(project, server_id):
    (port,) = project.cloud.network.ports(device_id=server_id)
    return port


def at_address(port):
    return port.mac_address, [fixed["ip_address"] for fixed in port.fixed_ips]


def with_a_port_of_novas(project, server_id, port):
    """In the place of the one that it has: Nova removes it again with its interface."""
    compute, network = project.cloud.compute, project.cloud.network
    compute.delete_server_interface(port.id, server=server_id)
    wait_for(lambda: not network.get_port(port.id).device_id, 60, "the port to be free")
    network.delete_port(port.id)
    addresses = [{"ip_address": fixed["ip_address"]} for fixed in port.fixed_ips]
    compute.create_server_interface(server_id, net_id=project.front.id, fixed_ips=addresses)
    wait_for(lambda: list(network.ports(device_id=server_id)), 60, "a port of Nova's own")
    return port_of(project, server_id)


def is_at(cli, name, stage, seconds):
    return replica_until(cli, name, lambda shown: shown.stage.value == stage, seconds, f"it to be {stage}")


def asked(cli, *words):
    done = cli("replica", *words)
    assert done.returncode == 0, done.stderr


def writes(project, server_id):
    """Its last acknowledged record, once it writes since it was started."""
    server = project.cloud.compute.get_server(server_id)
    wait_for(lambda: last_acknowledged(project.console(server)) > 0, 120, "the server to write")
    return last_acknowledged(project.console(server))


def failed_back(cli, name, tell):
    asked(cli, "failback", name)
    shown = is_at(cli, name, "failed-back", 1200)
    wait_for(lambda: state_of(cli, shown.failback)["status"] == "done", 60, "the failback to end")
    result = state_of(cli, shown.failback)["result"]
    tell(f"{name} home again: {result['bytes_read'] / 1e6:.0f} MB read, downtime {result['downtime_seconds']:.1f} s")
    return result["server_id"]


@pytest.mark.parametrize("name", ["web", "db"])
def test_a_server_is_tried_fails_over_and_comes_home(cli, sides, servers, name, tell):
    here, there, _ = sides
    server, port = servers[name]
    before = as_it_is(there)
    asked(cli, "create", name, *TO, "--every", "1h", "--keep", "last=2")
    replica_until(cli, name, lambda shown: shown.points == 1, 600, "its first point")
    tell(f"another point of {name} is usable after {sync(cli, name):.1f} s")
    done = cli("replica", "test", name, "--wait", "--plain", "-f", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "done"
    acknowledged = last_acknowledged(here.console(server))  # a server that is off has no console
    asked(cli, "failover", name, "--planned")
    shown = is_at(cli, name, "failed-over", 600)
    away = cli.json("migration", "show", shown.failover)["server_id"]
    seen = seen_on(there.cloud, away)
    assert (seen.verified.bad, seen.verified.last >= acknowledged) == (0, True)
    assert here.cloud.compute.get_server(server.id).status == "SHUTOFF"
    if name == "db":
        port = with_a_port_of_novas(here, server.id, port)
    time.sleep(10)  # of writing
    at_home = as_it_is(here)

    acknowledged = writes(there, away)
    new = failed_back(cli, name, tell)
    as_at_home(here, there, server, port, away, new, acknowledged)

    asked(cli, "undo", name)
    is_at(cli, name, "failed-over", 300)
    assert there.cloud.compute.get_server(away).status == "ACTIVE"
    assert at_address(port_of(here, server.id)) == at_address(port)
    now = as_it_is(here)
    assert now["servers"] == at_home["servers"]
    assert now["floating"].keys() == at_home["floating"].keys()
    assert now["volumes"].keys() == at_home["volumes"].keys()
    assert (now["images"], len(now["ports"])) == (at_home["images"], len(at_home["ports"]))

    acknowledged = writes(there, away)
    new = failed_back(cli, name, tell)
    as_at_home(here, there, server, port, away, new, acknowledged)
    asked(cli, "commit", name)
    is_at(cli, name, "protected", 300)
    assert away not in {one.id for one in there.cloud.compute.servers()}
    assert here.cloud.compute.get_server(server.id).status == "SHUTOFF", "it is its owner's"
    sync(cli, name)
    tell(f"and its changes, once more by its own account, after {sync(cli, name):.1f} s")
    points = [one for one in cli.json("replica", "point", "list", name) if one["State"] == "usable"]
    assert points[-1]["Changed"] is not None
    asked(cli, "test", name, "--wait", "--plain")
    asked(cli, "delete", name)
    wait_for(lambda: as_it_is(there) == before, 300, "nothing to be left")
    assert here.cloud.compute.get_server(new).status == "ACTIVE"


def as_at_home(here, there, server, port, away, new, acknowledged):
    """The new server, as its owner would look at it: all records there, and the one before in all but its disks."""
    arrived = here.cloud.compute.get_server(new)
    assert arrived.status == "ACTIVE"
    assert there.cloud.compute.get_server(away).status == "SHUTOFF"
    seen = seen_on(here.cloud, new)
    assert seen.verified.bad == 0
    assert seen.verified.last >= acknowledged > 0
    assert {nic.mac for nic in seen.nics.values()} == {port.mac_address}
    assert at_address(port_of(here, new)) == at_address(port)
    assert port_of(here, new).security_group_ids == port.security_group_ids
    assert not list(here.cloud.network.ports(device_id=server.id))
    assert (arrived.name, arrived.key_name, arrived.tags) == (server.name, "ops", ["blue"])
    assert arrived.metadata["team"] == "web"
    assert arrived.flavor.original_name == server.flavor.original_name
    if server.name == "web":
        (floating,) = here.cloud.network.ips()
        assert floating.port_id == port_of(here, new).id
