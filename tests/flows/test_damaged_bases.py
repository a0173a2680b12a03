"""A point that is damaged ends no backups of its machine: the next one reads the source anew, and says so."""

import pytest
from small_clouds import MIB

from longshore.model.status import Status
from longshore.store.tables import utc_now
from longshore.vault.packs import PackReader, name_of
from longshore.vault.tree import walk
from longshore.vault.verify import verify

pytestmark = pytest.mark.long


def damage(backup, what):
    """One thing that the newest point needs of its first disk."""
    point = max(backup.points, key=lambda one: one.moment)
    places = list(walk(point.disks["2000"], PackReader(backup.vault).read, backup.vault.keys.digest, set()))
    wanted = {"node": 1, "pack": 0, "block that changes in part": 0}[what]
    index = 16 if "part" in what else None
    entry = next(e for level, at, e in places if level == wanted and (index is None or at == index))
    path = backup.vault.store.root / name_of(entry.pack)
    if what == "pack":
        path.unlink()
        return
    data = bytearray(path.read_bytes())
    data[entry.offset + entry.length // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("forgets", [False, True], ids=["changes known", "changes unknown"])
@pytest.mark.parametrize("what", ["node", "pack", "block that changes in part"])
def test_the_next_backup_is_right_whatever_is_damaged(backed_up, what, forgets):
    backup = backed_up()
    backup.back_up()
    damage(backup, what)
    if forgets:
        (backup.world.root / "forgets").touch()
    backup.world.guest_writes("2000", 2 * MIB + 5, b"a word")
    backup.back_up()
    newest = max(backup.points, key=lambda one: one.moment)
    assert backup.held(newest) == backup.at(backup.world.read()["moment"])
    assert newest.name not in {fault.point for fault in verify(backup.vault).faults}
    if not forgets:
        assert any("without the point before" in said for said in backup.told), backup.told


def damage_what_does_not_change(vault, point):
    """Flip a bit of a block that the next backup has no reason to look at."""
    places = list(walk(point.disks["2000"], PackReader(vault).read, vault.keys.digest, set()))
    entry = next(e for level, at, e in places if level == 0 and at > 16)
    path = vault.store.root / name_of(entry.pack)
    data = bytearray(path.read_bytes())
    data[entry.offset + entry.length // 2] ^= 1
    path.write_bytes(data)


def test_what_a_verification_finds_damaged_is_in_no_later_point(backed_up):
    backup = backed_up()
    backup.back_up()
    damage_what_does_not_change(backup.vault, backup.points[0])
    backup.world.guest_writes("2000", 2 * MIB + 5, b"a word")
    backup.back_up()  # nobody knows yet
    assert backup.keep("verification").status is Status.FAILED
    backup.world.guest_writes("2000", 2 * MIB + 5, b"another")
    before = backup.stored()
    whole = backup.back_up()
    told = backup.told
    assert any("A verification has found" in said and "read from the source anew" in said for said in told), told
    assert backup.stored() - before < MIB, "what isn't damaged is stored once"
    newest = max(backup.points, key=lambda one: one.moment)
    assert whole["point"] == newest.name not in {fault.point for fault in verify(backup.vault).faults}
    assert backup.held(newest) == backup.at(backup.world.read()["moment"])
    assert backup.back_up()["bytes_read"] < MIB, "it is a basis again"


def test_a_point_that_was_made_during_the_verification_is_none_either(backed_up):
    backup = backed_up()
    backup.back_up()
    damage_what_does_not_change(backup.vault, backup.points[0])
    backup.keep("verification")
    id_, finished_at = backup.id, backup.record.finished_at
    backup.store.migrations.update(id_, result=backup.record.result | {"faults": []})  # as it was before it ended
    backup.back_up()
    made = max(backup.points, key=lambda one: one.moment)
    faults = [{"point": backup.points[0].name, "disk": "2000"}]
    backup.store.migrations.update(id_, result={"faults": faults}, finished_at=utc_now())
    assert finished_at < made.moment.replace(tzinfo=None)
    backup.back_up()
    newest = max(backup.points, key=lambda one: one.moment)
    assert {fault.point for fault in verify(backup.vault).faults} == {one.name for one in backup.points} - {newest.name}
