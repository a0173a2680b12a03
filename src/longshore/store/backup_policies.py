"""Policies of backups: what they ask for, and where their last run, second copy, verification and proof stand.

Each has a migration that is its record and has one job at a time, as a replica has: a look at what is due and at what
has ended. When one of its backups ends, the look comes at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from longshore.model.backup_policy import LastRun, Proof, SecondCopy, Verification
from longshore.model.job import JobKind
from longshore.model.request import BootProof, MigrationType
from longshore.model.selection import MachineFilter
from longshore.model.status import UNFINISHED, Status
from longshore.model.vault_refs import point_of
from longshore.store.database import through_outages
from longshore.store.jobs import NEVER, end_job, enqueue, hasten, new_job
from longshore.store.migration_records import visible_migrations
from longshore.store.part import NamedPart, Scope, new_unique_name
from longshore.store.providers import refuse_taken_back
from longshore.store.rows import filled, in_json, new_row, readable
from longshore.store.tables import BackupPolicyRow, MigrationRow, ReplicaRow, utc_now

_LOOK = timedelta(seconds=15)  # between two looks at most while something is under way
# Between two looks at most once something is in its vaults: their prunes, 20 hours apart at least, then come each day
_TIDY = timedelta(hours=4)
_BEGUN = {
    MigrationType.BACKUP.value,
    MigrationType.VAULT_COPY.value,
    MigrationType.VERIFICATION.value,
    MigrationType.DRY_RUN.value,
}


@dataclass(frozen=True, slots=True)
class NewBackupPolicy:
    """A backup policy that is to be added. Moments are in UTC without a zone."""

    name: str
    machines: tuple[str, ...]
    wanted: MachineFilter | None
    schedule: str
    retention: str
    verify: str | None
    due_at: datetime
    verify_due_at: datetime | None
    paused: bool = False
    copy_to: str | None = None  # the id of a vault
    prove: str | None = None
    prove_on: str | None = None  # the id of a cloud
    prove_networks: dict[str, str] | None = None  # those of the cloud that are copied, by networks of the machines
    prove_due_at: datetime | None = None
    before: str | None = None  # the path of a playbook
    after: str | None = None


@dataclass(frozen=True, slots=True)
class BackupPolicyRecord:
    """A backup policy, as it is kept. Moments are in UTC without a zone."""

    id: str
    project_id: str
    name: str
    source_id: str
    vault_id: str
    machines: tuple[str, ...]
    wanted: MachineFilter | None
    schedule: str
    retention: str
    verify: str | None
    copy_to: str | None  # the id of a vault
    prove: str | None
    prove_on: str | None  # the id of a cloud
    prove_networks: dict[str, str]
    before: str | None  # the path of a playbook, run before each snapshot
    after: str | None  # and of one run after it
    due_at: datetime
    verify_due_at: datetime | None
    prove_due_at: datetime | None
    missed: int
    paused: bool
    asked: bool
    run: LastRun | None
    verification: Verification | None
    copy: SecondCopy | None
    proof: Proof | None
    error: str | None
    created_at: datetime

    @property
    def runs(self) -> bool:
        return self.run is not None and self.run.ended_at is None

    @property
    def verifies(self) -> bool:
        return self.verification is not None and not self.verification.stand.ended

    @property
    def copies(self) -> bool:
        return self.copy is not None and not self.copy.stand.ended

    @property
    def proves(self) -> bool:
        return self.proof is not None and self.proof.ended_at is None


Part = LastRun | Verification | SecondCopy | Proof
# In which column each is, and what says of a record that it is under way
_PARTS = {
    LastRun: ("run", "runs"),
    Verification: ("verification", "verifies"),
    SecondCopy: ("copy", "copies"),
    Proof: ("proof", "proves"),
}


class _Begun(TypedDict, total=False):
    """Columns that are set as a part begins."""

    asked: bool
    due_at: datetime
    missed: int
    verify_due_at: datetime
    prove_due_at: datetime


@dataclass(frozen=True, slots=True)
class Trial:
    """A restore of a point that was booted, and taken away again."""

    migration_id: str
    at: datetime  # when it was seen up, else when it failed; in UTC without a zone
    shown_by: str | None  # what has shown that it is up
    error: str | None  # why it wasn't seen up


@through_outages
class BackupPolicies(NamedPart[BackupPolicyRow]):
    _rows = BackupPolicyRow

    def all(self) -> list[BackupPolicyRecord]:
        """Return the policies that the scope sees, by name. One that can't be read is logged and left out."""
        with self._database.session() as session:
            return readable(session.scalars(self._listed()), lambda row: _record(session, row), "backup policy")

    def get(self, name_or_id: str) -> BackupPolicyRecord:
        """Return a policy. Raises NotFound, or Conflict when several others are called so."""
        with self._database.session() as session:
            return _record(session, self._find(session, name_or_id))

    def change(self, policy_id: str, *, dry_run: bool = False, **fields: Any) -> BackupPolicyRecord:
        """Set columns of a policy, which looks at once what that means; in a dry run it is only answered.

        Raises NotSharedAnyMore while one of its providers isn't its project's to use: then it can only be paused, and
        run where that is none of those that a run needs.
        """
        with self._database.session(dry_run=dry_run) as session:
            row = self._find(session, policy_id)
            for name, value in fields.items():
                setattr(row, name, value)
            if fields != {"paused": True}:
                migration = session.get_one(MigrationRow, row.id)
                others = () if fields == {"asked": True} else (row.copy_to, row.prove_on)
                used = migration.source_id, migration.target_id, *others
                refuse_taken_back(session, self._scope, row.project_id, used)
            hasten(session, row.id)
            session.flush()
            return _record(session, row)

    def remove(self, policy_id: str) -> None:
        """Remove a policy, if it is there.

        What it has begun goes on, its points stay, and its record ends at its next look.
        """
        with self._database.session() as session:
            row = session.get(BackupPolicyRow, policy_id)
            if row is None:
                return
            session.delete(row)
            session.get_one(MigrationRow, policy_id).cancel_requested = True
            hasten(session, policy_id, cancelled=True)

    # For its own job

    def come_sooner(self, policy_id: str, **moments: datetime) -> None:
        """Set when things are due by a policy. `moments` are named as the columns of BackupPolicyRow."""
        with self._database.session() as session:
            session.execute(update(BackupPolicyRow).where(BackupPolicyRow.id == policy_id).values(moments))

    def keep(self, policy_id: str, part: Part) -> None:
        """Keep how far a run, verification, copy or proof of a policy has come, unless the policy is gone, or that part
        of it: what a copy to a former second vault comes to says nothing of the vault that has taken its place."""
        name, _ = _PARTS[type(part)]
        with self._database.session() as session:
            if (row := session.get(BackupPolicyRow, policy_id)) is None:
                return
            there = getattr(_record(session, row), name)
            if there is not None and there.begun_at == part.begun_at:
                setattr(row, name, in_json(part))

    def begin(self, policy_id: str, part: Part, **columns: Unpack[_Begun]) -> None:
        """Keep a new run, verification, copy or proof, and set columns of the policy with it, in one transaction.

        Nothing happens while one of its kind is under way, or when the policy is gone.
        """
        name, under_way = _PARTS[type(part)]
        with self._database.session() as session:
            row = session.get(BackupPolicyRow, policy_id)
            if row is not None and not getattr(_record(session, row), under_way):
                for column, value in {name: in_json(part), **columns}.items():
                    setattr(row, column, value)

    def go_on(self, policy_id: str, job_id: str, *, error: str | None = None, again: timedelta | None = None) -> None:
        """End a policy's look, and queue the next one for when there is something to do, or after `again`, if that is
        given.

        Called again, it does nothing.
        """
        next_id = str(uuid4())
        with self._database.alone() as session:
            if not end_job(session, job_id, Status.DONE):
                return
            migration = session.get_one(MigrationRow, policy_id)
            row = session.get(BackupPolicyRow, policy_id)
            due: datetime | None = None
            if row is not None:
                row.error = error
                due = utc_now() + again if again is not None else _next_look(_record(session, row))
            migration.phase = "waiting"
            if migration.cancel_requested:
                due = None
            enqueue(session, [new_job(migration, JobKind.BACKUP_POLICY, id_=next_id, due_at=due)])

    def points_in_use(self, vault_id: str) -> dict[str, tuple[str, ...]]:
        """Return, by point of a vault, the restores of it or of a disk of it, and the replicas that are seeded from it.

        They are named as people call them: "restore ID", "replica ID".
        """
        found: dict[str, tuple[str, ...]] = {}
        with self._database.session() as session:
            query = select(MigrationRow.machine_ref, MigrationRow.id).where(
                MigrationRow.source_id == vault_id, MigrationRow.status.in_(UNFINISHED)
            )
            for ref, id_ in session.execute(query):
                point = point_of(ref)
                found[point] = (*found.get(point, ()), f"restore {id_}")
            seeded = (
                select(ReplicaRow.id, ReplicaRow.seed)
                .join(MigrationRow, MigrationRow.id == ReplicaRow.id)
                .where(
                    ReplicaRow.seed["vault_id"].as_string() == vault_id,
                    MigrationRow.status.in_(UNFINISHED),
                    # What it is to go on with is kept once its volumes are written
                    MigrationRow.state["number"].as_string().is_(None),
                )
            )
            for id_, seed in session.execute(seeded):
                point = seed["point"]
                found[point] = (*found.get(point, ()), f"replica {id_}")
        return found

    def trials(self, vault_id: str) -> dict[str, Trial]:
        """Return, by point of a vault, its last trial on record: a dry run of it that has ended, begun by a clock or by
        hand.

        A trial that was cancelled, or had nothing to show, says nothing of its point and is left out.
        """
        with self._database.session() as session:
            query = (
                select(MigrationRow)
                .where(
                    MigrationRow.source_id == vault_id,
                    MigrationRow.type == MigrationType.DRY_RUN.value,
                    MigrationRow.status.in_((Status.DONE.value, Status.FAILED.value)),
                    visible_migrations(self._scope),
                )
                .order_by(MigrationRow.finished_at)
            )
            found = [(row.machine_ref, _trial(row)) for row in session.scalars(query)]
        return {point: trial for point, trial in found if trial.error is not None or trial.shown_by}


def add_policy(session: Session, record: MigrationRow, new: NewBackupPolicy) -> None:
    """Add a policy to the session, beside its record. Raises Conflict when the name is taken."""
    unique = new_unique_name(session, BackupPolicyRow, Scope(record.project_id), new.name)
    session.add(new_row(BackupPolicyRow, new, id=record.id, project_id=record.project_id, unique_name=unique))


def tell_policy(session: Session, ended: MigrationRow) -> None:
    """Have a policy look at once after its backup, copy, verification or trial has ended, if it has one."""
    if ended.type in _BEGUN and ended.of:
        hasten(session, ended.of)


def _trial(row: MigrationRow) -> Trial:
    at = row.target_up_at or row.finished_at or row.created_at
    if row.status == Status.DONE.value:
        shown_by = (row.result or {}).get("proof")
        return Trial(row.id, at, shown_by if shown_by != BootProof.NONE.value else None, None)
    return Trial(row.id, row.finished_at or at, None, row.error or "It failed.")


def _next_look(policy: BackupPolicyRecord) -> datetime | None:
    """Return when a policy has to be looked at next; None: at once."""
    if policy.asked and not policy.runs:
        return None
    moments = [utc_now() + _LOOK] if policy.runs or policy.copies or policy.verifies or policy.proves else []
    if not policy.paused:
        by_clock = (
            (policy.runs, policy.due_at),
            (policy.verifies, policy.verify_due_at),
            (policy.proves, policy.prove_due_at),
        )
        moments += [due for under_way, due in by_clock if due is not None and not under_way]
        moments += [utc_now() + _TIDY] if policy.run is not None else []
    return min(moments, default=NEVER)


def _record(session: Session, row: BackupPolicyRow) -> BackupPolicyRecord:
    migration = session.get_one(MigrationRow, row.id)
    return filled(
        BackupPolicyRecord,
        row,
        source_id=migration.source_id,
        vault_id=migration.target_id,
    )
