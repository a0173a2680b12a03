"""A machine protected by a replica, in the lab: tried beside its syncs, and replaced when its power is cut."""

import json
import time

import pytest
from moves import READY, remove_server, seen_on

from conftest import last_acknowledged, target_inventory, wait_for
from longshore.client import Client, Embedded
from longshore.configuration import read_configuration

pytestmark = pytest.mark.lab

SIZE = 512 << 20  # bytes of both of a tiny machine's disks
SOMEHOW = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--boot-mark", READY]
TO = [*SOMEHOW, "--landing", "unchanged"]


def replica_until(cli, machine, condition, seconds, what):
    """The replica when `condition` holds for it, asked in this process as `moves.wait_until` does."""
    found = []
    with Client(Embedded(read_configuration(state=str(cli.state)))) as client:

        def holds():
            found[:] = [client.replica(machine)]
            assert found[0].failures == 0, found[0].error
            return condition(found[0])

        wait_for(holds, seconds, what)
    return found[0]


def sync(cli, machine):
    """Another point, and the seconds until it was usable."""
    began = time.monotonic()
    with Client(Embedded(read_configuration(state=str(cli.state)))) as client:
        before = client.replica(machine).newest
    done = cli("replica", "sync", machine)
    assert done.returncode == 0, done.stderr
    replica_until(cli, machine, lambda shown: shown.newest != before, 120, "another point")
    return time.monotonic() - began


@pytest.mark.turns("protection")
def test_it_is_tried_beside_its_syncs_and_takes_the_place_of_a_machine_whose_power_is_cut(
    cli, tiny, sidedoor, cloud, tidy, tell
):
    before = target_inventory(cloud)
    source = sidedoor.machine(tiny.name)["snapshots"]
    done = cli("replica", "create", tiny.name, *TO, "--every", "1h", "--keep", "last=3", "--rpo", "1m")
    assert done.returncode == 0, done.stderr
    replica_until(cli, tiny.name, lambda shown: shown.points == 1, 300, "its first point")
    acknowledged = last_acknowledged(sidedoor.console(tiny.name))
    tell(f"another point of a tiny machine is usable after {sync(cli, tiny.name):.1f} s")
    first, second = cli.json("replica", "point", "list", tiny.name)
    assert first["Changed"] is None
    assert 0 < second["Changed"] < SIZE / 4

    done = cli("replica", "test", tiny.name, "--keep", "--wait", "--plain", "-f", "json")
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout)
    copy = cloud.compute.get_server(tried["server_id"])
    (port,) = cloud.network.ports(device_id=copy.id)
    assert port.mac_address == tiny.mac
    seen = seen_on(cloud, copy.id)
    assert (seen.verified.bad, seen.verified.last >= acknowledged) == (0, True)
    sync(cli, tiny.name)  # beside it
    assert sidedoor.machine(tiny.name)["power"] == "poweredOn"
    # The point counts before that goes
    wait_for(lambda: sidedoor.machine(tiny.name)["snapshots"] == source, 60, "the source's snapshot to go")
    done = cli("migration", "cleanup", tried["id"])
    assert done.returncode == 0, done.stderr
    assert not target_inventory(cloud)["servers"] - before["servers"]
    assert cli.json("replica", "point", "show", tiny.name, "2")["proved_at"]

    acknowledged = last_acknowledged(sidedoor.console(tiny.name))
    sync(cli, tiny.name)
    sidedoor.cut_power(tiny.name)
    began = time.monotonic()
    done = cli("replica", "failover", tiny.name)
    assert done.returncode == 0, done.stderr
    shown = replica_until(cli, tiny.name, lambda shown: shown.stage.value == "failed-over", 180, "it to fail over")
    tell(f"it has taken the machine's place after {time.monotonic() - began:.1f} s")
    server = cli.json("migration", "show", shown.failover)["server_id"]
    seen = seen_on(cloud, server)
    assert (seen.verified.bad, seen.verified.last >= acknowledged) == (0, True)
    assert {nic.mac for nic in seen.nics.values()} == {tiny.mac}

    done = cli("replica", "commit", tiny.name)
    assert done.returncode == 0, done.stderr
    replica_until(cli, tiny.name, lambda shown: shown.stage.value == "committed", 60, "it to be committed")
    remove_server(cloud, server)
    done = cli("replica", "delete", tiny.name)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: target_inventory(cloud) == before, 120, "nothing to be left")
    assert sidedoor.machine(tiny.name)["snapshots"] == source
