"""A machine moves into OpenStack through a relay: by the cloud's API and NBD over TLS alone, without its storage."""

import subprocess

import pytest
from moves import READY, assert_moved, events, only_migration, state_of

from conftest import LONGSHORE, wait_for, with_both_clouds

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

TO_TINY = ["--from", "vc", "--to", "apart", "--network", "VM Network=private", "--landing=unchanged"]
TO_TINY += ["--boot-mark", READY, "--plain"]


@pytest.fixture(scope="module")
def image(lab):
    """Built before the tests (there is no network in the lab), and in its cloud from now on."""
    file = lab.root / "cache" / "relay.qcow2"
    assert file.exists(), f"build it first: longshore relay-image build --output {file}"
    upload = [LONGSHORE, "relay-image", "upload", "--os-cloud", "lab", "--image", file]
    done = subprocess.run(upload, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_size < 400 << 20


@pytest.fixture
def apart(tmp_path, lab, image):
    """A command whose provider `apart` reaches volumes through relays, and never knew of Ceph."""
    cli = with_both_clouds(tmp_path / "state", lab)
    nowhere = ["--ceph-conf", tmp_path / "none.conf"]
    relay = ["--transport", "relay", "--relay-network", "private", *nowhere]
    done = cli("provider", "add", "openstack", "apart", "--os-cloud", "lab", *relay)
    assert done.returncode == 0, done.stderr
    yield cli


@pytest.mark.turns("ways to disks")
def test_a_machine_is_moved_cold_through_one_relay_for_both_disks(apart, tiny, sidedoor, cloud, tidy):
    done = apart("migrate", tiny.name, *TO_TINY, "--wait")
    assert done.returncode == 0, done.stderr
    print(done.stderr)
    shown = state_of(apart, only_migration(apart))
    assert shown["status"] == "done"
    assert_moved(sidedoor, cloud, tiny, shown)
    assert all(disk["root_digest"] for disk in shown["disks"])
    assert shown["result"]["bytes_verified"] == 512 << 20  # all of both disks was read back
    assert events(apart, shown["id"]).count("Booting a relay") == 1

    def relays():
        return [e for e in apart.json("migration", "ledger", shown["id"]) if e["Kind"] == "relay-server"]

    (entry,) = relays()
    wait_for(lambda: relays()[0]["State"] == "removed", 120, "the engine to remove the relay at its end")
    mark = f"longshore:owner={shown['id']}/{entry['Step']}"
    assert not [s for s in cloud.compute.servers() if s.name == "longshore-relay"]
    assert not [g for g in cloud.network.security_groups() if g.description == mark]
    assert not [p for p in cloud.network.ports() if p.description == mark]
