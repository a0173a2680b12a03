"""What is said of a machine in the lab's vCenter arrives with its server in OpenStack."""

import uuid

import pytest
from moves import READY, only_migration, state_of

from conftest import Guest, last_acknowledged, power_on, wait_for

pytestmark = pytest.mark.lab

ROUTE = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--landing=unchanged", "--plain"]


@pytest.fixture
def told(sidedoor, lab):
    """A machine of which much is said, with two cores on one socket."""
    name = f"told-{uuid.uuid4().hex[:8]}"
    mac = f"00:50:56:3f:{uuid.uuid4().hex[:2]}:{uuid.uuid4().hex[:2]}"
    sidedoor.add_machine(
        "tiny01",
        name,
        nics=[{"network": "VM Network", "mac": mac}],
        annotation="The shop's web server,\nsince 2019",
        attributes={"owner": "shop", "tier": "front"},
        tags=["stage/production", "backup/daily"],
        cpus=2,
        cores_per_socket=2,
    )
    power_on(lab, name)
    wait_for(lambda: last_acknowledged(sidedoor.console(name)) > 3, 120, f"{name} to write")
    yield Guest(name, mac)
    sidedoor.remove_machines(name)


@pytest.mark.soak  # small clouds show it every day
def test_notes_tags_attributes_and_sockets(cli, told, cloud, tidy):
    chosen = ["--carry", "annotation", "--carry", "tags:stage", "--carry", "attributes", "--carry", "cpu-topology"]
    done = cli("migrate", told.name, *ROUTE, *chosen, "--tag", "moved", "--boot-mark", READY, "--wait", "-f", "json")
    assert done.returncode == 0, done.stderr
    server = cloud.compute.get_server(state_of(cli, only_migration(cli))["server_id"])
    assert server.description == "The shop's web server, since 2019"
    assert sorted(server.tags) == ["moved", "stage:production"]
    assert {key: value for key, value in server.metadata.items() if not key.startswith("longshore:")} == {
        "owner": "shop",
        "tier": "front",
    }
    properties = [cloud.block_storage.get_volume(v.id).volume_image_metadata or {} for v in server.attached_volumes]
    (topology,) = [found for found in properties if "hw_cpu_sockets" in found]
    assert (topology["hw_cpu_sockets"], topology["hw_cpu_cores"], topology["hw_cpu_threads"]) == ("1", "2", "1")
