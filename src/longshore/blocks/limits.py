"""Limits of how fast a copy may read: its own, and those that all copies of a group share.

Every disk is copied by a process of its own, so a group (a host, a datastore, a vCenter, a link) is a small JSON file
that each of its copies is given: {"bytes_per_second": 104857600, "requests": 16}, either of which may be null or
missing. Replacing the file changes the limits of running copies within RELOAD_EVERY seconds; one that says {} is there
for a limit that somebody may set later, and costs next to nothing until then.

Beside it lies FILE.state, which the copies share: the tokens left, and byte locks, one for each request in flight. The
kernel drops a process' locks with it, so a killed copy never keeps its share. docs/decisions/limits.md says why.
"""

import fcntl
import os
import struct
import time

from longshore.blocks.request import FilePath
from longshore.errors import InvalidInput

BURST = 0.1  # seconds' worth of bytes that may be read at once after a pause
PORTION = 0.02  # seconds' worth of bytes that a copy draws from its group at a time
RELOAD_EVERY = 0.2  # seconds
CLOCKS_DIFFER = 2.0  # seconds, at most, between machines that share a directory
SLOT_PAUSE = 0.002  # seconds until a request slot is asked for again: no event tells when one is free
_STATE = struct.Struct("<dd")  # tokens, and the time they were counted at
_STATE_LOCK = 1 << 20  # the byte of the state file that guards the tokens; slots are bytes before it


class TokenBucket:
    """Tokens for bytes, filled at a rate. A read may overdraw it; the next one waits until that is made up for."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._tokens = rate * BURST
        self._filled = time.monotonic()

    def pause(self) -> float:
        """Return the seconds until the next read may begin; 0 for now."""
        now = time.monotonic()
        self._tokens = min(self._tokens + (now - self._filled) * self._rate, self._rate * BURST)
        self._filled = now
        return max(0.0, -self._tokens / self._rate)

    def spend(self, length: int) -> None:
        self._tokens -= length


class SharedLimits:
    """Limits shared with the copies in other processes that name the same file."""

    def __init__(self, path: FilePath) -> None:
        self._path = path
        self._version: tuple[int, int] | None = None
        self._state = -1  # the descriptor of FILE.state, once there is a limit to share
        self._rate: int | None = None
        self._requests: int | None = None
        self._drawn = 0.0  # bytes drawn from the group and not read yet
        self._reserved: int | None = None  # a slot for the next request
        self._slots: list[int] = []  # of requests in flight
        self.look()

    @property
    def limits(self) -> bool:
        """Tell whether there is any limit now."""
        return self._rate is not None or self._requests is not None

    def pause(self) -> float:
        """Return the seconds until the next read may begin; 0 for now."""
        if self._rate is not None and self._drawn <= 0:
            wait = self._draw(self._rate)
            if wait > 0:
                return wait
        if self._requests is not None and self._reserved is None:
            self._reserved = self._free_slot(self._requests)
            if self._reserved is None:
                return SLOT_PAUSE
        return 0.0

    def spend(self, length: int) -> None:
        if self._rate is not None:  # what was read without a limit isn't owed when there is one
            self._drawn -= length

    def begin(self) -> None:
        """Note that the read that pause() allowed has begun."""
        if self._reserved is not None:
            self._slots.append(self._reserved)
            self._reserved = None

    def end(self) -> None:
        """Note that a read has been answered."""
        if self._slots:
            fcntl.lockf(self._state, fcntl.LOCK_UN, 1, self._slots.pop())

    def look(self) -> None:
        """Read the limits again if they were replaced. Raises InvalidInput."""
        try:
            found = os.stat(self._path)
            if (found.st_ino, found.st_mtime_ns) == self._version:
                return
            self._version = (found.st_ino, found.st_mtime_ns)
            with open(self._path) as file:
                limits = _parsed(file.read())
            rate = _limit(limits, "bytes_per_second")
            self._requests = _limit(limits, "requests")
        except OSError as error:
            raise InvalidInput(f"The limits in {self._path} can't be read: {error.strerror}.") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidInput(
                f"{self._path} doesn't hold limits.",
                advice='It should be like {"bytes_per_second": 104857600, "requests": 16}.',
            ) from error
        if rate is None:
            self._drawn = 0.0
        self._rate = rate
        if self.limits and self._state < 0:
            self._state = self._shared()

    def _shared(self) -> int:
        path = f"{self._path}.state"
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InvalidInput(f"The limits in {self._path} can't be shared: {path}: {error.strerror}.") from error

    def _draw(self, rate: int) -> float:
        """Take a portion for the next reads; seconds to wait when there is none."""
        fcntl.lockf(self._state, fcntl.LOCK_EX, 1, _STATE_LOCK)
        try:
            now = time.time()
            kept = os.pread(self._state, _STATE.size, 0)
            tokens, then = _STATE.unpack(kept) if len(kept) == _STATE.size else (rate * BURST, now)
            if not now - then >= -CLOCKS_DIFFER:  # somebody has set the clock back
                tokens, then = 0.0, now
            now = max(now, then)  # another machine's clock is ahead: the tokens are filled by that one alone
            tokens = min(tokens + (now - then) * rate, rate * BURST)
            # What the last reads took beyond their portion is paid back first
            portion = rate * PORTION - self._drawn
            if tokens > 0:
                tokens -= portion
                self._drawn += portion
            os.pwrite(self._state, _STATE.pack(tokens, now), 0)
        finally:
            fcntl.lockf(self._state, fcntl.LOCK_UN, 1, _STATE_LOCK)
        return 0.0 if self._drawn > 0 else max(-tokens / rate, SLOT_PAUSE)

    def _free_slot(self, requests: int) -> int | None:
        for slot in range(requests):
            place = _STATE.size + slot
            if place not in self._slots:  # our own lock wouldn't stop us
                try:
                    fcntl.lockf(self._state, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                except OSError:
                    continue
                return place
        return None


def _parsed(text: str) -> dict[str, object]:
    if text.strip() == "{}":  # most are like that, and what reads JSON takes a while to import
        return {}
    import json

    found: dict[str, object] = json.loads(text)
    return found


def _limit(limits: dict[str, object], name: str) -> int | None:
    value = limits.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or value <= 0:
        raise ValueError(name)
    return value


class CopyLimits:
    """All limits of one copy."""

    def __init__(self, rate: int | None, groups: tuple[FilePath, ...]) -> None:
        self._own = [TokenBucket(rate)] if rate else []
        self._groups = [SharedLimits(path) for path in groups]
        self._looked = time.monotonic()
        self._limiting = self._that_limit()

    def pause(self) -> float:
        """Return the seconds until the next read may begin; 0 for now. Raises InvalidInput when a file doesn't hold
        limits."""
        if self._groups and time.monotonic() - self._looked > RELOAD_EVERY:
            self._looked = time.monotonic()
            for group in self._groups:
                group.look()
            self._limiting = self._that_limit()
        return max((limit.pause() for limit in self._limiting), default=0.0)

    def begin(self) -> None:
        for group in self._groups:
            group.begin()

    def spend(self, length: int) -> None:
        for limit in self._limiting:
            limit.spend(length)

    def end(self) -> None:
        for group in self._groups:
            group.end()

    def _that_limit(self) -> list[TokenBucket | SharedLimits]:
        return [*self._own, *(group for group in self._groups if group.limits)]
