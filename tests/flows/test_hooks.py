"""Real playbooks, run by a real Ansible on this host."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_clouds import MAC

from longshore.errors import Cancelled, HookError
from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.hooks import hook_facts, hook_runner
from longshore.model.machine import Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.model.target import Port, Server
from running import command_lines

NIC = Nic("4000", "a", MAC, "LAN", addresses=("10.0.0.5",))
MACHINE = Machine("vm-1", "web", PowerState.ON, 1, 256, (), (NIC,), platform=Platform("vsphere"))


@pytest.fixture
def job(run):
    return MoveContext(run.store, run.id, clouds=Clouds(run.store))


def playbook(tmp_path, *tasks):
    path = tmp_path / "book.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]))
    return str(path)


def perform(job, path, when="before", **more):
    asyncio.run(hook_runner(job, path, hook_facts(job, MACHINE, when, **more))())


def told(job):
    return [e.text for e in job.store.events.of(job.id)]


def test_a_playbook_finds_its_machine_in_a_variable_and_its_tasks_are_told(job, tmp_path):
    kept = tmp_path / "kept.json"
    content = "{{ {'facts': longshore, 'group': groups['machine'], 'at': hostvars['web'].ansible_host} | to_json }}"
    path = playbook(tmp_path, {"name": "Keep it", "copy": {"content": content, "dest": str(kept), "mode": "0600"}})
    server, port = Server("s-1", "web", "ACTIVE"), Port("p-1", MAC, ("10.9.0.5",), "net-1")
    perform(job, path, "after", server=server, ports=[port])
    found = json.loads(kept.read_text())
    assert found["facts"]["machine"]["nics"][0]["mac"] == MAC
    assert (found["facts"]["hook"], found["facts"]["source"]) == ("after", "small-source")
    assert (found["facts"]["server"]["id"], found["facts"]["ports"][0]["id"]) == ("s-1", "p-1")
    assert (found["group"], found["at"]) == (["web"], "10.9.0.5")
    assert "Task: Keep it" in told(job)
    assert told(job)[-1] == f"The playbook {path} is done."
    assert job.store.migrations.get(job.id).phase == "hook-after"


def test_nothing_of_a_hook_is_readable_by_others_and_facts_are_on_no_command_line(job, tmp_path):
    words = tmp_path / "words"
    path = playbook(tmp_path, {"shell": f"cat /proc/[0-9]*/cmdline | tr '\\0' ' ' > {words}"})
    perform(job, path)
    assert MAC not in words.read_text()
    directory = job.store.state.migration(job.id) / "hook-before"
    assert directory.stat().st_mode & 0o077 == 0
    assert any("Task" in f.read_text() or "TASK" in f.read_text() for f in directory.glob("artifacts/*/stdout"))


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (
            [{"name": "Drain", "fail": {"msg": "The pool is still busy"}}],
            'in task "Drain" on localhost: The pool is still',
        ),
        ([{"name": "Odd", "nonsense": {}}], "nonsense"),
        ([{"name": "Run", "command": "/bin/false"}], 'in task "Run" on localhost: non-zero return code.'),
    ],
)
def test_a_failing_playbook_says_where_and_why(job, tmp_path, tasks, said):
    with pytest.raises(HookError) as error:
        perform(job, playbook(tmp_path, *tasks))
    assert said in str(error.value)
    assert error.value.code == "hook-failed"


def test_a_failure_that_the_playbook_ignores_is_none(job, tmp_path):
    perform(job, playbook(tmp_path, {"command": "/bin/false", "ignore_errors": True}))


def test_what_is_no_playbook_is_said(job, tmp_path):
    path = tmp_path / "book.yml"
    path.write_text("hosts: [")
    with pytest.raises(HookError, match=r"book\.yml failed"):
        perform(job, str(path))


@pytest.mark.faults
def test_a_cancel_ends_a_playbook_and_all_that_it_started(job, tmp_path):
    path = playbook(tmp_path, {"name": "Wait", "command": "sleep 4711"})

    async def cancelled():
        work = asyncio.create_task(hook_runner(job, path, hook_facts(job, MACHINE, "before"))())
        await until(lambda: sleepers("4711"))
        job.store.migrations.request_cancel(job.id)
        with pytest.raises(Cancelled):
            await work

    asyncio.run(cancelled())
    assert sleepers("4711") == []


def test_what_a_killed_engine_has_left_is_ended_before_the_playbook_runs_again(job, tmp_path):
    path = playbook(tmp_path, {"name": "Wait", "command": "sleep 4712"})
    request = {
        "directory": str(job.store.state.migration(job.id) / "hook-before"),
        "playbook": path,
        "facts": hook_facts(job, MACHINE, "before"),
    }
    Path(request["directory"]).mkdir(parents=True)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    dead = subprocess.Popen(
        [sys.executable, "-m", "longshore.flows.moves.playbook"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment,
        text=True,
    )
    dead.stdin.write(json.dumps(request) + "\n")
    dead.stdin.flush()
    asyncio.run(until(lambda: sleepers("4712")))
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    assert sleepers("4712")
    perform(job, playbook(tmp_path, {"command": "/bin/true"}))
    assert sleepers("4712") == []


async def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


def sleepers(seconds):
    wanted = f"sleep\0{seconds}\0".encode()
    return [pid for pid, words in command_lines().items() if words == wanted]
