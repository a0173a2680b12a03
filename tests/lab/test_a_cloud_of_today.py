"""A cloud of a release of today: a machine moves into it and is backed up there, and the lab's own cloud makes it again
of that backup.

Longshore runs beside each of the clouds in turn, with this machine's libraries.
"""

import json
import os
import subprocess

import openstack
import pytest
import yaml
from moves import READY, only_migration, remove_server, seen_on, state_of
from test_files_moves import MAC, TO_CLOUD, add_files, exported

from conftest import PROJECT, Cli

# A whole cloud is raised on the way
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]

LAB = PROJECT / "lab" / "lab"


@pytest.fixture(scope="module")
def today(lab):
    """Raise the cloud, and yield its project's login as it is known from here."""
    try:
        started = subprocess.run([LAB, "--cloud", "today", "up"], capture_output=True, text=True)
        assert started.returncode == 0, started.stderr
        clouds = yaml.safe_load((lab.root / "clouds" / "today" / "etc" / "clouds-outside.yaml").read_text())
        with openstack.connect(load_yaml_config=False, load_envvars=False, **clouds["clouds"]["lab"]) as cloud:
            yield cloud
    finally:
        ended = subprocess.run([LAB, "--cloud", "today", "down"], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr


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

    def well(cli, *words):
        done = cli(*words, timeout=1500)
        assert done.returncode == 0, done.stderr
        return done

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
