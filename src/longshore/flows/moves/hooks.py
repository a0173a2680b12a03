"""The user's Ansible playbooks that run before a machine is moved, and after it was seen up on the target; those of a
backup run before and after its snapshot (longshore.flows.backups.freezing).

A playbook is told everything about its machine in one variable, `longshore`, through a file: never a secret, and
nothing on a command line. It runs in a process of its own (longshore.flows.moves.playbook). Its output and input stay
in the migration's directory.

Like every step it is at-least-once: when an engine was killed, the next one ends what is left of the playbook and runs
it from the start. A playbook has to stand that, as Ansible's usually do.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from longshore.errors import HookError
from longshore.flows.moves.context import MoveContext
from longshore.model.concern import Concern
from longshore.model.forms import form
from longshore.model.machine import Machine
from longshore.model.request import CopyRequest
from longshore.model.target import Port, Server
from longshore.planning.plan_kinds import HOOK_MISSING, HOOKS_NOT_INSTALLED
from longshore.processes.child import TERM_GRACE, ask

When = Literal["before", "after"]


def installed() -> bool:
    """Tell whether there is an Ansible to run playbooks with: it comes with longshore[hooks]."""
    return find_spec("ansible_runner") is not None and find_spec("ansible") is not None


def hook_facts(
    job: MoveContext, machine: Machine, when: When, server: Server | None = None, ports: list[Port] | None = None
) -> dict[str, Any]:
    """Return what a playbook finds in the variable `longshore`. Server and ports are the target's, once
    they are there."""
    record, store = job.record, job.store
    return {
        "hook": when,
        "migration": record.id,
        "plan": store.plans.get(record.plan_id).name if record.plan_id else None,
        "wave": record.wave if record.plan_id else None,
        "type": job.record.type.value,
        "source": store.providers.get(record.source_id).name,
        "target": store.providers.get(record.target_id).name,
        "machine": form(Machine).dump_python(machine, mode="json"),
        "server": asdict(server) if server else None,
        "ports": [asdict(port) for port in ports or ()],
    }


def hook_concerns(machine: Machine, request: CopyRequest) -> list[Concern]:
    """Return what stands against a machine's playbooks: those that can't be run here."""
    return [replace(concern, machine=machine.ref) for concern in unfit_playbooks(request)]


def unfit_playbooks(request: CopyRequest) -> list[Concern]:
    """Return a concern for each playbook of the request that can't be run here."""
    paths = [path for path in (request.before, request.after) if path is not None]
    if paths and not installed():
        return [HOOKS_NOT_INSTALLED(paths[0], "Playbooks need Ansible and ansible-runner.")]
    return [
        HOOK_MISSING(path, f"The playbook {path} can't be read.")
        for path in paths
        if not (Path(path).is_absolute() and Path(path).is_file())
    ]


async def run_playbook(job: MoveContext, path: str, facts: Mapping[str, Any], *, whatever: bool = False) -> None:
    """Run a playbook with these `hook_facts`. Raise HookError when the playbook fails, Cancelled when cancelled.

    `whatever`: also when the job is cancelled, or has ended: this playbook undoes what another one has done.
    """
    directory = await asyncio.to_thread(_begin, job, path, f"hook-{facts['hook']}", whatever=whatever)
    request = {"directory": str(directory), "playbook": path, "facts": facts}
    work = asyncio.create_task(_work(request, directory, job.say))
    await (work if whatever else job.cancellable(work))
    await asyncio.to_thread(job.say, f"The playbook {path} is done.")


def _begin(job: MoveContext, path: str, phase: str, *, whatever: bool) -> Path:
    """Return the playbook's directory, in which nothing is at work any more. Raise Cancelled as `run_playbook` does."""
    said = f"Running the playbook {path}."
    if whatever:
        job.say(said, phase=phase)
    else:
        job.begin_phase(phase, said)
    directory = job.directory(phase)
    end_leftovers(directory)
    return directory


async def _work(request: Mapping[str, Any], directory: Path, on_message: Callable[[str], None]) -> None:
    """Run the playbook's process to its end. No process of it is left when this returns or raises."""
    log_path = directory / "hook.log"
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    try:
        answer, status = await ask("longshore.flows.moves.playbook", request, log_path, on_message, {"PATH": path})
    finally:
        await asyncio.shield(asyncio.to_thread(end_leftovers, directory))
    if "error" in answer:
        raise HookError(answer["error"], advice=f"Its output is in {directory}/artifacts.")
    if "done" not in answer:
        raise HookError(
            f"The process that ran {request['playbook']} ended unexpectedly (status {status}).",
            advice=f"Its log is {log_path}.",
        )


def end_leftovers(directory: Path) -> None:
    """Kill what is left of a playbook whose engine was killed: two at once would be worse than one begun again.

    Ansible's processes are in sessions of their own, which no signal to ours reaches. All of them carry the directory
    that ansible-runner gave the first one. One may start another while we look, so it takes a look that finds none.
    """
    mark = f"AWX_ISOLATED_DATA_DIR={directory}/".encode()
    end = time.monotonic() + TERM_GRACE
    while time.monotonic() < end:
        left = [process for process in Path("/proc").glob("[0-9]*") if _carries(process, mark)]
        if not left:
            return
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
        time.sleep(0.05)


def _carries(process: Path, mark: bytes) -> bool:
    try:
        return mark in (process / "environ").read_bytes()
    except OSError:
        return False
