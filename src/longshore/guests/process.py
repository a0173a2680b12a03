"""The process of its own in which a guest is worked on: libguestfs blocks and may crash, and no one else shall feel it.

That process (`python -m longshore.guests`) and everything it starts die with the one that asked, and on cancellation.
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

from longshore.blocks.deadline import handed_on
from longshore.errors import ConversionError

TERM_GRACE = 5.0  # seconds between asking the process to end and killing it
LONGEST_LINE = 4 << 20  # bytes, of what the process says


async def work_on(request: Mapping[str, Any], log_path: Path, on_message: Callable[[str], None]) -> dict[str, Any]:
    """Have our own process do it: a line of JSON in, lines of JSON out, the last being `result` or `error`.

    `on_message` gets a line for each thing done, on the caller's event loop. Raises ConversionError.
    """
    deadline, inherited = handed_on()
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig=KILL", "--", sys.executable, "-m", "longshore.guests"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=LONGEST_LINE,
            start_new_session=True,  # a group of its own, to be killed as a whole
            env={**os.environ, **deadline},
            pass_fds=inherited,
        )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        with suppress(ConnectionError):  # it died at once; its status tells
            await process.stdin.drain()
        process.stdin.close()
        answer: dict[str, Any] = {}
        async for line in process.stdout:
            answer = json.loads(line)
            if "message" in answer:
                on_message(answer["message"])
        await process.wait()
    finally:
        await _end(process)
    if "error" in answer:
        error = answer["error"]
        raise ConversionError(error["message"], advice=error["advice"], code=error["code"])
    if "result" not in answer:
        raise ConversionError(
            f"The process that worked on the guest ended unexpectedly (status {process.returncode}).",
            advice=f"Its log is {log_path}.",
        )
    result: dict[str, Any] = answer["result"]
    return result


async def _end(process: asyncio.subprocess.Process) -> None:
    """Nothing of it is left when this returns."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        # Shielded: a second cancellation mustn't leave it running
        with suppress(TimeoutError):
            await asyncio.shield(asyncio.wait_for(process.wait(), TERM_GRACE))
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())
