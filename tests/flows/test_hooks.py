"""Real playbooks, run by a real Ansible on this host."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from small_clouds import MAC

from longshore.errors import Cancelled, HookError
from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.hooks import hook_facts, run_playbook
from longshore.model.machine import Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.model.target import Port, Server
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.source import FilesSource
from running import command_lines

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from files_made import make_ova

pytestmark = pytest.mark.long

PLANS = Path(__file__).parents[2] / "docs/howto/plans.md"
NIC = Nic("4000", "a", MAC, "LAN", addresses=("10.0.0.5",))
MACHINE = Machine("vm-1", "web", PowerState.ON, 1, 256, (), (NIC,), platform=Platform("vsphere"))


@pytest.fixture
def job(run):
    return MoveContext(run.store, run.id, clouds=Clouds(run.store))


def playbook(tmp_path, *tasks):
    path = tmp_path / "book.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]))
    return str(path)


def perform(job, path, when="before", machine=MACHINE, **more):
    asyncio.run(run_playbook(job, path, hook_facts(job, machine, when, **more)))


def told(job):
    return [e.text for e in job.store.events.of(job.id)]


def test_a_playbook_finds_its_machine_in_a_variable_and_its_tasks_are_told(job, tmp_path):
    kept = tmp_path / "kept.json"
    content = "{{ {'facts': longshore, 'group': groups['machine'], 'at': hostvars['vm-1'].ansible_host} | to_json }}"
    path = playbook(tmp_path, {"name": "Keep it", "copy": {"content": content, "dest": str(kept), "mode": "0600"}})
    server, port = Server("s-1", "web", "ACTIVE"), Port("p-1", MAC, ("10.9.0.5",), "net-1")
    perform(job, path, "after", server=server, ports=[port])
    found = json.loads(kept.read_text())
    assert found["facts"]["machine"]["nics"][0]["mac"] == MAC
    assert (found["facts"]["hook"], found["facts"]["source"]) == ("after", "small-source")
    assert (found["facts"]["server"]["id"], found["facts"]["ports"][0]["id"]) == ("s-1", "p-1")
    assert (found["group"], found["at"]) == (["vm-1"], "10.9.0.5")
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


def runs(command):
    """A name that has run the command when it was taken for a template."""
    return "{{ lookup('ansible.builtin.pipe', 'COMMAND') }}".replace("COMMAND", command)


def test_an_ova_whose_name_is_a_template_runs_nothing_by_the_playbooks_of_the_documents(job, tmp_path, monkeypatch):
    ran, told = tmp_path / "ran", tmp_path / "told"
    name = f"{runs(f'touch {ran}; echo web01')} '; touch {ran}; \" $(touch {ran}) -x"
    (tmp_path / "ovas").mkdir()

    def rename(files):
        files["web01.ovf"] = files["web01.ovf"].replace(b"<Name>web01", f"<Name>{escape(name)}".encode())

    make_ova(tmp_path / "ovas" / "web01.ova", algorithm=None, change=rename)
    machine = FilesSource(FilesSettings(url=f"file://{tmp_path / 'ovas'}")).machine("web01.ova")
    assert machine.name == name
    balancer = tmp_path / "lbctl"
    balancer.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> {told}\n")
    balancer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    books = re.findall(r"```yaml\n(- hosts: .*?)```", PLANS.read_text(), re.DOTALL)
    assert books
    for number, book in enumerate(books):
        path = tmp_path / f"book-{number}.yml"
        path.write_text(book)
        perform(job, str(path), machine=machine)
    assert told.read_text().splitlines() == ["drain", name] * len(books)
    assert not ran.exists()


@pytest.mark.parametrize(
    "task",
    [
        {"debug": {"var": "longshore"}},
        {"name": "Move {{ longshore.machine.name }}", "debug": {"msg": "{{ longshore.machine.annotation }}"}},
        {
            "debug": {"msg": "{{ inventory_hostname }}, {{ longshore.machine.ref }}"},
            "delegate_to": "{{ groups.machine[0] }}",
        },
        {"debug": {"msg": "{{ item }}"}, "loop": "{{ longshore.machine.attributes | dict2items }}"},
        {"shell": "echo {{ longshore.machine.name | quote }}"},
        {"set_fact": {"again": "{{ longshore.machine.name }}, {{ longshore.machine.nics[0].addresses }}"}},
    ],
)
def test_nothing_that_a_source_says_of_a_machine_is_evaluated(job, tmp_path, task):
    ran = tmp_path / "ran"
    evil = runs(f"touch {ran}; echo 127.0.0.1")
    nic = replace(NIC, addresses=(evil, f"fe80::1%{evil}", "127.0.0.1"), network=evil)
    machine = replace(MACHINE, ref=evil, name=evil, annotation=evil, attributes={evil: evil}, nics=(nic,))
    python = {"ansible_python_interpreter": sys.executable}
    book = [{"hosts": "all", "connection": "local", "gather_facts": False, "vars": python, "tasks": [task]}]
    if "set_fact" in task:
        book[0]["tasks"] += [{"debug": {"msg": "{{ again }}"}}]
    path = tmp_path / "book.yml"
    path.write_text(json.dumps(book))
    perform(job, str(path), machine=machine)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("ref", "addresses", "host", "address"),
    [
        ("vm-1", ("nowhere", "10.0.0.5"), "vm-1", "10.0.0.5"),
        ("shop/web 01.ova", ("fe80::1%eth0", "2001:DB8::7"), "shop_web_01.ova", "2001:db8::7"),
        ("localhost", ("10.0.0.5",), "localhost_", "10.0.0.5"),
    ],
)
def test_a_machine_is_in_the_inventory_by_its_reference_at_what_is_an_address(
    job, tmp_path, ref, addresses, host, address
):
    kept = tmp_path / "kept.json"
    content = "{{ groups['machine'] | map('extract', hostvars, 'ansible_host') | zip(groups['machine']) | to_json }}"
    path = playbook(tmp_path, {"copy": {"content": content, "dest": str(kept), "mode": "0600"}})
    perform(job, path, machine=replace(MACHINE, ref=ref, nics=(replace(NIC, addresses=addresses),)))
    assert json.loads(kept.read_text()) == [[address, host]]


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


def test_a_cancel_ends_a_playbook_and_all_that_it_started(job, tmp_path):
    path = playbook(tmp_path, {"name": "Wait", "command": "sleep 4711"})

    async def cancelled():
        work = asyncio.create_task(run_playbook(job, path, hook_facts(job, MACHINE, "before")))
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
