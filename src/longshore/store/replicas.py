"""Replicas: how a machine is protected, where that stands, and what is wanted of it next.

The record is a migration; a row here has what only a replica has. Its one job waits for its moment, and looks at this
row when that has come: so whatever changes here is heeded, and `hasten` has it heeded at once.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, true, update
from sqlalchemy.orm import Session

from longshore.errors import Conflict, NotFound
from longshore.model.job import JobKind
from longshore.model.replica import Protection, Stage, Wish
from longshore.model.status import UNFINISHED, Status
from longshore.store.database import Database, through_outages
from longshore.store.jobs import NEVER, end_job, enqueue, first_job, hasten, new_job
from longshore.store.points import occupy_point
from longshore.store.scope import WHOLE, Scope
from longshore.store.tables import MigrationRow, ReplicaRow


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """Moments are in UTC without a zone."""

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
    failover_id: str | None

    def rests(self, now: datetime) -> bool:
        """Whether it is paused; `now` in UTC without a zone."""
        return self.paused and (self.paused_until is None or now < self.paused_until)


@through_outages
class Replicas:
    def __init__(self, database: Database, scope: Scope = WHOLE) -> None:
        self._database = database
        self._scope = scope

    def scoped(self, scope: Scope) -> "Replicas":
        return Replicas(self._database, scope)

    def all(self) -> list[ReplicaRecord]:
        """Oldest first."""
        with self._database.session() as session:
            query = select(ReplicaRow, MigrationRow.machine_name).join(MigrationRow, MigrationRow.id == ReplicaRow.id)
            rows = session.execute(
                query.where(self._visible()).order_by(MigrationRow.created_at, MigrationRow.id)
            ).all()
            return [_record(row, name) for row, name in rows]

    def get(self, word: str) -> ReplicaRecord:
        """By its id, an unambiguous beginning of it, or the name or reference of its machine.

        Raises NotFound, or Conflict when several are meant.
        """
        named = (MigrationRow.machine_name == word) | (MigrationRow.machine_ref == word)
        lives = MigrationRow.status.in_(UNFINISHED)
        beginning = MigrationRow.id.startswith(word, autoescape=True)
        with self._database.session() as session:
            query = select(ReplicaRow, MigrationRow.machine_name).join(MigrationRow, MigrationRow.id == ReplicaRow.id)
            for wanted in (MigrationRow.id == word, named & lives, beginning, named):
                rows = session.execute(query.where(wanted, self._visible()).limit(2)).all()
                if word and len(rows) > 1:
                    raise Conflict(f"Several replicas are meant by {word}.", advice="Say which one by its id.")
                if word and rows:
                    return _record(*rows[0])
        raise NotFound(f"There is no replica {word}.", advice="See: longshore replica list.")

    def update(self, replica_id: str, **fields: Any) -> None:
        with self._database.session() as session:
            own = update(ReplicaRow).where(ReplicaRow.id == replica_id)
            session.execute(own.values(fields))

    def change(self, replica_id: str, **fields: Any) -> ReplicaRecord:
        """What a user wants otherwise from now on. Its job looks at that at once, wherever it waits.

        Raises Conflict when it is being deleted.
        """

        def put(row: ReplicaRow) -> None:
            for name, value in fields.items():
                setattr(row, name, value)

        return self._change(replica_id, put)

    def wish(self, replica_id: str, wish: Wish, wished: dict[str, Any] | None = None) -> ReplicaRecord:
        """Raises Conflict when something else is wanted of it already, or its stage doesn't allow that."""

        def ask(row: ReplicaRow) -> None:
            if row.wish == wish.value:
                return
            if row.wish not in (None, Wish.SYNC.value):
                raise Conflict(f"A {row.wish} of this replica is under way.", advice="Wait for its end.")
            if row.stage not in _ALLOWED[wish]:
                raise Conflict(f"The replica is {row.stage}: {_REFUSED[wish]}.")
            row.wish, row.wished = wish.value, wished

        return self._change(replica_id, ask)

    def _change(self, replica_id: str, do: Callable[[ReplicaRow], object]) -> ReplicaRecord:
        with self._database.alone() as session:
            row = session.get_one(ReplicaRow, replica_id)
            migration = session.get_one(MigrationRow, replica_id)
            if migration.cancel_requested or Status(migration.status).ended:
                raise Conflict(f"The replica of {migration.machine_name} is being deleted, or was.")
            do(row)
            hasten(session, replica_id)
            session.flush()
            return _record(row, migration.machine_name)

    def landed(self, replica_id: str, failover_id: str) -> None:
        """What its failover has made runs in the machine's place."""
        with self._database.session() as session:
            own = update(ReplicaRow).where(ReplicaRow.id == replica_id, ReplicaRow.failover_id == failover_id)
            session.execute(own.values(stage=Stage.FAILED_OVER.value))

    def came_to_nothing(self, replica_id: str, failover_id: str) -> None:
        """What its failover had made is taken back: the rest of it is undone, too."""
        with self._database.session() as session:
            own = update(ReplicaRow).where(ReplicaRow.id == replica_id, ReplicaRow.failover_id == failover_id)
            session.execute(own.values(wish=Wish.UNDO.value))
            hasten(session, replica_id)

    def fulfil(self, replica_id: str, wish: Wish) -> None:
        """It isn't wanted any more: it is done, or being done."""
        with self._database.session() as session:
            own = update(ReplicaRow).where(ReplicaRow.id == replica_id, ReplicaRow.wish == wish.value)
            session.execute(own.values(wish=None, wished=None))

    def end_job(
        self,
        replica_id: str,
        job_id: str,
        *,
        due_at: datetime,
        done: Wish | None = None,
        lands: dict[str, Any] | None = None,
        failed: bool = False,
        **fields: Any,
    ) -> None:
        """A job of it has ended: at once its row is told so (`fields`), and the next job is queued for its moment.

        `done`: the wish that was fulfilled. `lands`: the request of a failover that begins now, whose point is there.
        Called again, it does nothing.
        """
        next_id, landing_id = str(uuid.uuid4()), str(uuid.uuid4())
        with self._database.alone() as session:
            if not end_job(session, job_id, Status.FAILED if failed else Status.DONE):
                return
            row = session.get_one(ReplicaRow, replica_id)
            migration = session.get_one(MigrationRow, replica_id)
            row.due_at = due_at if due_at < NEVER else row.due_at
            for name, value in fields.items():
                setattr(row, name, value)
            if done is not None and row.wish == done.value:
                row.wish = row.wished = None
            if lands is not None:
                _land(session, migration, landing_id, lands)
            asked = migration.cancel_requested or row.wish is not None
            enqueue(session, [new_job(migration, JobKind.REPLICA, id_=next_id, due_at=None if asked else due_at)])

    def _visible(self) -> ColumnElement[bool]:
        return true() if self._scope.everything else MigrationRow.project_id == self._scope.project_id


_ALLOWED = {
    Wish.SYNC: (Stage.SEEDING.value, Stage.PROTECTED.value),
    Wish.FAILOVER: (Stage.PROTECTED.value,),
    Wish.UNDO: (Stage.FAILING_OVER.value, Stage.FAILED_OVER.value),
    Wish.COMMIT: (Stage.FAILED_OVER.value,),
}
_REFUSED = {
    Wish.SYNC: "nothing is copied to it now",
    Wish.FAILOVER: "it can't fail over now",
    Wish.UNDO: "there is no failover to undo",
    Wish.COMMIT: "there is no failover to commit",
}


def new_replica(id_: str, protection: Protection) -> ReplicaRow:
    return ReplicaRow(
        id=id_,
        schedule=protection.schedule,
        retention=protection.retention,
        rpo=protection.rpo,
        due_at=protection.due_at,
    )


def has_wish(session: Session, record_id: str) -> bool:
    """Whether anything is wanted of it, if it is a replica."""
    return session.scalar(select(ReplicaRow.wish).where(ReplicaRow.id == record_id)) is not None


def _land(session: Session, replica: MigrationRow, id_: str, request: dict[str, Any]) -> None:
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
    enqueue(session, [first_job(row)])


def _record(row: ReplicaRow, machine_name: str) -> ReplicaRecord:
    return ReplicaRecord(
        id=row.id,
        machine_name=machine_name,
        schedule=row.schedule,
        retention=row.retention,
        rpo=row.rpo,
        stage=Stage(row.stage),
        wish=Wish(row.wish) if row.wish else None,
        wished=row.wished,
        paused=row.paused,
        paused_until=row.paused_until,
        due_at=row.due_at,
        missed=row.missed,
        failures=row.failures,
        error=row.error,
        error_code=row.error_code,
        failover_id=row.failover_id,
    )
