"""Waiting for what a cloud does in its own time. OpenStack's APIs have no events for tenants, so this asks again."""

import time
from collections.abc import Callable
from typing import TypeVar

from longshore.errors import ProviderError

T = TypeVar("T")

FIRST_PAUSE = 0.1  # seconds; on Ceph snapshots are there in a few tenths, small volumes in less than one
LONGEST_PAUSE = 3.0
_OVERSHOOT = 0.2  # what is done is noticed late by at most this part of the time that it took


def wait_for(read: Callable[[], T | None], *, what: str, timeout: float) -> T:
    """Call `read` until it answers something else than None. Raises ProviderError after `timeout` seconds.

    `what` completes "… didn't happen": for example "Volume web01 becoming available".
    """
    began = time.monotonic()
    deadline = began + timeout
    while True:
        answer = read()
        if answer is not None:
            return answer
        pause = min(max(FIRST_PAUSE, _OVERSHOOT * (time.monotonic() - began)), LONGEST_PAUSE)
        if time.monotonic() + pause > deadline:
            raise ProviderError(
                f"{what} took longer than {timeout:.0f} s.", advice="See the cloud's own logs for what holds it up."
            )
        time.sleep(pause)
