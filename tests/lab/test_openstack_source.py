"""Servers that write all the time move from one project of the lab's cloud into another, and keep what they have.

One boots from a volume that is a clone of its image, and has a second; one has its root disk on the compute node.
Volumes that no server has move, too.
"""

import base64
import gzip
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from moves import READY, events, remove_server, seen_on, state_of
from tenants import SSH_KEY, tenants

from conftest import LONGSHORE, PROJECT, Cli, end_engine, last_acknowledged, refused, target_inventory, wait_for
from longshore.engine.lock import is_locked
from longshore.model.status import Status
from longshore.store import EntryState, StateDirectory, Store, ThingKind

pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings("ignore:::openstack")]

TINY = Path(os.environ.get("LONGSHORE_LAB", "/var/lib/longshore-lab")) / "cache/guests/tiny"
# Where networks are OVN's, a pair with a MAC of its own is had with the port's
ROUTE = ["--from", "here", "--to", "there", "--network", "front=front", "--accept", "allowed-address-mac"]
ROUTE += ["--boot-mark", READY]


VOLUMES = {"web root": "agent", "web data": "data", "db data": "data"}  # and the images that they are clones of
IMAGES = {"tiny-root", "tiny-agent", "tiny-data"}
PAIRS = [{"ip_address": "10.71.0.9"}, {"ip_address": "10.71.0.64/28", "mac_address": "fa:16:3e:00:00:77"}]
USER_DATA = gzip.compress(b"#cloud-config\n")
# The guest has no agent: Nova can't freeze it, and says so since it is told to
AGENT = {"hw_qemu_guest_agent": "yes", "os_require_quiesce": "yes"}


class Project:
    """One of the two, with a network that a router leads out of, a security group and a key pair."""

    def __init__(self, tenant):
        self.name, self.cloud = tenant.name, tenant.cloud
        network, compute = self.cloud.network, self.cloud.compute
        self.public = network.find_network("public")
        self.front = network.create_network(name="front")
        subnet = network.create_subnet(name="front", network_id=self.front.id, ip_version=4, cidr="10.71.0.0/24")
        router = network.create_router(name="out", external_gateway_info={"network_id": self.public.id})
        network.add_interface_to_router(router, subnet.id)
        self.web = network.create_security_group(name="web")
        compute.create_keypair(name="ops", public_key=SSH_KEY)

    def volume(self, image, name):
        """A clone of the image, as those are that users boot from."""
        made = self.cloud.block_storage.create_volume(name=name, size=1, image_id=image.id)
        return self.cloud.block_storage.wait_for_status(made, "available", wait=120)

    def server(self, name, flavor, address, disks, pairs=(), **more):
        port = self.cloud.network.create_port(
            name=name,
            network_id=self.front.id,
            fixed_ips=[{"ip_address": address}],
            security_group_ids=[self.web.id],
            allowed_address_pairs=list(pairs),
        )
        made = self.cloud.compute.create_server(
            name=name,
            flavor_id=flavor.id,
            networks=[{"port": port.id}],
            block_device_mapping=disks,
            key_name="ops",
            metadata={"team": "web"},
            tags=["blue"],
            **more,
        )
        return self.cloud.compute.wait_for_server(made, wait=300), port

    def console(self, server):
        return self.cloud.compute.get_server_console_output(server)["output"]

    def clear(self):
        for server in self.cloud.compute.servers():
            remove_server(self.cloud, server.id)
        storage = self.cloud.block_storage
        for snapshot in list(storage.snapshots()):
            storage.delete_snapshot(snapshot)
        wait_for(lambda: not list(storage.snapshots()), 60, "snapshots to go")
        for volume in list(storage.volumes()):
            if volume.status != "deleting":
                storage.delete_volume(volume)
        wait_for(lambda: not list(storage.volumes()), 60, "volumes to go")


def with_admin(tenant, admin, path):
    """Another login to the project, an administrator's: Nova tells nobody else what user data a server has."""
    role = admin.identity.find_role("admin")
    admin.identity.assign_project_role_to_user(tenant.id, admin.current_user_id, role)
    clouds = yaml.safe_load(path.read_text())
    entry = clouds["clouds"]["lab-admin"]
    clouds["clouds"]["here-admin"] = {**entry, "auth": {**entry["auth"], "project_name": tenant.name}}
    path.write_text(yaml.safe_dump(clouds))


def volume_disk(volume, index):
    return {"boot_index": index, "uuid": volume.id, "source_type": "volume", "destination_type": "volume"}


@pytest.fixture(scope="module")
def sides(lab, admin_cloud, tmp_path_factory):
    directory = tmp_path_factory.mktemp("two-projects")
    with tenants(lab.root / "etc" / "clouds.yaml", admin_cloud, directory) as (made, path):
        here, there = projects = [Project(tenant) for tenant in made]
        with_admin(made[0], admin_cloud, path)
        yield here, there, path
        for project in projects:
            project.clear()


@pytest.fixture(scope="module")
def flavors(admin_cloud, sides):
    """Without a disk of its own, and with one. Of these projects alone: what moves beside them shall not take them."""
    name = f"source-{uuid.uuid4().hex[:6]}"
    compute = admin_cloud.compute
    of_its_own = {"vcpus": 1, "ram": 256, "is_public": False}
    made = [compute.create_flavor(name=f"{name}-{disk}", disk=disk, **of_its_own) for disk in (0, 1)]
    for flavor in made:
        for project in sides[:2]:
            compute.flavor_add_tenant_access(flavor, project.cloud.current_project_id)
    yield made
    for flavor in made:
        compute.delete_flavor(flavor)


@pytest.fixture(scope="module")
def servers(sides, flavors):
    """`web` boots from a volume, `db` from its compute node; both write to two disks."""
    here, _, _ = sides
    images = {
        name: here.cloud.image.create_image(
            f"tiny-{name}", container_format="bare", disk_format="raw", filename=str(TINY / f"{kind}.raw"), **more
        )
        for name, kind, more in (("root", "root", {}), ("agent", "root", AGENT), ("data", "data", {}))
    }
    volumes = {name: here.volume(images[kind], name) for name, kind in VOLUMES.items()}
    disks = [volume_disk(volumes["web root"], 0), volume_disk(volumes["web data"], 1)]
    web = here.server("web", flavors[0], "10.71.0.21", disks, PAIRS, user_data=base64.b64encode(USER_DATA).decode())
    local = {"boot_index": 0, "uuid": images["root"].id, "source_type": "image", "destination_type": "local"}
    db = here.server(
        "db", flavors[1], "10.71.0.22", [local, volume_disk(volumes["db data"], -1)], image_id=images["root"].id
    )
    here.cloud.network.create_ip(floating_network_id=here.public.id, port_id=web[1].id)
    for server, _ in (web, db):
        wait_for(lambda s=server: last_acknowledged(here.console(s)) > 20, 240, f"{server.name} to write")
    yield {"web": web, "db": db}
    here.clear()


@contextmanager
def knowing_both(state, sides):
    here, there, clouds = sides
    cli = Cli(state, {"OS_CLIENT_CONFIG_FILE": str(clouds)})
    for name, entry in (("here", here.name), ("there", there.name), ("here-admin", "here-admin")):
        done = cli("provider", "add", "openstack", name, "--os-cloud", entry)
        assert done.returncode == 0, done.stderr
    yield cli
    end_engine(cli)


@pytest.fixture
def cli(tmp_path, sides):
    with knowing_both(tmp_path / "state", sides) as cli:
        yield cli


@pytest.fixture(scope="module")
def module_cli(tmp_path_factory, sides):
    with knowing_both(tmp_path_factory.mktemp("module") / "state", sides) as cli:
        yield cli


@pytest.fixture
def failing(cli, tmp_path):
    """Starts a worker on the command's state directory in which each step fails once, or those that are named."""
    record = tmp_path / "steps"
    started = []

    def start(*only):
        command = [sys.executable, PROJECT / "tests" / "failing_steps.py", cli.state, record, *only]
        with (tmp_path / "worker.log").open("w") as log:
            started.append(subprocess.Popen(command, stderr=log))
        wait_for(lambda: is_locked(StateDirectory(cli.state)), 30, "the worker to be there")
        return started[0], record

    yield start
    for worker in started:
        worker.kill()
        worker.wait()


def as_it_is(project):
    """All of it that a migration could change or leave behind."""
    compute, storage, network = project.cloud.compute, project.cloud.block_storage, project.cloud.network
    ports = [one for one in network.ports() if not one.device_owner.startswith("network:")]
    volumes = storage.volumes()
    return {
        "servers": {
            one.id: (one.status, [v.id for v in one.attached_volumes], one.metadata) for one in compute.servers()
        },
        "volumes": {one.id: (one.status, one.metadata, one.volume_image_metadata) for one in volumes},
        "attachments": {one.id for one in storage.attachments()},
        "snapshots": {one.id for one in storage.snapshots()},
        "images": {one.id for one in project.cloud.image.images(owner=project.cloud.current_project_id)},
        "ports": {one.id: (one.device_id, one.mac_address) for one in ports},
        "floating": {one.id: one.port_id for one in network.ips()},
        "groups": {one.id for one in network.security_groups()},
    }


def goes_on(project, server, acknowledged, *, restarted):
    """The server writes, and says itself that it has all that it had written. Its last record now."""
    import console as writer

    def life():
        return (writer.read(project.console(server)).boots or (writer.Boot(),))[-1]

    def has_gone_on():
        seen = life()
        return seen.failures or ((seen.acknowledged or 0) > acknowledged and (seen.verified or not restarted))

    wait_for(has_gone_on, 180, f"{server.name} to write on")
    seen = life()
    assert seen.failures == []
    if restarted:
        assert seen.verified.bad == 0
        assert seen.verified.last >= acknowledged
    return seen.acknowledged


def put_back(sides, server, moved_id):
    """As if it had never been moved: the new server gone, the old one on."""
    here, there, _ = sides
    ports = {port.id for port in there.cloud.network.ports(device_id=moved_id)}
    floating = [one for one in there.cloud.network.ips() if one.port_id in ports]
    remove_server(there.cloud, moved_id)
    for one in floating:
        there.cloud.network.delete_ip(one)
    here.cloud.compute.start_server(server.id)
    here.cloud.compute.wait_for_server(here.cloud.compute.get_server(server.id), wait=120)


def moved(sides, server, port, shown, acknowledged):
    """What the server's owner would look at."""
    here, there, _ = sides
    arrived = there.cloud.compute.get_server(shown["server_id"])
    assert arrived.status == "ACTIVE"
    seen = seen_on(there.cloud, arrived.id)
    assert seen.verified.bad == 0
    assert seen.verified.last >= acknowledged > 0
    assert {nic.mac for nic in seen.nics.values()} == {port.mac_address}
    assert len(seen.disks) == 2
    (new,) = there.cloud.network.ports(device_id=arrived.id)
    assert [fixed["ip_address"] for fixed in new.fixed_ips] == [fixed["ip_address"] for fixed in port.fixed_ips]
    assert new.security_group_ids == [there.web.id]
    assert (arrived.name, arrived.key_name, arrived.tags) == (server.name, "ops", ["blue"])
    assert arrived.metadata["team"] == "web"
    assert here.cloud.compute.get_server(server.id).status == "SHUTOFF"
    assert not list(here.cloud.block_storage.snapshots())
    assert {image.name for image in here.cloud.image.images(owner=here.cloud.current_project_id)} == IMAGES
    return arrived


@pytest.mark.turns("what an OpenStack has")
def test_a_server_is_described_as_it_is(cli, servers):
    web, port = servers["web"]
    shown = cli.json("machine", "show", "here", "web")
    assert (shown["ref"], shown["power"], shown["memory_mib"]) == (web.id, "on", 256)
    root, data = shown["disks"]
    assert (root["name"], data["name"], root["size"]) == ("web root", "web data", 1 << 30)
    assert root["image_properties"] == AGENT
    assert shown["freezes"]
    (nic,) = shown["nics"]
    assert (nic["mac"], nic["network"], nic["addresses"]) == (port.mac_address, "front", ["10.71.0.21"])
    assert nic["security_groups"] == ["web"]
    assert list(nic["floating_addresses"]) == ["10.71.0.21"]
    local, attached = cli.json("machine", "show", "here", "db")["disks"]
    assert (local["key"], local["size"], attached["name"]) == ("root", 1 << 30, "db data")
    assert {m["Name"] for m in cli.json("machine", "list", "here")} == {"web", "db"}
    # the target's own network: the MACs and addresses are there already
    back = ["--from", "here", "--to", "here", "--network", "front=front"]
    refused(cli("migrate", "web", *back), "in use")


@pytest.mark.soak
def test_a_move_that_fails_at_its_end_leaves_the_source_as_it_was(cli, sides, servers):
    here, there, _ = sides
    web, _ = servers["web"]
    before = target_inventory(there.cloud)
    at_source = {v.id for v in here.cloud.block_storage.volumes()}
    back = ["--when-stuck", "take-back"]
    done = cli("migrate", "web", *ROUTE[:-1], "never", "--boot-timeout", "3", *back, "--wait", "--plain")
    assert done.returncode != 0
    (migration,) = cli.json("migration", "list")
    assert state_of(cli, migration["ID"])["status"] == "failed"
    assert target_inventory(there.cloud) == before
    assert not list(there.cloud.network.ips())
    assert here.cloud.compute.get_server(web.id).status == "ACTIVE"
    assert {v.id for v in here.cloud.block_storage.volumes()} == at_source
    assert not list(here.cloud.block_storage.snapshots())
    wait_for(lambda: last_acknowledged(here.console(web)) > 0, 120, "the source to write on")


@pytest.mark.soak
def test_what_has_to_be_frozen_and_cannot_be_is_not_copied(cli, sides, servers):
    here, there, _ = sides
    before = target_inventory(there.cloud)
    rehearse = [*ROUTE, "--type", "dry-run", "--quiesce", "--wait", "--plain"]
    refused(cli("migrate", "db", *rehearse), "db is to be frozen, and can't be.")
    assert cli("migrate", "web", *rehearse).returncode != 0
    (migration,) = cli.json("migration", "list")
    shown = state_of(cli, migration["ID"])
    assert (shown["status"], shown["error_code"]) == ("failed", "quiesce-failed")
    assert "Is qemu-guest-agent running in it?" in shown["error"]
    assert here.cloud.compute.get_server(servers["web"][0].id).status == "ACTIVE"
    assert target_inventory(there.cloud) == before
    assert not list(here.cloud.block_storage.snapshots())
    assert {image.name for image in here.cloud.image.images(owner=here.cloud.current_project_id)} == IMAGES


@pytest.fixture
def app(sides, flavors, tmp_path):
    """A server on two volumes with Debian's qemu-guest-agent at work in it."""
    here, _, _ = sides
    root, menu = tmp_path / "root.raw", tmp_path / "syslinux.cfg"
    shutil.copy(TINY / "root.raw", root)
    boot = f"{root}@@1M"
    subprocess.run(["mcopy", "-i", boot, "::syslinux.cfg", menu], check=True)
    menu.write_text(menu.read_text().replace(" quiet ", " quiet ledgerd.agent "))
    subprocess.run(["mcopy", "-o", "-i", boot, menu, "::syslinux.cfg"], check=True)
    raw = {"container_format": "bare", "disk_format": "raw"}
    images = [
        here.cloud.image.create_image("app-root", filename=str(root), **raw, **AGENT),
        here.cloud.image.create_image("app-data", filename=str(TINY / "data.raw"), **raw),
    ]
    volumes = [here.volume(image, f"app {number}") for number, image in enumerate(images)]
    disks = [volume_disk(volume, index) for index, volume in enumerate(volumes)]
    server, _ = here.server("app", flavors[0], "10.71.0.23", disks)
    wait_for(lambda: last_acknowledged(here.console(server)) > 20, 240, "app to write")
    yield server
    remove_server(here.cloud, server.id)
    left = {volume.id for volume in volumes}  # clones of the images, which go after them
    wait_for(lambda: not left & {volume.id for volume in here.cloud.block_storage.volumes()}, 60, "volumes to go")
    for image in images:
        here.cloud.image.delete_image(image)


@pytest.mark.soak  # what Nova and Glance answer is in tests/providers/test_openstack_agent.py every day
def test_a_server_whose_agent_freezes_it_is_copied_as_it_was_at_one_moment(cli, sides, app):
    here, there, _ = sides
    before = as_it_is(here), as_it_is(there)
    rehearse = [*ROUTE, "--type", "dry-run", "--quiesce", "--keep", "--wait", "--plain"]
    done = cli("migrate", "app", *rehearse)
    assert done.returncode == 0, done.stderr
    (migration,) = cli.json("migration", "list")
    assert "app was frozen for it: all its disks are as they were at one moment." in events(cli, migration["ID"])
    # As the guest saw it: frozen once, thawed at once, and writing on
    console = here.console(app)
    assert re.findall("LONGSHORE-WRITER agent (.*)", console.replace("\r", "")) == ["freeze", "thaw"]
    until_frozen, while_frozen, _ = console.split("LONGSHORE-WRITER agent ")
    frozen = last_acknowledged(until_frozen)
    thawed = last_acknowledged(until_frozen + while_frozen)  # nothing is said while it is frozen, as a rule
    goes_on(here, app, last_acknowledged(console), restarted=False)
    # Both disks end with the same record, or the root disk with the one after: never so, seconds apart
    seen = seen_on(there.cloud, state_of(cli, migration["ID"])["server_id"])
    assert seen.verified.bad == 0
    assert frozen <= seen.verified.last <= thawed + 50
    assert cli("migration", "cleanup", migration["ID"]).returncode == 0
    assert (as_it_is(here), as_it_is(there)) == before


def cold():
    return []


def warm():
    """Cut over right after the first copy: a time that has come by then."""
    return ["--type", "warm", "--cutover-at", (datetime.now(UTC) + timedelta(seconds=20)).isoformat()]


# Of each way some of the steps, so that none is left out unseen
COLD_STEPS = {"prepare", "ports", "shut-down", "snapshot", "drop-snapshot", "boot", "check"}
WARM_STEPS = {"shut-down-1", "sync-0-snapshot", "sync-1-snapshot", "sync-1-drop-base", "sync-1-drop-snapshot", "check"}


@pytest.mark.soak
@pytest.mark.timeout(3600)  # ten runs, each broken off a step later
@pytest.mark.parametrize(
    ("name", "how", "only", "some"),
    [("web", warm, ["web sync-", "web shut-down", "web check"], WARM_STEPS), ("db", cold, [], COLD_STEPS)],
    ids=["web-warm", "db-cold"],
)
def test_whichever_step_fails_all_is_as_it_was(cli, sides, servers, failing, name, how, only, some):
    """`web` is moved warm, by what differs between snapshots; of `db`, cold, an image and a volume are made.

    Of the first's steps those fail that the second hasn't got, or that have more to take back then, and the last one.
    """
    here, there, _ = sides
    server, port = servers[name]
    worker, record = failing(*only)
    before = as_it_is(here), as_it_is(there)
    acknowledged = last_acknowledged(here.console(server))
    store = Store(StateDirectory(cli.state))
    while True:
        migration = cli.json("migrate", name, *ROUTE, *how(), "--when-stuck", "take-back")["id"]
        wait_for(lambda m=migration: store.migrations.get(m).status.ended, 600, "it to end")
        run = store.migrations.get(migration)
        states = {entry.state for entry in store.ledger.entries(migration)}
        if run.status is Status.DONE:
            break
        assert run.error_code == "struck", run.error
        assert states <= {EntryState.REMOVED}
        acknowledged = goes_on(here, server, acknowledged, restarted=run.source_off_at is not None)
        assert (as_it_is(here), as_it_is(there)) == before
    store.close()
    moved(sides, server, port, state_of(cli, migration), acknowledged)
    assert states == {EntryState.HANDED_OVER, EntryState.REMOVED}
    put_back(sides, server, run.server_id)
    goes_on(here, server, acknowledged, restarted=True)
    assert (as_it_is(here), as_it_is(there)) == before
    steps = [line.split() for line in record.read_text().splitlines()]
    failed = {step for _, step, how in steps if how == "failed"}
    assert failed == {step for _, step, _ in steps if f"{name} {step}".startswith(tuple(only) or "")}
    assert some < failed
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


# What there is of one, by kind
RELAY = dict.fromkeys(["servers", "volumes", "attachments", "ports", "floating", "groups"], 1)
RELAY |= {"snapshots": 0, "images": 0}


@pytest.fixture(scope="module")
def relay_image(lab, admin_cloud):
    """As an administrator offers it to all projects."""
    name = f"relay-{uuid.uuid4().hex[:6]}"
    file = lab.root / "cache" / "relay.qcow2"
    assert file.exists(), f"build it first: longshore relay-image build --output {file}"
    upload = [LONGSHORE, "relay-image", "upload", "--os-cloud", "lab-admin", "--image", file, "--name", name]
    done = subprocess.run(upload, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    image = admin_cloud.image.find_image(name)
    admin_cloud.image.update_image(image, visibility="public")
    yield name
    admin_cloud.image.delete_image(image)


def besides(now, before):
    """How much more there is than before, which is as it was."""
    for kind, known in before.items():
        assert known == {one: now[kind][one] for one in known} if isinstance(known, dict) else known <= now[kind], kind
    return {kind: len(now[kind]) - len(known) for kind, known in before.items()}


@pytest.mark.soak  # the target's end goes through a relay every day: test_relay_transport
@pytest.mark.timeout(1800)
def test_both_servers_are_moved_through_relays_on_both_sides(cli, sides, servers, failing, relay_image):
    """Nothing reaches the storage. One fails when it has been booted; all of them share one relay on either side."""
    here, there, _ = sides
    apart = ["--transport", "relay", "--relay-network", "front", "--relay-floating-network", "public"]
    apart += ["--relay-image", relay_image, "--ceph-conf", "/nowhere"]
    for name, entry in (("here-apart", here.name), ("there-apart", there.name)):
        done = cli("provider", "add", "openstack", name, "--os-cloud", entry, *apart)
        assert done.returncode == 0, done.stderr
    worker, _ = failing("web boot")
    before = as_it_is(here), as_it_is(there)
    store = Store(StateDirectory(cli.state))
    migrations = []

    def run(name):
        route = ["--from", "here-apart", "--to", "there-apart", *ROUTE[4:], "--when-stuck", "take-back"]
        migrations.append(cli.json("migrate", name, *route)["id"])
        wait_for(lambda: store.migrations.get(migrations[-1]).status.ended, 900, "it to end")
        return store.migrations.get(migrations[-1])

    acknowledged = last_acknowledged(here.console(servers["web"][0]))
    assert run("web").error_code == "struck"
    goes_on(here, servers["web"][0], acknowledged, restarted=True)
    assert besides(as_it_is(here), before[0]) == besides(as_it_is(there), before[1]) == RELAY
    for name, (server, port) in servers.items():
        acknowledged = last_acknowledged(here.console(server))
        done = run(name)
        assert done.status is Status.DONE, done.error
        moved(sides, server, port, state_of(cli, done.id), acknowledged)
        assert done.result["bytes_verified"] == 2 << 30
        put_back(sides, server, done.server_id)
        goes_on(here, server, acknowledged, restarted=True)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=120) == 0
    assert (as_it_is(here), as_it_is(there)) == before
    entries = [entry for migration in migrations for entry in store.ledger.entries(migration)]
    assert [entry.kind for entry in entries].count(ThingKind.RELAY) == 2
    assert {entry.state for entry in entries} == {EntryState.HANDED_OVER, EntryState.REMOVED}
    store.close()


@pytest.fixture(scope="module")
def warm_moves(module_cli, sides, servers):
    """Both servers moved warm, side by side: of each its migration, and what it had written before."""
    here, _, _ = sides
    began = {}
    for name, source in (("web", "here-admin"), ("db", "here")):
        acknowledged = last_acknowledged(here.console(servers[name][0]))
        warm = ["--from", source, *ROUTE[2:], "--type", "warm", "--cutover", "automatic"]
        began[name] = module_cli.json("migrate", name, *warm)["id"], acknowledged
    for migration, _ in began.values():
        done = module_cli("migration", "wait", migration, "--plain")
        assert done.returncode == 0, done.stderr
    return {name: (state_of(module_cli, migration), acknowledged) for name, (migration, acknowledged) in began.items()}


def test_a_server_with_two_volumes_is_moved_warm_by_what_differs_between_snapshots(
    module_cli, sides, servers, warm_moves, admin_cloud
):
    _, there, _ = sides
    cli = module_cli
    web, port = servers["web"]
    shown, acknowledged = warm_moves["web"]
    arrived = moved(sides, web, port, shown, acknowledged)
    first, *later = shown["syncs"]
    assert first["bytes_verified"] == 2 << 30
    for sync in later:  # what it wrote meanwhile, and no more
        assert 0 < sync["bytes_changed"] < 64 << 20
    assert "couldn't be frozen" in events(cli, shown["id"])
    volumes = [there.cloud.block_storage.get_volume(v.id) for v in arrived.attached_volumes]
    assert {v.name for v in volumes} == {"web root", "web data"}
    root = next(v for v in volumes if v.name == "web root")
    assert root.volume_image_metadata == AGENT
    (floating,) = there.cloud.network.ips()
    assert floating.fixed_ip_address == "10.71.0.21"
    assert {e["State"] for e in cli.json("migration", "ledger", shown["id"])} == {"handed-over", "removed"}
    assert base64.b64decode(admin_cloud.compute.get_server(arrived.id).user_data) == USER_DATA
    (new,) = there.cloud.network.ports(device_id=arrived.id)
    own, other = sorted(new.allowed_address_pairs, key=lambda pair: pair["ip_address"], reverse=True)
    assert (own["ip_address"], own["mac_address"]) == ("10.71.0.9", new.mac_address)
    by_ovn = any("OVN" in agent.agent_type for agent in admin_cloud.network.agents())
    assert other == ({**PAIRS[1], "mac_address": new.mac_address} if by_ovn else PAIRS[1])
    refused(cli("migrate", "web", *ROUTE), "web is there already")


def test_a_server_with_its_root_on_the_compute_node_is_moved_warm(module_cli, sides, servers, warm_moves):
    here, _, _ = sides
    db, port = servers["db"]
    shown, acknowledged = warm_moves["db"]
    moved(sides, db, port, shown, acknowledged)
    assert {v.name for v in here.cloud.block_storage.volumes()} == set(VOLUMES)
    told = events(module_cli, shown["id"])
    assert "The root disk of db is no volume: each sync reads all of it." in told
    assert "volume db data: all of it is read" not in told
    for sync in shown["syncs"][1:]:  # read and compared, but only what differs is written
        assert sync["bytes_changed"] is None
        assert 0 < sync["bytes_written"] < 64 << 20


def rbd(*words):
    return subprocess.run(["rbd", "--id", "cinder", *words], capture_output=True, check=True).stdout


def written(volume):
    """Noise at both ends of a volume, through Ceph's own tool."""
    noise = TINY / "data.raw"
    image = f"volumes/volume-{volume.id}"
    rbd("rm", "--no-progress", image)
    rbd("import", "--no-progress", str(noise), image)
    rbd("resize", "--no-progress", "--size", "1G", image)


def content(volume_id):
    """A digest of all of it, as Ceph has it."""
    return hashlib.blake2b(rbd("export", "--no-progress", f"volumes/volume-{volume_id}", "-")).hexdigest()


@pytest.fixture
def loose(sides):
    """Volumes that no server has: one with bytes and all that can be said of one, one that can't be moved."""
    here, there, _ = sides
    storage = here.cloud.block_storage
    before = {v.id for v in storage.volumes()}, {v.id for v in there.cloud.block_storage.volumes()}
    archive = storage.create_volume(name="archive", size=1, description="kept for years", metadata={"team": "web"})
    twin = storage.create_volume(name="spare", size=1)
    for made in (archive, twin):
        storage.wait_for_status(made, "available", wait=120)
    written(archive)
    storage.set_volume_bootable_status(archive, True)
    storage.set_volume_image_metadata(archive, hw_disk_bus="scsi", os_distro="debian", min_ram="64")
    storage.set_volume_readonly(archive, True)
    yield archive, twin
    for project, old in zip((here, there), before, strict=True):
        kept = project.cloud.block_storage
        for volume in [v for v in kept.volumes() if v.id not in old]:
            kept.delete_volume(volume)
        wait_for(lambda k=kept, o=old: {v.id for v in k.volumes()} == o, 60, "volumes to go")


@pytest.mark.turns("what an OpenStack has")
def test_volumes_that_no_server_has_move_with_all_that_is_said_of_them(cli, sides, loose):
    here, there, _ = sides
    archive, _ = loose
    listed = {v["ID"]: v for v in cli.json("volume", "list", "here")}
    assert {listed[v.id]["Name"] for v in loose} == {"archive", "spare"}
    assert listed[archive.id]["Bootable"] is True
    route = ["volume", "migrate", "--from", "here", "--to", "there", "--wait", "--plain"]
    moved = {v["Volume"]: v for v in cli.json(*route, "archive", "spare")}
    assert {v["Result"] for v in moved.values()} == {"moved"}, moved

    storage = there.cloud.block_storage
    arrived = storage.get_volume(moved["archive"]["New volume"])
    assert content(arrived.id) == content(archive.id)
    assert (arrived.name, arrived.size, arrived.volume_type) == ("archive", 1, archive.volume_type)
    assert (arrived.description, arrived.is_bootable, arrived.status) == ("kept for years", True, "available")
    assert arrived.metadata["team"] == "web"
    assert arrived.metadata["longshore:source"] == f"volume:{archive.id}"
    assert arrived.metadata["readonly"] == "True"
    assert arrived.volume_image_metadata == {"hw_disk_bus": "scsi", "os_distro": "debian", "min_ram": "64"}
    ledger = cli.json("migration", "ledger", moved["archive"]["Migration"])
    assert {(e["Kind"], e["State"]) for e in ledger} == {("volume", "handed-over"), ("source-snapshot", "removed")}
    for volume in loose:  # as they were, and nothing beside them
        assert here.cloud.block_storage.get_volume(volume.id).status == "available"
    assert not list(here.cloud.block_storage.snapshots())
    assert not {a.volume_id for a in here.cloud.block_storage.attachments()} & {volume.id for volume in loose}

    again = cli.json(*route[:2], "--match", "[as]*", *route[2:])
    assert {v["Result"] for v in again if v["Volume"] in moved} == {"there already"}
    back = ["volume", "migrate", "--from", "here", "--to", "here", "archive", "-f", "json"]
    done = cli(*back)
    assert done.returncode == 1
    assert "archive is in the target's own project" in done.stdout
