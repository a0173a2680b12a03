"""Machines that say nothing on a console, as Windows doesn't, move into the lab's OpenStack and are seen up.

The guest has an agent, an address of its own and a port at which it tells the last record that is safe.
"""

import socket
import uuid

import pytest
from moves import READY, events, only_migration, state_of

from conftest import Guest, power_on, target_inventory, wait_for

pytestmark = pytest.mark.lab

ADDRESS, PORT = "10.20.30.77", 22  # lab/guests/tiny/silent.cfg
DISKS = [{"datastore": "datastore1", "image": f"tiny/{image}.raw"} for image in ("silent", "data")]
ROUTE = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--landing=unchanged", "--plain"]


@pytest.fixture
def silent(sidedoor, lab, cli):
    """Running and writing, and its vCenter knows its address."""
    name = f"silent-{uuid.uuid4().hex[:8]}"
    mac = f"00:50:56:3f:{uuid.uuid4().hex[:2]}:{uuid.uuid4().hex[:2]}"
    nics = [{"network": "VM Network", "mac": mac}]
    sidedoor.add_machine("tiny01", name, guest_id="otherGuest64", disks=DISKS, nics=nics)
    power_on(lab, name)
    wait_for(lambda: acknowledged(sidedoor, name) > 3, 120, f"{name} to write")
    wait_for(lambda: ADDRESS in str(cli.json("machine", "show", "vc", name)), 60, "vCenter to know its address")
    assert sidedoor.console(name) == ""
    yield Guest(name, mac)
    sidedoor.remove_machines(name)


@pytest.fixture
def open_group(cloud):
    """A security group that lets connections to the port in."""
    group = cloud.network.create_security_group(name=f"open-{uuid.uuid4().hex[:6]}")
    cloud.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=PORT, port_range_max=PORT
    )
    yield group.name
    cloud.network.delete_security_group(group)


def acknowledged(sidedoor, name):
    """As the machine at the source tells it through its tools."""
    answer = (sidedoor.say(name, "ping") or "").split()
    return int(answer[1]) if answer[:1] == ["pong"] else 0


def moved(cli, cloud, sidedoor, name, last):
    """It was, and nobody has heard a word of it on its console."""
    shown = state_of(cli, only_migration(cli))
    assert shown["status"] == "done"
    assert {e["State"] for e in cli.json("migration", "ledger", shown["id"])} == {"handed-over", "removed"}
    assert READY not in cloud.compute.get_server_console_output(shown["server_id"])["output"]
    assert sidedoor.machine(name)["power"] == "poweredOff"
    assert last > 0
    return shown


@pytest.mark.soak
def test_by_a_port_of_its_guest(cli, silent, sidedoor, cloud, open_group, tidy):
    last = acknowledged(sidedoor, silent.name)
    wanted = ["--boot-port", str(PORT), "--boot-port", "3389", "--security-group", open_group, "--wait", "-f", "json"]
    done = cli("migrate", silent.name, *ROUTE, *wanted)
    assert done.returncode == 0, done.stderr
    shown = moved(cli, cloud, sidedoor, silent.name, last)
    assert shown["result"]["proof"] == f"port {PORT} on {ADDRESS}"
    with socket.create_connection((ADDRESS, PORT), timeout=10) as connection:
        word, number = connection.makefile().readline().split()
    assert word == "acknowledged"
    assert int(number) >= last
    report = cli("migration", "report", shown["id"]).stdout
    assert f"| Seen up by | port {PORT} on {ADDRESS} |" in report


@pytest.mark.soak  # small clouds show it every day
def test_by_the_agent_in_its_guest(cli, silent, sidedoor, cloud, tidy):
    before = target_inventory(cloud)["snapshots"], {image.id for image in cloud.image.images()}
    last = acknowledged(sidedoor, silent.name)
    done = cli("migrate", silent.name, *ROUTE, "--boot-proof", "agent", "--wait", "-f", "json")
    assert done.returncode == 0, done.stderr
    shown = moved(cli, cloud, sidedoor, silent.name, last)
    assert shown["result"]["proof"] == "agent"
    assert "agent-probe" in {e["Kind"] for e in cli.json("migration", "ledger", shown["id"])}
    assert (target_inventory(cloud)["snapshots"], {image.id for image in cloud.image.images()}) == before
    assert cloud.compute.get_server(shown["server_id"]).status == "ACTIVE"


@pytest.mark.soak  # small clouds show it every day
def test_one_that_nothing_shows_waits_with_its_copy(cli, silent, sidedoor, nothing_left):
    """Its port answers, and the project's default group lets nobody in."""
    done = cli("migrate", silent.name, *ROUTE, "--boot-port", str(PORT), "--boot-timeout", "60", "--wait")
    assert done.returncode != 0
    migration = only_migration(cli)
    said = state_of(cli, migration)["error"]
    assert "longshore migration retry" in done.stderr
    waited_for = f"it didn't show a login prompt on its console, port {PORT} of {ADDRESS} didn't answer"
    assert f"The server runs, but within 60 s {waited_for}. Its console is empty." in said
    assert f"{silent.name} is powered on again." in events(cli, migration)
    wait_for(lambda: acknowledged(sidedoor, silent.name) > 0, 120, "it to write again")
    assert cli("migration", "cancel", migration, "--wait").returncode == 0
