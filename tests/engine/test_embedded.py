"""The engine process: one per state directory, gone when there is nothing to do."""

import fcntl
import io
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from longshore.cli.app import main as cli
from longshore.engine import embedded, embedded_process
from longshore.engine.stranded import crew_of
from longshore.flows.workflows import FLOWS
from longshore.store import StateDirectory, Store

pytestmark = pytest.mark.long


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
        embedded_process.run(state, FLOWS)  # a second engine gives way at once, having done nothing
    finally:
        holder.kill()
        holder.wait()
    wait_until(lambda: not embedded.is_locked(state))


def test_who_only_looks_is_not_taken_for_a_holder_by_others_who_look(tmp_path):
    state = StateDirectory(tmp_path / "state")
    Store(state).close()
    with state.engine_lock.open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert not embedded.is_locked(state)
        fcntl.flock(looking, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert embedded.is_locked(state)


def test_an_engine_that_is_only_starting_is_seen_and_one_that_died_of_it_too(tmp_path, monkeypatch):
    """Nothing that has just been asked for is called interrupted."""
    state = StateDirectory(tmp_path / "state")
    store = Store(state)
    slow = []

    def start(_command, **how):
        slow.append(subprocess.Popen(["sleep", "60"], stdin=how["stdin"], pass_fds=how["pass_fds"]))
        return slow[-1]

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "subprocess", SimpleNamespace(Popen=start, PIPE=subprocess.PIPE))
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

    def start(command, **how):
        started.append((command, how))
        return SimpleNamespace(stdin=io.BytesIO())

    for name in ("LONGSHORE_PASSWORD", "OS_PASSWORD", "OS_OAUTH2_CLIENT_SECRET", "OS_CODE", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setattr(embedded.subprocess, "Popen", start)
    state = StateDirectory(tmp_path / "state")
    Store(state).close()
    embedded.ensure_running(state)
    ((command, how),) = started
    assert "s3cret" not in [*command, *how["env"].values()]
    assert how["env"]["PATH"]


@pytest.fixture
def started(monkeypatch):
    """The engines that this process starts."""
    engines = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **how):
            super().__init__(*args, **how)
            engines.append(self)

    monkeypatch.setattr(embedded, "subprocess", SimpleNamespace(Popen=Noted, PIPE=subprocess.PIPE))
    yield engines
    for engine in engines:
        engine.kill()
        engine.wait()


@pytest.fixture
def ahead(tmp_path, started):
    """A state directory for which one is started, though nobody has asked for work yet."""
    state = StateDirectory(tmp_path / "state")
    Store(state).close()
    embedded.start_ahead(state)
    assert not embedded.is_locked(state)
    return state


def test_the_engine_that_was_started_ahead_is_the_one_that_works(ahead, started):
    embedded.ensure_running(ahead)
    assert embedded.is_locked(ahead)
    assert len(started) == 1
    assert started[0].wait(60) == 0  # it finds nothing to do
    assert not embedded.is_locked(ahead)


def test_an_engine_that_was_started_ahead_gives_way_to_one_that_works(ahead, started):
    with embedded.lock(ahead):
        embedded.ensure_running(ahead)
        assert started[0].wait(60) == 0
    assert len(started) == 1


def test_another_is_started_where_the_one_that_was_started_ahead_has_died(ahead, started):
    started[0].kill()
    started[0].wait()
    embedded.ensure_running(ahead)
    assert len(started) == 2
    assert started[1].wait(60) == 0


def test_none_is_started_ahead_beside_one_that_works(tmp_path, started):
    state = StateDirectory(tmp_path / "state")
    Store(state).close()
    with embedded.lock(state):
        embedded.start_ahead(state)
    assert started == []


def test_an_engine_that_was_started_ahead_ends_with_a_command_that_asks_for_nothing(tmp_path):
    code = (
        "import sys; from pathlib import Path; from longshore.engine import embedded; "
        "from longshore.state import StateDirectory; embedded.start_ahead(StateDirectory(Path(sys.argv[1]))); "
        "[one] = embedded._ahead.values(); print(one._process.pid)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "state")]
    engine = Path("/proc", subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip())
    wait_until(lambda: not engine.exists())
    assert not (tmp_path / "state" / "longshore.db").exists(), "it has begun to work"


def loaded(code, *words):
    """What a process of its own has imported that runs this and prints it."""
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "words", [["backup", "create", "web"], ["migrate", "web", "--from", "a", "--to", "b"], ["vault", "verify", "v"]]
)
def test_a_command_starts_one_before_it_loads_what_takes_long(tmp_path, words):
    code = (
        "import os, sys; from longshore.engine import embedded; from longshore.cli.app import main\n"
        "def start(state): print(*sys.modules, flush=True); os._exit(0)\n"
        "embedded.start_ahead = start; main(sys.argv[1:])"
    )
    more = ["--source", "a", "--vault", "v"] if words[0] == "backup" else []
    found = loaded(code, "--state", str(tmp_path), *words, *more)
    assert "longshore.cli.app" in found
    assert not found & {"sqlalchemy", "fastapi", "dbos", "openstack", "longshore.store", "longshore.service"}


def test_one_that_was_started_ahead_loads_the_libraries_of_the_clouds_that_are_known(tmp_path):
    state = StateDirectory(tmp_path / "state")
    store = Store(state)
    store.providers.add("cloud", "openstack", {}, {})
    store.close()
    code = (
        "import sys; from pathlib import Path; from longshore.flows.workflows import FLOWS; "
        "from longshore.state import StateDirectory; before = {*sys.modules}; "
        "FLOWS.get_ready(StateDirectory(Path(sys.argv[1]))); print(*{*sys.modules} - before)"
    )
    found = loaded(code, str(state.root))
    assert "openstack" in found
    assert "pyVmomi" not in found


def test_a_command_that_is_refused_dismisses_the_one_that_it_has_started(tmp_path, started):
    words = ["backup", "create", "web", "--source", "nowhere", "--vault", "none"]
    assert cli(["--state", str(tmp_path), *words]) == 1
    assert [engine.wait(60) for engine in started] == [0]
    assert embedded._ahead == {}
