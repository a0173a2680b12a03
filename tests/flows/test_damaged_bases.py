"""A point that is damaged ends no backups of its machine: the next one reads the source anew, and says so."""

import pytest
from small_clouds import MIB

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
