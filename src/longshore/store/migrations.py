"""Migrations as users see them: what was asked, what they are told to do, and how far they are."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from sqlalchemy import ColumnElement, delete, func, literal, select, tuple_, update
from sqlalchemy.orm import Session

from longshore.errors import Conflict
from longshore.model.adoption import FoundReplica
from longshore.model.forms import form
from longshore.model.job import JobKind
from longshore.model.machine import Disk, Machine
from longshore.model.replica import Protection
from longshore.model.request import (
    AWAITED,
    MADE_OF_POINTS,
    MOVES,
    OF_POINTS,
    Cutover,
    CutoverMode,
    MigrationRequest,
    MigrationType,
    Request,
)
from longshore.model.status import UNFINISHED, WAITING, Status
from longshore.store.adoption import objection, take_over
from longshore.store.backup_policies import NewBackupPolicy, add_policy, tell_policy
from longshore.store.database import Database, in_portions, persistent, through_outages
from longshore.store.disks import new_disk
from longshore.store.failbacks import begin_failback, refuse_to_forget_way
from longshore.store.groups import GroupRun, begin_run, tell_run
from longshore.store.job_filter import EVERY_JOB, JobFilter
from longshore.store.jobs import end_job, enqueue, first_job, forget_jobs, hasten, keeps_copy, new_job, unfinished_of
from longshore.store.ledger import SETTLED
from longshore.store.migration_records import MigrationRecord, find_migration, record_of, records_of, visible_migrations
from longshore.store.part import ScopedPart
from longshore.store.points import occupy_point, refuse_to_forget_users
from longshore.store.providers import ProviderRecord, project_for, refuse_taken_back
from longshore.store.quota import refuse_more_migrations
from longshore.store.replicas import has_wish, new_replica, tell_replica
from longshore.store.rows import filled, in_json, new_row
from longshore.store.secrets import SecretsError
from longshore.store.standing import STANDING
from longshore.store.syncs import keep_sync
from longshore.store.tables import GroupMemberRow, JobRow, LedgerRow, MigrationRow, in_column, type_of, utc_now
from longshore.store.texts import OwnTexts, Texts, in_options

# What a list may be sorted by, before the moment and the id
_ORDERS: dict[str, tuple[ColumnElement[str], ...]] = {
    "requested": (),
    "machine": (func.lower(MigrationRow.machine_name),),
    "state": (STANDING,),
    "type": (MigrationRow.type.expression,),
}


@dataclass(frozen=True, slots=True)
class NewMigration:
    machine_name: str
    machine_ref: str
    source_id: str
    target_id: str
    request: dict[str, Any]
    plan_id: str | None = None
    wave: int = 0
    places: dict[str, Any] | None = None
    disks: tuple[Disk, ...] = ()
    protection: Protection | None = None  # of a replica
    due_at: datetime | None = None  # of its first job, in UTC without a zone; None: at once
    run: GroupRun | None = None  # of a group
    policy: NewBackupPolicy | None = None  # of backups
    state: dict[str, Any] | None = None  # that its first job finds
    found: FoundReplica | None = None  # of one that is adopted
    again: str | None = None  # the id of the try before, whose texts it may name
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def type(self) -> MigrationType:
        return MigrationType(type_of(self.request))

    @classmethod
    def of_machine(cls, machine: Machine, source_id: str, target_id: str, request: Request, **more: Any) -> Self:
        """Return one for a machine as it was looked at, with its disks. `more`: further fields."""
        places = places_of(machine)
        told = machine.name, machine.ref, source_id, target_id, request.to_json()
        return cls(*told, places=places, disks=machine.disks, **more)

    @classmethod
    def of_provider(
        cls, provider: ProviderRecord, request: Request, other: ProviderRecord | None = None, **more: Any
    ) -> Self:
        """Return one for all of a provider, in which `other` has a part, if there is one."""
        ref = (other or provider).id
        return cls(provider.name, ref, provider.id, ref, request.to_json(), **more)


def places_of(machine: Machine) -> dict[str, Any]:
    """Return where a machine was: `path`, by which it is known again, `host` and `datastores`, for its turn."""
    path = f"{machine.folder}/{machine.name}" if machine.folder else machine.name
    return {"path": path, "host": machine.host, "datastores": sorted({disk.storage for disk in machine.disks})}


@dataclass(frozen=True, slots=True)
class LastMove:
    """The last migration of a machine, dry runs included."""

    machine_ref: str
    id: str
    type: MigrationType
    status: Status
    finished_at: datetime | None  # in UTC without a zone


@through_outages
class Migrations(ScopedPart):
    def __init__(self, database: Database, texts: Texts) -> None:
        super().__init__(database)
        self._texts = texts

    def refuse_busy(self, source_id: str, machine_ref: str, machine_name: str) -> None:
        """Raise Conflict when the machine is being migrated already."""
        with self._database.session() as session:
            self._refuse_second(session, [NewMigration(machine_name, machine_ref, source_id, "", {})])

    def add_together(self, wanted: Sequence[NewMigration], *, dry_run: bool = False) -> list[MigrationRecord]:
        """Add all of these migrations or none; in a dry run they are only answered.

        Raises Conflict when one of the machines is being migrated already, the point that one is to be made of isn't
        usable any more, or the project would have more than it may; InvalidInput for the mark of a text that is neither
        its plan's nor that of the migration it goes back to; NotSharedAnyMore for a provider that the project doesn't
        see (any more); what `refuse_undoable` of the database raises.
        """
        with self._database.alone(dry_run=dry_run) as session:
            if self._database.may_be_done and (there := self._of_ids(session, [new.id for new in wanted])):
                return there
            counted = MigrationRow.status.in_(UNFINISHED) & MigrationRow.type.not_in(AWAITED)
            refuse_more_migrations(session, self._scope, sum(not new.type.awaited for new in wanted), counted)
            projects = [project_for(session, self._scope, providers_of(session, new)) for new in wanted]
            self._refuse_second(session, wanted)
            for new in wanted:
                if new.found is not None and (said := objection(session, new.found)):
                    raise Conflict(f"The replica {new.found.id} can't be adopted. {said}")
            lenders: dict[str, OwnTexts] = {}
            rows = []
            for new, project_id in zip(wanted, projects, strict=True):
                ids = [id_ for id_ in (new.plan_id, new.request.get("of"), new.again) if id_]
                of = [lenders.setdefault(id_, self._texts.of(session, id_)) for id_ in ids]
                request = in_options(new.request, self._texts.of(session, new.id, *of).kept)
                rows.append(new_row(MigrationRow, new, project_id=project_id, request=request))
            session.add_all(rows)
            session.flush()
            for row, new in zip(rows, wanted, strict=True):
                if new.protection is not None:
                    session.add(new_replica(row.id, new.protection))
                if new.policy is not None:
                    add_policy(session, row, new.policy)
                if new.found is not None:
                    take_over(session, row, new.found)
                if MigrationType(row.type).of_point:
                    occupy_point(session, row)
                if new.run is not None:
                    begin_run(session, row, new.run)
                if row.type == MigrationType.FAILBACK.value:
                    begin_failback(session, row)
            jobs = [first_job(row, new.due_at) for row, new in zip(rows, wanted, strict=True)]
            self._database.refuse_undoable({JobKind(job.kind) for job in jobs})
            enqueue(session, jobs)
            for row, new in zip(rows, wanted, strict=True):
                session.add_all(new_disk(row.id, disk) for disk in new.disks)
            session.flush()
            return records_of(session, rows)

    def all(self) -> list[MigrationRecord]:
        with self._database.session() as session:
            every = select(MigrationRow.__table__).where(visible_migrations(self._scope))
            return records_of(session, session.execute(every.order_by(MigrationRow.created_at, MigrationRow.id)))

    def page(
        self,
        limit: int,
        after: str | None = None,
        *,
        fitting: JobFilter = EVERY_JOB,
        order: str = "requested",
        backwards: bool = False,
    ) -> list[MigrationRecord]:
        """Return the `limit` migrations next after the one with this id, of those that fit, in the order of `all`.

        `order`: "machine", "state" or "type" go before that. `backwards`: the last one first. Raises NotFound.
        """
        with self._database.session() as session:
            query = select(MigrationRow.__table__).where(visible_migrations(self._scope), *fitting.conditions())
            by = (*_ORDERS[order], MigrationRow.created_at, MigrationRow.id)
            if after is not None:
                last = find_migration(session, self._scope, after)
                found = session.execute(select(*by).where(MigrationRow.id == last.id)).one()
                key, mark = tuple_(*by), tuple_(*map(literal, found))
                query = query.where(key < mark if backwards else key > mark)
            ordered = query.order_by(*(column.desc() for column in by) if backwards else by)
            return records_of(session, session.execute(ordered.limit(limit)))

    def counts(self, fitting: JobFilter = EVERY_JOB) -> dict[Status, int]:
        """Return how many migrations there are of which each status is told, of those that fit."""
        with self._database.session() as session:
            meant = visible_migrations(self._scope), *fitting.conditions()
            found = select(STANDING.label("standing")).where(*meant).subquery()
            query = select(found.c.standing, func.count()).group_by(found.c.standing)
            return {Status(status): count for status, count in session.execute(query)}

    def last_moves(self, source_id: str, machine_refs: Sequence[str]) -> list[LastMove]:
        """Return the last migration of each of these machines, as far as they have any."""
        moved = MigrationRow
        query = select(moved.machine_ref, moved.id, moved.type, moved.status, moved.finished_at).where(
            visible_migrations(self._scope),
            moved.source_id == source_id,
            moved.machine_ref.in_(machine_refs),
            moved.type.in_([kind.value for kind in MOVES]),
        )
        with self._database.session() as session:
            found = session.execute(query.order_by(moved.created_at, moved.id)).all()
        return [filled(LastMove, row) for row in {row.machine_ref: row for row in found}.values()]

    def get(self, migration_id: str) -> MigrationRecord:
        """Return a migration by its id or an unambiguous beginning of it.

        Raises NotFound, or Conflict when several begin like that.
        """
        with self._database.session() as session:
            return record_of(session, find_migration(session, self._scope, migration_id))

    def several(self, ids: Sequence[str]) -> list[MigrationRecord]:
        """Return the migrations of these ids, in their order. One that is not there (any more) is left out."""
        with self._database.session() as session:
            return self._of_ids(session, ids)

    def made_of(self, replica_id: str) -> list[MigrationRecord]:
        """Return the tests and failovers of a replica, oldest first."""
        with self._database.session() as session:
            made = MigrationRow.type.in_(MADE_OF_POINTS), MigrationRow.of == replica_id
            query = select(MigrationRow.__table__).where(*made)
            return records_of(session, session.execute(query.order_by(MigrationRow.created_at, MigrationRow.id)))

    def update(self, migration_id: str, **fields: Any) -> None:
        if "request" in fields:
            fields["type"] = type_of(fields["request"])
        with self._database.session() as session:
            own = update(MigrationRow).where(MigrationRow.id == migration_id)
            session.execute(own.values({name: in_column(value) for name, value in fields.items()}))

    def stamp(self, migration_id: str, field: str) -> None:
        """Set a time field to now, unless an earlier run of the same step has set it."""
        column = getattr(MigrationRow, field)
        with self._database.session() as session:
            own = update(MigrationRow).where(MigrationRow.id == migration_id, column.is_(None))
            session.execute(own.values({field: utc_now()}))

    def request_cancel(self, migration_id: str) -> MigrationRecord:
        """Ask for the cancellation of a migration. Raises NotFound, or Conflict when it has ended."""
        with self._database.session() as session:
            row = find_migration(session, self._scope, migration_id)
            if Status(row.status).ended and not (row.cancel_requested and self._database.may_be_done):
                raise Conflict(f"Migration {row.id} has ended already ({row.status}).")
            row.cancel_requested = True
            hasten(session, row.id, cancelled=True)
            return _written(session, row)

    def request_cutover(self, migration_id: str) -> MigrationRecord:
        """Ask for the cutover of a migration.

        Raises NotFound, NotSharedAnyMore, or Conflict when it has ended or isn't of a kind that waits for one.
        """
        with self._database.session() as session:
            row = find_migration(session, self._scope, migration_id)
            refuse_taken_back(session, self._scope, row.project_id, (row.source_id, row.target_id))
            if Status(row.status).ended and not (row.cutover_requested and self._database.may_be_done):
                raise Conflict(f"Migration {row.id} has ended already ({row.status}).")
            _refuse_never_cut_over(row)
            row.cutover_requested = True
            return _hastened(session, row)

    def schedule_cutover(self, migration_id: str, at: datetime, until: datetime | None) -> MigrationRecord:
        """Have a warm migration cut over at a time by itself, whatever it waited for. Moments in UTC.

        `until`: not begun any later than that. Raises NotFound, NotSharedAnyMore, or Conflict when it has ended, is cut
        over already, isn't a warm one, or waits after a cutover that failed.
        """
        with self._database.alone() as session:
            row = find_migration(session, self._scope, migration_id)
            refuse_taken_back(session, self._scope, row.project_id, (row.source_id, row.target_id))
            _refuse_never_cut_over(row)
            _refuse_begun(session, row)
            if row.type != MigrationType.WARM.value or keeps_copy(row.state):
                raise Conflict(
                    f"Migration {row.id} waits for another try with its copy, which has no time.",
                    advice=f"Use: longshore migration retry {row.id}.",
                )
            _set_cutover(row, replace(_cutover_of(row), mode=CutoverMode.SCHEDULED, at=at, until=until))
            row.cutover_requested = False
            return _hastened(session, row)  # the moment that it waits for may be a later one

    def take_cutover_back(self, migration_id: str) -> MigrationRecord:
        """Take back that a migration is to be cut over, now or at a time: it waits until somebody says so again, or, if
        its cutover is automatic, until that would be short enough.

        Raises NotFound, or Conflict when it has begun to be cut over, has ended, or nothing was asked for.
        """
        with self._database.alone() as session:
            row = find_migration(session, self._scope, migration_id)
            _refuse_never_cut_over(row)
            _refuse_begun(session, row)
            asked = _cutover_of(row)
            scheduled = asked.mode is CutoverMode.SCHEDULED
            if not row.cutover_requested and not scheduled and not self._database.may_be_done:
                raise Conflict(f"Nobody has asked for the cutover of migration {row.id}: nothing is to be taken back.")
            if scheduled:
                _set_cutover(row, replace(asked, mode=CutoverMode.MANUAL, at=None, until=None))
            row.cutover_requested = False
            return _hastened(session, row)  # it says then what it waits for

    def begin_cutover(self, migration_id: str, job_id: str, cutover: Cutover, *, asked: bool) -> bool:
        """Make the sync of a migration its cutover; return False where what it goes by was changed meanwhile.

        `cutover` and `asked`: as its request had them, and whether somebody had asked for it. From here on neither can
        be taken back.
        """
        with self._database.alone() as session:
            row = session.get_one(MigrationRow, migration_id)
            if row.cutover_requested != asked or _cutover_of(row) != cutover:
                return False
            session.execute(update(JobRow).where(JobRow.id == job_id).values(kind=JobKind.CUTOVER.value))
            row.error = row.error_code = None
            return True

    def request_retry(self, migration_id: str, options: Mapping[str, Any]) -> MigrationRecord:
        """Cut over once more, with these options of its request changed.

        Raises NotFound, NotSharedAnyMore, or Conflict when it doesn't wait after a cutover that failed.
        """
        with self._database.session() as session:
            row = find_migration(session, self._scope, migration_id)
            refuse_taken_back(session, self._scope, row.project_id, (row.source_id, row.target_id))
            done = row.cutover_requested and self._database.may_be_done
            if not done and (Status(row.status).ended or not keeps_copy(row.state) or row.phase != WAITING):
                raise Conflict(
                    f"Migration {row.id} doesn't wait for another try.",
                    advice=f"See where it is: longshore migration show {row.id}.",
                )
            kept = in_options(dict(options), self._texts.of(session, row.id).kept)
            row.request = {**row.request, **kept}
            row.cutover_requested = True
            hasten(session, row.id)
            return _written(session, row)

    def request_marks(self, migration_id: str, options: Mapping[str, Any]) -> MigrationRecord:
        """Have the source of a migration that is done marked as these options of its request say.

        Marks are taken away whoever may use the source now. Raises NotFound, NotSharedAnyMore, or Conflict when it
        isn't done, or has moved no machine.
        """
        with self._database.session() as session:
            row = find_migration(session, self._scope, migration_id)
            asked = form(MigrationRequest).validate_python({**row.request, **options})
            if asked.mark_source.each() or asked.mark_source_later.each():
                refuse_taken_back(session, self._scope, row.project_id, (row.source_id,))
            moved = row.type in (MigrationType.COLD.value, MigrationType.WARM.value)
            if not moved or row.status != Status.DONE.value:
                raise Conflict(
                    f"Migration {row.id} has moved no machine.",
                    advice="Only the source of a cold or warm migration that is done is marked.",
                )
            row.request = {**row.request, **options}
            waiting = unfinished_of(session, [row.id]).get(row.id)
            if waiting is None:
                enqueue(session, [new_job(row, JobKind.MARK, id_=str(uuid.uuid4()))])
            elif waiting.worker_id is not None:
                raise Conflict(f"The source of migration {row.id} is being marked.", advice="Try again in a moment.")
            hasten(session, row.id)
            return _written(session, row)

    def request_commit(self, migration_id: str) -> MigrationRecord:
        """Ask for a restore in place to be committed, so that its server stays.

        Raises NotFound; Conflict when it isn't such a restore, or isn't up.
        """
        with self._database.session() as session:
            row = find_migration(session, self._scope, migration_id)
            if row.type != MigrationType.IN_PLACE.value:
                raise Conflict(f"{row.id} isn't a restore in place: there is nothing to commit.")
            job = unfinished_of(session, [row.id]).get(row.id)
            if not (row.cutover_requested and self._database.may_be_done):
                if Status(row.status).ended:
                    raise Conflict(f"Restore {row.id} has ended already ({row.status}).")
                if job is None or job.kind is not JobKind.DECISION:
                    raise Conflict(f"Restore {row.id} isn't up yet.", advice="Commit it once it was seen up.")
                if row.cancel_requested:
                    raise Conflict(f"Restore {row.id} is being undone.")
            row.cutover_requested = True
            hasten(session, row.id)
            return _written(session, row)

    def follow_machine(self, migration_id: str, before: str, now: str) -> None:
        """Write down that its source machine has another reference by now, and so has what hangs on it."""
        with self._database.session() as session:
            own = update(MigrationRow).where(MigrationRow.id == migration_id, MigrationRow.machine_ref == before)
            session.execute(own.values(machine_ref=now))
            hanging = update(LedgerRow).where(LedgerRow.migration_id == migration_id, LedgerRow.parent == before)
            session.execute(hanging.values(parent=now))

    def add_sync(self, migration_id: str, sync: dict[str, Any], state: dict[str, Any]) -> None:
        """Keep what a sync came to, and what the next one needs to know of it.

        The same number again replaces what an earlier run of the step kept. Of many syncs the first and the last ones
        are kept, and of what was said and made for those that are over, as much: they may go on for months.
        """
        with self._database.session() as session:
            keep_sync(session, migration_id, sync, state)

    def end_job(
        self,
        migration_id: str,
        job_id: str,
        *,
        next_kind: JobKind | None = None,
        due_at: datetime | None = None,
        **fields: Any,
    ) -> None:
        """End a job of a migration, set columns of its record (`fields`), and queue the next job, if any, in one
        transaction.

        With a status the migration has ended, and what follows is done to its source. One that had ended stays as it
        is. Called again, it does nothing.
        """
        next_id = str(uuid.uuid4())
        status = Status(fields.get("status", Status.DONE))
        with self._database.session() as session:
            if not end_job(session, job_id, status):
                return
            own = update(MigrationRow).where(MigrationRow.id == migration_id, MigrationRow.status.in_(UNFINISHED))
            session.execute(own.values({name: in_column(value) for name, value in fields.items()}))
            row = session.get_one(MigrationRow, migration_id, populate_existing=True)
            tell_run(session, row.id)
            tell_policy(session, row)
            tell_replica(session, row)
            if "status" in fields:
                row.finished_at = row.finished_at or utc_now()
                row.state = None
            if next_kind is None:
                return
            # Perhaps since the moment was chosen
            asked = row.cancel_requested or row.cutover_requested or has_wish(session, row.id)
            asked = asked and not Status(row.status).ended
            enqueue(session, [new_job(row, next_kind, id_=next_id, due_at=None if asked else due_at)])

    def cancels_requested(self) -> set[str]:
        """Return the ids of migrations that have not ended and are to be cancelled."""
        with self._database.session() as session:
            query = select(MigrationRow.id).where(MigrationRow.status.in_(UNFINISHED), MigrationRow.cancel_requested)
            return set(session.scalars(query))

    def cancel_requested(self, migration_id: str) -> bool:
        with self._database.session() as session:
            query = select(MigrationRow.cancel_requested).where(MigrationRow.id == migration_id)
            return bool(session.scalar(query))

    def remove(self, migration_id: str) -> None:
        """Forget an ended migration. Raises NotFound, or Conflict when it runs or has left something behind, or what it
        has made stands on a replica's point."""
        self._remove(self.get(migration_id).id)

    def withdraw(self, ids: Sequence[str]) -> list[str]:
        """Forget those of these migrations that are to begin at a time which hasn't come, and return their ids."""
        own = MigrationRow.id.in_(ids), MigrationRow.phase == Status.QUEUED.value, visible_migrations(self._scope)
        waits = JobRow.status == Status.QUEUED.value, JobRow.worker_id.is_(None), JobRow.due_at > utc_now()
        with self._database.alone() as session:
            query = select(MigrationRow).join(JobRow, JobRow.record_id == MigrationRow.id).where(*own, *waits)
            rows = session.scalars(query.where(~MigrationRow.cancel_requested)).all()
            gone = [row.id for row in rows]
            for row in rows:
                self._forget(session, row)
            return gone

    def _forget(self, session: Session, row: MigrationRow) -> None:
        session.execute(delete(LedgerRow).where(LedgerRow.migration_id == row.id))
        forget_jobs(session, row.id)
        self._texts.of(session, row.id).forget()
        session.delete(row)

    @persistent
    def _remove(self, id_: str) -> None:
        with self._database.session() as session:
            row = session.get(MigrationRow, id_)
            if row is None:  # by an earlier try, or somebody else a moment ago
                return
            if not Status(row.status).ended:
                raise Conflict(
                    f"Migration {row.id} is {row.status}.",
                    advice=f"Cancel it first: longshore migration cancel {row.id}.",
                )
            refuse_to_forget_way(session, row)
            job = unfinished_of(session, [row.id]).get(row.id)
            if job is not None and job.kind is JobKind.MARK:
                raise Conflict(
                    f"The source of migration {row.id} is still to be marked.",
                    advice=f"Take that back first: longshore migration unmark-source {row.id}.",
                )
            left = session.scalars(
                select(LedgerRow).where(LedgerRow.migration_id == row.id, LedgerRow.state.not_in(SETTLED))
            ).all()
            if left:
                names = ", ".join(f"{entry.kind} {entry.ref or entry.step}" for entry in left)
                raise Conflict(
                    f"Migration {row.id} has left something behind: {names}.",
                    advice=f"Clean it up first: longshore migration cleanup {row.id}.",
                )
            refuse_to_forget_users(session, row)
            self._forget(session, row)

    # Texts

    def keep_text(self, migration_id: str, text: str) -> str:
        """Keep a text for a migration, and return the mark that stands for it from now on."""
        with self._database.alone() as session:
            return self._texts.of(session, migration_id).kept(text)

    def text(self, migration_id: str, mark: str) -> str:
        """Return a text in clear, for the guest and nobody else.

        Raises InvalidInput when the migration has no such text.
        """
        try:
            return self._text(migration_id, mark)
        except SecretsError:  # the key may have been changed between reading the text and the key
            return self._text(migration_id, mark)

    def _text(self, migration_id: str, mark: str) -> str:
        with self._database.session() as session:
            return self._texts.of(session, migration_id).opened(mark)

    # Parts

    def _of_ids(self, session: Session, ids: Sequence[str]) -> list[MigrationRecord]:
        found: dict[str, MigrationRecord] = {}
        for some in in_portions(ids):
            query = select(MigrationRow.__table__).where(MigrationRow.id.in_(some), visible_migrations(self._scope))
            found |= {record.id: record for record in records_of(session, session.execute(query))}
        return [found[id_] for id_ in ids if id_ in found]

    def _refuse_second(self, session: Session, wanted: Sequence[NewMigration]) -> None:
        """Raise Conflict when one of the machines is being migrated already.

        A machine of a shared provider may be another project's migration: that is said, and no more.
        """
        known = MigrationRow
        unfinished = select(known.id, known.project_id, known.source_id, known.machine_ref, known.type).where(
            MigrationRow.status.in_(UNFINISHED)
        )
        for new in wanted:
            if new.request.get("replaces"):
                _refuse_replaced(session, new.request["replaces"])
        # What is made of a point leaves the machine alone, and so does what is only asked
        found = [row for row in session.execute(unfinished) if row.type not in (*OF_POINTS, *AWAITED)]
        busy = {(row.source_id, row.machine_ref): row for row in found}
        asked: set[tuple[str, str]] = set()
        for new in wanted:
            if new.type.of_point or new.type.awaited or new.run is not None:
                continue
            machine = (new.source_id, new.machine_ref)
            if machine in asked:
                raise Conflict(f"{new.machine_name} is asked for twice.")
            asked.add(machine)
            if (other := busy.get(machine)) is None:
                continue
            if new.type is MigrationType.BACKUP and other.type == MigrationType.REPLICA.value:
                continue  # each has snapshots of its own
            if not self._scope.everything and other.project_id != self._scope.project_id:
                raise Conflict(f"{new.machine_name} is being migrated already, by another project.")
            if other.type == MigrationType.REPLICA.value:
                raise Conflict(
                    f"{new.machine_name} has a replica ({other.id}), whose changes are tracked for that.",
                    advice=f"Fail over to it, or delete it first: longshore replica delete {other.id}.",
                )
            raise Conflict(
                f"{new.machine_name} is being {_DONE_TO.get(other.type, 'migrated')} already ({other.id}).",
                advice=f"See: longshore migration show {other.id}.",
            )


_DONE_TO = {
    MigrationType.BACKUP.value: "backed up",
    MigrationType.VERIFICATION.value: "verified",
    MigrationType.PRUNE.value: "pruned",
    MigrationType.VAULT_COPY.value: "copied",
    MigrationType.PROXY.value: "made",
}


def _refuse_replaced(session: Session, server_id: str) -> None:
    """Raise Conflict while another restore takes the place of this server, or may yet give it back."""
    name = MigrationRow.request["replaces"].as_string()
    other = session.scalar(select(MigrationRow.id).where(MigrationRow.status.in_(UNFINISHED), name == server_id))
    if other is not None:
        raise Conflict(
            f"Another restore takes the place of this server ({other}).",
            advice=f"Commit that first, or undo it: longshore restore undo {other}.",
        )


def providers_of(session: Session, new: NewMigration) -> list[str | None]:
    """Return the ids of all providers that a migration's jobs will open, and those of what it begins itself."""
    ids: list[str | None] = [new.target_id]
    if new.run is None and not new.type.of_point and new.type is not MigrationType.CONVERSION:
        ids.append(new.source_id)
    if new.protection is not None and new.protection.seed is not None:
        ids.append(new.protection.seed.vault_id)
    if new.policy is not None:
        ids += [new.policy.copy_to, new.policy.prove_on]
    if new.run is not None:
        members = select(GroupMemberRow.replica_id).where(GroupMemberRow.group_id == new.run.group_id)
        sides = select(MigrationRow.source_id, MigrationRow.target_id).where(MigrationRow.id.in_(members)).distinct()
        for source_id, target_id in session.execute(sides):
            ids += [source_id, target_id] if (new.state or {}).get("wishes") else [target_id]  # it is shut down first
    return ids


def _refuse_never_cut_over(row: MigrationRow) -> None:
    """Raise Conflict for what is no warm migration, nor a cold one that kept its copy when its cutover failed."""
    kept = row.type == MigrationType.COLD.value and keeps_copy(row.state)
    if row.type != MigrationType.WARM.value and not kept:
        raise Conflict(f"{row.id} ({row.type}) isn't a warm migration: it doesn't wait for a cutover.")


def _refuse_begun(session: Session, row: MigrationRow) -> None:
    """Raise Conflict for a migration that has ended, is cancelled, or has begun to be cut over."""
    if Status(row.status).ended:
        raise Conflict(f"Migration {row.id} has ended already ({row.status}).")
    job = unfinished_of(session, [row.id]).get(row.id)
    if row.cancel_requested or (job is not None and job.kind is JobKind.CUTOVER):
        what = "cancelled" if row.cancel_requested else "cut over"
        raise Conflict(f"Migration {row.id} is being {what}: that can't be changed any more.")


def _hastened(session: Session, row: MigrationRow) -> MigrationRecord:
    """Have its job be due now, and return the record; but what is to begin at a time does so then."""
    ended = select(JobRow.id).where(JobRow.record_id == row.id, JobRow.status.not_in(UNFINISHED))
    if row.phase != Status.QUEUED.value or session.scalar(ended.limit(1)) is not None:
        hasten(session, row.id)
    return _written(session, row)


def _written(session: Session, row: MigrationRow) -> MigrationRecord:
    session.flush()
    return record_of(session, row)


def _cutover_of(row: MigrationRow) -> Cutover:
    return form(Cutover).validate_python(row.request.get("cutover") or {})


def _set_cutover(row: MigrationRow, cutover: Cutover) -> None:
    row.request = {**row.request, "cutover": in_json(cutover)}
