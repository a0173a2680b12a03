"""The filter of lists and counts of jobs. It is told here in the words of users, and asked of the database."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, false, func, or_, select
from sqlalchemy.orm import aliased

from longshore.model.request import MOVES, MigrationType
from longshore.model.status import UNFINISHED, Status
from longshore.store.jobs import NEVER
from longshore.store.queue import AskedOfCrew, asked_by
from longshore.store.standing import stands
from longshore.store.tables import JobRow, MigrationRow

_MOVED = [kind.value for kind in MOVES if kind is not MigrationType.DRY_RUN]
_BEFORE_A_MOVE = [*(kind.value for kind in MOVES), MigrationType.INSPECTION.value]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """A choice of jobs: those that fit in every field. Made without any, it takes all."""

    statuses: Collection[Status] = ()  # one of these is told of it; none: whatever it is
    machine: str | None = None  # its name or reference
    named: str | None = None  # a part of the machine's name, or its reference
    plan_id: str | None = None
    provider_id: str | None = None  # on either side
    of: str | None = None  # the id of the record that it works for
    types: Collection[MigrationType] | None = None  # None: of any
    last: bool = False  # nothing of the kind was asked for of the same machine afterwards
    broken_off: bool = False  # it hasn't ended, and an engine would go on with it if one ran
    asking: Collection[AskedOfCrew] | None = None  # or it hasn't ended, and asks one of these of a worker

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        row = MigrationRow
        if self.statuses:
            yield or_(*map(stands, self.statuses))
        if self.machine is not None:
            yield (row.machine_name == self.machine) | (row.machine_ref == self.machine)
        if self.named is not None:
            part = func.lower(row.machine_name).contains(self.named.lower(), autoescape=True)
            yield part | (row.machine_ref == self.named)
        if self.plan_id is not None:
            yield row.plan_id == self.plan_id
        if self.provider_id is not None:
            yield (row.source_id == self.provider_id) | (row.target_id == self.provider_id)
        if self.of is not None:
            yield row.of == self.of
        if self.types is not None:
            yield row.type.in_([kind.value for kind in self.types])
        if self.last:
            yield is_last_try()
        if self.broken_off or self.asking is not None:
            yield (_was_broken_off() if self.broken_off else false()) | _is_of(self.asking or ())


EVERY_JOB = JobFilter()


def is_last_try() -> ColumnElement[bool]:
    """Return the condition of the records after which nothing of the kind was asked for of the same machine.

    A move comes after everything that was done for it, a dry run or a look only after those of its own kind.
    """
    row, later = MigrationRow, aliased(MigrationRow)
    alike = (later.type == row.type) | (later.type.in_(_MOVED) & row.type.in_(_BEFORE_A_MOVE))
    younger = or_(later.created_at > row.created_at, and_(later.created_at == row.created_at, later.id > row.id))
    same = later.source_id == row.source_id, later.machine_ref == row.machine_ref, later.project_id == row.project_id
    return ~select(later.id).where(*same, alike, younger).exists()


def _was_broken_off() -> ColumnElement[bool]:
    """Return the condition of the records that haven't ended, and that an engine would go on with if one ran."""
    rests = stands(Status.WAITS_WITH_COPY) & (MigrationRow.type == MigrationType.COLD.value)
    awaited = JobRow.due_at.is_(None) | (JobRow.due_at < NEVER) | JobRow.cancel_requested
    own = select(JobRow.record_id).where(JobRow.status.in_(UNFINISHED), awaited)
    return MigrationRow.status.in_(UNFINISHED) & MigrationRow.id.in_(own) & ~rests


def _is_of(asked: Collection[AskedOfCrew]) -> ColumnElement[bool]:
    """Return the condition of the records that haven't ended, whose jobs ask this of a worker."""
    if not asked:
        return false()
    own = select(JobRow.record_id).where(JobRow.status.in_(UNFINISHED), or_(*map(asked_by, asked)))
    return MigrationRow.status.in_(UNFINISHED) & MigrationRow.id.in_(own)
