"""Tokens that Keystone has called valid, kept in this process for a while."""

import json
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime

TOKENS = 2000  # kept at most; those that weren't used for longest go first. Each has some kilobytes


class TokenCache:
    """A cache that keystonemiddleware takes for its host's: `get` and `set`, as memcached's clients have them.

    Its keys are digests of tokens, so no token is kept here. It is in this process alone: whoever could write to a
    cache on the network could make tokens valid, and python-memcached even runs what it reads. Safe for threads.
    """

    def __init__(self, tokens: int = TOKENS) -> None:
        self._tokens = tokens
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        with self._lock:
            until, value = self._kept.get(key, (0.0, b""))
            if _now() >= until:
                self._kept.pop(key, None)
                return None
            self._kept.move_to_end(key)
            return value

    def set(self, key: str, value: bytes, time: int = 0) -> None:  # the names that the library calls
        """Keep a value for `time` seconds, or until the token itself ends."""
        until = _now() + min(time, _lives_for(value))
        with self._lock:
            self._kept[key] = until, value
            self._kept.move_to_end(key)
            while len(self._kept) > self._tokens:
                self._kept.popitem(last=False)


def _now() -> float:
    return time.monotonic()


def _lives_for(value: bytes) -> float:
    """Return the seconds that are left of a token, as Keystone described it."""
    ends = datetime.fromisoformat(json.loads(value)["token"]["expires_at"])
    return (ends - datetime.now(UTC)).total_seconds()
