"""Policies: runs of backups of the small cloud into a real vault, retention, clocks, verification."""

import os
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from small_clouds import MIB
from sqlalchemy import update

from longshore.errors import Conflict, QuotaExceeded
from longshore.flows.backups import by_policy, looking_up
from longshore.flows.backups.retention import decide_of_policy, suspects_of
from longshore.flows.moves.context import MoveContext
from longshore.model.backup_policy import Stand
from longshore.model.point import Hold
from longshore.model.selection import MachineFilter
from longshore.model.status import Status
from longshore.store import JobFilter, NewMigration
from longshore.store.backup_policies import NewBackupPolicy
from longshore.store.jobs import NEVER
from longshore.store.tables import MigrationRow, utc_now
from longshore.vault.holds import hold_point, release_point
from longshore.vault.locks import histories
from longshore.vault.points import discard_point, point_names, points, read_point, write_point
from longshore.vault.verify import verify
from longshore.vault.versions import is_needed

pytestmark = pytest.mark.long


class Policy:
    """One of the small cloud's machine, whose clocks stand still unless a test says otherwise."""

    def __init__(self, backup, *, machines=("web",), wanted=None, keep="last 2", due_at=NEVER, **clocks):
        self.backup, self.store = backup, backup.store
        new = NewBackupPolicy(
            "nightly", machines, wanted, clocks.get("schedule", "every 1d"), keep, clocks.get("verify"), due_at, None
        )
        record = NewMigration(
            "nightly", "policy:1", backup.source.id, backup.place.id, {"type": "backup-policy"}, policy=new
        )
        self.id = self.store.migrations.add_together([record])[0].id

    @property
    def now(self):
        return self.store.backup_policies.get(self.id)

    @property
    def last(self):
        """The last run's backups."""
        return self.now.run.backups

    def run(self):
        """The exit status of an engine that does what somebody wants."""
        self.store.backup_policies.change(self.id, asked=True)
        return self.backup.engine()[0]

    def run_at_once(self):
        assert self.run() == 0
        assert self.now.run.ended_at is not None, self.told
        return self.last

    @property
    def told(self):
        return [event.text for event in self.store.events.of(self.id)]

    @property
    def reasons(self):
        """Of each point that stays, by name."""
        suspect = suspects_of(self.now, self.now.vault_id)
        decisions = decide_of_policy(self.now, self.backup.points, {}, {}, datetime.now(UTC), suspect=suspect)
        return {kept.point.id: kept.reasons for one in decisions.values() for kept in one.kept}


def test_a_point_that_is_held_in_the_vault_outlives_every_rule(backed_up):
    backup = backed_up()
    policy = Policy(backup, keep="last 1")
    first = policy.run_at_once()[0].point
    hold_point(backup.vault, first, Hold("audit"))
    assert policy.run_at_once()[0].deleted == ()
    release_point(backup.vault, first, "audit")
    assert first in policy.run_at_once()[0].deleted


def test_a_rule_that_somebody_changes_while_points_are_read_keeps_what_it_says(backed_up, monkeypatch):
    policy = Policy(backed_up(), keep="last 1")
    (first,) = policy.run_at_once()

    def read(*words):
        policy.store.backup_policies.change(policy.id, retention="last 9")
        return points(*words)

    monkeypatch.setattr("longshore.flows.backups.retention.points", read)
    (second,) = policy.run_at_once()
    assert second.deleted == ()
    assert {point.name for point in policy.backup.points} == {first.point, second.point}


def test_a_run_makes_a_point_of_each_machine_and_applies_the_retention(backed_up):
    backup = backed_up()
    by_hand = backup.back_up()["point"]
    policy = Policy(backup, keep="last 2")
    made = [policy.run_at_once()[0] for _ in range(3)]
    assert [one.stand for one in made] == [Stand.DONE] * 3
    assert [one.deleted for one in made] == [(), (), (made[0].point,)]
    assert set(point_names(backup.vault)) == {by_hand, made[1].point, made[2].point}, "made by hand: it is left alone"
    rules = {point.name: point.content["rules"] for point in backup.points}
    assert rules[by_hand] is None
    told = {name: rules[made[2].point][name] for name in ("name", "machines", "schedule", "retention")}
    assert told == {"name": "nightly", "machines": ["web"], "schedule": "every 1d", "retention": "last 2"}
    assert policy.reasons == {
        made[2].point: ("newest usable point", "last 2: number 1"),
        made[1].point: ("last 2: number 2",),
    }
    assert verify(backup.vault).faults == ()
    newest = max(backup.points, key=lambda point: point.moment)
    assert (newest.name, backup.held(newest)) == (made[2].point, backup.at(4))


def prunes(backup):
    return [one for one in backup.store.migrations.all() if one.request["type"] == "prune"]


def a_day_passes(backup):
    """For the vault, and for what was asked for."""
    for path in (path for path in backup.vault.store.root.rglob("*") if path.is_file()):
        os.utime(path, (0, path.stat().st_mtime - 25 * 3600))
    prunes_were_yesterday(backup)


def prunes_were_yesterday(backup):
    with backup.store.migrations._database.session() as session:
        for one in prunes(backup):
            then = one.created_at - timedelta(hours=25)
            session.execute(update(MigrationRow).where(MigrationRow.id == one.id).values(created_at=then))


def test_a_vault_that_locks_is_pruned_each_day_so_that_its_lock_stands(backed_up, s3):
    """However long the policy keeps its points, and though nothing is deleted."""
    day = 86400
    backup = backed_up("a phrase", s3, lock=3 * day)
    policy = Policy(backup, keep="last 9")
    made = policy.run_at_once()
    for _ in range(2):
        s3.days_pass(backup.url, day)
        prunes_were_yesterday(backup)
        made += policy.run_at_once()
    made += policy.run_at_once()
    done = prunes(backup)
    assert [one.status for one in done] == [Status.DONE] * 3, "one a day"
    assert sum(one.result["renewed"] for one in done) > 0
    found = histories(backup.vault)
    ends = [
        backup.vault.store.versions.locked_until(name, history.first.id)
        for name, history in found.items()
        if is_needed(name)
    ]
    assert min(ends) > backup.vault.store.now() + 3 * day
    assert {point.name for point in backup.points} == {one.point for one in made}


def test_the_lock_of_a_vault_that_somebody_has_closed_stands_though_its_policy_is_paused(backed_up, s3):
    day = 86400
    backup = backed_up("a phrase", s3, lock=3 * day)
    policy = Policy(backup)
    policy.run_at_once()
    policy.store.backup_policies.change(policy.id, paused=True)
    store = backup.vault.store
    for name in list(store.names("keys")):
        store.delete(name)
    for _ in range(4):
        s3.days_pass(backup.url, day)
        prunes_were_yesterday(backup)
        policy.store.jobs.hasten(policy.id)
        backup.engine()
    assert prunes(backup)[-1].status is Status.FAILED, "it says that the vault can't be opened"
    ends = [
        store.versions.locked_until(name, history.first.id)
        for name, history in histories(backup.vault).items()
        if is_needed(name)
    ]
    assert min(ends) > store.now() + 3 * day


def test_what_deleted_points_have_left_goes_by_itself(backed_up):
    """Once a day, in two prunes as always; and while nothing is left, none is begun."""
    backup = backed_up()
    policy = Policy(backup, keep="last 1")
    policy.run_at_once()
    assert prunes(backup) == [], "nothing was deleted"
    for number in range(2):
        backup.world.guest_writes("2000", 2 * MIB + number * 200_000, secrets.token_bytes(1000))
        policy.run_at_once()
    (first,) = prunes(backup)
    assert first.status is Status.DONE
    assert any("is pruned" in text for text in policy.told)
    stored = backup.stored()
    a_day_passes(backup)
    backup.world.guest_writes("2000", 2 * MIB + 600_000, secrets.token_bytes(1000))
    policy.run_at_once()
    a_day_passes(backup)
    policy.run_at_once()
    assert sum(one.result["deleted"] for one in prunes(backup)) > 0
    assert [one.status for one in prunes(backup)] == [Status.DONE] * 3
    assert backup.stored() < stored + 2 * MIB
    assert verify(backup.vault).faults == ()
    assert backup.held(backup.points[0]) == backup.at(backup.world.read()["moment"])


def test_what_deleted_points_have_left_goes_each_day_however_seldom_the_policy_runs(backed_up):
    """The prune that removes what one of the day before has condemned waits for no run, and none follows in vain."""
    backup = backed_up()
    policy = Policy(backup, keep="last 1", schedule="every 7d")
    for number in range(4):
        policy.run_at_once()
        backup.world.guest_writes("2000", 2 * MIB + number * 200_000, secrets.token_bytes(1000))
    for _ in range(4):
        (job,) = [one for one in backup.store.queue.records() if one.record_id == policy.id]
        assert job.due_at - utc_now() < timedelta(days=1)
        a_day_passes(backup)
        backup.store.jobs.hasten(policy.id)
        assert backup.engine()[0] == 0
    done = [one.result for one in sorted(prunes(backup), key=lambda one: one.finished_at)]
    assert [(one["condemned"] > 0, one["deleted"]) for one in done] == [(False, 0), (True, 0), (False, 1)]


def test_one_that_fails_stops_no_other_and_is_said(backed_up):
    backup = backed_up()
    with backup.world.change() as state:
        state["ref"] = "vm-1"  # there is no other one
    policy = Policy(backup, machines=("gone", "web"))
    gone, web = policy.run_at_once()
    assert (gone.stand, web.stand) == (Stand.FAILED, Stand.DONE)
    assert "gone" in gone.error
    assert any("gone" in text for text in policy.told)
    backup.world.plan_fault("snapshot", 2, "before", "error")
    gone, web = policy.run_at_once()
    assert (web.stand, web.point, web.deleted) == (Stand.FAILED, None, ())
    assert "weakness" in web.error
    assert len(backup.points) == 1


def test_one_for_which_the_quota_has_no_room_is_refused_and_the_others_are_backed_up(backed_up):
    """Before a snapshot is made, and with the figures; and no later run waits for it."""
    backup = backed_up()
    (backup.world.root / "no-snapshots").touch()
    policy = Policy(backup, machines=("volume:archive", "web"))
    archive, web = policy.run_at_once()
    assert (archive.stand, web.stand) == (Stand.FAILED, Stand.DONE)
    assert "has room for 0 volume snapshot(s), archive needs 1." in archive.error
    assert backup.store.migrations.several([archive.id]) == [], "nothing of it was begun"
    (backup.world.root / "no-snapshots").unlink()
    assert [one.stand for one in policy.run_at_once()] == [Stand.DONE] * 2


def test_one_whose_quota_is_used_up_once_it_is_queued_is_refused_unless_others_of_its_run_may_give_room(
    backed_up, monkeypatch
):
    backup = backed_up()
    policy = Policy(backup, machines=("volume:archive",))
    real = by_policy.backup_concerns
    monkeypatch.setattr(
        by_policy,
        "backup_concerns",
        lambda *args, **how: (real(*args, **how), (backup.world.root / "no-snapshots").touch())[0],
    )
    (archive,) = policy.run_at_once()
    assert archive.stand is Stand.FAILED
    assert "archive needs 1." in archive.error
    assert "snapshot" not in backup.world.calls()
    record = backup.store.migrations.get(archive.id)
    context = MoveContext(backup.store, record.id, clouds=None)
    other = NewMigration("web", "vm-1", backup.source.id, backup.place.id, {"type": "backup"}, due_at=NEVER)
    (at_work,) = backup.store.migrations.add_together([other])
    assert not context.parks_for(QuotaExceeded("full"))
    run = policy.now.run
    both = (*run.backups, replace(run.backups[0], id=at_work.id, stand=Stand.UNDER_WAY))
    backup.store.backup_policies.keep(policy.id, replace(run, backups=both))
    assert context.parks_for(QuotaExceeded("full")), "its snapshots may go"


def test_machines_are_found_by_a_filter_at_each_run(backed_up):
    backup = backed_up()
    policy = Policy(backup, machines=(), wanted=MachineFilter(name="we*"))
    assert [one.machine_name for one in policy.run_at_once()] == ["web"]
    policy.store.backup_policies.change(policy.id, wanted={"name": "db-*"})
    assert policy.run_at_once() == ()
    assert "fits" in policy.now.run.error


def test_a_machine_is_followed_to_its_new_reference_and_no_other_that_has_its_old_one_is_backed_up(backed_up):
    backup = backed_up()
    (backup.world.root / "tells-instance").touch()
    policy = Policy(backup, machines=("vm-1",))
    first = policy.run_at_once()[0]
    backup.world.register_anew()
    (second,) = policy.run_at_once()
    assert (second.stand, second.machine_ref) == (Stand.DONE, "vm-77"), second.error
    assert second.point.split("/")[0] == first.point.split("/")[0], "the same machine's"
    assert "vm-1 is web (vm-77) now. It was web (vm-1)." in policy.told
    with backup.world.change() as state:
        state.update(ref="vm-1", instance="50230000-0000-0000-0000-00000000000f")  # a vCenter that is set up anew
    for _ in range(2):  # what is known outlives a run in which it isn't found
        (third,) = policy.run_at_once()
        assert third.stand is Stand.FAILED
        assert "web is gone: vm-1 is the reference of another machine now, web" in third.error


def test_a_name_that_has_become_unclear_fails_for_its_machine_alone(backed_up, monkeypatch):
    def look_up(source, word):
        if word == "twin":
            raise Conflict("2 machines are called twin.")
        return source.machine(word)

    monkeypatch.setattr(looking_up, "look_up", look_up)
    policy = Policy(backed_up(), machines=("twin", "web"))
    twin, web = policy.run_at_once()
    assert (twin.stand, web.stand) == (Stand.FAILED, Stand.DONE)
    assert twin.error == "2 machines are called twin."


def test_a_missed_run_is_made_up_for_once_and_a_paused_policy_rests(backed_up):
    backup = backed_up()
    long_ago = utc_now() - timedelta(days=5, hours=1)
    policy = Policy(backup, due_at=long_ago)
    policy.store.backup_policies.change(policy.id, paused=True)
    assert backup.engine()[0] == 0
    assert (policy.now.run, backup.points) == (None, [])
    policy.store.backup_policies.change(policy.id, paused=False)
    assert backup.engine()[0] == 0
    assert len(backup.points) == 1, "one for all of them"
    assert policy.now.missed in {5, 6}
    assert utc_now() < policy.now.due_at <= utc_now() + timedelta(days=1)
    assert backup.engine()[0] == 0
    assert len(backup.points) == 1


def test_a_verification_by_the_clock_says_what_it_found_and_damaged_points_push_no_good_one_out(backed_up):
    backup = backed_up()
    policy = Policy(backup, keep="last 1", verify="every 7d")
    (good,) = policy.run_at_once()
    assert backup.engine()[0] == 0
    for name in backup.vault.store.names("packs"):
        path = backup.vault.store.root / name
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes((content[middle] ^ 1,)) + content[middle + 1 :])
    policy.store.backup_policies.change(policy.id, verify_due_at=utc_now())
    assert backup.engine()[0] == 0
    found = policy.now.verification
    assert (found.stand, found.suspect) == (Stand.FAILED, (good.point,))
    assert "can't be restored whole" in found.error
    assert utc_now() < policy.now.verify_due_at <= utc_now() + timedelta(days=7)
    assert "none is usable" in policy.reasons[good.point][0]


def test_a_point_by_a_later_release_is_judged_as_the_others_are(backed_up):
    """Which says of it what this one doesn't know."""
    backup = backed_up()
    policy = Policy(backup, keep="last 2")
    first = policy.run_at_once()[0].point
    point = read_point(backup.vault, first)
    discard_point(backup.vault, first)
    write_point(backup.vault, replace(point, content={**point.content, "consistency": "mirrored", "machine": {}}))
    policy.run_at_once()
    (third,) = policy.run_at_once()
    assert (third.error, third.deleted) == (None, (first,))


def test_whoever_restores_a_point_keeps_it(backed_up):
    backup = backed_up()
    policy = Policy(backup, keep="last 1")
    (first,) = policy.run_at_once()
    asked = {"type": "cold", "networks": {"VM Network": "private"}}
    new = NewMigration("web", first.point, backup.place.id, backup.target.id, asked, due_at=NEVER)
    (restore,) = backup.store.migrations.add_together([new])
    (second,) = policy.run_at_once()
    assert set(point_names(backup.vault)) == {first.point, second.point}
    backup.store.migrations.request_cancel(restore.id)
    (third,) = policy.run_at_once()
    assert point_names(backup.vault) == [third.point]


def test_a_policy_that_is_deleted_ends_and_its_points_stay(backed_up):
    backup = backed_up()
    policy = Policy(backup)
    (one,) = policy.run_at_once()
    policy.store.backup_policies.remove(policy.id)
    assert backup.engine()[0] == 0
    assert policy.store.backup_policies.all() == []
    assert policy.store.migrations.get(policy.id).status is Status.CANCELLED
    assert point_names(backup.vault) == [one.point]


@pytest.mark.parametrize(("call", "number"), [("machine", 1), ("machine", 2), ("snapshot", 1)])
def test_a_run_that_is_killed_goes_on_and_begins_nothing_twice(backed_up, call, number):
    backup = backed_up()
    policy = Policy(backup)
    backup.world.plan_fault(call, number, "after", "kill")
    assert policy.run() == -9
    assert backup.engine()[0] == 0
    (one,) = policy.last
    assert (one.stand, len(backup.points)) == (Stand.DONE, 1)
    assert len(backup.store.migrations.page(10, fitting=JobFilter(machine="web"))) == 1
    backup.id = one.id
    backup.assert_nothing_is_left()


def test_a_retention_that_is_killed_goes_on(backed_up, monkeypatch):
    backup = backed_up()
    policy = Policy(backup, keep="last 1")
    (first,) = policy.run_at_once()

    real = by_policy.thin
    with monkeypatch.context() as patched:
        patched.setattr(by_policy, "thin", lambda *args: (real(*args), patched.undo(), backup.kill()))
        assert policy.run() == -9
    assert backup.engine()[0] == 0
    (second,) = policy.last
    assert second.stand is Stand.DONE
    assert point_names(backup.vault) == [second.point] != [first.point]
