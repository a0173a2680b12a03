"""Programs that this process starts don't outlive it, not even when it dies while it starts them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STARTS = """
import subprocess, time
from longshore.processes.parent import die_with_parent
subprocess.Popen(die_with_parent("sh", "-c", "echo $$ > pid; exec sleep 60"))
time.sleep(60)
"""


@pytest.fixture
def starter(tmp_path):
    """A process that starts a program which leaves its pid; `slow` keeps it waiting before it is attached."""
    begun = []

    def start(slow=0.0):
        setpriv = tmp_path / "setpriv"
        setpriv.write_text(f'#!/bin/sh\ntouch called\nsleep {slow}\nexec /usr/bin/setpriv "$@"\n')
        setpriv.chmod(0o755)
        path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        begun.append(subprocess.Popen([sys.executable, "-c", STARTS], cwd=tmp_path, env=path))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def runs(pid):
    """What has died may wait long for whoever inherits it, before it goes from /proc."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_it_dies_with_us(starter, tmp_path):
    process, pid = starter(), tmp_path / "pid"
    until(lambda: pid.exists() and pid.read_text().strip())
    process.send_signal(signal.SIGKILL)
    until(lambda: not runs(pid.read_text().strip()))


def test_it_does_not_begin_when_we_died_before_it_could_be_told(starter, tmp_path):
    process = starter(slow=1.0)
    until((tmp_path / "called").exists)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.5)
    assert not (tmp_path / "pid").exists()
