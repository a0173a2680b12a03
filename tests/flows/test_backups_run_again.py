"""Steps of backups and of their policies that are broken off in the middle: run again after a kill, or cancelled."""

import os
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rounds import Killed
from small_clouds import MIB, SmallSource
from test_backup_policies import Policy
from test_second_copies import Twofold

from longshore.engine.outages import Outages
from longshore.errors import Cancelled, Conflict, Unreachable
from longshore.flows.backups import backing_up, retention
from longshore.flows.backups.by_policy import ByPolicy
from longshore.flows.backups.pruning_by_policy import prune_if_due
from longshore.flows.backups.second_copies import follow_copy
from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.model.backup_policy import LastRun, MachineBackup, Stand
from longshore.model.status import Status
from longshore.model.target import QuotaRoom, SourceRoom
from longshore.providers.vault.source import VaultSource
from longshore.store.jobs import NEVER
from longshore.vault import prune as pruning
from longshore.vault.holds import delete_point
from longshore.vault.points import point_names
from longshore.vault.prune import prune
from longshore.vault.verify import verify
from longshore.vault.writers import beat, leave

pytestmark = pytest.mark.long


def a_day_passes(vault):
    for path in (path for path in vault.store.root.rglob("*") if path.is_file()):
        os.utime(path, (0, path.stat().st_mtime - 25 * 3600))


def test_a_backup_is_based_on_what_its_writer_names_whatever_point_is_the_newest_by_then(
    backed_up, tmp_path, monkeypatch
):
    """Another installation's point comes between two runs of the step, and goes again during the copy."""
    backup = backed_up()
    backup.back_up()
    backup.world.guest_writes("2000", 2 * MIB + 5, os.urandom(1000))
    others = backup.back_up()["point"]
    a_day_passes(backup.vault)
    place, aside = backup.vault.store.root / f"points/{others}.point", tmp_path / "aside"
    place.rename(aside)  # its blocks are stored, and it isn't written yet
    register, finish, living = backing_up.register, backing_up.finish, pruning.living
    with monkeypatch.context() as patched:
        patched.setattr(
            backing_up, "register", lambda *args: (register(*args), patched.undo(), aside.rename(place), backup.kill())
        )
        assert backup.begin(backup.source, "vm-1", backup.place, type="backup") == -9

    def finish_amid_a_prune(vault, writer, point):
        """Finish once the prune has read the points, before it reads the writers."""
        delete_point(vault, others)
        prune(vault)
        a_day_passes(vault)
        beat(vault, writer)

        def finished_meanwhile(*args, **how):
            patched.undo()
            finish(vault, writer, point)
            leave(vault, writer)
            return living(*args, **how)

        patched.setattr(pruning, "living", finished_meanwhile)
        prune(vault)

    with monkeypatch.context() as patched:
        patched.setattr(backing_up, "finish", finish_amid_a_prune)
        assert backup.engine()[0] == 0
    assert backup.record.status is Status.DONE, backup.record.error
    assert verify(backup.vault).faults == ()
    newest = max(backup.points, key=lambda point: point.moment)
    assert (newest.name, backup.held(newest)) == (backup.record.result["point"], backup.at(3))
    backup.assert_nothing_is_left()


@pytest.mark.parametrize("number", [1, 2], ids=["the vault", "the second vault"])
@pytest.mark.parametrize("when", ["kill", "error"])
def test_what_is_deleted_before_a_look_is_broken_off_is_told_and_pruned(backed_up, tmp_path, monkeypatch, number, when):
    """The same holds where the vault stops answering once a point is gone."""
    policy = Twofold(backed_up(), tmp_path, keep="last 1")
    backup = policy.backup
    policy.run_and_copy()
    vault_id, vault = (backup.place.id, backup.vault) if number == 1 else (policy.second.id, policy.vault)
    (old,) = point_names(vault)
    really, calls = retention.delete_point, []

    def deleted(vault, point):
        really(vault, point)
        calls.append(point)
        if len(calls) == number:
            patched.undo()
            if when == "error":
                raise Conflict("The storage has a weakness.")
            backup.kill()

    with monkeypatch.context() as patched:
        patched.setattr(retention, "delete_point", deleted)
        policy.run()
        while len(calls) < number:
            backup.engine()
    policy.settle()
    assert old not in point_names(vault)
    assert (policy.last[0].deleted if number == 1 else policy.now.copy.deleted) == (old,)
    assert backup.engine()[0] == 0
    pruned = [one for one in backup.store.migrations.all() if one.request["type"] == "prune"]
    assert vault_id in [one.target_id for one in pruned], "what the point has left"
    assert {one.status for one in pruned} == {Status.DONE}


def test_a_run_killed_while_it_queues_counts_what_it_has_queued_against_the_quota(backed_up, monkeypatch):
    """Three volumes where the source has room for the snapshots of two; then the source doesn't say any more."""
    backup = backed_up()
    names = ["volume:one", "volume:two", "volume:three"]
    volume = SmallSource.volume
    monkeypatch.setattr(
        SmallSource, "volume", lambda self, name: replace(volume(self, name), ref=f"volume:{name}", name=name)
    )
    room = SourceRoom(QuotaRoom(None, None, None, None, None, 2, None), reads_volumes=False)
    monkeypatch.setattr(SmallSource, "room", lambda _self: room)
    policy = Policy(backup, machines=tuple(names))
    chosen = tuple(MachineBackup(name, name, str(uuid.uuid4())) for name in names)
    policy.store.backup_policies.begin(policy.id, LastRun(datetime.now(UTC), chosen), due_at=NEVER)
    look = ByPolicy(MoveContext(policy.store, policy.id, clouds=Clouds(policy.store)))
    queue = look._add
    monkeypatch.setattr(look, "_add", lambda new: (queue(new), backup.kill()))
    with pytest.raises(Killed):
        look._queue()
    monkeypatch.setattr(look, "_add", queue)
    look._queue()
    assert [one.stand for one in policy.last] == [Stand.UNDER_WAY, Stand.UNDER_WAY, Stand.FAILED]
    assert "has room for 2 volume snapshot(s)" in policy.last[2].error
    assert policy.store.migrations.several([policy.last[2].id]) == []
    policy.store.backup_policies.keep(policy.id, replace(policy.now.run, backups=chosen))  # killed before it kept this

    def away(_self):
        raise Unreachable("The source doesn't answer.")

    monkeypatch.setattr(SmallSource, "room", away)
    look._queue()
    assert [one.stand for one in policy.last] == [Stand.UNDER_WAY, Stand.UNDER_WAY, Stand.FAILED], "they are queued"


def test_a_run_killed_while_it_queues_goes_on_though_a_volume_has_a_machine_by_now(backed_up, monkeypatch):
    backup = backed_up()
    room = SourceRoom(QuotaRoom(None, None, None, None, None, 9, None), reads_volumes=False)
    monkeypatch.setattr(SmallSource, "room", lambda _self: room)
    policy = Policy(backup, machines=("volume:archive", "web"))
    chosen = MachineBackup("archive", "volume:archive", str(uuid.uuid4())), MachineBackup("web", "vm-1", "b")
    policy.store.backup_policies.begin(policy.id, LastRun(datetime.now(UTC), chosen), due_at=NEVER)
    look = ByPolicy(MoveContext(policy.store, policy.id, clouds=Clouds(policy.store)))
    queue = look._add
    monkeypatch.setattr(look, "_add", lambda new: (queue(new), backup.kill()))
    with pytest.raises(Killed):
        look._queue()
    monkeypatch.setattr(look, "_add", queue)
    (backup.world.root / "attached").touch()
    look._queue()
    assert [one.stand for one in policy.last] == [Stand.UNDER_WAY, Stand.UNDER_WAY]


def look_through_outages(policy):
    """A look of the policy that waits for clouds which don't answer, until it is cancelled."""
    job = MoveContext(policy.store, policy.id, clouds=Clouds(policy.store))
    job.clouds = Clouds(policy.store, Outages(job.say, job.raise_if_cancelled))
    return ByPolicy(job)


def test_a_policy_that_is_deleted_while_its_source_is_away_queues_nothing_more(backed_up, monkeypatch):
    policy = Policy(backed_up(), machines=("volume:archive", "web"))
    backups = MachineBackup("archive", "volume:archive", str(uuid.uuid4())), MachineBackup("web", "vm-1", "b")
    policy.store.backup_policies.begin(policy.id, LastRun(datetime.now(UTC), backups), due_at=NEVER)

    def away(_self, _name):
        policy.store.backup_policies.remove(policy.id)
        raise Unreachable("The source doesn't answer.")

    monkeypatch.setattr(SmallSource, "volume", away)
    with pytest.raises(Cancelled):
        look_through_outages(policy)._queue()
    assert policy.store.migrations.several([one.id for one in backups]) == []
    assert not [text for text in policy.told if "failed" in text]


@pytest.mark.parametrize("part", [None, follow_copy, prune_if_due])
def test_a_policy_that_is_deleted_while_a_vault_is_away_ends_its_look(backed_up, tmp_path, monkeypatch, part):
    policy = Twofold(backed_up(), tmp_path, keep="last 1")
    copy, run, store = policy.run_and_copy(), policy.now.run, policy.store.backup_policies
    if part is None:
        under_way = tuple(replace(one, stand=Stand.UNDER_WAY) for one in run.backups)
        store.keep(policy.id, replace(run, ended_at=None, backups=under_way))
    elif part is follow_copy:
        store.keep(policy.id, replace(copy, stand=Stand.UNDER_WAY))

    def away(_self, _use):
        store.remove(policy.id)
        raise Unreachable("The vault doesn't answer.")

    monkeypatch.setattr(VaultSource, "open_vault", away)
    look = look_through_outages(policy)
    with pytest.raises(Cancelled):
        look._note() if part is None else look._see_to(part)
    assert not [text for text in policy.told if "stay for now" in text]
