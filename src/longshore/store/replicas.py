"""Replicas: how a machine is protected, where that stands, and what is wanted of it next.

The record is a migration; a row here has what only a replica has. Its one job waits for its moment, and looks at this
row when that has come: so whatever changes here is heeded, and `hasten` has it heeded at once.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, true, update
from sqlalchemy.orm import Session, object_session

from longshore.errors import Conflict, NotFound
from longshore.model.adoption import FoundReplica
from longshore.model.job import JobKind
from longshore.model.replica import PointState, Protection, Seed, Stage, Wish
from longshore.model.request import MigrationType
from longshore.model.status import UNFINISHED, Status
from longshore.store.adoption import objection
from longshore.store.database import in_portions, through_outages
from longshore.store.failbacks import stage_before
from longshore.store.groups import note_landing, tell_run
from longshore.store.jobs import NEVER, end_job, enqueue, first_job, hasten, new_job
from longshore.store.migration_records import find_migration
from longshore.store.part import ScopedPart
from longshore.store.points import occupy_point, refuse_users
from longshore.store.providers import refuse_taken_back
from longshore.store.rows import filled, new_row, readable
from longshore.store.tables import JobRow, MigrationRow, PointRow, ReplicaRow

_NAMED = select(ReplicaRow, MigrationRow.machine_name).join(MigrationRow, MigrationRow.id == ReplicaRow.id)


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """A replica, as it is kept. Moments are in UTC without a zone."""

    id: str
    machine_name: str
    schedule: str
    retention: str
    rpo: int | None  # seconds
    stage: Stage
    wish: Wish | None
    wished: dict[str, Any] | None
    paused: bool
    paused_until: datetime | None
    due_at: datetime | None  # of the next sync, by the schedule
    missed: int  # times of the schedule
    failures: int  # syncs in a row
    error: str | None
    error_code: str | None
    failover_error: str | None  # why the last failover failed, if it did
    failover_id: str | None
    failback_id: str | None
    prove: str | None  # the schedule of its tests
    prove_due_at: datetime | None  # of the next one
    audit: str | None  # its schedule
    audit_due_at: datetime | None  # the next sync from then on reads everything
    audited_at: datetime | None  # the moment of the last one that has
    audited_point: int | None
    seed: Seed | None  # what its volumes have been written from first
    audits: tuple[dict[str, Any], ...]  # oldest first

    def rests(self, now: datetime) -> bool:
        """Tell whether the replica is paused; `now` is in UTC without a zone."""
        return self.paused and (self.paused_until is None or now < self.paused_until)


@through_outages
class Replicas(ScopedPart):
    def all(self) -> list[ReplicaRecord]:
        """Return the replicas that the scope sees, oldest first. One that can't be read is logged and left out."""
        with self._database.session() as session:
            query = _NAMED.where(self._visible()).order_by(MigrationRow.created_at, MigrationRow.id)
            rows = session.execute(query).all()
            return readable(rows, lambda row: _record(*row), "replica")

    def ids(self) -> list[str]:
        """Return the ids of the replicas that the scope sees, of those, too, that can't be read; oldest first."""
        query = select(ReplicaRow.id).join(MigrationRow, MigrationRow.id == ReplicaRow.id).where(self._visible())
        with self._database.session() as session:
            return list(session.scalars(query.order_by(MigrationRow.created_at, MigrationRow.id)))

    def get(self, word: str) -> ReplicaRecord:
        """Return a replica by its id, an unambiguous beginning of it, or the name or reference of its machine.

        Raises NotFound, or Conflict when several are meant.
        """
        named = (MigrationRow.machine_name == word) | (MigrationRow.machine_ref == word)
        lives = MigrationRow.status.in_(UNFINISHED)
        beginning = MigrationRow.id.startswith(word, autoescape=True)
        with self._database.session() as session:
            for wanted in (MigrationRow.id == word, named & lives, beginning, named):
                rows = session.execute(_NAMED.where(wanted, self._visible()).limit(2)).all()
                if word and len(rows) > 1:
                    raise Conflict(f"Several replicas are meant by {word}.", advice="Say which one by its id.")
                if word and rows:
                    return _record(*rows[0])
        raise NotFound(f"There is no replica {word}.", advice="See: longshore replica list.")

    def several(self, ids: Sequence[str]) -> dict[str, ReplicaRecord]:
        """Return those of these replicas that are there, by id."""
        with self._database.session() as session:
            return {
                row.id: _record(row, name)
                for some in in_portions(ids)
                for row, name in session.execute(_NAMED.where(ReplicaRow.id.in_(some), self._visible()))
            }

    def objection(self, found: FoundReplica) -> str | None:
        """Return a sentence on why a replica can't be adopted; None: it can."""
        with self._database.session() as session:
            return objection(session, found)

    def update(self, replica_id: str, **fields: Any) -> None:
        with self._database.session() as session:
            own = update(ReplicaRow).where(ReplicaRow.id == replica_id)
            session.execute(own.values(fields))

    def change(self, replica_id: str, **fields: Any) -> ReplicaRecord:
        """Change a replica as a user wants it. Its job takes notice at once, wherever it waits.

        Raises Conflict when it is being deleted; NotSharedAnyMore while one of its providers isn't its project's to
        use: then it can only be paused.
        """

        def put(row: ReplicaRow) -> None:
            for name, value in fields.items():
                setattr(row, name, value)

        return self._change(replica_id, put, anyway=fields.keys() <= _PAUSES and bool(fields.get("paused")))

    def wish(self, replica_id: str, wish: Wish, wished: dict[str, Any] | None = None) -> ReplicaRecord:
        """Ask something of a replica.

        Raises Conflict when something else is wanted of it already, or its stage doesn't allow that; for MIGRATE, also
        when something stands on one of its points, which go then. Raises NotSharedAnyMore as `change` does, except for
        UNDO and COMMIT, which only take back or keep what there is.
        """

        def ask(row: ReplicaRow) -> None:
            if row.wish == wish.value:
                return
            if row.wish not in (None, Wish.SYNC.value, Wish.AUDIT.value):
                raise Conflict(f"A {row.wish} of this replica is under way.", advice="Wait for its end.")
            if row.stage not in _ALLOWED[wish]:
                raise Conflict(f"The replica is {row.stage}: {_REFUSED[wish]}.")
            row.wish, row.wished = wish.value, wished
            if wish is Wish.MIGRATE:
                refuse_users(object_session(row), row.id)
                row.stage = Stage.MIGRATING.value

        return self._change(replica_id, ask, anyway=wish in (Wish.UNDO, Wish.COMMIT))

    def _change(self, replica_id: str, do: Callable[[ReplicaRow], object], *, anyway: bool) -> ReplicaRecord:
        """Change a replica's row with `do`. `anyway`: whether its project may still use its providers or not.

        Raises Conflict when the replica is being deleted, or was; NotSharedAnyMore.
        """
        with self._database.alone() as session:
            row = session.get_one(ReplicaRow, replica_id)
            migration = session.get_one(MigrationRow, replica_id)
            if not anyway:
                used = migration.source_id, migration.target_id
                refuse_taken_back(session, self._scope, migration.project_id, used)
            if migration.cancel_requested or Status(migration.status).ended:
                raise Conflict(f"The replica of {migration.machine_name} is being deleted, or was.")
            do(row)
            hasten(session, replica_id)
            session.flush()
            return _record(row, migration.machine_name)

    def keep(self, migration_id: str, protection: Protection) -> ReplicaRecord:
        """Make a replica of a warm migration that waits for its cutover; it is synchronised at once.

        Raises NotFound, or Conflict when it isn't one, or doesn't wait.
        """
        with self._database.alone() as session:
            migration = find_migration(session, self._scope, migration_id)
            used = migration.source_id, migration.target_id
            refuse_taken_back(session, self._scope, migration.project_id, used)
            there = session.get(ReplicaRow, migration.id)
            if there is not None and self._database.may_be_done:
                return _record(there, migration.machine_name)
            job = _refuse_unkept(session, migration)
            # What is about the move alone goes: it has begun, and a cutover is none of a replica's
            asked = {name: value for name, value in migration.request.items() if name not in ("cutover", "before")}
            migration.request = {**asked, "type": MigrationType.REPLICA.value, "keep": False}
            migration.plan_id = job.plan_id = None
            migration.wave = job.wave = 0
            job.kind = JobKind.REPLICA.value
            row = new_replica(migration.id, protection)
            session.add(row)
            hasten(session, migration.id)
            session.flush()
            return _record(row, migration.machine_name)

    def came_to_nothing(self, replica_id: str, failover_id: str) -> None:
        """Have the rest of a failover undone, after what it had made was taken back."""
        with self._database.session() as session:
            own = update(ReplicaRow).where(ReplicaRow.id == replica_id, ReplicaRow.failover_id == failover_id)
            session.execute(own.values(wish=Wish.UNDO.value))
            hasten(session, replica_id)

    def stays_away(self, replica_id: str, failback_id: str) -> None:
        """Put a replica back as it was before its failback, which has come to nothing, or was undone."""
        with self._database.session() as session:
            row = session.get_one(ReplicaRow, replica_id)
            if row.failback_id == failback_id:
                row.stage, row.failback_id = stage_before(session, row).value, None

    def fulfil(self, replica_id: str, wish: Wish) -> None:
        """Clear a wish that is fulfilled, or being fulfilled."""
        with self._database.session() as session:
            own = update(ReplicaRow).where(ReplicaRow.id == replica_id, ReplicaRow.wish == wish.value)
            session.execute(own.values(wish=None, wished=None))

    def end_job(
        self,
        replica_id: str,
        job_id: str,
        *,
        due_at: datetime,
        begin_by: datetime | None = None,
        done: Wish | None = None,
        lands: dict[str, Any] | None = None,
        waits: bool = False,
        failed: bool = False,
        **fields: Any,
    ) -> None:
        """End a replica's job, set columns of its row (`fields`), and queue the next job, in one transaction.

        `done`: the wish that was fulfilled. `lands`: the request of a failover that begins now, whose point is there;
        it `waits` for its tier where its group fails over. `begin_by`: as `new_job` has it. Called again, it does
        nothing.
        """
        next_id, landing_id = str(uuid.uuid4()), str(uuid.uuid4())
        with self._database.alone() as session:
            if not end_job(session, job_id, Status.FAILED if failed else Status.DONE):
                return
            row = session.get_one(ReplicaRow, replica_id)
            migration = session.get_one(MigrationRow, replica_id)
            migration.phase = "waiting"
            row.due_at = due_at if due_at < NEVER else row.due_at
            for name, value in fields.items():
                setattr(row, name, value)
            if done is not None and row.wish == done.value:
                row.wish = row.wished = None
            if lands is not None:
                use_point(session, migration, landing_id, lands, waits=waits)
            asked = migration.cancel_requested or row.wish is not None
            due = None if asked else _first_due(row, due_at)
            place = begin_by if due is not None else None
            enqueue(session, [new_job(migration, JobKind.REPLICA, id_=next_id, due_at=due, begin_by=place)])
            tell_run(session, replica_id)

    def begin_test(self, replica_id: str, now: datetime, following: datetime, request: dict[str, Any]) -> str | None:
        """Begin a test of the newest usable point of a replica, if one is due, and return its id.

        None: none is due, an earlier one goes on, the replica is paused, or there is no point. `now`: in UTC without a
        zone. `following`: when the next one is due.
        """
        with self._database.alone() as session:
            row = session.get_one(ReplicaRow, replica_id)
            if row.prove_due_at is None or row.prove_due_at > now:
                return None
            row.prove_due_at = following
            point = point_to_use(session, row, now)
            if point is None or is_under_way(session, replica_id, MigrationType.TEST):
                return None
            id_ = str(uuid.uuid4())
            use_point(session, session.get_one(MigrationRow, replica_id), id_, {**request, "point": point})
            return id_

    def _visible(self) -> ColumnElement[bool]:
        return true() if self._scope.everything else MigrationRow.project_id == self._scope.project_id


def tell_replica(session: Session, ended: MigrationRow) -> None:
    """Tell a replica that its failover is done, and its server runs in the machine's place; or its failback, and the
    machine runs again.

    Who has asked meanwhile that it be taken back came too late for that migration; so that is what is wanted next.
    """
    if ended.status != Status.DONE.value:
        return
    replica = session.get(ReplicaRow, ended.of, populate_existing=True)
    if replica is None or ended.id not in (replica.failover_id, replica.failback_id):
        return
    kind = ended.type
    if kind not in (MigrationType.FAILOVER.value, MigrationType.FAILBACK.value):
        return
    stage = Stage.FAILED_OVER if kind == MigrationType.FAILOVER.value else Stage.FAILED_BACK
    replica.stage, replica.failover_error = stage.value, None
    if ended.cancel_requested:
        replica.wish = Wish.UNDO.value
        hasten(session, replica.id)


_PAUSES = {"paused", "paused_until"}
_ALLOWED = {
    Wish.SYNC: (Stage.SEEDING.value, Stage.PROTECTED.value),
    Wish.AUDIT: (Stage.PROTECTED.value,),
    Wish.FAILOVER: (Stage.PROTECTED.value,),
    Wish.MIGRATE: (Stage.PROTECTED.value,),
    Wish.UNDO: (Stage.FAILING_OVER.value, Stage.FAILED_OVER.value, Stage.FAILED_BACK.value),
    Wish.COMMIT: (Stage.FAILED_OVER.value, Stage.FAILED_BACK.value),
}
_REFUSED = {
    Wish.SYNC: "nothing is copied to it now",
    Wish.AUDIT: "there is nothing to audit now",
    Wish.FAILOVER: "it can't fail over now",
    Wish.MIGRATE: "it can't be migrated now",
    Wish.UNDO: "there is no failover to undo",
    Wish.COMMIT: "there is no failover to commit",
}


def _refuse_unkept(session: Session, migration: MigrationRow) -> JobRow:
    """Return the job of a warm migration that waits for its cutover and that nobody has begun.

    Raises Conflict for any other.
    """
    name, id_ = migration.machine_name, migration.id
    if migration.type != MigrationType.WARM.value or Status(migration.status).ended:
        raise Conflict(f"Migration {id_} is no warm one that goes on: there is nothing to keep.")
    if migration.cancel_requested or migration.cutover_requested:
        what = "cancelled" if migration.cancel_requested else "cut over"
        raise Conflict(f"Migration {id_} is being {what}.")
    if migration.request.get("after"):
        raise Conflict(
            f"Migration {id_} runs a playbook when its machine is up, and a replica runs none.",
            advice=f"Make a replica instead: longshore replica create {name}.",
        )
    job = session.scalar(select(JobRow).where(JobRow.record_id == id_, JobRow.status.in_(UNFINISHED)))
    waits = job is not None and job.kind == JobKind.SYNC.value and job.status == Status.QUEUED.value
    if job is None or not waits or job.worker_id is not None or not (migration.state or {}).get("choice"):
        raise Conflict(
            f"Migration {id_} doesn't wait for its cutover: a copy of {name} is under way, or is still to come.",
            advice="Ask again when its phase is waiting.",
        )
    return job


def new_replica(id_: str, protection: Protection) -> ReplicaRow:
    return new_row(ReplicaRow, protection, id=id_)


def has_wish(session: Session, record_id: str) -> bool:
    """Tell whether the record is a replica that something is wanted of."""
    return session.scalar(select(ReplicaRow.wish).where(ReplicaRow.id == record_id)) is not None


def is_under_way(session: Session, replica_id: str, kind: MigrationType) -> bool:
    """Tell whether a migration of this kind, made from the replica, hasn't ended."""
    query = select(MigrationRow.id).where(MigrationRow.type == kind.value, MigrationRow.of == replica_id)
    return session.scalar(query.where(MigrationRow.status.in_(UNFINISHED)).limit(1)) is not None


def point_to_use(session: Session, replica: ReplicaRow, now: datetime) -> int | None:
    """Return the newest usable point of a replica, for what is done by a clock.

    None: there is none, or nothing of the replica is to be done by a clock now. `now`: UTC without a zone.
    """
    rests = replica.paused and (replica.paused_until is None or now < replica.paused_until)
    if rests or replica.stage != Stage.PROTECTED.value:
        return None
    usable = PointRow.replica_id == replica.id, PointRow.state == PointState.USABLE.value
    to_come = PointRow.moment > now
    newest = select(PointRow.number).where(*usable).order_by(to_come, PointRow.moment.desc(), PointRow.number.desc())
    return session.scalar(newest.limit(1))


def use_point(
    session: Session,
    replica: MigrationRow,
    id_: str,
    request: dict[str, Any],
    *,
    waits: bool = False,
    begin_by: datetime | None = None,
) -> None:
    """Add a migration of this id that does what the request says with the point that it names.

    `waits`: for its tier, where its group fails over. `begin_by`: as `new_job` has it. Raises Conflict when the point
    can't be used.
    """
    row = MigrationRow(
        id=id_,
        project_id=replica.project_id,
        machine_name=replica.machine_name,
        machine_ref=replica.machine_ref,
        source_id=replica.source_id,
        target_id=replica.target_id,
        places=replica.places,
        request=request,
    )
    session.add(row)
    session.flush()
    occupy_point(session, row)
    if waits:
        note_landing(session, replica.id, id_)
    enqueue(session, [first_job(row, NEVER if waits else None, begin_by)])


def _record(row: ReplicaRow, machine_name: str) -> ReplicaRecord:
    return filled(ReplicaRecord, row, machine_name=machine_name)


def _first_due(row: ReplicaRow, due_at: datetime) -> datetime:
    """Return when the replica's next job has something to do, which may be a test."""
    tests = row.stage == Stage.PROTECTED.value and row.prove_due_at is not None
    return min(due_at, row.prove_due_at or due_at) if tests else due_at
