"""A vault's points in another vault, too: equal, whatever keys each has, whole or not there, and only what is new."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest
from small_clouds import MIB
from test_damaged_bases import damage_what_does_not_change

from longshore.flows.backups import copying
from longshore.model.status import Status
from longshore.store import NewMigration
from longshore.vault.directory import Directory
from longshore.vault.disks import PointDisk
from longshore.vault.holds import delete_point
from longshore.vault.kept_plans import KeptPlan, keep_plan, kept_plans
from longshore.vault.points import object_of, point_names, points, read_point
from longshore.vault.prune import prune
from longshore.vault.vault import Vault
from longshore.vault.verify import verify
from longshore.vault.writers import register
from s3_server import SECRET

pytestmark = pytest.mark.long

PHRASE, OTHER = "of the vault", "of the other vault"


class Copied:
    """A vault with two points, and one that they are copied to."""

    def __init__(self, backup, directory, phrase):
        self.backup = backup
        self.vault = Vault.create(Directory(directory / "other"), phrase)
        secrets = {"pass_phrase": phrase} if phrase else {}
        self.place = backup.store.providers.add(
            "other-vault", "vault", {"directory": str(directory / "other")}, secrets
        )
        backup.back_up()
        backup.world.guest_writes("2000", 2 * MIB + 5, b"a word")
        backup.back_up()

    def begin(self):
        new = NewMigration("offsite", self.place.id, self.backup.place.id, self.place.id, {"type": "vault-copy"})
        self.backup.id = self.backup.store.migrations.add_together([new])[0].id

    def copy(self):
        self.begin()
        self.backup.engine()
        assert self.backup.record.status is Status.DONE, self.backup.record.error
        return self.backup.record.result

    def assert_equal(self):
        """Each point of the one is in the other, and holds the same."""
        theirs = {point.name.rpartition("/")[2]: point for point in self.backup.points}
        ours = {point.name.rpartition("/")[2]: point for point in points(self.vault)}
        assert ours.keys() == theirs.keys()
        for name, point in ours.items():
            assert (point.moment, list(point.disks)) == (theirs[name].moment, list(theirs[name].disks))
            assert self.held(point) == self.backup.held(theirs[name])
        assert len({name.partition("/")[0] for name in point_names(self.vault)}) == 1, "all of them of one machine"
        assert verify(self.vault).faults == ()
        assert not list(self.vault.store.names("writers"))
        self.backup.assert_nothing_is_left()

    def held(self, point):
        return {key: PointDisk(self.vault, top).read(0, top.size) for key, top in point.disks.items()}

    def packs(self):
        return sum(self.vault.store.size(name) for name in self.vault.store.names("packs"))


@pytest.fixture
def copied(backed_up, tmp_path):
    return lambda phrase=PHRASE, other=OTHER: Copied(backed_up(phrase), tmp_path, other)


@pytest.mark.parametrize(("phrase", "other"), [(PHRASE, OTHER), (None, OTHER)])
def test_points_are_equal_in_both_and_only_what_is_new_is_copied(copied, phrase, other):
    shop = copied(phrase, other)
    first = shop.copy()
    assert first["points"] == 2
    shop.assert_equal()
    size = shop.packs()
    shop.backup.world.guest_writes("2001", MIB + 5, b"another word")
    shop.backup.back_up()
    second = shop.copy()
    assert (second["points"], 0 < second["bytes_read"] <= MIB) == (1, True)
    assert 0 < shop.packs() - size < MIB
    shop.assert_equal()
    assert (shop.copy()["points"], shop.copy()["bytes_read"]) == (0, 0)


def test_a_point_that_cant_be_read_in_the_other_vault_is_told_and_copied_again_once_it_is_deleted(copied):
    shop = copied()
    shop.copy()
    name = point_names(shop.vault)[0]
    (shop.vault.store.root / object_of(name)).write_bytes(b"")  # as after a crash of the file server
    shop.begin()
    shop.backup.engine()
    assert shop.backup.record.error_code == "vault-damaged"
    assert f"In the other vault: points/{name}.point" in shop.backup.record.error
    assert (shop.backup.record.result["points"], len(shop.backup.record.result["damaged"])) == (0, 1)
    delete_point(shop.vault, name)
    assert shop.copy()["points"] == 1
    shop.assert_equal()


def test_a_point_that_was_deleted_in_a_vault_that_locks_keeps_no_other_from_being_copied(backed_up, s3):
    backup, bucket = backed_up(), secrets.token_hex(4)
    s3.make_bucket(bucket, locks=True)
    vault = Vault.create(s3.store(f"s3://{bucket}/v"), lock=86400.0)
    where = {name: told for name, told in vault.store.told().items() if name != "secret_key"}
    place = backup.store.providers.add("locked", "vault", where, {"secret_key": SECRET})

    def copy():
        backup.begin(backup.place, place.id, place, type="vault-copy")
        return backup.record

    backup.back_up()
    assert copy().result["points"] == 1
    delete_point(vault, point_names(vault)[0])
    second = backup.back_up()["point"].split("/")[1]
    assert (copy().status, backup.record.error) == (Status.DONE, None)
    assert [name.split("/")[1] for name in point_names(vault)] == [second]
    assert any("1 point(s) were deleted in the other vault" in text for text in backup.told)
    vault.store.delete(object_of(point_names(vault)[0]))  # by a stranger, who doesn't say so before
    backup.back_up()
    assert copy().error_code == "vault-damaged"
    assert "whose lock keeps it" in backup.record.error
    assert (backup.record.result["points"], len(point_names(vault))) == (1, 1)


def test_plans_that_are_kept_there_are_copied_too_as_they_were_kept_last(copied):
    shop = copied()
    early = datetime(2026, 11, 1, 8, tzinfo=UTC)
    for hours in (0, 1):
        plan = {"name": "weekend", "description": f"of {hours}"}
        keep_plan(shop.backup.vault, KeptPlan("plan-1", early + timedelta(hours=hours), plan, {"web": "done"}, ()))
    assert shop.copy()["plans"] == 1
    (kept,) = kept_plans(shop.vault)
    assert (kept.id, kept.plan["description"], kept.machines) == ("plan-1", "of 1", {"web": "done"})
    assert shop.copy()["plans"] == 0
    shop.assert_equal()


def test_no_copy_begins_as_a_point_that_it_didnt_say_it_is_based_on(copied, monkeypatch):
    """That point wasn't there when it registered, and may be pruned again while the next one is copied."""
    shop = copied()
    shop.copy()
    for number in range(2):
        shop.backup.world.guest_writes("2001", MIB + 5 + number, b"another word")
        shop.backup.back_up()
    monkeypatch.setattr(copying, "register", lambda vault, writer, _bases: register(vault, writer, ()))
    read = shop.copy()["bytes_read"]
    assert 3 * MIB <= read < 6 * MIB, "all of the first one, and of the second what has changed"
    shop.assert_equal()


def test_a_machine_is_restored_from_the_copy_when_the_first_vault_is_gone(copied):
    shop = copied()
    shop.copy()
    for name in shop.backup.points:
        delete_point(shop.backup.vault, name.name)
    (shop.backup.world.root / "one-moment").touch()
    (newest,) = [point.name for point in points(shop.vault)][-1:]
    shop.backup.place = shop.place
    assert shop.backup.restore(newest).status is Status.DONE, shop.backup.record.error


def test_what_is_damaged_is_copied_nowhere(copied):
    shop = copied()
    for pack in shop.backup.vault.store.root.glob("packs/*/*.pack"):
        data = bytearray(pack.read_bytes())
        data[100] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(data)
    shop.begin()
    shop.backup.engine()
    assert (shop.backup.record.status, shop.backup.record.error_code) == (Status.FAILED, "vault-damaged")
    assert list(points(shop.vault)) == []
    shop.backup.assert_nothing_is_left()


def test_a_secret_of_user_data_goes_into_no_vault_in_clear(backed_up, tmp_path, monkeypatch):
    shop = Copied(backed_up(PHRASE), tmp_path, None)
    monkeypatch.setattr("longshore.flows.backups.copying.read_point", with_user_data)
    shop.copy()
    assert [point.content["machine"]["server_settings"]["user_data"] for point in points(shop.vault)] == [None, None]


def with_user_data(vault, name):
    point = read_point(vault, name)
    point.content["machine"]["server_settings"]["user_data"] = "hunter2"
    return point


@pytest.mark.turns
@pytest.mark.parametrize("change", [1, 4, 7, 10, 13])
def test_a_copy_that_is_killed_goes_on_and_leaves_no_half_point(copied, monkeypatch, change):
    shop = copied()
    left, create, touch = change, Directory.create, Directory.touch

    def counted(do):
        def change(self, *arguments):
            nonlocal left
            left -= 1
            if left == 0:
                shop.backup.kill()
            do(self, *arguments)

        return change

    shop.begin()
    monkeypatch.setattr(Directory, "create", counted(create))
    monkeypatch.setattr(Directory, "touch", counted(touch))
    killed = shop.backup.engine()[0] != 0
    left = 0
    assert killed is (shop.backup.record.status is not Status.DONE)
    assert verify(shop.vault).faults == ()
    prune(shop.vault)
    prune(shop.backup.vault)
    assert shop.backup.engine()[0] == 0
    assert shop.backup.record.status is Status.DONE, shop.backup.record.error
    shop.assert_equal()


def test_a_copy_that_is_cancelled_leaves_what_it_has_copied_and_nothing_else(copied, monkeypatch):
    shop = copied()
    finish = "longshore.flows.backups.copying.finish"
    from longshore.vault.writers import finish as really

    def cancelled(vault, writer, point):
        really(vault, writer, point)
        shop.backup.store.migrations.request_cancel(shop.backup.id)

    monkeypatch.setattr(finish, cancelled)
    shop.begin()
    shop.backup.engine()
    assert shop.backup.record.status is Status.CANCELLED
    assert len(list(points(shop.vault))) == 1
    assert not list(shop.vault.store.names("writers"))
    monkeypatch.setattr(finish, really)
    assert shop.copy()["points"] == 1
    shop.assert_equal()


def test_one_damaged_point_keeps_no_other_from_being_copied(copied):
    shop = copied()
    first, second = shop.backup.points
    (shop.backup.vault.store.root / f"points/{first.name}.point").write_bytes(b"")
    shop.begin()
    shop.backup.engine()
    record = shop.backup.record
    assert record.status is Status.FAILED
    assert "1 point(s) are damaged, and aren't copied; all others are" in record.error
    assert first.name in record.error
    assert (record.result["points"], len(record.result["damaged"])) == (1, 1)
    (copy,) = points(shop.vault)
    assert copy.moment == second.moment
    assert shop.held(copy) == shop.backup.held(second)
    delete_point(shop.backup.vault, first.name)
    assert shop.copy()["points"] == 0


def test_what_a_verification_finds_damaged_in_the_copy_is_in_no_later_one(copied):
    shop = copied()
    shop.copy()
    damage_what_does_not_change(shop.vault, max(points(shop.vault), key=lambda one: one.moment))
    here, shop.backup.place = shop.backup.place, shop.place
    assert shop.backup.keep("verification").status is Status.FAILED
    shop.backup.place = here
    shop.backup.world.guest_writes("2000", 2 * MIB + 5, b"another word")
    shop.backup.back_up()
    shop.copy()
    assert any("without the point before" in said for said in shop.backup.told), shop.backup.told
    newest = max(points(shop.vault), key=lambda one: one.moment)
    assert newest.name not in {fault.point for fault in verify(shop.vault).faults}
    assert shop.held(newest) == shop.backup.held(max(shop.backup.points, key=lambda one: one.moment))
