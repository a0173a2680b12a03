"""A guest is worked on in a process of its own: libguestfs blocks and may crash, and nobody else shall feel it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from longshore.blocks.child import ask
from longshore.errors import ConversionError


async def work_on(request: Mapping[str, Any], log_path: Path, on_message: Callable[[str], None]) -> dict[str, Any]:
    """Have `python -m longshore.guests` do it; the last thing it says is `result` or `error`.

    `on_message` gets a line for each thing done, on the caller's event loop. Raises ConversionError.
    """
    answer, status = await ask("longshore.guests", request, log_path, on_message)
    if "error" in answer:
        error = answer["error"]
        raise ConversionError(error["message"], advice=error["advice"], code=error["code"])
    if "result" not in answer:
        raise ConversionError(
            f"The process that worked on the guest ended unexpectedly (status {status}).",
            advice=f"Its log is {log_path}.",
        )
    result: dict[str, Any] = answer["result"]
    return result
