"""The engine process: one per state directory, gone when there is nothing to do."""

import subprocess
import sys
import time
from types import SimpleNamespace

from longshore.engine import embedded
from longshore.engine.stranded import crew_of
from longshore.flows.workflows import FLOWS
from longshore.store import StateDirectory, Store


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_engine_without_work_ends_and_leaves_the_lock(tmp_path):
    state = StateDirectory(tmp_path / "state")
    Store(state).close()
    done = subprocess.run([sys.executable, "-m", "longshore.flows", str(state.root)], timeout=60, check=False)
    assert done.returncode == 0
    assert not embedded.is_locked(state)


def test_a_lock_that_is_held_is_seen_and_a_killed_holder_frees_it(tmp_path):
    state = StateDirectory(tmp_path / "state")
    Store(state).close()
    hold = "import sys, time; from pathlib import Path; from longshore.engine import embedded; "
    hold += "from longshore.store import StateDirectory; state = StateDirectory(Path(sys.argv[1]))\n"
    hold += "with embedded.lock(state): time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", hold, str(state.root)])
    try:
        wait_until(lambda: embedded.is_locked(state))
        embedded.run(state, FLOWS)  # a second engine gives way at once, having done nothing
    finally:
        holder.kill()
        holder.wait()
    wait_until(lambda: not embedded.is_locked(state))


def test_an_engine_that_is_only_starting_is_seen_and_one_that_died_of_it_too(tmp_path, monkeypatch):
    """Nothing that has just been asked for is called interrupted."""
    state = StateDirectory(tmp_path / "state")
    store = Store(state)
    slow = []

    def start(_command, **how):
        slow.append(subprocess.Popen(["sleep", "60"], pass_fds=how["pass_fds"]))
        return slow[-1]

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "subprocess", SimpleNamespace(Popen=start, DEVNULL=subprocess.DEVNULL))
        assert not crew_of(store).running
        embedded.ensure_running(state)
        embedded.ensure_running(state)  # by another command, at the same moment
    assert len(slow) == 1
    assert crew_of(store).running
    slow[0].kill()
    slow[0].wait()
    assert not crew_of(store).running

    embedded.ensure_running(state)  # a real one, that finds nothing to do and ends
    assert embedded.is_locked(state)
    wait_until(lambda: not embedded.is_locked(state))
    store.close()


def test_an_engine_is_not_given_the_users_secrets(tmp_path, monkeypatch):
    started = []
    monkeypatch.setenv("LONGSHORE_PASSWORD", "s3cret")
    monkeypatch.setenv("OS_PASSWORD", "s3cret")
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_SECRET", "s3cret")
    monkeypatch.setattr(embedded.subprocess, "Popen", lambda command, **how: started.append((command, how)))
    state = StateDirectory(tmp_path / "state")
    Store(state).close()
    embedded.ensure_running(state)
    ((command, how),) = started
    assert "s3cret" not in [*command, *how["env"].values()]
    assert how["env"]["PATH"]
