"""Durable steps: what a workflow does outside itself, recorded so that a restart doesn't do it again.

A step is at-least-once: one that was in flight when the process died runs again, so each finds what an earlier run of
it made. What a step answers, or the error it ended with, is kept as plain JSON; a restarted workflow is given exactly
the same again, and so takes the same turns.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from longshore.engine.parking import raise_if_parked_for
from longshore.errors import LongshoreError
from longshore.model.forms import form

T = TypeVar("T")
_log = logging.getLogger("longshore.engine")


async def step(name: str, result: type[T], work: Callable[[], T | Awaitable[T]]) -> T:
    """Run `work` once for good, synchronous work in a thread.

    Raises LongshoreError, also for unforeseen errors; Parked where the job is to go on with this step another time.
    """
    from dbos import DBOS  # here: to load it takes tenths of a second, which commands that run no steps needn't wait

    adapter = form(result)

    async def recorded() -> dict[str, Any]:
        try:
            value = await work() if asyncio.iscoroutinefunction(work) else await asyncio.to_thread(work)
            return {"value": adapter.dump_python(value, mode="json")}  # type: ignore[arg-type]
        except LongshoreError as error:
            raise_if_parked_for(error)
            return {"error": {"code": error.code, "message": error.message, "advice": error.advice}}
        except Exception as error:  # noqa: BLE001 a bug must end in a roll-back, not in a workflow nobody finishes
            _log.exception("step %s failed unexpectedly", name)
            return {
                "error": {
                    "code": "internal",
                    "message": f"Step {name} failed in a way Longshore didn't foresee: {type(error).__name__}.",
                    "advice": "The engine's log has the details; please report it.",
                }
            }

    outcome: dict[str, Any] = await DBOS.run_step_async({"name": name}, recorded)
    if "error" in outcome:
        error = outcome["error"]
        raise LongshoreError(error["message"], advice=error["advice"], code=error["code"])
    return adapter.validate_python(outcome["value"])
