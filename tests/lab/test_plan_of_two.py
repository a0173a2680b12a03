"""A plan of two machines that write all the time, from its proposal to its report."""

import json
import uuid

import pytest
from moves import READY, assert_moved

from conftest import Guest, last_acknowledged, power_on, wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def pair(sidedoor, lab):
    """Two tiny machines of the test's own, running and writing."""
    mark = uuid.uuid4().hex[:6]
    guests = [Guest(f"pair-{mark}-{n}", f"00:50:56:3e:{mark[:2]}:{mark[2:3]}{n}") for n in (1, 2)]
    for guest in guests:
        sidedoor.add_machine("tiny01", guest.name, nics=[{"network": "VM Network", "mac": guest.mac}])
        power_on(lab, guest.name)
    for guest in guests:
        wait_for(lambda g=guest: last_acknowledged(sidedoor.console(g.name)) > 3, 120, f"{guest.name} to write")
    yield guests
    sidedoor.remove_machines(*[guest.name for guest in guests])


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
