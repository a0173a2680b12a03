"""longshore worker, as it is started and told to end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from longshore.errors import Conflict
from longshore.store import StateDirectory, Store
from postgresql import PASSWORD

pytestmark = pytest.mark.long

COMMAND = Path(sys.executable).with_name("longshore")


def started(state, **variables):
    environment = {**os.environ, "LONGSHORE_STATE": str(state), **variables}
    return subprocess.Popen([COMMAND, "worker"], env=environment, stderr=subprocess.PIPE, text=True)


def first_line(worker):
    return worker.stderr.readline()


def ended(worker):
    worker.send_signal(signal.SIGTERM)
    try:
        return worker.communicate(timeout=30)[1]
    finally:
        worker.kill()


def test_a_worker_of_postgresql_says_who_it_is_and_never_the_password(postgresql, tmp_path):
    url = postgresql.database()
    worker = started(tmp_path, LONGSHORE_DATABASE_URL=url)
    said = first_line(worker)
    assert "takes 8 migrations at once" in said, said
    assert PASSWORD.encode() not in Path(f"/proc/{worker.pid}/cmdline").read_bytes()
    store = Store(StateDirectory(tmp_path, url))
    try:
        (record,) = store.workers.all()
        assert (record.pid, record.capacity) == (worker.pid, 8)
        time.sleep(1.0)  # it is at work by then
        said += ended(worker)
        assert worker.returncode == 0
        assert store.workers.all() == []
    finally:
        store.close()
    assert PASSWORD not in said
    for path in tmp_path.iterdir():
        assert PASSWORD.encode() not in path.read_bytes(), path


def test_without_postgresql_it_is_alone_on_its_directory(tmp_path):
    one = started(tmp_path)
    assert "takes 8 migrations at once" in first_line(one)
    other = started(tmp_path)
    assert other.wait(30) == 1
    assert "Another process works on" in other.stderr.read()
    assert "has ended" in ended(one)
    assert one.returncode == 0


def test_a_directory_that_is_not_the_others_is_refused_before_anything_is_lost(postgresql, tmp_path):
    url = postgresql.database()
    Store(StateDirectory(tmp_path / "shared", url)).close()
    Store(StateDirectory(tmp_path / "shared", url)).close()
    with pytest.raises(Conflict, match="isn't the one that the others"):
        Store(StateDirectory(tmp_path / "not-mounted", url))
