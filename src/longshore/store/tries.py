"""Conditions of records: that one is the last try of its machine, or that nobody runs it."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import aliased

from longshore.model.request import MOVES, MigrationType
from longshore.model.status import UNFINISHED, Status
from longshore.store.jobs import NEVER
from longshore.store.queue import AskedOfCrew, asked_by
from longshore.store.standing import stands
from longshore.store.tables import JobRow, MigrationRow

_MOVED = [kind.value for kind in MOVES if kind is not MigrationType.DRY_RUN]
_BEFORE_A_MOVE = [*(kind.value for kind in MOVES), MigrationType.INSPECTION.value]


def is_last_try() -> ColumnElement[bool]:
    """Return the condition of the records after which nothing of the kind was asked for of the same machine.

    A move comes after everything that was done for it, a dry run or a look only after those of its own kind.
    """
    row, later = MigrationRow, aliased(MigrationRow)
    alike = (later.type == row.type) | (later.type.in_(_MOVED) & row.type.in_(_BEFORE_A_MOVE))
    younger = or_(later.created_at > row.created_at, and_(later.created_at == row.created_at, later.id > row.id))
    same = later.source_id == row.source_id, later.machine_ref == row.machine_ref, later.project_id == row.project_id
    return ~select(later.id).where(*same, alike, younger).exists()


def was_broken_off() -> ColumnElement[bool]:
    """Return the condition of the records that haven't ended, and that an engine would go on with if one ran."""
    rests = stands(Status.WAITS_WITH_COPY) & (MigrationRow.type == MigrationType.COLD.value)
    awaited = JobRow.due_at.is_(None) | (JobRow.due_at < NEVER) | JobRow.cancel_requested
    own = select(JobRow.record_id).where(JobRow.status.in_(UNFINISHED), awaited)
    return MigrationRow.status.in_(UNFINISHED) & MigrationRow.id.in_(own) & ~rests


def is_of(asked: Sequence[AskedOfCrew]) -> ColumnElement[bool]:
    """Return the condition of the records that haven't ended, whose jobs ask this of a worker."""
    if not asked:
        return false()
    own = select(JobRow.record_id).where(JobRow.status.in_(UNFINISHED), or_(*map(asked_by, asked)))
    return MigrationRow.status.in_(UNFINISHED) & MigrationRow.id.in_(own)
