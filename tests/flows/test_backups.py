"""Backups of a machine of the small cloud into a real vault, and restores of them: real copies between real servers."""

import shutil

import pytest
from small_clouds import MAC, MARK, MIB, SIZES, World

from longshore.errors import Cancelled
from longshore.flows.backups import vault_copy
from longshore.flows.clouds import Clouds
from longshore.flows.plans.check import select
from longshore.model.selection import MachineFilter
from longshore.model.status import Status
from longshore.vault.geometry import BLOCK
from longshore.vault.prune import prune
from longshore.vault.verify import verify
from s3_server import SECRET

pytestmark = pytest.mark.long

PHRASE = "of the vault"


def test_backups_hold_one_moment_each_and_store_what_differs(backed_up):
    """In an encrypted vault: all, then what has changed, then, where the source has forgotten, by digests."""
    backup = backed_up(PHRASE)
    first = backup.back_up()
    assert (first["base"], first["consistency"]) == (None, "crash")
    assert first["bytes_verified"] >= 4 * MIB
    packs = set(backup.vault.store.names("packs"))
    assert backup.world.read()["tracking"] is True, "it stays on, so that the next one is short"
    backup.world.guest_writes("2000", 2 * MIB + 5, b"a word")
    second = backup.back_up()
    assert second["base"] == first["point"]
    assert 0 < second["bytes_read"] < MIB, "only what has changed is read"
    (backup.world.root / "forgets").touch()
    backup.world.guest_writes("2001", MIB + 5, b"another word")
    third = backup.back_up()
    assert any("forgotten" in text for text in backup.told)
    assert third["bytes_read"] >= sum(SIZES.values()) - 3 * MIB
    new = set(backup.vault.store.names("packs")) - packs
    assert sum(backup.vault.store.size(name) for name in new) < 2 * MIB
    assert [point.name for point in backup.points] == [first["point"], second["point"], third["point"]]
    for number, point in enumerate(backup.points, 1):
        assert backup.held(point) == backup.at(number)
        assert point.content["machine"]["name"] == "web"
    assert verify(backup.vault).faults == ()
    backup.assert_nothing_is_left()


def test_a_machine_is_backed_up_to_a_bucket_and_restored_from_it(backed_up, s3):
    """Whose keys no file of ours has in clear, and no event tells."""
    backup = backed_up(PHRASE, s3)
    first = backup.back_up()
    backup.world.guest_writes("2000", 2 * MIB + 5, b"a word")
    second = backup.back_up()
    assert second["base"] == first["point"]
    assert 0 < second["bytes_read"] < MIB
    assert second["bytes_read"] % BLOCK == 0, "whole blocks: the bucket isn't asked for the rest of them"
    assert [backup.held(point) == backup.at(n) for n, point in enumerate(backup.points, 1)] == [True, True]
    (backup.world.root / "one-moment").touch()  # the small cloud boots what it is given, and this boots nothing
    assert backup.restore(second["point"]).status is Status.DONE, backup.record.error
    assert backup.keep("prune").status is Status.DONE
    assert backup.keep("verification").status is Status.DONE
    assert backup.record.result["faults"] == []
    files = [path.read_bytes() for path in backup.store.state.root.rglob("*") if path.is_file()]
    assert not [data for data in files if SECRET.encode() in data]
    backup.assert_nothing_is_left()


def test_a_bucket_that_fails_in_the_middle_of_a_backup_is_said_and_costs_nothing_that_was_there(backed_up, s3):
    backup = backed_up(None, s3)
    first = backup.back_up()
    backup.world.guest_writes("2000", 2 * MIB + 5, b"a word")
    s3.fault = lambda method, path: (403, "AccessDenied") if method == "PUT" and "/packs/" in path else None
    backup.begin(backup.source, "vm-1", backup.place, type="backup")
    assert backup.record.status is Status.FAILED
    assert SECRET not in f"{backup.record.error} {backup.told}"
    s3.fault = None
    assert [point.name for point in backup.points] == [first["point"]]
    assert backup.held(backup.points[0]) == backup.at(1)
    assert verify(backup.vault).faults == ()


def test_the_snapshot_that_tells_what_changes_is_kept_until_the_next_backup(backed_up):
    backup = backed_up()
    (backup.world.root / "keeps-bases").touch()
    backup.back_up()
    assert any("longshore migration cleanup" in text for text in backup.told)
    backup.assert_nothing_is_left(snapshots=1)
    second = backup.back_up()
    assert 0 < second["bytes_read"] < MIB
    backup.assert_nothing_is_left(snapshots=1)
    assert [backup.held(point) == backup.at(n) for n, point in enumerate(backup.points, 1)] == [True, True]


def test_a_machine_that_was_registered_anew_from_a_copy_of_its_files_is_read_whole(backed_up):
    """Its change ids are those of the states that were copied: they mean others than the ones that the vault knows."""
    backup = backed_up()
    (backup.world.root / "tells-instance").touch()
    backup.back_up()
    backup.world.hide("2000", MIB, b"as it was on the copy")
    backup.world.register_anew()
    backup.begin(backup.source, "vm-77", backup.place, type="backup")
    assert backup.record.status is Status.DONE, backup.record.error
    first, second = backup.points
    assert second.name.split("/")[0] == first.name.split("/")[0]
    assert backup.held(second)["2000"][MIB:].startswith(b"as it was on the copy")


def test_a_point_is_restored_as_a_new_machine(backed_up):
    """With its source gone, from an encrypted vault; as a machine of that source would land."""
    backup = backed_up(PHRASE)
    point = backup.back_up()["point"]
    (backup.world.root / "source-is-gone").touch()
    (backup.world.root / "one-moment").touch()  # the small cloud boots what it is given: this test looks at it itself
    record = backup.restore(point)
    assert record.status is Status.DONE, record.error
    state = backup.world.read()
    (server,) = state["servers"].values()
    assert server["name"] == "web"
    assert [port["mac"] for port in state["ports"].values()] == [MAC]
    held = backup.at(1)
    held["2000"] = held["2000"][:MIB] + MARK + held["2000"][MIB + len(MARK) :]
    booted = [backup.world.volume_file(volume).read_bytes() for volume in server["volume_ids"]]
    assert booted == [held[key] for key in SIZES]
    assert state["power"] == "on", "the machine itself is left alone"
    assert len(backup.points) == 1


def test_a_restored_machine_that_doesnt_boot_is_not_fetched_again(backed_up):
    backup = backed_up(PHRASE)
    point = backup.back_up()["point"]
    (backup.world.root / "no-boot").touch()
    record = backup.restore(point)
    assert (record.status, record.phase) == (Status.RUNNING, "waiting")
    assert "Kernel panic" in record.error
    assert len(backup.world.read()["volumes"]) == len(SIZES)
    (backup.world.root / "no-boot").unlink()
    (backup.world.root / "one-moment").touch()
    backup.store.migrations.request_retry(backup.id, {})
    assert backup.engine()[0] == 0
    assert backup.record.status is Status.DONE, backup.record.error
    assert sum(sync["bytes_written"] for sync in backup.record.syncs) == 0
    held = backup.at(1)
    held["2000"] = held["2000"][:MIB] + MARK + held["2000"][MIB + len(MARK) :]
    (server,) = backup.world.read()["servers"].values()
    assert [backup.world.volume_file(volume).read_bytes() for volume in server["volume_ids"]] == [
        held[key] for key in SIZES
    ]


def test_what_a_plan_finds_in_a_vault_is_the_newest_point_of_each_machine(backed_up):
    """A plan that restores several machines, selected in its file, has each of them once."""
    backup = backed_up()
    backup.back_up()
    newest = backup.back_up()
    with Clouds(backup.store).source(backup.place.id) as vault:
        (found,) = select(vault, MachineFilter(name="*"))
        assert (found.name, found.ref) == ("web", newest["point"])
        assert f"{found.as_of.moment:%Y-%m-%d}" in newest["moment"]
        assert len(list(vault.machines())) == 2


def test_a_machine_of_the_same_image_stores_what_differs(backed_up, tmp_path):
    """Its clone, at another source; and its own disk, when that has grown."""
    backup = backed_up(PHRASE)
    backup.back_up()
    twin = World(shutil.copytree(backup.world.root, tmp_path / "twin"))
    twin.guest_writes("2000", 2 * MIB + 5, b"of the clone alone")
    settings = {"root": str(twin.root)}
    with twin.change() as state:
        state["ref"] = "vm-7"
    backup.source = backup.store.providers.add("another", "vsphere", settings, {"password": "x"})
    before = backup.stored()
    assert backup.begin(backup.source, "vm-7", backup.place, type="backup") == 0
    assert backup.record.status is Status.DONE, backup.record.error
    assert backup.record.result["base"] is None
    assert backup.record.result["bytes_read"] >= 4 * MIB, "all is read"
    assert backup.stored() - before < MIB
    point = backup.points[-1]
    held = backup.held(point)
    assert all(held[key] == (twin.root / f"snapshot-{twin.read()['moment']}-{key}").read_bytes() for key in SIZES)
    assert verify(backup.vault).faults == ()


def test_a_vault_is_verified_and_pruned(backed_up):
    backup = backed_up()
    backup.back_up()
    assert backup.keep("verification").status is Status.DONE
    assert backup.record.result["points"] == 1
    assert backup.keep("prune").result["condemned"] == 0
    pack = max(backup.vault.store.root.glob("packs/*/*"), key=lambda path: path.stat().st_size)
    good = pack.read_bytes()
    pack.write_bytes(good[:1000] + bytes((good[1000] ^ 1,)) + good[1001:])
    record = backup.keep("verification")
    assert (record.status, record.error_code) == (Status.FAILED, "vault-damaged")
    assert "disk 200" in record.error, record.error
    assert record.result["faults"]


@pytest.mark.parametrize(
    ("call", "when"),
    [
        ("machine", "after"),
        ("set_change_tracking", "after"),
        ("snapshot", "after"),
        ("open_disk", "after"),
        ("remove_snapshot", "after"),
    ],
)
def test_a_backup_that_is_killed_goes_on(backed_up, call, when):
    backup = backed_up()
    backup.world.plan_fault(call, 1, when, "kill")
    backup.begin(backup.source, "vm-1", backup.place, type="backup")
    assert backup.record.status is not Status.DONE
    assert backup.engine()[0] == 0
    assert backup.record.status is Status.DONE, backup.record.error
    (point,) = backup.points
    assert backup.held(point) == backup.at(1)
    backup.assert_nothing_is_left()


@pytest.mark.parametrize("keep", [False, True], ids=["", "though-asked-to-keep-what-fails"])
@pytest.mark.parametrize("call", ["snapshot", "set_change_tracking"])
def test_a_backup_that_fails_leaves_no_point_and_nothing_at_the_source(backed_up, call, keep):
    """Nor its mark in the vault, which would have prunes wait for it. What may be kept is what a migration makes."""
    backup = backed_up()
    backup.world.plan_fault(call, 1, "before", "error")
    backup.begin(backup.source, "vm-1", backup.place, type="backup", keep=keep)
    assert backup.record.status is Status.FAILED
    assert "weakness" in backup.record.error
    assert backup.points == []
    assert backup.world.read()["tracking"] is False
    backup.assert_nothing_is_left()
    prune(backup.vault)


def test_a_backup_whose_copy_breaks_off_leaves_nothing_either(backed_up):
    backup = backed_up()
    (backup.world.root / "bad-from").write_text(str(2 * MIB))
    backup.begin(backup.source, "vm-1", backup.place, type="backup")
    assert backup.record.status is Status.FAILED
    assert "Operation not permitted" in backup.record.error
    backup.assert_nothing_is_left()


def test_a_backup_for_which_the_quota_has_no_room_is_parked_before_a_snapshot_is_made(backed_up):
    backup = backed_up()
    (backup.world.root / "no-snapshots").touch()
    backup.begin(backup.source, "volume:3000", backup.place, type="backup")
    assert backup.record.status is Status.PARKED
    assert "has room for 0 volume snapshot(s), archive needs 1." in backup.record.job.reason
    assert "snapshot" not in backup.world.calls()
    (backup.world.root / "no-snapshots").unlink()
    backup.store.jobs.hasten(backup.id)
    assert backup.engine()[0] == 0
    assert backup.record.status is Status.DONE, backup.record.error
    backup.assert_nothing_is_left()


def test_a_backup_that_was_taken_for_dead_makes_no_point(backed_up):
    """Its vault was pruned while it slept."""
    backup = backed_up()
    backup.world.plan_fault("open_disk", 1, "before", "kill")
    backup.begin(backup.source, "vm-1", backup.place, type="backup")
    for name in list(backup.vault.store.names("writers")):
        backup.vault.store.delete(name)
    assert backup.engine()[0] == 0
    assert (backup.record.status, backup.record.error_code) == (Status.FAILED, "vault-writer-lost")
    assert not [text for text in backup.told if "tried again" in text], "nothing is tried that can't go better"
    assert backup.points == []
    backup.assert_nothing_is_left()


def test_a_cancel_that_is_heard_while_the_vault_is_away_ends_as_a_cancel(backed_up, monkeypatch):
    backup = backed_up()
    backup.world.plan_fault("open_disk", 1, "before", "error", stays=True)

    def waited(_vault, id_):
        backup.store.migrations.request_cancel(id_)
        raise Cancelled("The migration was cancelled.")

    monkeypatch.setattr(vault_copy, "beat", waited)  # once the copy has failed, to find out whether the vault is why
    backup.begin(backup.source, "vm-1", backup.place, type="backup")
    assert backup.record.status is Status.CANCELLED, backup.record.error
