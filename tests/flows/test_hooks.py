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
from longshore.flows.hooks import hook_facts, hook_runner
from longshore.flows.journey import Journey
from longshore.model.machine import Machine, Nic, PowerState
from longshore.model.target import Port, Server

MACHINE = Machine("vm-1", "web", PowerState.ON, 1, 256, (), (Nic("4000", "a", MAC, "LAN", addresses=("10.0.0.5",)),))


@pytest.fixture
def journey(run):
    return Journey(run.store, Clouds(run.store), run.id)


def playbook(tmp_path, *tasks):
    path = tmp_path / "book.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]))
    return str(path)


def perform(journey, path, when="before", **more):
    asyncio.run(hook_runner(journey, path, hook_facts(journey, MACHINE, when, **more))())


def told(journey):
    return [e.text for e in journey.store.migrations.events(journey.id)]


def test_a_playbook_finds_its_machine_in_a_variable_and_its_tasks_are_told(journey, tmp_path):
    kept = tmp_path / "kept.json"
    content = "{{ {'facts': longshore, 'group': groups['machine'], 'at': hostvars['web'].ansible_host} | to_json }}"
    path = playbook(tmp_path, {"name": "Keep it", "copy": {"content": content, "dest": str(kept), "mode": "0600"}})
    server, port = Server("s-1", "web", "ACTIVE"), Port("p-1", MAC, ("10.9.0.5",), "net-1")
    perform(journey, path, "after", server=server, ports=[port])
    found = json.loads(kept.read_text())
    assert found["facts"]["machine"]["nics"][0]["mac"] == MAC
    assert (found["facts"]["hook"], found["facts"]["source"]) == ("after", "small-source")
    assert (found["facts"]["server"]["id"], found["facts"]["ports"][0]["id"]) == ("s-1", "p-1")
    assert (found["group"], found["at"]) == (["web"], "10.9.0.5")
    assert "Task: Keep it" in told(journey)
    assert told(journey)[-1] == f"The playbook {path} is done."
    assert journey.store.migrations.get(journey.id).phase == "hook-after"


def test_nothing_of_a_hook_is_readable_by_others_and_facts_are_on_no_command_line(journey, tmp_path):
    words = tmp_path / "words"
    path = playbook(tmp_path, {"shell": f"cat /proc/[0-9]*/cmdline | tr '\\0' ' ' > {words}"})
    perform(journey, path)
    assert MAC not in words.read_text()
    directory = journey.store.state.migration(journey.id) / "hook-before"
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
def test_a_failing_playbook_says_where_and_why(journey, tmp_path, tasks, said):
    with pytest.raises(HookError) as error:
        perform(journey, playbook(tmp_path, *tasks))
    assert said in str(error.value)
    assert error.value.code == "hook-failed"


def test_a_failure_that_the_playbook_ignores_is_none(journey, tmp_path):
    perform(journey, playbook(tmp_path, {"command": "/bin/false", "ignore_errors": True}))


def test_what_is_no_playbook_is_said(journey, tmp_path):
    path = tmp_path / "book.yml"
    path.write_text("hosts: [")
    with pytest.raises(HookError, match=r"book\.yml failed"):
        perform(journey, str(path))


@pytest.mark.faults
def test_a_cancel_ends_a_playbook_and_all_that_it_started(journey, tmp_path):
    path = playbook(tmp_path, {"name": "Wait", "command": "sleep 4711"})

    async def cancelled():
        work = asyncio.create_task(hook_runner(journey, path, hook_facts(journey, MACHINE, "before"))())
        await until(lambda: sleepers("4711"))
        journey.store.migrations.request_cancel(journey.id)
        with pytest.raises(Cancelled):
            await work

    asyncio.run(cancelled())
    assert sleepers("4711") == []


def test_what_a_killed_engine_has_left_is_ended_before_the_playbook_runs_again(journey, tmp_path):
    path = playbook(tmp_path, {"name": "Wait", "command": "sleep 4712"})
    request = {
        "directory": str(journey.store.state.migration(journey.id) / "hook-before"),
        "playbook": path,
        "facts": hook_facts(journey, MACHINE, "before"),
    }
    Path(request["directory"]).mkdir(parents=True)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    dead = subprocess.Popen(
        [sys.executable, "-m", "longshore.flows.playbook"],
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
    perform(journey, playbook(tmp_path, {"command": "/bin/true"}))
    assert sleepers("4712") == []


async def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


def sleepers(seconds):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("cmdline").read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(process.name)
        except OSError:
            continue
    return found
