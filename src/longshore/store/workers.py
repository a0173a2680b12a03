"""The processes that have migrations at work, each with a lease: who gives no sign of life in time, has them no longer.

Nobody's clock decides that a worker is dead: one that is set forward would end all leases at once. Each sign of life
changes the worker's row, and who takes what a worker had must itself have seen no change for as long as the lease
lasts, by a clock that only measures (`Observer`). The database's clock, which is one for all, says who is expected to
live: those are shown, and share new work.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from longshore.store.changes import tell_workers
from longshore.store.clock import clock
from longshore.store.database import Database, through_outages
from longshore.store.part import StorePart
from longshore.store.rows import filled
from longshore.store.tables import WorkerRow, utc_now

# What gives the sign of life asks the next server soon: each host that is cut off costs so much of the lease
_HASTY = {"connect_timeout": 2, "tcp_user_timeout": 4000}
_LATE = 0.25  # of a lease: the most by which its end is noticed later than it comes
OLDEST_FIRST = (WorkerRow.started_at, WorkerRow.id)


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    id: str
    host: str
    pid: int
    flow_version: str
    capacity: int  # migrations at once
    labels: tuple[str, ...]


@through_outages
class Workers(StorePart):
    def all(self) -> list[WorkerRecord]:
        """Return the workers whose lease hasn't run out, oldest first."""
        with self._database.session() as session:
            return alive(session.connection())

    def begin_alone(self, worker: WorkerRecord) -> None:
        """Register the only worker, and forget all others.

        The caller holds the lock of the state directory, and so knows that no other lives: this worker needs no lease.
        """
        with self._database.alone() as session:
            session.execute(delete(WorkerRow))
            session.execute(insert(WorkerRow).values(**_values(worker), lease_until=None))

    def close_to_new(self, worker_id: str) -> None:
        """Give a worker that is about to end no more jobs: the others needn't leave it a share."""
        with self._database.session() as session:
            session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(capacity=0))
            tell_workers(session)

    def end(self, worker_id: str) -> None:
        """Remove a worker, which must have let go of everything: others may take its jobs at once."""
        with self._database.session() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))
            tell_workers(session)


class Observer:
    """The signs of life of other workers, as this process has seen them."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}  # by worker: what its last sign was, and when it was new to us
        self._lasting: dict[str, float] = {}  # seconds

    def dead(self, leases: Sequence[tuple[str, float, float]]) -> list[str]:
        """Return the workers whose leases have run out.

        `leases`: all there are, as worker, last sign of life, and for how many seconds it counts.
        """
        now = time.monotonic()
        known = self._seen
        self._seen = {
            worker_id: known[worker_id] if worker_id in known and known[worker_id][0] == sign else (sign, now)
            for worker_id, sign, _ in leases
        }
        self._lasting = {worker_id: lasts for worker_id, _, lasts in leases}
        return [worker_id for worker_id, _, lasts in leases if now - self._seen[worker_id][1] > lasts]

    def quiet_for(self) -> float:
        """Return the seconds until their signs are worth a look, inf when there are no leases.

        One may be dead then. And what is seen late of one that lives is missed late when it has died.
        """
        now = time.monotonic()
        ends = (seen + self._lasting[worker_id] - now for worker_id, (_, seen) in self._seen.items())
        signs = (lasts * _LATE for lasts in self._lasting.values())
        return max(0.0, min([*ends, *signs], default=math.inf))


class Leases:
    """The lease of one worker, over a connection of its own: nothing that is busy keeps it from being renewed."""

    def __init__(self, database: Database, worker: WorkerRecord, ttl: float) -> None:
        self._engine = database.of_its_own(**_HASTY)
        self._worker = worker
        self._ttl = ttl

    def take(self) -> None:
        with self._begin() as connection:
            until = clock(connection.engine) + self._ttl
            # It is there when an earlier try was heard, and only its answer lost
            connection.execute(delete(WorkerRow).where(WorkerRow.id == self._worker.id))
            lease = {"lease_until": until, "lease_seconds": self._ttl}
            connection.execute(insert(WorkerRow).values(**_values(self._worker), **lease))

    def renew(self) -> bool:
        """Renew this worker's lease, and tell whether it still had one; if not, others may have what it had."""
        return self._set(self._ttl)

    def give_up(self, within: float) -> None:
        """Have the lease end in so many seconds, in which this process has to be gone."""
        self._set(within)

    def end_of(self, worker_id: str) -> None:
        """Remove another worker, which is known to have ended with all that it had started."""
        with self._begin() as connection:
            connection.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))
            tell_workers(connection)

    def close(self) -> None:
        self._engine.dispose()

    def _set(self, seconds: float) -> bool:
        """Set the lease's end, and tell whether the lease was still there.

        That is tried once more on a fresh connection: the one that is kept may be from before a restart of the
        database.
        """
        try:
            return self._set_once(seconds)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._set_once(seconds)

    def _set_once(self, seconds: float) -> bool:
        with self._begin() as connection:
            own = update(WorkerRow).where(WorkerRow.id == self._worker.id)
            until = clock(connection.engine) + seconds
            if seconds < self._ttl:
                tell_workers(connection)  # who sees that it ends so soon looks again right then
            return connection.execute(own.values(lease_until=until, lease_seconds=seconds)).rowcount == 1

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL statement_timeout = {int(self._ttl * 250)}"))  # milliseconds
            yield connection


def alive(connection: Connection) -> list[WorkerRecord]:
    """Return the workers whose lease hasn't run out by the database's clock, oldest first."""
    valid = (WorkerRow.lease_until.is_(None)) | (WorkerRow.lease_until >= clock(connection.engine))
    rows = connection.execute(select(WorkerRow.__table__).where(valid).order_by(*OLDEST_FIRST))
    return [worker_of(row) for row in rows]


def worker_of(row: Any) -> WorkerRecord:
    return filled(WorkerRecord, row)


def _values(worker: WorkerRecord) -> dict[str, object]:
    return {**asdict(worker), "started_at": utc_now()}
