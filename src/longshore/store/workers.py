"""The processes that have migrations at work, each with a lease: who gives no sign of life in time, has them no longer.

Leases are judged by the database's clock alone, so those of the workers' machines needn't agree.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Float, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ColumnElement, literal_column

from longshore.store.database import Database, through_outages
from longshore.store.tables import WorkerRow, utc_now

_CLOCKS = {
    "postgresql": "extract(epoch from clock_timestamp())",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    id: str
    host: str
    pid: int
    flow_version: str
    capacity: int  # migrations at once
    labels: tuple[str, ...]


@through_outages
class Workers:
    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[WorkerRecord]:
        """Those whose lease hasn't run out, oldest first."""
        with self._database.session() as session:
            return alive(session.connection())

    def any_alive(self) -> bool:
        return bool(self.all())

    def begin_alone(self, worker: WorkerRecord) -> None:
        """For who holds the lock of its state directory, and so knows that nobody else lives: it needs no lease."""
        with self._database.alone() as session:
            session.execute(delete(WorkerRow))
            session.execute(insert(WorkerRow).values(**_values(worker), lease_until=None))

    def close_to_new(self, worker_id: str) -> None:
        """It is about to end: the others needn't leave it a share."""
        with self._database.session() as session:
            session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(capacity=0))

    def end(self, worker_id: str) -> None:
        """What it had may be taken by others at once: it must have let go of everything."""
        with self._database.session() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))


class Leases:
    """The lease of one worker, over a connection of its own: nothing that is busy keeps it from being renewed."""

    def __init__(self, database: Database, worker: WorkerRecord, ttl: float) -> None:
        self._engine = database.of_its_own()
        self._worker = worker
        self._ttl = ttl

    def take(self) -> None:
        with self._begin() as connection:
            until = clock(connection.engine) + self._ttl
            # It is there when an earlier try was heard, and only its answer lost
            connection.execute(delete(WorkerRow).where(WorkerRow.id == self._worker.id))
            connection.execute(insert(WorkerRow).values(**_values(self._worker), lease_until=until))

    def renew(self) -> bool:
        """False when it was lost: others may have what this worker had."""
        return self._set(self._ttl)

    def give_up(self, within: float) -> None:
        """It ends in so many seconds, in which this process has to be gone."""
        self._set(within)

    def close(self) -> None:
        self._engine.dispose()

    def _set(self, seconds: float) -> bool:
        """Tried once more on a fresh connection: the one that is kept may be from before a restart of the database."""
        try:
            return self._set_once(seconds)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._set_once(seconds)

    def _set_once(self, seconds: float) -> bool:
        with self._begin() as connection:
            own = update(WorkerRow).where(WorkerRow.id == self._worker.id)
            return connection.execute(own.values(lease_until=clock(connection.engine) + seconds)).rowcount == 1

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL statement_timeout = {int(self._ttl * 250)}"))  # milliseconds
            yield connection


def clock(engine: Engine) -> ColumnElement[float]:
    """Seconds since 1970 by the database's clock, at this moment and not when the transaction began."""
    return literal_column(_CLOCKS[engine.dialect.name], Float)


def alive(connection: Connection) -> list[WorkerRecord]:
    """Those whose lease hasn't run out, oldest first."""
    valid = (WorkerRow.lease_until.is_(None)) | (WorkerRow.lease_until >= clock(connection.engine))
    rows = connection.execute(select(WorkerRow.__table__).where(valid).order_by(WorkerRow.started_at, WorkerRow.id))
    return [WorkerRecord(row.id, row.host, row.pid, row.flow_version, row.capacity, tuple(row.labels)) for row in rows]


def _values(worker: WorkerRecord) -> dict[str, object]:
    return {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "flow_version": worker.flow_version,
        "capacity": worker.capacity,
        "labels": list(worker.labels),
        "started_at": utc_now(),
    }
