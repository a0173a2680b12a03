"""Disks of a point become volumes that no machine has: equal, one by one, and nothing boots."""

import pytest
from small_clouds import LOOSE

from longshore.model.machine import VOLUME
from longshore.model.status import Status
from longshore.vault.holds import delete_point

pytestmark = pytest.mark.long

KILLED = ["create_volume", "open_volume", "finish_volume"]


@pytest.fixture
def backup(backed_up):
    """With one point, whose machine is gone."""
    backup = backed_up()
    backup.back_up()
    (backup.world.root / "one-moment").touch()
    return backup


def restore(backup, key, **request):
    (point,) = backup.points
    ref = f"{VOLUME}{point.name}/{key}"
    return backup.begin(backup.place, ref, backup.target, type="volume", storage={"ds": "ceph"}, **request)


def assert_is_there(backup, key):
    (id_, volume), *others = backup.world.read()["volumes"].items()
    (point,) = backup.points
    assert others == []
    assert (backup.world.root / f"volume-{id_}").read_bytes() == backup.held(point)[key]
    assert volume["bootable"] is (key == "2000")
    assert volume["metadata"]["longshore:source"] == f"{VOLUME}{point.name}/{key}"
    state = backup.world.read()
    assert not any(state[kind] for kind in ("servers", "ports", "networks", "snapshots"))
    assert [entry for entry in backup.store.ledger.entries(backup.id) if entry.state == "present"] == []


@pytest.mark.parametrize("key", ["2000", "2001"])
def test_one_disk_is_there_as_it_was_and_only_that(backup, key):
    assert restore(backup, key) == 0
    assert backup.record.status is Status.DONE, backup.record.error
    assert_is_there(backup, key)


def test_a_disk_that_the_point_has_not_or_a_point_that_is_gone_is_said(backup):
    restore(backup, "2007")
    assert (backup.record.status, "no disk 2007" in backup.record.error) == (Status.FAILED, True)
    (point,) = backup.points
    delete_point(backup.vault, point.name)
    backup.begin(backup.place, f"{VOLUME}{point.name}/2000", backup.target, type="volume")
    assert (backup.record.status, point.name in backup.record.error) == (Status.FAILED, True)
    assert backup.world.read()["volumes"] == {}


def test_a_volume_that_no_machine_has_is_backed_up_and_made_again(backed_up):
    """With all that is said of it; and what has a machine isn't."""
    backup = backed_up()
    backup.begin(backup.source, f"{VOLUME}{LOOSE}", backup.place, type="backup")
    assert backup.record.status is Status.DONE, backup.record.error
    assert backup.record.result["consistency"] == "off"
    assert backup.world.read()["tracking"] is False
    (point,) = backup.points
    held = (backup.world.root / f"source-{LOOSE}").read_bytes()
    assert backup.held(point) == {LOOSE: held}
    backup.assert_nothing_is_left()
    ref = f"{VOLUME}{point.name}/{LOOSE}"
    backup.begin(backup.place, ref, backup.target, type="volume", storage={"slow": "ceph"})
    assert backup.record.status is Status.DONE, backup.record.error
    ((id_, volume),) = backup.world.read()["volumes"].items()
    assert backup.world.volume_file(id_).read_bytes() == held
    told = ("name", "description", "bootable", "image_properties")
    assert [volume[name] for name in told] == ["archive", "kept for years", True, {"os_type": "linux"}]
    assert volume["metadata"] == {"team": "web", "longshore:source": ref}
    (backup.world.root / "attached").touch()
    backup.begin(backup.source, f"{VOLUME}{LOOSE}", backup.place, type="backup")
    assert (backup.record.status, backup.record.error_code) == (Status.FAILED, "volume-attached")


def test_a_volume_that_gets_a_machine_meanwhile_is_as_after_a_crash(backed_up):
    backup = backed_up()
    (backup.world.root / "attached-meanwhile").touch()
    backup.begin(backup.source, f"{VOLUME}{LOOSE}", backup.place, type="backup")
    assert (backup.record.status, backup.record.result["consistency"]) == (Status.DONE, "crash"), backup.record.error


@pytest.mark.parametrize("call", KILLED)
def test_one_that_is_killed_goes_on_and_makes_one_volume(backup, call):
    backup.world.plan_fault(call, 1, "after", "kill")
    assert restore(backup, "2001") == -9
    (point,) = backup.points
    in_use = backup.store.backup_policies.points_in_use(backup.place.id)
    assert in_use == {point.name: (f"restore {backup.id}",)}, "retention sees it"
    assert backup.engine()[0] == 0
    assert backup.record.status is Status.DONE, backup.record.error
    assert_is_there(backup, "2001")


def test_one_that_fails_leaves_nothing(backup):
    backup.world.plan_fault("finish_volume", 1, "before", "error")
    restore(backup, "2001")
    assert (backup.record.status, "weakness" in backup.record.error) == (Status.FAILED, True)
    assert backup.world.read()["volumes"] == {}
