"""The process of the embedded engine (longshore.engine.embedded):

    python -m longshore.flows STATE_DIRECTORY [--lock=N] [-]

N is the descriptor of the directory's lock, for whoever starts it to take: from that moment on everybody sees that an
engine is there. With "-", standard input says in a line of JSON as whom secrets in Barbican are opened, where clouds
may be, whom to tell of replicas that need somebody, and the time that is given at the end; when it says nothing, there
is no work. It takes up what an earlier one left unfinished, runs what is queued, and ends when nothing is left to do.
Told to end (SIGTERM), as by an upgrade, it does so as a worker does, and the next one goes on.
"""

import asyncio
import json
import logging
import math
import os
import sys
from pathlib import Path
from typing import Any

from longshore.configuration import Keystone
from longshore.engine.embedded import LOCK, TOLD, has_work
from longshore.engine.lock import AlreadyRunning, lock
from longshore.engine.worker import THREADS, Flows, Worker, identity
from longshore.engine.worker_process import work
from longshore.logs import write_lines
from longshore.model.forms import form
from longshore.model.reach import Reach
from longshore.processes.memory import live_long
from longshore.state import StateDirectory
from longshore.store import Store

_PATIENCE = 1.0  # seconds an engine tries to get the lock
_LINGER = 2.0  # seconds without work before the engine ends


def run(state: StateDirectory, flows: Flows, handed: int | None = None) -> None:
    """Run what is queued until nothing is left, or until SIGTERM. `handed`: the descriptor of the directory's lock, if
    it was taken for this process."""
    store = Store(state)
    told = False
    try:
        while not told and has_work(store):
            try:
                with lock(state, _PATIENCE, handed):
                    handed = None
                    (state.root / "engine.pid").write_text(str(os.getpid()))
                    store.database.patience = math.inf  # two hundred at once may well wait for each other
                    me = identity(capacity=THREADS)
                    store.workers.begin_alone(me)
                    live_long()
                    told = asyncio.run(work(Worker(store, me, flows), drain_for=state.drain_for, linger=_LINGER))
                    store.workers.end(me.id)
            except AlreadyRunning:
                return
            # Work may have been queued by a command that still saw our lock: look once more without it.
    finally:
        store.close()


def main(flows: Flows) -> None:
    write_lines()
    for noisy in ("alembic", "urllib3", "keystoneauth", "openstack", "dbos"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.umask(0o077)
    handed = next((int(word.removeprefix(LOCK)) for word in sys.argv[2:] if word.startswith(LOCK)), None)
    if handed is not None:
        os.set_inheritable(handed, False)  # what outlives this process mustn't keep the lock
    root = Path(sys.argv[1])
    if TOLD not in sys.argv[2:]:
        run(StateDirectory(root), flows, handed)
        return
    flows.get_ready(StateDirectory(root))
    if told := sys.stdin.read():
        run(_directory(root, json.loads(told)), flows, handed)


def _directory(root: Path, told: dict[str, Any]) -> StateDirectory:
    reach = form(Reach).validate_python(told["reach"])
    keystone = Keystone(**told["keystone"]) if told["keystone"] else None
    command, drain_for = tuple(told["alert_command"]), told["drain_for"]
    return StateDirectory(root, keystone=keystone, reach=reach, alert_command=command, drain_for=drain_for)
