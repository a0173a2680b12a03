"""The status that is told of a migration: its own, or a better one where it waits for a person or was only rehearsed.

It is said twice, for a record that is there and for the database to choose and count by.
"""

from sqlalchemy import ColumnElement, and_, case, func, or_

from longshore.model.job import JobKind
from longshore.model.request import MigrationType
from longshore.model.status import UNFINISHED, WAITING, Status
from longshore.store.jobs import JobRecord, keeps_copy
from longshore.store.migration_records import MigrationRecord
from longshore.store.tables import JobRow, MigrationRow

_SYNCED = (MigrationType.COLD, MigrationType.WARM)  # a cold one waits only once its cutover has failed
_UP = "up"  # the phase of a restore in place that was seen up


def waits_for_cutover(record: MigrationRecord) -> bool:
    """Say whether its copy is up to date, and a person is to say when its machine is stopped."""
    by_hand = (record.request.get("cutover") or {}).get("mode", "manual") == "manual"
    return _waits(record) and (by_hand or waits_after_failure(record))


def cutover_may_be_taken_back(record: MigrationRecord, job: JobRecord | None) -> bool:
    """Say whether somebody has asked for its cutover, now or at a time, and its job hasn't begun with that."""
    scheduled = (record.request.get("cutover") or {}).get("mode") == "scheduled"
    asked = record.type in _SYNCED and not record.status.ended and (record.cutover_requested or scheduled)
    begun = job is not None and job.kind is JobKind.CUTOVER
    return asked and not begun and not record.cancel_requested


def waits_after_failure(record: MigrationRecord) -> bool:
    """Say whether it waits for somebody to let it try again with what was copied."""
    return _waits(record) and keeps_copy(record.state)


def standing_of(record: MigrationRecord) -> Status:
    """Return the status that is told of a migration."""
    if record.status is Status.DONE and record.type is MigrationType.DRY_RUN:
        return Status.REHEARSED
    if record.status not in (Status.QUEUED, Status.RUNNING) or _is_asked(record):
        return record.status
    if record.type is MigrationType.IN_PLACE and record.phase == _UP:
        return Status.WAITS_FOR_DECISION
    if waits_after_failure(record):
        return Status.WAITS_WITH_COPY
    return Status.WAITS_FOR_CUTOVER if waits_for_cutover(record) else record.status


def _waits(record: MigrationRecord) -> bool:
    between = record.phase == WAITING and not record.status.ended
    return record.type in _SYNCED and between and not _is_asked(record)


def _is_asked(record: MigrationRecord) -> bool:
    return record.cutover_requested or record.cancel_requested


# The same of rows
_row = MigrationRow
_at_work = (
    _row.status.in_((Status.QUEUED.value, Status.RUNNING.value)) & ~_row.cutover_requested & ~_row.cancel_requested
)
_between = and_(_at_work, _row.type.in_([kind.value for kind in _SYNCED]), _row.phase == WAITING)
_up = and_(_at_work, _row.type == MigrationType.IN_PLACE.value, _row.phase == _UP)
_held = func.coalesce(_row.state["held"].as_string(), "") != ""
_by_hand = func.coalesce(_row.request[("cutover", "mode")].as_string(), "manual") == "manual"
_rehearsed = and_(_row.status == Status.DONE.value, _row.type == MigrationType.DRY_RUN.value)
STANDING: ColumnElement[str] = case(
    (_rehearsed, Status.REHEARSED.value),
    (_up, Status.WAITS_FOR_DECISION.value),
    (and_(_between, _held), Status.WAITS_WITH_COPY.value),
    (and_(_between, _by_hand), Status.WAITS_FOR_CUTOVER.value),
    else_=_row.status,
)

# That a warm migration's machine is stopped once a person says so, who hasn't said so yet
BY_HAND: ColumnElement[bool] = and_(_row.type == MigrationType.WARM.value, ~_row.cutover_requested, _by_hand)

# The same as cutover_may_be_taken_back, for rows beside that of their job
MAY_BE_TAKEN_BACK: ColumnElement[bool] = and_(
    _row.type.in_([kind.value for kind in _SYNCED]),
    _row.status.in_(UNFINISHED),
    ~_row.cancel_requested,
    or_(_row.cutover_requested, func.coalesce(_row.request[("cutover", "mode")].as_string(), "") == "scheduled"),
    func.coalesce(JobRow.kind, "") != JobKind.CUTOVER.value,
)


def stands(status: Status) -> ColumnElement[bool]:
    """Return the condition of the rows of which this status is told. What is kept is asked first, by its index."""
    if status is Status.REHEARSED:
        return _rehearsed
    kept = _row.status == status.value if status.kept else _row.status.in_(UNFINISHED)
    return and_(kept, STANDING.in_([status.value]))
