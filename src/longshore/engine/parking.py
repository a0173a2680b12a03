"""Jobs that can't go on keep what they have, and are tried again later: they are parked.

A step whose error may go by itself, or is for somebody else to mend, isn't recorded as failed. Its job stops there, as
if its process had died, lets go of its place, and says why. Whoever takes it again goes on with that step.
"""

import asyncio
from concurrent.futures import Future
from datetime import timedelta

from longshore.errors import FAULT, LongshoreError, NotInstalled, NotSharedAnyMore, Occupied, QuotaExceeded, Unreachable

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10))  # before a job is tried again
# Codes of errors: what passes by itself, or once somebody has made room, or shares a provider again
PARKS_FOR = frozenset(
    {
        Unreachable.code,
        Occupied.code,
        FAULT,  # what nobody knows is taken for what passes
        QuotaExceeded.code,
        NotInstalled.code,
        NotSharedAnyMore.code,
        "copy-stalled",
        "file-locked",
        "target-full",
    }
)

_listening: dict[str, Future[LongshoreError]] = {}


class Parked(BaseException):
    """No Exception: the durable engine records those as what a step came to."""

    def __init__(self, error: LongshoreError) -> None:
        super().__init__(str(error))
        self.error = error


def listen(job_id: str) -> "asyncio.Future[LongshoreError]":
    """Return a future that is done when the job, which runs in this process from now on, is parked: the durable engine
    tells of no such end."""
    told: Future[LongshoreError] = Future()
    _listening[job_id] = told
    return asyncio.wrap_future(told)


def stop_listening(job_id: str) -> None:
    _listening.pop(job_id, None)


def tell(job_id: str, error: LongshoreError) -> None:
    """Tell whoever listens that the job has let go of everything, and is parked for this error."""
    if (told := _listening.get(job_id)) is not None and not told.done():
        told.set_result(error)
