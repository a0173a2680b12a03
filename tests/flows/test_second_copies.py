"""A policy's second vault: what it has backed up is there, too, after each run, and goes by the same rules."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from test_backup_policies import Policy

from longshore.flows.backups.retention import thin
from longshore.flows.backups.second_copies import begin_copy_if_due
from longshore.model.backup_policy import SecondCopy, Stand
from longshore.model.point import Hold
from longshore.model.status import Status
from longshore.store import NewMigration
from longshore.store.rows import in_json
from longshore.store.tables import utc_now, with_zone
from longshore.vault.directory import Directory
from longshore.vault.holds import hold_point, release_point
from longshore.vault.points import point_names, points
from longshore.vault.vault import Vault
from longshore.vault.verify import verify

pytestmark = pytest.mark.long

PHRASE = "of the second vault"


class Twofold(Policy):
    """Its points are named alike behind the slash; `ends` are these parts of names."""

    def __init__(self, backup, directory, **of_policy):
        super().__init__(backup, **of_policy)
        self.vault = Vault.create(Directory(directory / "second"), PHRASE)
        settings = {"directory": str(directory / "second")}
        self.second = self.store.providers.add("second", "vault", settings, {"pass_phrase": PHRASE})
        self.store.backup_policies.change(self.id, copy_to=self.second.id)

    def settle(self):
        """As many engines as it takes until nothing is under way."""
        for _ in range(6):
            if not (self.now.runs or self.now.copies):
                return
            assert self.backup.engine()[0] == 0

    def run_and_copy(self):
        assert self.run() == 0
        self.settle()
        return self.now.copy

    @property
    def copied(self):
        return {name.rpartition("/")[2] for name in point_names(self.vault)}

    @property
    def there(self):
        return {point.name.rpartition("/")[2] for point in self.backup.points}

    def assert_whole(self):
        assert verify(self.vault).faults == ()
        assert not list(self.vault.store.names("writers"))
        assert not list(self.backup.vault.store.names("writers"))


@pytest.fixture
def policy(backed_up, tmp_path):
    return lambda **of_policy: Twofold(backed_up(), tmp_path, **of_policy)


def end_of(name):
    return name.rpartition("/")[2]


def test_after_each_run_its_points_are_in_the_second_vault_and_go_there_by_the_same_rules(policy):
    one = policy(keep="last 2")
    by_hand = one.backup.back_up()["point"]
    copies = [one.run_and_copy() for _ in range(3)]
    assert [(copy.stand, copy.points, copy.error) for copy in copies] == [(Stand.DONE, 1, None)] * 3
    assert one.copied == one.there - {end_of(by_hand)}, "made by hand: it isn't the policy's"
    assert [len(copy.deleted) for copy in copies] == [0, 0, 1]
    assert one.backup.held(one.backup.points[-1]) == one.backup.at(4)
    one.assert_whole()


def test_a_hold_in_the_second_vault_keeps_a_point_there_and_a_released_one_goes_and_stays_away(policy):
    one = policy(keep="last 1")
    one.run_and_copy()
    (first,) = point_names(one.vault)
    hold_point(one.vault, first, Hold("audit"))
    assert one.run_and_copy().deleted == ()
    assert one.copied == one.there | {end_of(first)}
    release_point(one.vault, first, "audit")
    assert first in one.run_and_copy().deleted
    assert one.copied == one.there


def test_a_point_that_only_a_hold_keeps_in_the_first_vault_is_not_copied_again_and_again(policy):
    one = policy(keep="last 1")
    one.run_and_copy()
    (held,) = [point.name for point in one.backup.points]
    hold_point(one.backup.vault, held, Hold("audit"))
    assert [(copy.points, len(copy.deleted)) for copy in (one.run_and_copy(), one.run_and_copy())] == [(1, 1)] * 2
    assert one.there - one.copied == {end_of(held)}


def test_what_was_found_damaged_is_not_copied_over(policy):
    one = policy(keep="last 5")
    one.store.backup_policies.change(one.id, copy_to=None)
    (bad,) = one.run_at_once()
    kept = {"id": "v", "begun_at": "2026-01-01T00:00:00Z", "stand": "failed", "error": "x", "suspect": [bad.point]}
    one.store.backup_policies.change(one.id, verification=kept, copy_to=one.second.id)
    assert one.run_and_copy().points == 1
    assert one.copied == one.there - {end_of(bad.point)}


def test_old_points_of_the_second_vault_go_though_one_in_the_first_cannot_be_read(policy):
    """Else the second vault grows for as long as nobody deletes the damaged one."""
    one = policy(keep="last 2")
    backup = one.backup
    bad = backup.back_up()["point"]
    one.run_and_copy()
    one.run_and_copy()
    path = backup.vault.store.root / f"points/{bad}.point"
    path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
    copy = one.run_and_copy()
    assert (copy.stand, copy.points, len(copy.deleted)) == (Stand.FAILED, 1, 1)
    assert "1 point(s) are damaged, and aren't copied; all others are." in copy.error
    assert len(one.copied) == 2
    assert one.copied == one.there


def test_a_second_vault_that_takes_anothers_place_while_a_copy_is_noted_gets_a_copy_of_its_own(
    policy, tmp_path, monkeypatch
):
    one = policy(keep="last 2")
    Vault.create(Directory(tmp_path / "third"), PHRASE)
    third = one.store.providers.add("third", "vault", {"directory": str(tmp_path / "third")}, {"pass_phrase": PHRASE})

    def thinned(*words):
        if one.now.copy_to == one.second.id:
            one.store.backup_policies.change(one.id, copy_to=third.id, copy=None)
        return thin(*words)

    monkeypatch.setattr("longshore.flows.backups.second_copies.thin", thinned)
    one.run_and_copy()
    one.store.backup_policies.change(one.id, paused=False)  # a look is due
    one.backup.engine()
    one.settle()
    vault = Vault.open(Directory(tmp_path / "third"), "read", PHRASE)
    assert {end_of(name) for name in point_names(vault)} == one.there


def test_a_copy_that_fails_is_said_and_made_up_for_after_the_next_run(policy, tmp_path):
    one = policy(keep="last 5")
    (tmp_path / "second").rename(tmp_path / "away")
    failed = one.run_and_copy()
    assert failed.stand is Stand.FAILED
    assert failed.error
    assert any("second vault failed" in text for text in one.told)
    assert one.last[0].stand is Stand.DONE, "the backup itself is good"
    (tmp_path / "away").rename(tmp_path / "second")
    assert (one.run_and_copy().points, one.copied) == (2, one.there)
    one.assert_whole()


def test_a_copy_by_a_clock_that_was_ahead_is_followed_by_others_and_prunes_go_on(policy):
    one = policy(keep="last 1")
    one.run_and_copy()
    ahead = utc_now() + timedelta(days=365)
    one.store.backup_policies.change(one.id, copy=in_json(replace(one.now.copy, begun_at=with_zone(ahead))))
    first = one.backup.place.id
    pruned = NewMigration("small-vault", first, first, first, {"type": "prune"})
    (made,) = one.store.migrations.add_together([pruned])
    one.backup.engine()
    one.store.migrations.update(made.id, created_at=ahead)
    assert (one.run_and_copy().points, one.copied) == (1, one.there)
    one.settle()
    prunes = [each for each in one.store.migrations.page(50) if each.request["type"] == "prune"]
    assert {each.target_id for each in prunes if each.id != made.id} == {first, one.second.id}


def test_one_copy_follows_a_run_that_a_wrong_clock_has_dated_into_the_future(policy):
    one = policy(keep="last 5")
    one.run_and_copy()
    first, ahead = one.now.copy, with_zone(utc_now() + timedelta(days=365))
    one.store.backup_policies.keep(one.id, replace(one.now.run, ended_at=ahead))
    job = SimpleNamespace(store=one.store)
    begin_copy_if_due(job, one.now)
    second = one.now.copy
    assert second.id != first.id
    one.store.backup_policies.keep(one.id, replace(second, stand=Stand.DONE))
    begin_copy_if_due(job, one.now)
    assert one.now.copy.id == second.id, "it isn't copied for ever"


def test_it_waits_for_a_copy_by_hand_between_the_same_vaults(policy):
    one = policy(keep="last 5")
    one.store.backup_policies.change(one.id, copy_to=None)
    one.run_at_once()
    by_hand = NewMigration("offsite", one.second.id, one.backup.place.id, one.second.id, {"type": "vault-copy"})
    one.store.backup_policies.change(one.id, copy_to=one.second.id)
    (id_,) = [record.id for record in one.store.migrations.add_together([by_hand])]
    copy = one.run_and_copy()
    assert one.store.migrations.get(id_).status is Status.DONE
    assert (copy.stand, copy.error, one.copied) == (Stand.DONE, None, one.there)
    one.assert_whole()


def test_a_policy_killed_between_choosing_and_queuing_begins_one_copy(policy, monkeypatch):
    one = policy(keep="last 5")
    real = one.store.backup_policies.begin
    with monkeypatch.context() as patched:

        def begin_and_die(policy_id, part, **columns):
            real(policy_id, part, **columns)
            if isinstance(part, SecondCopy):
                patched.undo()
                one.backup.kill()

        patched.setattr(one.store.backup_policies, "begin", begin_and_die)
        assert one.run() == -9
    one.settle()
    copies = [record for record in one.store.migrations.page(50) if record.request["type"] == "vault-copy"]
    assert [record.status for record in copies] == [Status.DONE]
    assert (one.now.copy.stand, one.copied) == (Stand.DONE, one.there)


def test_a_policy_without_points_copies_nothing_and_one_that_is_deleted_leaves_both_copies(policy):
    one = policy()
    assert one.backup.engine()[0] == 0
    assert one.now.copy is None
    one.run_and_copy()
    one.store.backup_policies.remove(one.id)
    assert one.backup.engine()[0] == 0
    assert one.copied == one.there != set()
    assert [point.content["policy"] for point in points(one.vault)] == [one.id]
