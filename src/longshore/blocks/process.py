"""Runs a copy in a process of its own: a crash stays there, and no other Python thread slows it down."""

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import longshore.errors
from longshore.blocks.request import CopyProgress, CopyRequest, CopyResult, Phase
from longshore.errors import CopyError, LongshoreError
from longshore.model.extents import Extent
from longshore.model.verify import Verify
from longshore.processes.deadline import handed_on
from longshore.processes.parent import die_with_parent

if TYPE_CHECKING:
    from longshore.blocks.exports import Export

CANCEL_TIME = 3.0  # seconds a copy gets to leave its checkpoint in order before it is killed
LONGEST_LINE = 1 << 26  # bytes; the result names every range that was repaired


async def run_copy(
    request: CopyRequest, on_progress: Callable[[CopyProgress], None], *, exports: Sequence["Export"] = ()
) -> CopyResult:
    """Run `longshore copy` for this request, and tell how it goes.

    Cancelling the task stops the copy within a second, with its checkpoint valid. The process dies with ours, and ends
    with our deadline, if we have one. When one
    of `exports` (the servers of source and target, if they are ours) dies, the copy ends at once instead of waiting for
    it to come back. Raises what the copy raised (CopyError and its kin, InvalidInput), CopyError when its process
    crashed, ExportError with the server's last words.
    """
    from longshore.blocks.command import arguments_of

    # Files without names: whoever is killed leaves none
    with ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile())
        changes_file, inherited = None, []
        if request.changes is not None:
            changes = os.memfd_create("longshore-changes")
            with os.fdopen(os.dup(changes), "w") as file:
                json.dump(request.changes, file)
            stack.callback(os.close, changes)
            inherited.append(changes)
            changes_file = f"/dev/fd/{changes}"
        deadline, inherited_too = handed_on()
        process = await asyncio.create_subprocess_exec(
            *die_with_parent(sys.executable, "-m", "longshore.blocks", *arguments_of(request, changes_file)),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=log,
            limit=LONGEST_LINE,
            env={**os.environ, **deadline},
            pass_fds=[*inherited, *inherited_too],
            start_new_session=True,  # Ctrl-C is for us; we tell it in our own time
        )
        dead = _watch(exports, process)
        try:
            async for event in _events(process):
                match event.pop("event"):
                    case "progress":
                        on_progress(CopyProgress(**{**event, "phase": Phase(event["phase"])}))
                    case "result":
                        await process.wait()
                        return _result(event)
                    case "error":
                        await process.wait()
                        for export in dead:
                            await asyncio.to_thread(export.check)  # one elsewhere is asked over the network
                        raise _error(event)
            status = await process.wait()
        finally:
            for export in exports:
                asyncio.get_running_loop().remove_reader(export.fileno())
            await _end(process)
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
        raise CopyError(
            f"The process that copied {request.disk} ended unexpectedly (exit status {status})"
            f"{': ' + lines[-1] if lines else ''}.",
            advice="Run it again: with a checkpoint it goes on where it stopped.",
            code="copy-crashed",
        )


def _watch(exports: Sequence["Export"], process: Process) -> list["Export"]:
    """Watch the exports while the process runs: when one dies, the copy is told to end. Returns the list that the dead
    ones are added to."""
    dead: list[Export] = []
    loop = asyncio.get_running_loop()

    def died(export: "Export") -> None:
        loop.remove_reader(export.fileno())
        dead.append(export)
        with suppress(ProcessLookupError):
            process.terminate()

    for export in exports:
        loop.add_reader(export.fileno(), died, export)
    return dead


async def _events(process: Process) -> AsyncIterator[dict[str, Any]]:
    assert process.stdout is not None
    async for line in process.stdout:
        yield json.loads(line)


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), CANCEL_TIME)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _result(event: dict[str, Any]) -> CopyResult:
    repaired = tuple(Extent(*extent) for extent in event["repaired"])
    return CopyResult(**{**event, "repaired": repaired, "verify": Verify(event["verify"])})


def _error(event: dict[str, Any]) -> LongshoreError:
    kind = getattr(longshore.errors, event["type"], CopyError)
    error: LongshoreError = kind(event["message"], advice=event["advice"], code=event["code"])
    return error
