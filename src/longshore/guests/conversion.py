"""A guest made ready for its new hardware, in place, on all disks of its machine at once.

The work is done in a process of its own (`python -m longshore.guests`): libguestfs blocks and may crash, and both must
not be felt by the workflows. That process and everything it starts die with the one that asked, and on cancellation.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from longshore.errors import ConversionError
from longshore.guests.report import ConversionReport, NicName, OperatingSystem

TERM_GRACE = 5.0  # seconds between asking the process to end and killing it
LONGEST_LINE = 4 << 20  # bytes, of what the process says


async def convert(
    disks: Sequence[str], report_dir: Path, on_message: Callable[[str], None], *, nics: Sequence[NicName] = ()
) -> ConversionReport:
    """Convert the guest on these NBD URIs, the disk it boots from first, for virtio hardware.

    `on_message` gets a line for each thing done, on the caller's event loop. Logs are written to `report_dir`.
    `nics` are names to be kept where a Linux guest's configuration depends on them. Raises ConversionError; after that,
    and after cancellation, the disks are in doubt and have to be reverted.
    """
    report_dir.mkdir(parents=True, exist_ok=True)
    request = {
        "operation": "convert",
        "disks": list(disks),
        "directory": str(report_dir),
        "nics": [asdict(nic) for nic in nics],
    }
    return ConversionReport.from_json(await _run(request, report_dir / "conversion.log", on_message))


async def inspect_guest(disks: Sequence[str], report_dir: Path) -> OperatingSystem:
    """What operating system is on these NBD URIs; nothing is written to them. Raises ConversionError."""
    report_dir.mkdir(parents=True, exist_ok=True)
    request = {"operation": "inspect", "disks": list(disks), "directory": str(report_dir)}
    return OperatingSystem(**await _run(request, report_dir / "inspection.log", lambda _: None))


async def _run(request: Mapping[str, Any], log_path: Path, on_message: Callable[[str], None]) -> dict[str, Any]:
    """Ask our own process: a line of JSON in, lines of JSON out, the last being `result` or `error`."""
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig=KILL", "--", sys.executable, "-m", "longshore.guests"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=LONGEST_LINE,
            start_new_session=True,  # a group of its own, to be killed as a whole
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
        raise ConversionError(answer["error"]["message"], advice=answer["error"]["advice"])
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
