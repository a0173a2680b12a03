"""The vCenter and its machines are gone: a replica's newest point is all there is, and is enough."""

import shutil
import subprocess
import time

import pytest
from moves import READY, seen_on
from test_protected_machines import SOMEHOW, replica_until, sync
from test_vcenter_honest import SERVER

from conftest import Cli, Guest, booted_afresh, end_engine, last_acknowledged, running_tiny, wait_for

# The vCenter is taken away from all; minutes each, without virtualisation
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.alone, pytest.mark.timeout(2400)]

WEB01 = Guest("web01", "00:50:56:ab:cd:01")


@pytest.fixture(params=["tiny unchanged", "Debian as-is", "Debian converted"])
def protected(request, sidedoor, lab, cloud):
    """A guest that runs and writes, and how it is to land."""
    guest, landing = request.param.split()
    if guest == "tiny":
        with running_tiny(sidedoor, lab) as tiny:
            yield tiny, landing
    else:
        with booted_afresh(WEB01, sidedoor, lab, cloud) as web01:
            wait_for(lambda: last_acknowledged(sidedoor.console("web01")) > 20, 600, "web01 to boot and write")
            yield web01, landing


def test_a_machine_is_made_of_the_newest_point(cli, protected, sidedoor, cloud, tidy, tell):
    guest, landing = protected
    as_it_is = ["--landing", landing] if landing != "converted" else []
    done = cli("replica", "create", guest.name, *SOMEHOW, *as_it_is, "--every", "1h")
    assert done.returncode == 0, done.stderr
    replica_until(cli, guest.name, lambda shown: shown.points == 1, 900, "its first point")
    if landing != "unchanged":  # as of any replica that has been there for some minutes
        replica_until(
            cli, guest.name, lambda shown: shown.looked_at is not None, 600, "its first point to be looked into"
        )
    acknowledged = last_acknowledged(sidedoor.console(guest.name))
    sync(cli, guest.name)
    sidedoor.cut_power(guest.name)
    subprocess.run([SERVER / "stop"], check=True)
    try:
        began = time.monotonic()
        done = cli("replica", "failover", guest.name)
        assert done.returncode == 0, done.stderr
        shown = replica_until(
            cli, guest.name, lambda shown: shown.stage.value == "failed-over", 1200, "it to fail over"
        )
        tell(f"{guest.name}, {landing}: in the machine's place after {time.monotonic() - began:.1f} s {shown.tests}")
        seen = seen_on(cloud, cli.json("migration", "show", shown.failover)["server_id"])
        assert (seen.verified.bad, seen.verified.last >= acknowledged) == (0, True)
        assert {nic.mac for nic in seen.nics.values()} == {guest.mac}
    finally:
        subprocess.run([SERVER / "start"], check=True)
    done = cli("replica", "undo", guest.name)
    assert done.returncode == 0, done.stderr
    replica_until(cli, guest.name, lambda shown: shown.stage.value == "protected", 120, "the failover to be undone")
    assert not list(cloud.compute.servers(name=f"^{guest.name}$"))
    done = cli("replica", "delete", guest.name)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: not cli.json("replica", "list"), 120, "the replica to be gone")


def test_with_the_database_gone_too_its_target_is_enough(cli, tiny, sidedoor, cloud, lab, tmp_path, tell, tidy):
    done = cli("replica", "create", tiny.name, *SOMEHOW, "--landing", "unchanged", "--every", "1h")
    assert done.returncode == 0, done.stderr
    replica_until(cli, tiny.name, lambda shown: shown.points == 1, 300, "its first point")
    acknowledged = last_acknowledged(sidedoor.console(tiny.name))
    sync(cli, tiny.name)
    sidedoor.cut_power(tiny.name)
    end_engine(cli)
    shutil.rmtree(cli.state)
    subprocess.run([SERVER / "stop"], check=True)
    elsewhere = Cli(tmp_path / "elsewhere")
    try:
        began = time.monotonic()
        add = ["provider", "add", "openstack", "cloud", "--os-cloud", "lab"]
        done = elsewhere(*add, OS_CLIENT_CONFIG_FILE=str(lab.clouds_file))
        assert done.returncode == 0, done.stderr
        (found,) = elsewhere.json("replica", "adopt", "--target", "cloud", "--list", tiny.name)
        assert (found["Machine"], found["Points"], found["Adopted"]) == (tiny.name, 2, False)
        becomes = ["--network", "VM Network=private", "--landing", "unchanged", "--boot-mark", READY]
        done = elsewhere("replica", "adopt", "--target", "cloud", *becomes, tiny.name)
        assert done.returncode == 0, done.stderr
        done = elsewhere("replica", "failover", tiny.name)
        assert done.returncode == 0, done.stderr
        shown = replica_until(elsewhere, tiny.name, lambda it: it.stage.value == "failed-over", 600, "it to fail over")
        tell(f"{tiny.name}, adopted: in the machine's place after {time.monotonic() - began:.1f} s {shown.tests}")
        seen = seen_on(cloud, elsewhere.json("migration", "show", shown.failover)["server_id"])
        assert (seen.verified.bad, seen.verified.last >= acknowledged) == (0, True)
    finally:
        subprocess.run([SERVER / "start"], check=True)
    done = elsewhere("replica", "undo", tiny.name)
    assert done.returncode == 0, done.stderr
    replica_until(elsewhere, tiny.name, lambda it: it.stage.value == "adopted", 120, "the failover to be undone")
    done = elsewhere("replica", "delete", tiny.name)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: not elsewhere.json("replica", "list"), 120, "the replica to be gone")
    end_engine(elsewhere)
