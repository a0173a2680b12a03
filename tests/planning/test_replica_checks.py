"""What is said before the first byte of a replica: quota for its points, stuns, others' snapshots, untracked disks."""

from dataclasses import dataclass, fields, replace
from datetime import timedelta

import pytest

from longshore.model.concern import Severity
from longshore.model.machine import Disk, Machine, PowerState
from longshore.model.platform import Platform
from longshore.model.request import MigrationRequest
from longshore.model.retention import Retention
from longshore.model.target import Flavor, QuotaRoom, VolumeTypeRoom
from longshore.planning import TargetFacts, land, replica_checks
from longshore.planning.catalogue import catalogue
from longshore.planning.replica_checks import WantedProtection, most_points, replica_concerns
from longshore.planning.retention import parse_retention, write_retention
from longshore.planning.schedules import parse_schedule

GIB = 1 << 30
UNLIMITED = QuotaRoom(None, None, None, None, None, None, None)
DISKS = (Disk("2000", "Hard disk 1", 0, 2 * GIB, "", "ds"), Disk("2001", "Hard disk 2", 1, 3 * GIB - 1, "", "fast-ds"))
MACHINE = Machine("vm-1", "web", PowerState.ON, 1, 256, DISKS, (), platform=Platform("vsphere"), change_tracking=True)


def wanted(schedule="every 15m", keep="last 9", rpo=None):
    return WantedProtection(parse_schedule(schedule, rpo), parse_retention(keep))


def concerns(machine=MACHINE, room=UNLIMITED, **how):
    request = MigrationRequest(storage={"fast-ds": "fast"})
    landing, _ = land(machine, request, TargetFacts((), ("fast",), (Flavor("f", "small", 1, 256, 0),), UNLIMITED))
    return {one.code: one for one in replica_concerns(machine, landing, wanted(**how), room)}


@pytest.mark.parametrize(
    ("how", "count"),
    [
        ({"keep": "last 9"}, 10),
        ({"keep": "last 4, daily 14, weekly 2"}, 21),
        ({"keep": "within 1d", "schedule": "every 1h"}, 25),
        ({"keep": "within 1d", "schedule": "daily 02:00 UTC"}, 2),
        ({"keep": "within 2h", "schedule": "continuous", "rpo": timedelta(hours=1)}, 5),
        ({"keep": "within 1h", "schedule": "cron 0,15 * * * * UTC"}, 5),
    ],
)
def test_points_that_may_be_there_at_once(how, count):
    assert most_points(wanted(**how)) == count


@pytest.mark.parametrize("rule", [field.name for field in fields(Retention) if field.type is int])
def test_no_rule_is_forgotten(rule):
    assert write_retention(parse_retention(f"{rule} 3")).startswith(f"{rule} 3")
    assert most_points(wanted(keep=f"{rule} 3")) == 4


def test_a_rule_that_is_new_counts_too(monkeypatch):
    @dataclass(frozen=True, slots=True)
    class Further(Retention):
        quarterly: int = 0

    monkeypatch.setattr(replica_checks, "COUNTS", (*replica_checks.COUNTS, "quarterly"))
    assert most_points(replace(wanted(keep="last 2"), retention=Further(last=2, quarterly=4))) == 7


def test_quota_for_the_points_is_asked_for_beforehand():
    """Two volumes, and of ten points two snapshots each, which count as much as their volumes."""
    assert concerns(room=replace(UNLIMITED, volumes=2, snapshots=20, gigabytes=55)) == {}
    short = concerns(room=replace(UNLIMITED, volumes=1, snapshots=19, gigabytes=54))
    assert {code: one.text for code, one in short.items()} == {
        "replica-quota-volumes": "The target project's quota has room for 1 volume(s), "
        "web with up to 10 points needs 2.",
        "replica-quota-snapshots": "The target project's quota has room for 19 volume snapshot(s), "
        "web with up to 10 points needs 20.",
        "replica-quota-gigabytes": "The target project's quota has room for 54 GiB of volumes and their snapshots, "
        "web with up to 10 points needs 55.",
    }
    assert all(one.severity is Severity.BLOCKER and one.acceptable for one in short.values())
    of_type = concerns(room=replace(UNLIMITED, volume_types={"fast": VolumeTypeRoom(1, 9, None)}))
    assert [one.subject for one in of_type.values()] == ["fast"]


def test_short_intervals_are_said_to_stop_the_machine():
    assert "replica-stuns" not in concerns(schedule="every 5m")
    often = concerns(schedule="continuous", rpo=timedelta(minutes=2))["replica-stuns"]
    assert "A sync each 1 min stops web for a moment twice: 2880 times a day." in often.text
    server = replace(MACHINE, platform=Platform("openstack"))
    assert "replica-stuns" not in concerns(server, schedule="every 1m")


def test_what_makes_syncs_slow_or_doubtful_is_said():
    found = concerns(replace(MACHINE, snapshots=("nightly",), can_track_changes=False))
    assert set(found) == {"replica-foreign-snapshots", "replica-untracked"}
    assert "all disks" in found["replica-untracked"].text
    one = replace(DISKS[1], tracked=False)
    assert "Hard disk 2" in concerns(replace(MACHINE, disks=(DISKS[0], one)))["replica-untracked"].text


def test_each_can_be_named():
    codes = {kind.code for kind in catalogue()["Replicas"]}
    assert {"replica-quota-snapshots", "replica-stuns", "replica-untracked"} <= codes
