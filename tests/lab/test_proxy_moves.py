"""Machines of the lab's vCenter read through a proxy, with VMware's disk library put away: each kind of job once.

The proxy is a machine of paper, in which the relay's own program serves what the vCenter has attached to it.
"""

import json
import sys
from pathlib import Path

import pytest
from moves import READY, TO, assert_moved, latest, only_migration, seen_on, state_of
from test_back_home import (
    MUCH,
    assert_much_came,
    assert_runs_at_home,
    commit_and_sync,
    fail_back,
    fail_over,
    write_much,
)
from test_backups_of_machines import GUESTS, KEYS, back_up, run, vault  # noqa: F401 a fixture
from test_protected_machines import SIZE, replica_until, sync
from test_replicas_in_time import nothing_stays, points, protected

from conftest import Guest, end_engine, last_acknowledged, target_inventory, wait_for, with_both_clouds

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from vsphere_proxy import digests_of

# The disk library that all have is put away meanwhile
pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(3600)]

PROXY = "longshore-proxy"
WEB01 = Guest("web01", "00:50:56:ab:cd:01")
TO_TINY = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--landing", "unchanged"]
TO_TINY += ["--boot-mark", READY, "--wait", "--plain"]
SYNCS = 10


@pytest.fixture(scope="module")
def proxy(sidedoor, lab):
    """Yield a proxy that runs, with the disk library put away."""
    library, away = lab.vddk / "lib64", lab.vddk / "lib64.away"
    if PROXY in sidedoor.machines():  # left by a run that was ended
        sidedoor.remove_machines(PROXY)
    disk = {"datastore": "datastore1", "capacity": 1 << 30}
    sidedoor.add_machine("tiny01", PROXY, disks=[disk], nics=[], controllers=2)
    sidedoor.start_proxy(PROXY)
    if library.exists():
        library.rename(away)
    yield PROXY
    away.rename(library)
    sidedoor.stop_proxy(PROXY)
    sidedoor.remove_machines(PROXY)


@pytest.fixture
def cli(tmp_path, lab, proxy, sidedoor):
    cli = with_both_clouds(tmp_path / "state", lab, ("--transport", "proxy", "--proxy", proxy))
    yield cli
    end_engine(cli)
    assert sidedoor.machine(proxy)["foreign"] == []


@pytest.mark.turns("alone")
def test_a_dry_run_and_a_backup_leave_a_machine_that_is_off_as_it_was(
    cli,
    tiny,
    sidedoor,
    cloud,
    tmp_path,
    vault,  # noqa: F811
):
    sidedoor.cut_power(tiny.name)
    target, before = target_inventory(cloud), digests_of(sidedoor, tiny.name, tmp_path)
    done = cli("migrate", tiny.name, *TO_TINY, "--type", "dry-run", "--isolated")
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, only_migration(cli))
    assert shown["status"] == "rehearsed"
    assert all(disk["root_digest"] for disk in shown["disks"])
    ledger = {(entry["Kind"], entry["State"]) for entry in cli.json("migration", "ledger", shown["id"])}
    assert ("proxy-disks", "removed") in ledger
    back_up(cli, tiny.name)
    assert digests_of(sidedoor, tiny.name, tmp_path) == before
    source = sidedoor.machine(tiny.name)
    assert (source["power"], source["snapshots"], source["consolidation_needed"]) == ("poweredOff", [], False)
    assert target_inventory(cloud) == target


@pytest.mark.soak
def test_backups_read_what_has_changed_and_are_whole(cli, tiny, sidedoor, vault, tmp_path, tell):  # noqa: F811
    first = back_up(cli, tiny.name)["result"]
    acknowledged = last_acknowledged(sidedoor.console(tiny.name))
    second = back_up(cli, tiny.name)["result"]
    tell(f"Backups through a proxy: {first['bytes_read']} bytes read for the first, {second['bytes_read']} afterwards")
    assert second["base"] == first["point"]
    assert 0 < second["bytes_read"] < SIZE / 4
    disks = [tmp_path / f"{key}.raw" for key in KEYS]
    for key, file in zip(KEYS, disks, strict=True):
        given = ("--pass-phrase-file", str(tmp_path / "phrase"))
        run(sys.executable, "-I", vault / "restore.py", second["point"], key, file, *given)
    found = json.loads(run(sys.executable, GUESTS / "check.py", *disks))
    assert found["bad"] == []
    assert min(found["root"], found["data"]) >= acknowledged
    assert sidedoor.machine(tiny.name)["snapshots"] == []


@pytest.mark.soak
def test_a_replica_keeps_up_for_ten_syncs_and_a_test_of_it_boots(cli, tiny, sidedoor, cloud, tell):
    with nothing_stays(cli, tiny, sidedoor, cloud):
        protected(cli, tiny, "--every", "1h", "--keep", "last=12")
        took = [sync(cli, tiny.name) for _ in range(SYNCS)]
        tell(f"syncs through a proxy: {', '.join(f'{seconds:.1f}' for seconds in took)} s")
        assert all(0 < point["Changed"] < SIZE / 4 for point in points(cli, tiny.name)[1:])
        acknowledged = last_acknowledged(sidedoor.console(tiny.name))
        sync(cli, tiny.name)
        done = cli("replica", "test", tiny.name, "--keep", "--wait", "--plain", "-f", "json")
        assert done.returncode == 0, done.stderr
        tried = json.loads(done.stdout)
        seen = seen_on(cloud, tried["server_id"])
        assert (seen.verified.bad, seen.verified.last >= acknowledged > 0) == (0, True)
        assert cli("migration", "cleanup", tried["id"]).returncode == 0
        # The source's bytes and the target's, all of them, have the point's digests
        done = cli("replica", "audit", tiny.name)
        assert done.returncode == 0, done.stderr
        shown = replica_until(cli, tiny.name, lambda it: it.audits, 600, "an audit")
        assert [(audit["hidden"], audit["repaired"], audit["untold"]) for audit in shown.audits] == [({}, {}, [])]
        assert sidedoor.machine(tiny.name)["power"] == "poweredOn"


@pytest.mark.soak
def test_what_a_server_has_written_comes_home_and_boots_there(cli, tiny, sidedoor, cloud, proxy, tidy, tell):
    with nothing_stays(cli, tiny, sidedoor, cloud):
        protected(cli, tiny, "--every", "1h")
        server, before = fail_over(cli, tiny, sidedoor, cloud)
        write_much(cloud, server)
        result = fail_back(cli, tiny)
        tell(
            f"failback through a proxy: {result['bytes_written'] / 1e6:.1f} MB written of {MUCH / 1e6:.1f} MB changed, "
            f"downtime {result['downtime_seconds']:.1f} s"
        )
        assert_much_came(sidedoor, tiny, result)
        assert sidedoor.machine(proxy)["foreign"] == []
        assert_runs_at_home(cloud, sidedoor, tiny, server, before)
        commit_and_sync(cli, sidedoor, tiny)


@pytest.mark.soak
def test_web01_is_looked_into_and_moved_warm_with_an_automatic_cutover(cli, web01, sidedoor, cloud, tidy, tell):
    wait_for(lambda: last_acknowledged(sidedoor.console("web01")) > 20, 600, "web01 to boot and write")
    looked = cli.json("machine", "inspect", "vc", "web01", "--plain", timeout=1500)
    assert looked["guest"], "its system was found on its disks"
    assert sidedoor.machine("web01")["snapshots"] == []
    warm = ["--type", "warm", "--cutover", "automatic", "--landing", "as-is"]
    done = cli("migrate", "web01", *TO, *warm, timeout=2400)
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, latest(cli, WEB01))
    seen = assert_moved(sidedoor, cloud, WEB01, shown, nics={"vmxnet3"}, disks={"vmw_pvscsi", "virtio_blk"})
    assert {"/", "/data"} <= set(seen.mounts)
    first, *later = shown["syncs"]
    whole = sum(disk["size"] for disk in shown["disks"])
    assert first["bytes_verified"] == whole
    assert later[-1]["final"]
    assert all(0 < each["bytes_changed"] < whole / 4 for each in later), "vCenter says what has changed"
    assert sidedoor.machine("web01")["consolidation_needed"] is False
    tell(f"web01 warm through a proxy: downtime {shown['downtime_seconds']:.0f} s after {len(later)} syncs")
