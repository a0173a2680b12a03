"""What reading machines takes of the source's quota: snapshots of their volumes, and volumes of those."""

from dataclasses import replace

import pytest

from longshore.model.concern import Severity
from longshore.model.machine import Disk, LooseVolume, Machine, PowerState
from longshore.model.platform import Platform
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.target import Flavor, QuotaRoom, SourceRoom, VolumeTypeRoom
from longshore.planning import TargetFacts, VolumeFacts, check, land, land_volume
from longshore.planning.source_quota import BackedUp, backup_quotas

GIB = 1 << 30
UNLIMITED = QuotaRoom(None, None, None, None, None, None, None)
NONE_LEFT = replace(UNLIMITED, volumes=0, gigabytes=0, snapshots=0)
ROOT = Disk("root", "root disk", 0, 4 * GIB, "base:i", "local", tracked=False)
DISKS = (Disk("v-1", "volume system", 0, 2 * GIB, "v-1", "fast"), Disk("v-2", "volume data", 1, 3 * GIB, "v-2", "slow"))
SERVER = Machine("s-1", "web", PowerState.ON, 1, 256, DISKS, (), platform=Platform("openstack"))
VOLUME = replace(SERVER, ref="volume:v-1", name="archive", disks=DISKS[:1], loose_volume=LooseVolume("available"))
FACTS = TargetFacts((), ("fast", "slow"), (Flavor("f", "small", 1, 256, 0),), UNLIMITED)
OF_VOLUMES = VolumeFacts(("fast",), UNLIMITED, ("nova",), ())


def request(kind):
    return MigrationRequest(type=MigrationType(kind))


def of_quota(concerns):
    found = [c for c in concerns if c.code.startswith("source-quota")]
    assert all(c.severity is Severity.BLOCKER and c.acceptable for c in found)
    return found


def texts(concerns):
    return [c.text for c in of_quota(concerns)]


def said(concerns):
    """What each quota is said to need."""
    found = of_quota(concerns)
    return {c.code.removeprefix("source-quota-"): int(c.text.rstrip(".").rpartition(" ")[2]) for c in found}


def of(machine, kind="cold", room=NONE_LEFT, *, by_relay=False):
    facts = replace(FACTS, source=SourceRoom(room, by_relay))
    return land(machine, request(kind), facts)[1]


@pytest.mark.parametrize("kind", ["cold", "dry-run"])
def test_a_copy_takes_a_snapshot_of_each_volume(kind):
    assert said(of(SERVER, kind)) == {"snapshots": 2, "gigabytes": 5}
    assert texts(of(SERVER, kind, replace(NONE_LEFT, gigabytes=5))) == [
        "The source project's quota has room for 0 volume snapshot(s), web needs 2."
    ]
    assert said(of(SERVER, kind, replace(NONE_LEFT, gigabytes=5, snapshots=2))) == {}


def test_a_warm_copy_takes_two():
    assert said(of(SERVER, "warm")) == {"snapshots": 4, "gigabytes": 10}


def test_through_a_relay_each_snapshot_becomes_a_volume():
    assert said(of(SERVER, by_relay=True)) == {"volumes": 2, "snapshots": 2, "gigabytes": 10}
    assert said(of(SERVER, "warm", by_relay=True)) == {"volumes": 2, "snapshots": 4, "gigabytes": 15}


def test_a_root_disk_that_is_no_volume_becomes_one():
    machine = replace(SERVER, disks=(ROOT,))
    for by_relay in (False, True):
        assert said(of(machine, by_relay=by_relay)) == {"volumes": 1, "gigabytes": 4}
        assert said(of(machine, "warm", by_relay=by_relay)) == {"volumes": 1, "gigabytes": 4}


def test_the_quota_of_a_volume_type_counts_what_is_of_it():
    room = replace(UNLIMITED, volume_types={"slow": VolumeTypeRoom(None, 2, 0)})
    slow = "The source project's quota of volume type slow has room for"
    assert texts(of(SERVER, room=room)) == [
        f"{slow} 2 GiB of volumes and their snapshots, web needs 3.",
        f"{slow} 0 volume snapshot(s), web needs 1.",
    ]


def test_a_volume_type_may_be_called_after_what_is_counted():
    disk = replace(DISKS[0], storage="fast-volumes")
    room = replace(UNLIMITED, volume_types={"fast-volumes": VolumeTypeRoom(None, None, 0)})
    assert texts(of(replace(SERVER, disks=(disk,)), room=room)) == [
        "The source project's quota of volume type fast-volumes has room for 0 volume snapshot(s), web needs 1."
    ]


def test_a_machine_from_elsewhere_takes_nothing_of_it():
    assert said(of(replace(SERVER, platform=Platform("vsphere")))) == {}
    assert said(land(SERVER, request("cold"), FACTS)[1]) == {}


def test_of_a_plan_those_count_that_move_at_a_time_and_what_warm_ones_keep():
    facts = replace(FACTS, source=SourceRoom(NONE_LEFT, reads_volumes=False))
    machines = [replace(SERVER, ref=f"s-{n}", name=f"web{n}") for n in range(3)]
    assert said(check([(m, request("cold")) for m in machines], facts, at_once=2))["snapshots"] == 4
    # Those that wait keep one each; two are copied at a time
    found = check([(m, request("warm")) for m in machines], facts, at_once=2)
    assert said(found)["snapshots"] == 3 * 2 + 2 * 2
    assert any("the plan's 3 machines need" in c.text for c in found)


def test_machines_and_volumes_of_a_plan_are_counted_together():
    room = SourceRoom(NONE_LEFT, reads_volumes=False)
    loose = [(VOLUME, request("volume"))]
    facts, of_volumes = replace(FACTS, source=room), replace(OF_VOLUMES, source=room)
    found = check([(SERVER, request("cold"))], facts, volumes=loose, volume_facts=of_volumes)
    assert said(found) == {"snapshots": 3, "gigabytes": 7}
    assert any(c.text.endswith("the plan's 2 machines and volumes need 3.") for c in found)
    small = replace(of_volumes, room=replace(UNLIMITED, volumes=0), source=None)
    (concern,) = check([], None, volumes=loose, volume_facts=small)
    assert concern.text == "The target project's quota has room for 0 volume(s), archive needs 1."
    assert "machine-twice" in {c.code for c in check([], None, volumes=[*loose, *loose], volume_facts=OF_VOLUMES)}


def test_a_volume_that_no_server_has():
    landing, concerns = land_volume(VOLUME, request("volume"), replace(OF_VOLUMES, source=SourceRoom(NONE_LEFT, True)))
    assert landing is None
    assert said(concerns) == {"volumes": 1, "snapshots": 1, "gigabytes": 4}
    accepting = replace(request("volume"), accept=tuple(c.code for c in concerns))
    assert land_volume(VOLUME, accepting, replace(OF_VOLUMES, source=SourceRoom(NONE_LEFT, True)))[0] is not None


def short(machines, room, *, by_relay=False, who="web"):
    """Of backups of these, each with whether an earlier one's snapshots are there: codes, and what they say."""
    backups = [BackedUp(machine, kept) for machine, kept in machines]
    return [(c.code, c.text) for c in backup_quotas(backups, request("backup"), SourceRoom(room, by_relay), who)]


def test_a_backup_takes_a_snapshot_of_each_volume_and_the_next_one_another_beside_it():
    room = replace(UNLIMITED, snapshots=1)
    assert short([(SERVER, False)], room) == [
        ("source-quota-snapshots", "The source project's quota has room for 1 volume snapshot(s), web needs 2.")
    ]
    (later,) = short([(SERVER, False)], replace(room, snapshots=3))
    assert later == (
        "source-quota-next-backup",
        "The source project's quota has room for 3 volume snapshot(s), the next backup of web needs 4.",
    )
    assert short([(SERVER, False)], replace(room, snapshots=4)) == []
    assert short([(SERVER, True)], replace(room, snapshots=2)) == [], "the first two are counted already"
    assert short([(SERVER, True)], UNLIMITED) == []


def test_a_backup_through_a_relay_takes_a_volume_of_each_snapshot_and_a_root_disk_becomes_one():
    room = replace(UNLIMITED, volumes=1, gigabytes=9)
    found = dict(short([(SERVER, True)], room, by_relay=True))
    assert found["source-quota-volumes"].endswith("has room for 1 volume(s), web needs 2.")
    assert found["source-quota-gigabytes"].endswith("has room for 9 GiB of volumes and their snapshots, web needs 10.")
    machine = replace(SERVER, disks=(ROOT,))
    assert short([(machine, False)], replace(UNLIMITED, volumes=1, snapshots=0, gigabytes=4)) == []


def test_of_a_run_each_keeps_its_snapshots_and_one_after_another_reads():
    three = [(replace(SERVER, ref=str(n)), n == 0) for n in range(3)]
    room = replace(UNLIMITED, snapshots=5)
    ((code, text),) = short(three, room, who="the policy's 3 machines")
    assert code == "source-quota-snapshots"
    assert text.endswith("room for 5 volume snapshot(s), the policy's 3 machines need 6.")
    assert short(three, replace(room, snapshots=6)) == []
    assert short([(replace(SERVER, platform=Platform("vsphere")), False)], replace(UNLIMITED, snapshots=0)) == []
