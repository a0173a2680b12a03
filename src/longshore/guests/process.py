"""A guest is worked on in a process of its own: libguestfs blocks and may crash, and must not take other jobs down.

That process starts another one, confined, which alone touches the guest's disks: see longshore.processes.launcher.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from longshore.errors import ConversionError
from longshore.guests.confined import NONSENSE
from longshore.guests.limits import GuestLimits
from longshore.guests.start import acceleration
from longshore.processes.child import ask

T = TypeVar("T")


async def work_on(
    shape: type[T], request: Mapping[str, Any], log_path: Path, on_message: Callable[[str], None], limits: GuestLimits
) -> T:
    """Have `python -m longshore.guests` do it; the last thing it says is `result`, which has this shape, or `error`.

    The directory of the log is made. `on_message` gets a line for each thing done, on the caller's event loop. Raises
    ConversionError.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    environment = await asyncio.to_thread(acceleration)
    answer, status = await ask(
        "longshore.guests", {**request, "limits": asdict(limits)}, log_path, on_message, environment
    )
    look = f"Its log is {log_path}."
    if "error" in answer:
        error = answer["error"]
        raise ConversionError(error["message"], advice=error["advice"] or look, code=error["code"])
    if "result" not in answer:
        raise ConversionError(
            f"The process that worked on the guest ended unexpectedly (status {status}).", advice=look
        )
    try:
        return TypeAdapter(shape).validate_python(answer["result"])
    except ValidationError:  # its text holds what was said
        raise ConversionError(NONSENSE, advice=look) from None
