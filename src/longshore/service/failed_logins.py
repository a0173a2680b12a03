"""Limits of failed log-ins: so many that nobody who mistypes is kept out, and too few for guessing.

Counted in this process alone. To Keystone all log-ins come from here, so it can't tell a guesser from others.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from unicodedata import combining, normalize

from longshore.errors import LongshoreError
from longshore.service.subscribers import network_of

WITHIN = 300.0  # seconds in which failures are counted
OF_ONE_AT_AN_ACCOUNT = 5  # from one address
OF_ONE = 30  # from one address, at whatever account
AT_AN_ACCOUNT = 50  # from wherever: more would let a stranger keep its owner out easily
_COUNTED = 10_000  # addresses and accounts; those that haven't failed for longest go first


class TooManyFailed(LongshoreError):
    """Log-ins from there, or to that account, fail too often."""

    code = "too-many-logins"


class FailedLogins:
    """Failed log-ins of one service. Safe from one event loop, or under a lock."""

    def __init__(self) -> None:
        self._failed: OrderedDict[bytes, list[float]] = OrderedDict()

    def begin(self, address: str, account: str) -> None:
        """Count a log-in as failed until it is said to have succeeded: so many tries at once find no way around.

        Raises TooManyFailed.
        """
        now = _now()
        for key, most in _counted(address, account):
            failed = [at for at in self._failed.get(key, ()) if at > now - WITHIN]
            if len(failed) >= most:
                minutes = max(1, round((failed[-most] + WITHIN - now) / 60))
                raise TooManyFailed("Too many log-ins have failed.", advice=f"Try again in {minutes} min.")
        for key, _most in _counted(address, account):
            known = [at for at in self._failed.pop(key, []) if at > now - WITHIN]
            self._failed[key] = [*known, now]
        while len(self._failed) > _COUNTED:
            self._failed.popitem(last=False)

    def succeeded(self, address: str, account: str) -> None:
        """Take the log-in that was begun last off the count of failures.

        So is anything that this address did at this account before.
        """
        (own, _), *others = _counted(address, account)
        self._failed.pop(own, None)
        for key, _most in others:
            if self._failed.get(key):
                self._failed[key].pop()


def _counted(address: str, account: str) -> Sequence[tuple[bytes, int]]:
    """Return what failures are counted by, and how many each may have.

    It is digests, so that what is kept is small whatever somebody types, and names nobody. Whoever has one address of
    IPv6 has as many as they like beside it. And databases take "ánn" for "Ann": so do we.
    """
    address = network_of(address)
    account = "".join(letter for letter in normalize("NFKD", account).casefold() if not combining(letter))
    return [
        (_digest("both", address, account), OF_ONE_AT_AN_ACCOUNT),
        (_digest("address", address), OF_ONE),
        (_digest("account", account), AT_AN_ACCOUNT),
    ]


def _digest(*words: str) -> bytes:
    return hashlib.sha256("\0".join(words).encode()).digest()


def _now() -> float:
    return time.monotonic()
