"""Volumes that no server has, from a file and in a plan, within the source's quota; and a flavor of a plan."""

import uuid

import pytest
import yaml
from tenants import tenants

from conftest import Cli, end_engine, wait_for
from longshore.providers.openstack.placement import Placement

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def sides(lab, admin_cloud, tmp_path_factory):
    with tenants(lab.root / "etc" / "clouds.yaml", admin_cloud, tmp_path_factory.mktemp("two-projects")) as (
        made,
        path,
    ):
        yield *made, path


@pytest.fixture
def cli(tmp_path, sides):
    here, there, clouds = sides
    cli = Cli(tmp_path / "state", {"OS_CLIENT_CONFIG_FILE": str(clouds)})
    for name, tenant in (("here", here), ("there", there)):
        done = cli("provider", "add", "openstack", name, "--os-cloud", tenant.name)
        assert done.returncode == 0, done.stderr
    yield cli
    end_engine(cli)


@pytest.fixture
def loose(sides):
    here, there, _ = sides
    storage = here.cloud.block_storage
    made = [storage.create_volume(name=name, size=1, description="kept for years") for name in ("archive", "spare")]
    for volume in made:
        storage.wait_for_status(volume, "available", wait=120)
    yield made
    for tenant in (here, there):
        kept = tenant.cloud.block_storage
        for volume in kept.volumes():
            kept.delete_volume(volume)
        wait_for(lambda k=kept: not list(k.volumes()), 60, "volumes to go")


@pytest.fixture
def room(sides, admin_cloud):
    """Sets how many snapshots the source's project may have."""
    here, _, _ = sides

    def room(snapshots):
        url = f"/os-quota-sets/{here.id}"
        answer = admin_cloud.block_storage.put(url, json={"quota_set": {"snapshots": snapshots}})
        assert answer.ok, answer.text

    yield room
    room(10)


@pytest.mark.soak
def test_volumes_of_a_file_become_what_it_says_when_there_is_room_for_their_snapshots(
    cli, sides, loose, room, tmp_path
):
    here, there, _ = sides
    archive, spare = loose
    edited = {"name": "store", "description": "moved", "volume_image_metadata": {"os_distro": "debian"}}
    resources = [
        {
            "_info": {"id": volume.id, "attachments": [], "is_bootable": False, "size": 1},
            "_migration_params": {},
            "params": {"availability_zone": "nova", "volume_type": volume.volume_type} | params,
            "type": "openstack.network.ServerVolume",
        }
        for volume, params in ((archive, edited), (spare, {"name": "spare", "description": None}))
    ]
    file = tmp_path / "detached_volumes.yml"
    file.write_text(yaml.safe_dump({"os_migrate_version": "1.0.5", "resources": resources}))
    route = ["volume", "migrate", "--from", "here", "--to", "there", "--file", str(file), "--wait", "--plain"]
    room(0)
    done = cli(*route, "-f", "json")
    assert done.returncode == 1
    assert "The source project's quota has room for 0 volume snapshot(s), archive needs 1." in done.stdout
    assert not list(here.cloud.block_storage.snapshots())
    assert not list(there.cloud.block_storage.volumes())
    room(10)
    moved = {v["Volume"]: v for v in cli.json(*route)}
    assert {v["Result"] for v in moved.values()} == {"moved"}, moved
    arrived = there.cloud.block_storage.get_volume(moved["archive"]["New volume"])
    assert (arrived.name, arrived.description) == ("store", "moved")
    assert arrived.volume_image_metadata == {"os_distro": "debian"}
    arrived = there.cloud.block_storage.get_volume(moved["spare"]["New volume"])
    assert (arrived.name, arrived.description) == ("spare", "kept for years")
    assert {v["Result"] for v in cli.json(*route)} == {"there already"}


@pytest.mark.soak  # volumes move every day: test_openstack_source; plans of them in small clouds
def test_a_plan_of_volumes(cli, sides, loose, room):
    here, there, _ = sides
    done = cli("plan", "create", "stores", "--from", "here", "--to", "there", "--volume", "[as]*")
    assert done.returncode == 0, done.stderr
    room(1)
    done = cli("plan", "start", "stores")
    assert done.returncode == 1
    assert "room for 1 volume snapshot(s), the plan's 2 volumes need 2" in done.stderr
    room(10)
    started = cli.json("plan", "start", "stores", "--wait", "--plain")
    assert {(m["Machine"], m["Type"], m["Status"]) for m in started} == {
        ("archive", "volume", "done"),
        ("spare", "volume", "done"),
    }
    assert {v.name for v in there.cloud.block_storage.volumes()} == {"archive", "spare"}
    assert not list(here.cloud.block_storage.snapshots())
    done = cli("plan", "start", "stores")
    assert (done.returncode, "is left to start" in done.stderr) == (1, True)


def test_a_flavor_is_made_under_the_id_that_was_written_down(admin_cloud):
    id_, placement = str(uuid.uuid4()), Placement(admin_cloud)
    name = f"longshore-{id_[:8]}"
    made = placement.create_flavor(name, 1, 64, id_)
    try:
        assert made.id == id_
        assert placement.create_flavor(name, 1, 64, str(uuid.uuid4())).id == id_  # there already
        assert admin_cloud.compute.get_flavor(id_).name == name
    finally:
        placement.delete_flavor(id_)
    assert admin_cloud.compute.find_flavor(name) is None
    placement.delete_flavor(id_)  # nothing to do
