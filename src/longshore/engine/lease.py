"""The lease by which a worker of a shared database stays the only one that works on what it has.

It gives a sign of life with every beat. A worker that hasn't given one within the lease's time to live counts as dead,
and others take what it had; so it ends itself before that moment, by a clock that goes on while the machine sleeps.
Everything that it started has the same deadline (longshore.processes.deadline), and that is checked right before each
call of a cloud and each transaction. A call that was sent before the deadline may still take effect after it; the owner
marks on everything made are there for that case.
"""

import logging
import math
import os
import threading

from sqlalchemy.exc import SQLAlchemyError

from longshore.processes import deadline
from longshore.store import Leases, Store, WorkerRecord

# Of the time to live, between our own end and the moment at which others may take over
_MARGIN = 0.1

_log = logging.getLogger("longshore.engine")


class Lease:
    def __init__(self, store: Store, worker: WorkerRecord, *, ttl: float, beat: float) -> None:
        """Times in seconds; `beat` is at most a third of `ttl`."""
        self._store = store
        self._id = worker.id
        self._leases = Leases(store.database, worker, ttl)
        self._lasts = ttl * (1 - _MARGIN)
        self._beat = beat
        self._stop = threading.Event()

    def take(self) -> None:
        """Make this process a worker, which ends itself as soon as its lease can't be renewed in time."""
        began = deadline.now()
        self._store.database.persist(self._leases.take)
        deadline.set_deadline(began + self._lasts)
        self._store.database.guard = deadline.check
        deadline.watch(lambda: _log.error("the lease has run out: this worker ends, others go on with what it had"))
        threading.Thread(target=self._renew, name="longshore-lease", daemon=True).start()

    def end(self) -> None:
        """End the lease: nothing is left to do, and this process is no worker any more."""
        self._stop.set()
        deadline.set_deadline(math.inf)
        self._store.workers.end(self._id)
        self._leases.close()

    def leave(self) -> None:
        """Let others have at once what this worker still has, and end this process, with all that it has started."""
        within = 1.0
        self._stop.set()
        deadline.set_deadline(deadline.now() + within * (1 - _MARGIN))
        try:
            self._leases.give_up(within)
        except SQLAlchemyError:  # then they wait until it has run out
            _log.warning("the lease couldn't be given up")
        os._exit(0)

    def _renew(self) -> None:
        while not self._stop.wait(self._beat):
            began = deadline.now()
            try:
                renewed = self._leases.renew()
            except SQLAlchemyError as error:
                _log.warning("no sign of life could be given (%s)", type(error).__name__)
                continue
            if self._stop.is_set():
                return
            if not renewed:
                _log.error("the lease was taken from this worker: it ends")
                os._exit(deadline.ENDED_BY_DEADLINE)
            deadline.set_deadline(began + self._lasts)
