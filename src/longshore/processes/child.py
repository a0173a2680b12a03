"""A process of our own that is told what to do in a line of JSON, and says how it goes in further lines.

What crashes, blocks or can't be cancelled is done in one. It and everything it starts die with whoever asked, end with
its deadline, and are gone when nobody waits for them any more.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from longshore.processes.deadline import handed_on
from longshore.processes.parent import die_with_parent

TERM_GRACE = 5.0  # seconds between asking the process to end and killing it
LONGEST_LINE = 4 << 20  # bytes, of what the process says


async def ask(
    module: str,
    request: Mapping[str, Any],
    log_path: Path,
    on_message: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], int | None]:
    """Run `python -m module`: the last thing it said, and its exit status.

    `on_message` gets each line's `message`, one after the other, in a thread; the process' standard error goes to the
    log.
    """
    deadline, inherited = handed_on()
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *die_with_parent(sys.executable, "-m", module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=LONGEST_LINE,
            start_new_session=True,  # a group of its own, to be killed as a whole
            env={**os.environ, **deadline, **(environment or {})},
            pass_fds=inherited,
        )
    assert process.stdin is not None and process.stdout is not None
    answer: dict[str, Any] = {}
    try:
        process.stdin.write(json.dumps(request, default=str).encode() + b"\n")
        with suppress(ConnectionError):  # it died at once; its status tells
            await process.stdin.drain()
        process.stdin.close()
        async for line in process.stdout:
            answer = json.loads(line)
            if "message" in answer:
                await asyncio.to_thread(on_message, answer["message"])
        await process.wait()
    finally:
        await _end(process)
    return answer, process.returncode


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process. Nothing of it is left when this returns."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        # Shielded: a second cancellation mustn't leave it running
        with suppress(TimeoutError):
            await asyncio.shield(asyncio.wait_for(process.wait(), TERM_GRACE))
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())
