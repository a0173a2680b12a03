"""The process that runs workflows in embedded mode: one per state directory, started when there is work.

    python -m longshore.flows.engine STATE_DIRECTORY

It takes the directory's lock, takes up what an earlier engine left unfinished, runs what is queued, and ends when
nothing is left to do. Commands talk to it through the database alone, so it doesn't matter which of them started it.
"""

import asyncio
import fcntl
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from longshore.flows.queue import may_begin
from longshore.model.request import MigrationType
from longshore.planning.planfile import limits_of
from longshore.store import StateDirectory, Status, Store

APPLICATION_VERSION = "2"  # raised when the order of a workflow's steps changes
# What clouds are asked blocks a thread, some of it for minutes (a shutdown, a first boot). Python's own default, six on
# two processors, would let a few such waits stand in the way of all other migrations.
THREADS = 256
_POLL = 0.5  # seconds between looks for new work
_PATIENCE = 1.0  # seconds an engine tries to get the lock
_LINGER = 2.0  # seconds without work before the engine ends

# An engine lives long and takes its secrets from the store: what a user's shell holds is left there.
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|PASSCODE")

_log = logging.getLogger("longshore.flows")


class AlreadyRunning(Exception):
    """Another engine holds the lock."""


def is_running(state: StateDirectory) -> bool:
    try:
        with _lock(state):
            return False
    except AlreadyRunning:
        return True


def ensure_running(state: StateDirectory) -> None:
    """Start an engine in the background unless one runs. It outlives the command that started it."""
    if is_running(state):
        return
    log = os.open(state.engine_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        subprocess.Popen(
            [sys.executable, "-m", "longshore.flows.engine", str(state.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={name: value for name, value in os.environ.items() if not _SECRET.search(name)},
        )
    finally:
        os.close(log)


@contextmanager
def _lock(state: StateDirectory, patience: float = 0.0) -> Iterator[None]:
    """Held by the engine as long as it lives; the kernel lets go of it when the process ends, however it ends.

    An engine has some patience (seconds): a command that only looks holds the lock for a moment too.
    """
    fd = os.open(state.engine_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise AlreadyRunning from None
                time.sleep(0.05)
            else:
                break
        yield
    finally:
        os.close(fd)


def run(state: StateDirectory) -> None:
    store = Store(state)
    try:
        while store.migrations.unfinished():
            try:
                with _lock(state, _PATIENCE):
                    (state.root / "engine.pid").write_text(str(os.getpid()))
                    asyncio.run(_work(state, store))
            except AlreadyRunning:
                return
            # Work may have been queued by a command that still saw our lock: look once more without it.
    finally:
        store.close()


async def _work(state: StateDirectory, store: Store) -> None:
    from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

    from longshore.flows import workflows

    workflows.use(store)
    config: DBOSConfig = {
        "name": "longshore",
        "system_database_url": f"sqlite:///{state.engine_database}",
        "executor_id": "embedded",  # one engine per directory, which the lock sees to
        "application_version": APPLICATION_VERSION,
        "serializer": DBOSPortableJSONSerializer(),  # the default pickles: whoever writes the database could run code
        "log_level": "WARNING",
    }
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    _use_wal(state.engine_database)
    DBOS(config=config)
    DBOS.launch()
    try:
        await _until_idle(store)
    finally:
        DBOS.destroy()


def _use_wal(path: Path) -> None:
    """Readers and the writer of the engine's database no longer wait for each other (worst call 6.7 s → 0.5 s)."""
    import sqlite3

    path.touch(mode=0o600)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


async def _until_idle(store: Store) -> None:
    running: dict[str, asyncio.Task[None]] = {}
    idle = 0.0
    while idle < _LINGER:
        for migration_id in await asyncio.to_thread(_turns, store, set(running)):
            running[migration_id] = asyncio.create_task(_follow(store, migration_id))
        for migration_id, task in list(running.items()):
            if task.done():
                del running[migration_id]
        idle = 0.0 if running else idle + _POLL
        await asyncio.sleep(_POLL)


def _turns(store: Store, running: set[str]) -> list[str]:
    """Those to take up now: what an earlier engine began, and what waits and finds room."""
    # One that was begun a moment ago says "queued" until its first step
    queue = [replace(r, status=Status.RUNNING) if r.id in running else r for r in store.migrations.queue()]
    plans = {r.plan_id for r in queue if r.plan_id is not None and r.status is Status.QUEUED}
    limits = {plan: limits_of(store.plans.get(plan).content) for plan in plans}
    begun = [r.id for r in queue if r.status is not Status.QUEUED and r.id not in running]
    return [*begun, *may_begin(queue, limits)]


async def _follow(store: Store, migration_id: str) -> None:
    """Start a migration's workflow, or find the one that is recovered already, and see it to its end."""
    from dbos import DBOS, SetWorkflowID

    from longshore.flows import workflows

    try:
        if await DBOS.get_workflow_status_async(migration_id) is None:
            record = await asyncio.to_thread(store.migrations.get, migration_id)
            workflow = workflows.OF_TYPE[MigrationType(record.request.get("type", MigrationType.COLD))]
            with SetWorkflowID(migration_id):
                handle = await DBOS.start_workflow_async(workflow, migration_id)
        else:
            handle = await DBOS.retrieve_workflow_async(migration_id)
        await handle.get_result()
    except Exception as error:  # noqa: BLE001 whatever ends a workflow, its migration must not stay "running" for ever
        _log.exception("the workflow of migration %s ended in an error", migration_id)
        reason = f"{type(error).__name__}: {error}"
    else:
        reason = "the workflow ended without saying how"
    if not (await asyncio.to_thread(store.migrations.get, migration_id)).status.ended:
        await asyncio.to_thread(_give_up, store, migration_id, reason)


def _give_up(store: Store, migration_id: str, reason: str) -> None:
    store.migrations.stamp(migration_id, "finished_at")
    store.migrations.update(
        migration_id,
        status=Status.FAILED,
        error=f"The migration's workflow broke off ({reason}). Run: longshore migration cleanup {migration_id}.",
        error_code="internal",
    )


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("alembic", "httpx", "httpcore", "urllib3", "keystoneauth", "openstack", "dbos"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.umask(0o077)
    run(StateDirectory(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
