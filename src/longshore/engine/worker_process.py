"""`longshore worker`: a process that takes migrations from the queue until it is told to end."""

import asyncio
import logging
import math
import os
import signal
from contextlib import ExitStack

from longshore.configuration import Configuration, forget_secrets
from longshore.engine.lease import Lease
from longshore.engine.lock import AlreadyRunning, lock
from longshore.engine.worker import Flows, Worker, identity
from longshore.errors import Conflict
from longshore.processes.installed import MOVING, refuse_without
from longshore.processes.memory import live_long
from longshore.store import StateDirectory, Store

_log = logging.getLogger("longshore.engine")


def serve(configuration: Configuration, flows: Flows) -> None:
    """Work until SIGTERM or SIGINT; at a second signal, end without waiting for what is at work.

    Several workers can share a PostgreSQL that is configured; on a state directory there can be one alone. Raise
    Conflict when another one works there already, InvalidInput for settings that can't be, and NotInstalled where
    this machine lacks what work takes.
    """
    refuse_without(*MOVING)
    os.umask(0o077)
    state = StateDirectory.configured(configuration)
    forget_secrets()
    store = Store(state)
    me = identity(configuration.at_once, configuration.labels)
    store.database.patience = math.inf  # a migration never fails for it; the lease says when to give up
    lease = None
    with ExitStack() as stack:
        if state.shared_database is None:
            try:
                stack.enter_context(lock(state))
            except AlreadyRunning:
                raise Conflict(
                    f"Another process works on {state.root} already.",
                    advice="For several at once name a PostgreSQL: database_url in the configuration.",
                ) from None
            store.workers.begin_alone(me)
        else:
            lease = Lease(store, me, ttl=configuration.lease_ttl, beat=configuration.lease_beat)
            lease.take()
            store.database.warn_of_losses()
        _log.info("worker %s takes %d migrations at once", me.id, me.capacity)
        live_long()
        asyncio.run(work(Worker(store, me, flows), drain_for=configuration.drain_for, lease=lease))
        if lease is not None:
            lease.end()
        else:
            store.workers.end(me.id)
    store.close()
    _log.info("worker %s has ended", me.id)


async def work(worker: Worker, *, drain_for: float, lease: Lease | None = None, linger: float | None = None) -> bool:
    """Work until SIGTERM or SIGINT, or until there was nothing to do for `linger` seconds; return whether it was told
    to end.

    Return once nothing is left at work. What hasn't ended after `drain_for` seconds, or at a second signal, is left to
    others or to the next process: this one ends in here.
    """
    stop, now = asyncio.Event(), asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            now.set()
        _log.info("asked to end")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked)
    working = asyncio.create_task(worker.run(stop, linger=linger, drain_for=drain_for))
    hurry = asyncio.create_task(now.wait())
    await asyncio.wait([working, hurry], return_when=asyncio.FIRST_COMPLETED)
    if not working.done() or not working.result():
        # Not in order: what is cancelled here would count as failed, and what breaks off goes on elsewhere
        _log.info("others go on with what has not ended")
        if lease is not None:
            lease.leave()
        os._exit(0)
    hurry.cancel()
    return stop.is_set()
