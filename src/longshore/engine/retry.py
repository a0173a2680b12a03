"""Trying again what may go better a moment later, and not what can't."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from longshore.errors import LongshoreError

T = TypeVar("T")
TRIES = 4
FIRST_PAUSE = 5.0  # seconds before the second try; each further one is three times as long

# What no second try changes: somebody has to decide or to mend something first.
LASTING = {
    "access-denied",
    "address-refused",
    "cancelled",
    "checkpoint-misfit",
    "checkpoint-refused",
    "conversion-limit",
    "copy-stalled",
    "file-locked",
    "fingerprint-mismatch",
    "invalid-input",
    "no-converter",
    "no-ssh-host-key",
    "no-vddk",
    "not-confined",
    "not-found",
    "occupied",
    "quiesce-failed",
    "quota-exceeded",
    "server-has-ssh-keys",
    "target-full",
    "target-read-only",
    "target-too-small",
    "vault-writer-lost",
    "verification-failed",
}


async def retry(work: Callable[[], Awaitable[T]], *, before_again: Callable[[LongshoreError], None]) -> T:
    """Return what `work` answers, after up to TRIES tries.

    `before_again` is told of each error that isn't the last, and may raise to stop the trying. Raise what the last try
    raised.
    """
    pause = FIRST_PAUSE
    for remaining in reversed(range(TRIES)):
        try:
            return await work()
        except LongshoreError as error:
            if remaining == 0 or error.code in LASTING:
                raise
            await asyncio.to_thread(before_again, error)
        await asyncio.sleep(pause)
        pause *= 3
    raise AssertionError("the last try answers or raises")
