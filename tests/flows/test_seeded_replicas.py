"""Replicas whose volumes are written from a backup's point first: real copies out of a real vault, then real syncs.

Whatever fails or dies, and whenever: the first point holds one moment of all disks, and little is read of the source
where it can tell what has changed since the backup.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from protected import Protected
from small_clouds import MIB, SIZES

from longshore.engine import retry
from longshore.flows.replicas import replicating
from longshore.flows.replicas.seeding import SeedPoint
from longshore.model.replica import Protection, Seed, Stage
from longshore.model.status import Status
from longshore.store import NewMigration
from longshore.store.tables import utc_now
from longshore.vault.points import discard_point, new_name, write_point

pytestmark = pytest.mark.long

ALL = sum(SIZES.values())
TEXT = b"written since the backup"


class Replica:
    """Of a machine that was backed up; its jobs run in this process, as its backups' do."""

    record, replica, points, told = Protected.record, Protected.replica, Protected.points, Protected.told
    held_by, assert_whole, assert_marked = Protected.held_by, Protected.assert_whole, Protected.assert_marked

    def __init__(self, backup, point=None, **protection):
        self.backup, self.store, self.world = backup, backup.store, backup.world
        seed = Seed(backup.place.id, point) if point else None
        new = NewMigration(
            *("web", "vm-1", backup.source.id, backup.target.id),
            {"type": "replica", "networks": {"VM Network": "private"}},
            protection=Protection("daily", "last 10", None, utc_now(), seed=seed, **protection),
        )
        (made,) = self.store.migrations.add_together([new])
        self.id = made.id

    def live(self):
        """The exit status of an engine that does what is due."""
        return self.backup.engine()[0]

    def sync(self):
        self.store.replicas.change(self.id, due_at=utc_now())
        return self.live()

    @property
    def first(self):
        return self.record.syncs[0]


@pytest.fixture
def backup(backed_up):
    """With a point in an encrypted vault, and what the guest has written since."""
    backup = backed_up("of the vault")
    backup.point = backup.back_up()["point"]
    backup.world.guest_writes("2000", 2 * MIB + 5, TEXT)
    return backup


def test_a_replica_that_is_seeded_reads_of_its_source_only_what_has_changed_since_the_backup(backup):
    later = utc_now() + timedelta(days=1)
    seeded = Replica(backup, backup.point, audit_due_at=later)
    assert seeded.live() == 0
    seeded.assert_whole()
    assert seeded.replica.stage is Stage.PROTECTED
    assert seeded.first["bytes_read"] < MIB < seeded.first["bytes_verified"] + MIB
    assert (seeded.replica.audited_at, seeded.replica.audit_due_at) == (None, later), "not everything was read"
    assert any("The first sync then copies what differs." in text for text in seeded.told)
    held = seeded.world.root / f"vsnap-{seeded.points[0].disks[0].snapshot_id}"
    assert held.read_bytes()[2 * MIB + 5 :].startswith(TEXT)
    assert seeded.sync() == 0
    seeded.assert_whole()
    assert not list(seeded.store.state.migration(seeded.id).glob("seed-*.checkpoint"))
    assert len(list(seeded.store.state.migration(seeded.id).glob("*.manifest"))) == len(SIZES)


def test_one_without_a_seed_reads_all_of_it(backup):
    plain = Replica(backup)
    assert plain.live() == 0
    plain.assert_whole()
    assert plain.first["bytes_read"] >= ALL - 3 * MIB, "but for the holes"
    assert plain.replica.audited_at is not None


def test_where_the_source_has_forgotten_all_is_read_and_what_differs_is_written(backup):
    (backup.world.root / "forgets").touch()
    seeded = Replica(backup, backup.point)
    assert seeded.live() == 0
    seeded.assert_whole()
    assert seeded.first["bytes_read"] >= ALL - 3 * MIB
    assert seeded.first["bytes_written"] < seeded.first["bytes_read"]
    assert any("has forgotten" in text for text in seeded.told)
    assert seeded.replica.audited_at is not None, "all was read"


def test_what_the_source_hides_is_found_by_an_audit_of_a_seeded_replica(backup):
    backup.world.hide("2001", MIB + 300_000, b"hidden before the seed")
    seeded = Replica(backup, backup.point)
    assert seeded.live() == 0
    assert seeded.held_by(seeded.points[0]) is None
    seeded.store.replicas.change(seeded.id, audit_due_at=utc_now())
    assert seeded.sync() == 0
    assert seeded.held_by(seeded.points[1]) is not None
    assert [point.suspect for point in seeded.points] == [True, False]


def test_a_disk_that_the_point_lacks_is_copied_in_full(backup):
    (whole,) = backup.points
    name = new_name(whole.name.partition("/")[0], datetime.now(UTC))
    write_point(backup.vault, replace(whole, name=name, disks={"2000": whole.disks["2000"]}))
    seeded = Replica(backup, name)
    assert seeded.live() == 0
    seeded.assert_whole()
    assert any(text.startswith("Writing 1 of 2 disk(s)") for text in seeded.told)
    assert SIZES["2001"] - MIB <= seeded.first["bytes_read"] < SIZES["2001"] + MIB
    assert seeded.first["bytes_verified"] >= SIZES["2001"], "as a first copy is"


def test_the_point_is_in_use_until_the_volumes_are_written(backup):
    seeded = Replica(backup, backup.point)
    in_use = seeded.store.backup_policies.points_in_use
    assert in_use(backup.place.id) == {backup.point: (f"replica {seeded.id}",)}
    assert seeded.live() == 0
    assert in_use(backup.place.id) == {}
    discard_point(backup.vault, backup.point)
    assert seeded.sync() == 0
    seeded.assert_whole()


@pytest.mark.turns
@pytest.mark.parametrize(
    ("call", "number", "when"),
    [
        ("create_volume", 2, "after"),
        ("open_volume", 1, "before"),
        ("open_volume", 1, "after"),
        ("open_volume", 2, "after"),
        ("finish_volume", 2, "after"),
        ("snapshot", 2, "after"),
        ("changed", 1, "after"),
        ("open_disk", 3, "after"),
        ("open_volume", 3, "after"),
        ("snapshot_volume", 1, "after"),
        ("remove_snapshot", 2, "after"),
    ],
)
def test_a_seeded_replica_whose_engine_dies_goes_on(backup, call, number, when):
    """With `open_volume` 1 and 2 the point is written, with 3 and 4 what differs."""
    seeded = Replica(backup, backup.point)
    backup.world.plan_fault(call, number, when, "kill")
    assert seeded.live() == -9
    assert seeded.live() == 0
    seeded.assert_whole()
    assert seeded.first["bytes_read"] < MIB


def test_a_first_sync_that_fails_is_tried_again_on_the_same_seed(backup):
    seeded = Replica(backup, backup.point)
    backup.world.plan_fault("snapshot", 2, "before", "error")
    assert seeded.live() == 0
    assert (seeded.points, seeded.record.status) == ([], Status.RUNNING)
    assert "weakness" in seeded.replica.error
    backup.world.guest_writes("2001", 300_000, b"more")
    assert seeded.sync() == 0
    seeded.assert_whole()
    assert seeded.first["bytes_read"] < MIB


@pytest.mark.parametrize("wrong", ["gone", "damaged", "away"])
def test_a_seed_that_cannot_be_had_is_said_and_nothing_is_left(backup, monkeypatch, wrong):
    seeded = Replica(backup, backup.point)
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.0)
    if wrong == "gone":
        discard_point(backup.vault, backup.point)
    elif wrong == "damaged":
        for name in backup.vault.store.names("packs"):
            path = backup.vault.store.root / name
            content = path.read_bytes()
            path.write_bytes(content[:900] + bytes(byte ^ 1 for byte in content[900:-900]) + content[-900:])
    else:
        backup.vault.store.root.rename(backup.vault.store.root.with_name("elsewhere"))
    assert seeded.live() == 0
    assert seeded.record.status is Status.FAILED
    said = {"gone": "There is no point", "damaged": f"written from the point {backup.point}: ", "away": "vault"}
    assert said[wrong] in seeded.record.error, seeded.record.error
    state = seeded.world.read()
    assert (state["volumes"], state["snapshots"], state["vsnaps"]) == ({}, {}, {})
    assert state["power"] == "on"


def test_one_that_is_cancelled_while_it_is_seeded_leaves_nothing(backup, monkeypatch):
    seeded = Replica(backup, backup.point)
    real = replicating.find_seed

    def found(job, *rest) -> SeedPoint:
        job.store.migrations.request_cancel(job.id)
        job.ignore_cancel()
        answer = real(job, *rest)
        job._ignoring_cancel = False
        return answer

    monkeypatch.setattr(replicating, "find_seed", found)
    assert seeded.live() == 0
    assert seeded.record.status is Status.CANCELLED
    state = seeded.world.read()
    assert (state["volumes"], state["snapshots"], state["vsnaps"]) == ({}, {}, {})
    assert [point.name for point in backup.points] == [backup.point]
