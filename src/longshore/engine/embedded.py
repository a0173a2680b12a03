"""The process that runs workflows in embedded mode: one per state directory, started when there is work.

    python -m longshore.flows STATE_DIRECTORY [--lock=N] [-]

N is the descriptor of the directory's lock, where whoever starts it has taken that: from the first moment on everybody
sees that an engine is there. With "-", standard input says in a line of JSON as whom secrets in Barbican are opened,
where clouds may be, and whom to tell of replicas that need somebody. It takes up what an earlier engine left
unfinished, runs what is queued, and ends when nothing is left to do. Commands talk to it through the database alone, so
it doesn't matter which of them started it.
"""

import asyncio
import json
import logging
import math
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from longshore.configuration import Keystone
from longshore.engine.lock import AlreadyRunning, is_locked, lock
from longshore.engine.version import FLOW_VERSION
from longshore.engine.worker import THREADS, Flows, Worker, identity
from longshore.model.forms import form
from longshore.model.reach import Reach
from longshore.processes.memory import seldom_look_for_cycles
from longshore.store import StateDirectory, Store

_PROGRAM = "longshore.flows"  # which brings the flows along: nothing in here knows them
_PATIENCE = 1.0  # seconds an engine tries to get the lock
_MOMENT = 0.1  # seconds that a command which only looks may hold it at most
_LOCK = "--lock="
_LINGER = 2.0  # seconds without work before the engine ends

# An engine lives long and takes its secrets from the store: what a user's shell holds is left there.
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|PASSCODE")


def is_running(store: Store) -> bool:
    """Whether somebody takes up what is queued there."""
    if store.state.shared_database:
        return store.workers.any_alive()
    return is_locked(store.state)


def ensure_running(state: StateDirectory) -> None:
    """Start an engine in the background unless one runs. It outlives the command that started it.

    Workers of a shared database are started by whoever runs them: nothing is done for one.
    """
    if state.shared_database:
        return
    try:
        with lock(state, _MOMENT) as held:
            _start(state, held)
    except AlreadyRunning:
        return


def _start(state: StateDirectory, held: int) -> None:
    """With the lock that is held here, which is its own from then on."""
    command = [sys.executable, "-m", _PROGRAM, str(state.root), f"{_LOCK}{held}"]
    handed = None
    if state.keystone or state.alert_command:
        keystone = state.keystone.handed() if state.keystone else None
        said = {"keystone": keystone, "reach": asdict(state.reach), "alert_command": state.alert_command}
        handed = json.dumps(said)
    log = os.open(state.engine_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        engine = subprocess.Popen(
            command if handed is None else [*command, "-"],
            stdin=subprocess.DEVNULL if handed is None else subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={name: value for name, value in os.environ.items() if not _SECRET.search(name)},
            pass_fds=(held,),
        )
    finally:
        os.close(log)
    if handed is not None and engine.stdin is not None:
        with suppress(BrokenPipeError), engine.stdin:  # another engine was quicker, and this one has ended
            engine.stdin.write(handed.encode())


def has_work(store: Store) -> bool:
    """Whether an engine would find something to do."""
    return bool(store.queue.unfinished(FLOW_VERSION))


def run(state: StateDirectory, flows: Flows, handed: int | None = None) -> None:
    """`handed`: the descriptor of the directory's lock, if somebody has taken it for this process."""
    store = Store(state)
    try:
        while has_work(store):
            try:
                with lock(state, _PATIENCE, handed):
                    handed = None
                    (state.root / "engine.pid").write_text(str(os.getpid()))
                    store.database.patience = math.inf  # two hundred at once may well wait for each other
                    me = identity(capacity=THREADS)
                    store.workers.begin_alone(me)
                    asyncio.run(Worker(store, me, flows).run(asyncio.Event(), linger=_LINGER))
                    store.workers.end(me.id)
            except AlreadyRunning:
                return
            # Work may have been queued by a command that still saw our lock: look once more without it.
    finally:
        store.close()


def main(flows: Flows) -> None:
    seldom_look_for_cycles()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("alembic", "httpx", "httpcore", "urllib3", "keystoneauth", "openstack", "dbos"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.umask(0o077)
    handed = next((int(word.removeprefix(_LOCK)) for word in sys.argv[2:] if word.startswith(_LOCK)), None)
    if handed is not None:
        os.set_inheritable(handed, False)  # what outlives this process mustn't keep the lock
    root = Path(sys.argv[1])
    if "-" not in sys.argv[2:]:
        run(StateDirectory(root), flows, handed)
        return
    said = json.load(sys.stdin)
    reach = form(Reach).validate_python(said["reach"])
    keystone = Keystone(**said["keystone"]) if said["keystone"] else None
    command = tuple(said["alert_command"])
    run(StateDirectory(root, keystone=keystone, reach=reach, alert_command=command), flows, handed)
