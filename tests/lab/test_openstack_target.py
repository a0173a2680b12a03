"""The OpenStack provider against the lab's cloud, as its plain project member."""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import nbd
import openstack
import pytest

from longshore.errors import AccessDenied, Conflict, InvalidInput, NotFound, ProviderError, QuotaExceeded, Unreachable
from longshore.model.target import Owner, PortRequest, ServerRequest, Taken, VolumeRequest
from longshore.providers.openstack.connection import settings_from_cloud
from longshore.providers.openstack.target import OpenstackTarget

pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings("ignore:::openstack")]

GIB = 1 << 30
TINY_GUEST = Path(os.environ.get("LONGSHORE_LAB", "/var/lib/longshore-lab")) / "cache/guests/tiny"


# In every workflow's id and every name: others may use the project at the same time
RUN = f"test-{uuid.uuid4().hex[:8]}"


def inventory(cloud: openstack.connection.Connection) -> set[tuple[str, str]]:
    """Everything of this run in the project. Attachments can't outlive their volumes."""
    found = {
        *(("server", server.name) for server in cloud.compute.servers()),
        *(("volume", volume.name) for volume in cloud.block_storage.volumes()),
        *(("snapshot", snapshot.name) for snapshot in cloud.block_storage.snapshots()),
        *(("port", port.name) for port in cloud.network.ports()),
    }
    return {(kind, name) for kind, name in found if RUN in name}


@pytest.fixture(scope="module")
def target():
    target = OpenstackTarget(*settings_from_cloud("lab"))
    yield target
    target.close()


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left(cloud):
    yield
    assert inventory(cloud) == set()


@pytest.fixture
def workflow(target, request):
    """The id of a workflow whose volumes and ports are removed in the end, also when a test fails."""
    name = f"{RUN}-{request.node.name[:40]}"
    yield name
    if server := target.find_server(Owner(name, "server")):
        target.delete_server(server.id)
    if snapshot := target.find_volume_snapshot(Owner(name, "snapshot")):
        target.delete_volume_snapshot(snapshot.id)
    for step in ("volume", "data"):
        if volume := target.find_volume(Owner(name, step)):
            target.delete_volume(volume.id)
    if port := target.find_port(Owner(name, "port")):
        target.delete_port(port.id)


def network(target, name: str):
    return next(found for found in target.networks() if found.name == name)


def write(uri: str, data: bytes, offset: int) -> None:
    client = nbd.NBD()
    client.connect_uri(uri)
    client.pwrite(data, offset)
    client.flush()
    client.shutdown()


def read(uri: str, length: int, offset: int) -> bytes:
    client = nbd.NBD()
    client.connect_uri(uri)
    data = bytes(client.pread(length, offset))
    client.shutdown()
    return data


# What is there


def test_check_says_who_and_what(target):
    found = target.check()
    assert (found["user"], found["project"]) == ("demo", "demo")
    assert "member" in found["roles"]
    assert "admin" not in found["roles"]
    assert {"compute", "network", "block storage"} <= set(found)
    assert not any(secret in str(found) for secret in settings_from_cloud("lab")[1].values())


def test_placement_is_what_the_project_may_use(target):
    private, shared = network(target, "private"), network(target, "shared")
    assert (private.owned, private.shared) == (True, False)
    assert (shared.owned, shared.shared) == (False, True)
    assert [subnet.cidr for subnet in private.subnets] == ["10.20.30.0/24"]
    assert "public" not in {found.name for found in target.networks()}
    assert "ceph" in target.volume_types()
    nano, small = (next(found for found in target.flavors() if found.name == name) for name in ("t.nano", "t.small"))
    assert (nano.cpus, nano.memory_mib, nano.disk_gib) == (1, 256, 0)
    assert target.flavors().index(nano) < target.flavors().index(small)


def test_what_a_server_can_be_given_by_name(target):
    found = target.choices()
    assert (found.zones, found.volume_zones) == (("nova",), ("nova",))
    assert [group.name for group in found.security_groups].count("default") == 1


def test_the_quota_of_a_volume_type_and_the_largest_volume(target, cloud, admin_cloud):
    """Those are in no limit that Cinder tells, only in the quota itself."""
    project = cloud.current_project_id
    before = target.quota_room()
    assert (before.largest_volume, before.volume_types) == (None, {})
    quota = f"/os-quota-sets/{project}"
    admin_cloud.block_storage.put(quota, json={"quota_set": {"per_volume_gigabytes": 50, "gigabytes_ceph": 150}})
    try:
        room = target.quota_room()
    finally:
        admin_cloud.block_storage.put(quota, json={"quota_set": {"per_volume_gigabytes": -1, "gigabytes_ceph": -1}})
    assert room.largest_volume == 50
    assert room.volume_types["ceph"].volumes is None
    assert 0 <= room.volume_types["ceph"].gigabytes <= 150


def test_an_administrator_may_choose_addresses_on_any_network():
    """What preflight names as a way out for networks of other projects."""
    with closing(OpenstackTarget(*settings_from_cloud("lab-admin"))) as admin:
        assert network(admin, "shared").owned


def test_quota_room_shrinks_by_what_is_made(target, workflow):
    before = target.quota_room()
    assert before.ports is not None
    target.create_volume(VolumeRequest(f"{RUN}-room", 2 * GIB, "ceph"), Owner(workflow, "volume"))
    target.create_port(PortRequest(f"{RUN}-room", network(target, "private").id, None), Owner(workflow, "port"))
    after = target.quota_room()
    assert (before.volumes - after.volumes, before.gigabytes - after.gigabytes) == (1, 2)
    assert before.ports - after.ports == 1


# Refusals


def test_a_wrong_password_is_refused_without_being_shown():
    settings, secrets = settings_from_cloud("lab")
    wrong = OpenstackTarget(settings, {**secrets, "password": "certainly-not-it"})
    with pytest.raises(AccessDenied, match="refused the login") as caught:
        wrong.check()
    error: BaseException | None = caught.value
    while error is not None:
        assert "certainly-not-it" not in f"{error!r} {vars(error)}"
        error = error.__context__


def test_a_cloud_that_does_not_answer_is_unreachable():
    settings, secrets = settings_from_cloud("lab")
    nowhere = replace(settings, auth={**settings.auth, "auth_url": "http://127.0.0.1:9/v3"})
    with pytest.raises(Unreachable, match="didn't answer"):
        OpenstackTarget(nowhere, secrets).check()


def test_a_region_without_services_is_named_as_such():
    settings, secrets = settings_from_cloud("lab")
    with pytest.raises(InvalidInput, match="no region Atlantis"):
        OpenstackTarget(replace(settings, region="Atlantis"), secrets).check()


def test_too_small_a_quota_is_said_before_anything_is_made(target, workflow):
    owner = Owner(workflow, "volume")
    with pytest.raises(QuotaExceeded, match=f"no room to create volume {RUN}-big"):
        target.create_volume(VolumeRequest(f"{RUN}-big", 300 * GIB, "ceph"), owner)
    assert target.find_volume(owner) is None


def test_full_storage_is_told_in_cinders_words_and_leaves_no_volume(target, workflow):
    owner = Owner(workflow, "volume")
    with pytest.raises(ProviderError, match=rf"couldn't create volume {RUN}-huge \(150 GiB, type ceph\): .*backend"):
        target.create_volume(VolumeRequest(f"{RUN}-huge", 150 * GIB, "ceph"), owner)
    assert target.find_volume(owner) is None


def test_an_unknown_volume_type_is_named(target, workflow):
    with pytest.raises((NotFound, ProviderError), match="nonesuch"):
        target.create_volume(VolumeRequest(f"{RUN}-odd", GIB, "nonesuch"), Owner(workflow, "volume"))


# Volumes


def test_a_volume_made_twice_is_one_written_snapshotted_reverted_and_gone(target, cloud, workflow):
    owner = Owner(workflow, "volume")
    request = VolumeRequest(f"{RUN}-once", GIB - 5, "ceph", bootable=True, image_properties={"hw_disk_bus": "virtio"})
    volume = target.create_volume(request, owner)
    assert volume.size == GIB
    assert target.create_volume(request, owner) == volume
    assert target.find_volume(owner) == volume
    assert target.find_volume(Owner(workflow, "volum")) is None

    first, second = os.urandom(1 << 20), os.urandom(1 << 20)
    with target.open_volume(volume.id, owner) as export:
        assert cloud.block_storage.get_volume(volume.id).status == "in-use"
        assert export.probe().takes_whole, "Ceph, for which each request is work, isn't told as such"
        write(export.uri, first, 4096)
    assert cloud.block_storage.get_volume(volume.id).status == "available"

    marker = Owner(workflow, "snapshot")
    snapshot = target.snapshot_volume(volume.id, marker)
    assert target.snapshot_volume(volume.id, marker) == snapshot == target.find_volume_snapshot(marker)
    with target.open_volume(volume.id, owner) as export:
        write(export.uri, second, 4096)
        assert read(export.uri, len(second), 4096) == second
    target.revert_volume(volume.id, snapshot.id)
    with target.open_volume(volume.id, owner) as export:
        assert read(export.uri, len(first), 4096) == first

    target.finish_volume(volume.id, request)
    found = cloud.block_storage.get_volume(volume.id)
    assert found.is_bootable
    assert found.volume_image_metadata["hw_disk_bus"] == "virtio"

    with pytest.raises(Conflict, match="snapshots"):
        target.delete_volume(volume.id)
    target.delete_volume_snapshot(snapshot.id)
    target.delete_volume_snapshot(snapshot.id)
    target.delete_volume(volume.id)
    target.delete_volume(volume.id)
    assert target.find_volume(owner) is None


HOLDER = """
import sys, time
from longshore.model.target import Owner
from longshore.providers.openstack.connection import settings_from_cloud
from longshore.providers.openstack.target import OpenstackTarget
workflow, volume = sys.argv[1:]
with OpenstackTarget(*settings_from_cloud("lab")).open_volume(volume, Owner(workflow, "volume")) as export:
    print(export.uri, export.pid, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_reserved_the_next_run_takes_over(target, cloud, workflow):
    owner = Owner(workflow, "volume")
    volume = target.create_volume(VolumeRequest(f"{RUN}-held", GIB, "ceph"), owner)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, workflow, volume.id], stdout=subprocess.PIPE, text=True)
    try:
        uri, server = holder.stdout.readline().split()
        write(uri, b"from the first run", 0)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert cloud.block_storage.get_volume(volume.id).status == "in-use"
    deadline = time.monotonic() + 20
    while Path(f"/proc/{server}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{server}").exists(), "the killed process' NBD server lives on"

    with (
        pytest.raises(Conflict, match="doesn't belong to somebody-else"),
        target.open_volume(volume.id, Owner("somebody-else", "volume")),
    ):
        pass
    with target.open_volume(volume.id, owner) as export:
        assert read(export.uri, 18, 0) == b"from the first run"
    assert list(cloud.block_storage.attachments(volume_id=volume.id)) == []


# Ports


def test_a_port_keeps_mac_and_address_on_the_projects_own_network(target, workflow):
    owner = Owner(workflow, "port")
    own = network(target, "private").id
    request = PortRequest(f"{RUN}-p", own, "00:50:56:0a:0b:0c", ("10.20.30.77",), security_groups=("default",))
    asked = ["00:50:56:0a:0b:0c", "00:50:56:0a:0b:0d"], ["10.20.30.77", "10.20.30.7"]
    assert target.taken(own, *asked) == Taken()
    port = target.create_port(request, owner)
    assert (port.mac, port.addresses) == ("00:50:56:0a:0b:0c", ("10.20.30.77",))
    assert target.create_port(request, owner) == port == target.find_port(owner)
    assert target.taken(own, *asked) == Taken(frozenset({"00:50:56:0a:0b:0c"}), frozenset({"10.20.30.77"}))
    with pytest.raises(Conflict, match="MAC address 00:50:56:0a:0b:0c on network private"):
        target.create_port(replace(request, fixed_addresses=()), Owner(workflow, "other"))
    with pytest.raises(Conflict, match=r"address 10\.20\.30\.77 on network private"):
        target.create_port(replace(request, mac=None), Owner(workflow, "other"))
    target.delete_port(port.id)
    target.delete_port(port.id)
    assert target.find_port(owner) is None


def test_what_a_shared_network_does_not_allow_is_said_with_the_ways_out(target, workflow):
    shared, owner = network(target, "shared").id, Owner(workflow, "port")
    with pytest.raises(AccessDenied, match="may not choose MAC address 00:50:56:0a:0b:0d on network shared") as caught:
        target.create_port(PortRequest(f"{RUN}-p", shared, "00:50:56:0a:0b:0d"), owner)
    assert "advsvc" in caught.value.advice
    with pytest.raises(AccessDenied, match=r"may not choose address 10\.40\.0\.77 on network shared"):
        target.create_port(PortRequest(f"{RUN}-p", shared, None, ("10.40.0.77",)), owner)
    assert target.find_port(owner) is None
    assert target.create_port(PortRequest(f"{RUN}-p", shared, None), owner).addresses


def test_a_port_that_an_administrator_made_keeps_the_mac_on_a_shared_network(target, cloud, admin_cloud):
    mac = "00:50:56:0a:0b:0e"
    made = admin_cloud.network.create_port(
        name=f"{RUN}-p",
        network_id=network(target, "shared").id,
        mac_address=mac,
        project_id=cloud.current_project_id,
    )
    try:
        found = target.port(made.id)
        assert (found.mac, found.network_id, found.in_use) == (mac, made.network_id, False)
    finally:
        admin_cloud.network.delete_port(made.id)
    with pytest.raises(NotFound, match="no port"):
        target.port(made.id)


def test_an_address_out_of_the_subnet_that_is_named(target, workflow):
    private = network(target, "private")
    request = PortRequest(f"{RUN}-p", private.id, None, subnet_id=private.subnets[0].id)
    (address,) = target.create_port(request, Owner(workflow, "port")).addresses
    assert address.startswith("10.20.30.")


def test_impossible_ports_are_refused(target, workflow):
    own = network(target, "private").id
    with pytest.raises(Exception, match=r"can't give a port address 192\.168\.9\.9") as caught:
        target.create_port(PortRequest(f"{RUN}-p", own, None, ("192.168.9.9",)), Owner(workflow, "port"))
    assert caught.value.code == "invalid-input"
    with pytest.raises(NotFound, match="no security group nonesuch"):
        target.create_port(PortRequest(f"{RUN}-p", own, None, security_groups=("nonesuch",)), Owner(workflow, "port"))


# Servers


@pytest.mark.soak  # every move into the lab's cloud does
def test_a_server_boots_from_written_volumes_and_leaves_them_when_deleted(target, cloud, workflow):
    own = network(target, "private").id
    ids = []
    for step, name in (("volume", "root"), ("data", "data")):
        owner = Owner(workflow, step)
        request = VolumeRequest(f"{RUN}-{name}", (TINY_GUEST / f"{name}.raw").stat().st_size, "ceph", step == "volume")
        volume = target.create_volume(request, owner)
        with target.open_volume(volume.id, owner) as export:
            subprocess.run(
                ["qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", TINY_GUEST / f"{name}.raw", export.uri],
                check=True,
            )
        target.finish_volume(volume.id, request)
        ids.append(volume.id)
    port = target.create_port(PortRequest(f"{RUN}-tiny", own, "00:50:56:0a:0b:0e"), Owner(workflow, "port"))
    flavor = next(found for found in target.flavors() if found.name == "t.nano")
    owner = Owner(workflow, "server")
    request = ServerRequest(f"{RUN}-tiny", flavor.id, tuple(ids), (port.id,), metadata={"from": "a test"})
    server = target.create_server(request, owner)
    assert server.status == "ACTIVE"
    assert target.create_server(request, owner).id == server.id == target.find_server(owner).id
    assert [found.id for found in cloud.compute.servers(name=f"^{RUN}-tiny$")] == [server.id]

    deadline = time.monotonic() + 180
    while "00:50:56:0a:0b:0e" not in (console := target.console(server.id)) and time.monotonic() < deadline:
        time.sleep(1)
    assert re.search("00:50:56:0a:0b:0e", console), console[-2000:]

    with pytest.raises(Conflict, match="attached to server"), target.open_volume(ids[0], Owner(workflow, "volume")):
        pass
    target.stop_server(server.id)
    assert target.server(server.id).status == "SHUTOFF"
    target.delete_server(server.id)
    target.delete_server(server.id)
    assert {cloud.block_storage.get_volume(found).status for found in ids} == {"available"}
    with pytest.raises(NotFound, match="no server"):
        target.server(server.id)
