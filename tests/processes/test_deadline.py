"""What a worker has started ends with its deadline, also when the worker can't say so."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from longshore.processes.deadline import ENDED_BY_DEADLINE

# Starts what obeys it, with a child of its own, tells both pids, and moves the deadline ahead until it is stopped
WORKER = """
import os, subprocess, sys, time
from longshore.processes import deadline
deadline.set_deadline(deadline.now() + 5)
variables, inherited = deadline.handed_on()
obeying = "import os, subprocess, time; from longshore.processes.deadline import obey; obey()\\n"
obeying += "child = subprocess.Popen(['sleep', '60']); print(os.getpid(), child.pid, flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", obeying], env={**os.environ, **variables}, pass_fds=inherited,
                 start_new_session=True)
while True:
    time.sleep(0.1)
    deadline.check()
    deadline.set_deadline(deadline.now() + 5)
"""


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids, within):
    end = time.monotonic() + within
    while any(map(lives, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(lives, pids))


@pytest.mark.long
def test_a_stopped_worker_s_processes_end_and_so_does_it_when_it_wakes():
    worker = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in worker.stdout.readline().split()]
    try:
        time.sleep(6)  # longer than the first one
        assert all(map(lives, pids)), "as long as the deadline is moved ahead they go on"
        worker.send_signal(signal.SIGSTOP)
        assert gone(pids, within=30.0)
        worker.send_signal(signal.SIGCONT)
        assert worker.wait(30) == ENDED_BY_DEADLINE
    finally:
        for pid in [*pids, worker.pid]:
            if lives(pid):
                os.kill(pid, signal.SIGKILL)
        worker.wait()


def test_without_a_deadline_there_is_all_the_time_of_the_world():
    check = "from longshore.processes import deadline; deadline.obey(); deadline.check(); print(deadline.handed_on())"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.stdout == "({}, ())\n"


def test_a_deadline_that_should_be_there_and_is_not_lets_nothing_begin():
    environment = {**os.environ, "LONGSHORE_DEADLINE": "77"}
    done = subprocess.run(
        [sys.executable, "-m", "longshore.blocks", "nbd://a", "nbd://b"], capture_output=True, env=environment
    )
    assert done.returncode == 1 and b"no such deadline" in done.stderr
