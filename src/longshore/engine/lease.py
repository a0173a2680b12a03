"""The lease by which a worker of a shared database stays the only one that works on what it has.

It gives a sign of life with every beat. A worker that hasn't given one within the lease's time to live counts as dead,
and others take what it had; so it ends itself before that moment, by a clock that goes on while the machine sleeps.
Everything that it started has the same deadline (longshore.processes.deadline), and that is checked right before each
call of a cloud and each transaction. A call that was sent before the deadline may still take effect after it; the owner
marks on everything made are there for that case.

The deadline lies in a file of this machine (`WORDS`). So the worker that is started in the place of one that has ended
knows that, and removes its lease: after a fail-over of the database, which may end all workers at once, nobody who is
new waits for a whole lease to see that the old ones are gone.
"""

import logging
import math
import os
import threading
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from longshore.processes import deadline
from longshore.store import Leases, Store, WorkerRecord

# Of the time to live, between our own end and the moment at which others may take over
_MARGIN = 0.1
_AGAIN = 0.5  # seconds after a sign of life that couldn't be given: the try itself may have taken many
_TELL_EVERY = 10.0  # seconds
_RUNTIME = "RUNTIME_DIRECTORY"  # systemd's own variable
WORDS = "workers"  # below the runtime directory, a file for each worker

_log = logging.getLogger("longshore.engine")


class Lease:
    def __init__(self, store: Store, worker: WorkerRecord, *, ttl: float, beat: float) -> None:
        """Times in seconds; `beat` is at most a third of `ttl`."""
        self._store = store
        self._id = worker.id
        self._leases = Leases(store.database, worker, ttl)
        self._ttl = ttl
        self._lasts = ttl * (1 - _MARGIN)
        self._beat = beat
        self._words = _words()
        self._stop = threading.Event()

    def take(self) -> None:
        """Make this process a worker, which ends itself as soon as its lease can't be renewed in time."""
        began = deadline.now()
        self._store.database.persist(self._leases.take)
        self._begin(began + self._lasts)
        self._store.database.guard = deadline.check
        deadline.watch(lambda: _log.error("the lease has run out: this worker ends, others go on with what it had"))
        threading.Thread(target=self._renew, name="longshore-lease", daemon=True).start()

    def end(self) -> None:
        """End the lease: nothing is left to do, and this process is no worker any more."""
        self._stop.set()
        deadline.set_deadline(math.inf)
        self._store.workers.end(self._id)
        self._leases.close()
        if self._words is not None:
            (self._words / self._id).unlink(missing_ok=True)

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

    def _begin(self, moment: float) -> None:
        if self._words is not None:
            try:
                deadline.set_deadline_seen(moment, self._words / self._id, self._ttl * _MARGIN)
            except OSError as error:  # then who comes after this worker waits for its lease
                _log.warning("the deadline can't be kept in %s: %s", self._words, error.strerror)
            else:
                return
        deadline.set_deadline(moment)

    def _renew(self) -> None:
        pause, told = 0.0, -math.inf  # at once: there may be leases to remove
        while not self._stop.wait(pause):
            began = deadline.now()
            try:
                renewed = self._leases.renew()
            except SQLAlchemyError as error:
                pause = min(_AGAIN, self._beat)
                if began - told > _TELL_EVERY:
                    told = began
                    _log.warning("no sign of life could be given, trying again (%s)", type(error).__name__)
                continue
            if self._stop.is_set():
                return
            if not renewed:
                _log.error("the lease was taken from this worker: it ends")
                os._exit(deadline.ENDED_BY_DEADLINE)
            deadline.set_deadline(began + self._lasts)
            pause = self._beat
            self._remove_ended()

    def _remove_ended(self) -> None:
        """Remove the leases of workers of this machine that have ended without a farewell."""
        if self._words is None:
            return
        try:
            for path in self._words.iterdir():
                if path.name != self._id and deadline.over(path):
                    self._leases.end_of(path.name)
                    path.unlink(missing_ok=True)
                    _log.info("worker %s of this machine has ended: nobody waits for its lease", path.name)
        except (OSError, SQLAlchemyError):  # another one removes it, too; or after the next sign of life
            return


def _words() -> Path | None:
    """Return the directory in which workers of this machine keep their deadlines; None where there can be none.

    Only their user may write there: whoever could, could have a living worker taken for an ended one.
    """
    directory = Path(os.environ.get(_RUNTIME, "/run/longshore")) / WORDS
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.stat()
    except OSError:
        return None
    return directory if found.st_uid == os.geteuid() and not found.st_mode & 0o022 else None
