"""A cloud of a release of today beside the lab's own, which is some years older: servers, machines and backups go from
one to the other.

Its storage can't be reached from the lab's own cloud: what Longshore does from there is done through a relay. What it
does beside either cloud is done with this machine's libraries.
"""

import json
import os
import subprocess
import uuid
from contextlib import contextmanager

import openstack
import pytest
import yaml
from moves import READY, only_migration, remove_server, seen_on, state_of
from tenants import tenants
from test_files_moves import MAC, TO_CLOUD, add_files, exported
from test_openstack_source import ROUTE, Project, goes_on, moved, put_back, servers, warm
from test_servers_come_home import test_a_server_is_tried_fails_over_and_comes_home as comes_home

from conftest import LONGSHORE, PROJECT, Cli, end_engine, last_acknowledged

__all__ = ["servers"]  # a fixture

# A whole cloud is raised on the way
pytestmark = [
    pytest.mark.lab,
    pytest.mark.soak,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore:::openstack"),
]

LAB = PROJECT / "lab" / "lab"
# Its networks are OVN's, which binds no port that speaks with two MACs
WITH_ITS_OWN_MAC = ("--accept", "allowed-address-mac")


@pytest.fixture(scope="module")
def logins(lab):
    """Raise the cloud, and yield the file with the log-ins to it from here."""
    try:
        started = subprocess.run([LAB, "--cloud", "today", "up"], capture_output=True, text=True)
        assert started.returncode == 0, started.stderr
        yield lab.root / "clouds" / "today" / "etc" / "clouds-outside.yaml"
    finally:
        ended = subprocess.run([LAB, "--cloud", "today", "down"], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr


@contextmanager
def logged_in(logins, entry):
    known = yaml.safe_load(logins.read_text())["clouds"][entry]
    with openstack.connect(load_yaml_config=False, load_envvars=False, **known) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def today(logins):
    """Yield it as a plain member sees it."""
    with logged_in(logins, "lab") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def admin_of_today(logins):
    with logged_in(logins, "lab-admin") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def sides(lab, admin_cloud, logins, admin_of_today, tmp_path_factory):
    """Yield a project in each cloud with room for points and what is read of them, and the files with log-ins."""
    clouds = (lab.root / "etc" / "clouds.yaml", admin_cloud), (logins, admin_of_today)
    directories = tmp_path_factory.mktemp("older"), tmp_path_factory.mktemp("today")
    with (
        tenants(*clouds[0], directories[0], 1) as ((older,), path_of_older),
        tenants(*clouds[1], directories[1], 1) as ((newer,), path_of_newer),
    ):
        for tenant, (_, admin) in zip((older, newer), clouds, strict=True):
            more = {"quota_set": {"snapshots": 60, "volumes": 40}}
            answer = admin.block_storage.put(f"/os-quota-sets/{tenant.id}", json=more)
            assert answer.ok, answer.text
        projects = Project(older), Project(newer)
        yield *projects, (path_of_older, path_of_newer)
        for project in projects:
            project.clear()


@pytest.fixture(scope="module")
def flavors(admin_cloud, sides):
    """Yield two flavors, one without a disk of its own and one with."""
    name = f"source-{uuid.uuid4().hex[:6]}"
    compute = admin_cloud.compute
    made = [compute.create_flavor(name=f"{name}-{disk}", disk=disk, vcpus=1, ram=256) for disk in (0, 1)]
    yield made
    for flavor in made:
        compute.delete_flavor(flavor)


@pytest.fixture(scope="module")
def relay_image(lab, logins):
    """Upload the relay's image to the cloud of today, where an administrator offers it to all projects."""
    file = lab.root / "cache" / "relay.qcow2"
    assert file.exists(), f"build it first: longshore relay-image build --output {file}"
    upload = [LONGSHORE, "relay-image", "upload", "--os-cloud", "lab-admin", "--image", file]
    environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(logins)}
    done = subprocess.run(upload, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    with logged_in(logins, "lab-admin") as admin:
        admin.image.update_image(admin.image.find_image("longshore-relay"), visibility="public")


@pytest.fixture
def cli(tmp_path, sides, relay_image):
    """Yield a command that reaches the storage of the older cloud, and a relay in that of today."""
    here, there, (clouds_here, clouds_there) = sides
    cli = Cli(tmp_path / "state")
    relay = ("--transport", "relay", "--relay-network", "front", "--relay-floating-network", "public")
    for name, entry, clouds, more in (
        ("here", here.name, clouds_here, ()),
        ("there", there.name, clouds_there, (*relay, "--ceph-conf", "/nowhere")),
    ):
        words = ("provider", "add", "openstack", name, "--os-cloud", entry, *more)
        done = cli(*words, OS_CLIENT_CONFIG_FILE=str(clouds))
        assert done.returncode == 0, done.stderr
    yield cli
    end_engine(cli)


def well(cli, *words):
    done = cli(*words, timeout=1500)
    assert done.returncode == 0, done.stderr
    return done


def test_a_server_that_writes_moves_warm_into_it(cli, sides, servers, tell):
    here, _, _ = sides
    server, port = servers["web"]
    acknowledged = last_acknowledged(here.console(server))
    migration = cli.json("migrate", "web", *ROUTE, *WITH_ITS_OWN_MAC, *warm())["id"]
    well(cli, "migration", "wait", migration, "--plain")
    shown = state_of(cli, migration)
    moved(sides, server, port, shown, acknowledged)
    first, *later = shown["syncs"]
    assert first["bytes_verified"] == 2 << 30
    assert all(0 < sync["bytes_changed"] < 64 << 20 for sync in later)
    tell(f"down for {shown['result']['downtime_seconds']:.0f} s")
    put_back(sides, server, shown["server_id"])
    goes_on(here, server, acknowledged, restarted=True)


def test_a_backup_made_in_the_older_one_is_restored_in_it(cli, sides, servers, tmp_path, tell):
    here, there, _ = sides
    server, _ = servers["web"]
    acknowledged = last_acknowledged(here.console(server))
    phrase = tmp_path / "phrase"
    phrase.write_text(f"{os.urandom(16).hex()}\n")
    phrase.chmod(0o600)
    (tmp_path / "vault").mkdir()
    well(cli, "vault", "create", "offsite", str(tmp_path / "vault"), "--pass-phrase-file", str(phrase))
    backup = ("backup", "create", "web", "--source", "here", "--vault", "offsite", "--wait", "--plain", "-f", "json")
    made = json.loads(well(cli, *backup).stdout)
    words = ("--target", "there", "--network", "front=front", "--boot-mark", READY, *WITH_ITS_OWN_MAC, "--wait")
    restored = json.loads(well(cli, "restore", "create", "web", "--vault", "offsite", *words, "-f", "json").stdout)
    server_id = restored["server_id"]
    seen = seen_on(there.cloud, server_id)
    assert (seen.verified.bad, seen.verified.last >= acknowledged) == (0, True)
    remove_server(there.cloud, server_id)
    well(cli, "migration", "cleanup", made["id"])  # the snapshots that the next backup would begin from
    assert not list(here.cloud.block_storage.snapshots())


def whole(cloud, server_id):
    """What the guest has told of its records, of which none is bad."""
    assert cloud.compute.get_server(server_id).status == "ACTIVE"
    seen = seen_on(cloud, server_id)
    assert seen.verified.bad == 0
    assert len(seen.disks) == 2
    return seen


def test_what_is_moved_there_and_backed_up_is_made_again_in_the_other_one(today, lab, cloud, tmp_path, request):
    for directory in ("exports", "vault"):
        (tmp_path / directory).mkdir()
    files, name = exported(lab, "tiny", tmp_path)
    for file, content in files.items():
        (tmp_path / "exports" / file).write_bytes(content)
    phrase = tmp_path / "phrase"
    phrase.write_text(f"{os.urandom(16).hex()}\n")
    phrase.chmod(0o600)

    there = Cli(tmp_path / "there", inside=(LAB, "--cloud", "today", "run"))
    well(there, "provider", "add", "openstack", "cloud", "--os-cloud", "lab")
    add_files(there, f"file://{tmp_path / 'exports'}")
    well(there, "migrate", name, "--from", "exports", *TO_CLOUD, "--landing", "unchanged")
    shown = state_of(there, only_migration(there))
    moved = whole(today, shown["server_id"])
    assert {nic.mac for nic in moved.nics.values()} == {MAC}
    well(there, "vault", "create", "offsite", str(tmp_path / "vault"), "--pass-phrase-file", str(phrase))
    well(there, "backup", "create", name, "--source", "cloud", "--vault", "offsite", "--wait", "--plain")

    here = Cli(tmp_path / "here")
    well(here, "provider", "add", "openstack", "cloud", "--os-cloud", "lab")
    of_vault = ("--directory", str(tmp_path / "vault"), "--pass-phrase-file", str(phrase))
    well(here, "provider", "add", "vault", "offsite", *of_vault)
    again = ("--network", "private=private", "--landing", "unchanged", "--boot-mark", READY, "--power", "on")
    done = well(
        here, "restore", "create", name, "--vault", "offsite", "--target", "cloud", *again, "--wait", "-f", "json"
    )
    server = json.loads(done.stdout)["server_id"]
    request.addfinalizer(lambda: remove_server(cloud, server))
    assert whole(cloud, server).verified.last >= moved.verified.last


# Last: another server is at home then
test_a_server_is_tried_fails_over_and_comes_home = comes_home
