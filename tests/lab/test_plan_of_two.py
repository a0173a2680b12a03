"""A plan of two machines that write all the time, from its proposal to its report."""

import json

import pytest
from moves import READY, assert_moved

pytestmark = pytest.mark.lab


def well(cli, *words):
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.soak
def test_two_machines_of_a_plan_arrive_whole_in_their_waves(cli, pair, sidedoor, cloud, tidy, tmp_path):
    first, second = pair
    file = tmp_path / "pair.yaml"
    create = ["plan", "create", "pair", "--from", "vc", "--to", "cloud", "--name", f"{first.name[:-1]}*"]
    create += ["--option", "landing=unchanged", "--option", f"boot_mark={READY}"]
    well(cli, *create)
    well(cli, "plan", "set", "pair", "--wave", f"{second.name}=2", "--network", "VM Network=private")
    well(cli, "plan", "export", "pair", file)
    well(cli, "plan", "apply", file)
    well(cli, "plan", "check", "pair")
    done = well(cli, "plan", "start", "pair", "--wait", "--plain", "-f", "json")
    started = {m["Machine"]: m for m in json.loads(done.stdout)}
    report = json.loads(well(cli, "plan", "report", "pair", "-f", "json").stdout)
    shown = {m["machine"]: m["report"] for m in report["machines"]}
    for guest in pair:
        assert started[guest.name]["Status"] == "done"
        assert_moved(sidedoor, cloud, guest, shown[guest.name])
        assert shown[guest.name]["copied"]["verified"] == sum(d["size"] for d in shown[guest.name]["disks"])
    assert shown[second.name]["started_at"] >= shown[first.name]["finished_at"]
    assert f"{first.name:<20} copying" in done.stderr
    assert "| Machines | 2 done |" in well(cli, "plan", "report", "pair").stdout
