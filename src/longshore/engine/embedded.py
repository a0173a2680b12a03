"""The process that runs workflows in embedded mode: one per state directory, started when there is work.

What it does is in longshore.engine.embedded_process. Commands talk to it through the database alone, so it doesn't
matter which of them started it. One that is about to ask for work starts it ahead: it loads what it needs while the
command gets ready itself (docs/decisions/commands-that-begin-quickly.md), so little is imported in here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from longshore.engine.lock import AlreadyRunning, is_locked, lock, opened
from longshore.engine.version import FLOW_VERSION
from longshore.model.secrecy import looks_secret
from longshore.state import StateDirectory

if TYPE_CHECKING:
    from longshore.store import Store

_PROGRAM = "longshore.flows"  # which brings the flows along: nothing in here knows them
_MOMENT = 0.1  # seconds that a command which only looks may hold the lock at most
LOCK = "--lock="
TOLD = "-"  # what there is to know is said on standard input

_ahead: dict[Path, _Started] = {}  # by their state directories: engines that this process has started ahead


def start_ahead(state: StateDirectory) -> None:
    """Start an engine that gets ready, and ends unless `ensure_running` has a use for it until it is dismissed.

    It ends with this process, too. Nobody takes it for one that works: until then it holds no lock.
    """
    if state.shared_database:
        return
    state.create()
    if not is_locked(state):
        _ahead[state.root] = _Started(state, opened(state))


def dismiss(state: StateDirectory) -> None:
    """Let the engine that was started ahead end, unless it has been given work."""
    ahead = _ahead.pop(state.root, None)
    if ahead is not None:
        os.close(ahead.lock)
        ahead.dismiss()


def ensure_running(state: StateDirectory) -> None:
    """Start an engine in the background unless one runs. It outlives the command that started it.

    Workers of a shared database are started by whoever runs them: nothing is done for one.
    """
    if state.shared_database or state.engine_kept:
        return
    if is_locked(state):  # one that is about to end looks once more what there is to do
        dismiss(state)
        return
    ahead = _ahead.pop(state.root, None)
    try:
        with lock(state, _MOMENT, ahead.lock if ahead else None) as held:
            if ahead is None or not ahead.begin():
                _Started(state, held).begin()
    except AlreadyRunning:
        if ahead is not None:
            ahead.dismiss()


def _environment() -> dict[str, str]:
    """Return the environment of an engine: this process's, without a cloud's login (OS_*) and whatever else may be a
    secret.

    An engine lives long, and takes its secrets from the store.
    """
    return {name: value for name, value in os.environ.items() if not (name.startswith("OS_") or looks_secret(name))}


class _Started:
    """An engine that waits to be told whether there is work for it."""

    def __init__(self, state: StateDirectory, lock: int) -> None:
        """Start the process. `lock`: a descriptor of the directory's lock; this object keeps it, and the process
        inherits it."""
        self.lock = lock
        self._state = state
        log = os.open(state.engine_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _PROGRAM, str(state.root), f"{LOCK}{lock}", TOLD],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=_environment(),
                pass_fds=(lock,),
            )
        finally:
            os.close(log)

    def begin(self) -> bool:
        """Tell the waiting process that there is work, and return whether it was still there to be told."""
        state = self._state
        keystone = state.keystone.handed() if state.keystone else None
        said = {
            "keystone": keystone,
            "reach": asdict(state.reach),
            "alert_command": state.alert_command,
            "drain_for": state.drain_for,
        }
        return self._say(json.dumps(said))

    def dismiss(self) -> None:
        self._say("")

    def _say(self, text: str) -> bool:
        assert self._process.stdin is not None
        try:
            with self._process.stdin as told:
                told.write(text.encode())
        except BrokenPipeError:
            return False
        return True


def has_work(store: Store) -> bool:
    """Tell whether an engine of this flow version would find something to do: a job that hasn't ended, also one that
    waits for its moment, or a message that nobody has taken yet."""
    return bool(store.queue.unfinished(FLOW_VERSION)) or store.channels.has_waiting()
