"""Connections to clouds: to addresses that may be reached, and for answers of bounded size.

A name is resolved here, and the address that was looked at is the one that is connected to: a name server that tells
another one the next moment gains nothing.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

from longshore.errors import AccessDenied, ProviderError
from longshore.model.reach import Reach

LARGEST_ANSWER = 64 << 20  # bytes, unpacked: a project's 50,000 ports have about as many
ANSWERED_WITHIN = 600.0  # seconds for a whole answer, however steadily it trickles


def addresses(host: str, port: int, reach: Reach | None) -> list[str]:
    """Those of a name that may be connected to. Raises AccessDenied when there are others only, OSError."""
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    permitted = [address for address in dict.fromkeys(found) if reach is None or reach.permits(address)]
    if not permitted:
        raise refused(host)
    return permitted


def refused(host: str) -> AccessDenied:
    """The address itself isn't told: whoever named the host needn't know how this network resolves it."""
    return AccessDenied(
        f"{host} is at an address to which this server doesn't connect for its callers.",
        advice="If it should, its operator allows it (reach_allowed).",
        code="address-refused",
    )


def open_socket(host: str, port: int, timeout: float | None, reach: Reach | None) -> socket.socket:
    """Raises AccessDenied, OSError."""
    if reach is None:
        return socket.create_connection((host, port), timeout)
    last: OSError | None = None
    for address in addresses(host, port, reach):
        try:
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            last = error
    assert last is not None
    raise last


class HttpsConnection(http.client.HTTPSConnection):
    """The standard library's, within `reach`. In somebody else's name an answer isn't taken compressed."""

    def __init__(self, host: str, port: int, *, reach: Reach | None, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._create_connection = self._open
        self._reach = reach
        self.response_class = _Answer if reach is None else _PlainAnswer

    def _open(self, address: tuple[str, int], timeout: float | None, _source: Any = None) -> socket.socket:
        return open_socket(*address, timeout, self._reach)


class _Answer(http.client.HTTPResponse):
    """Breaks off where it gets too large, or takes too long. Raises ProviderError."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bound = Bound()

    def read(self, amt: int | None = None) -> bytes:
        if amt is not None:
            return self._bound.count(super().read(amt))
        return b"".join(iter(lambda: self.read(1 << 16), b""))


class _PlainAnswer(_Answer):
    def begin(self) -> None:
        super().begin()
        if (self.getheader("Content-Encoding") or "identity").lower() != "identity":
            raise ProviderError("It answered with something compressed, which wasn't asked for.")


class Bound:
    """What one answer may take."""

    def __init__(self) -> None:
        self._left = LARGEST_ANSWER
        self._until = time.monotonic() + ANSWERED_WITHIN

    def count(self, part: bytes) -> bytes:
        """Raises ProviderError."""
        self._left -= len(part)
        if self._left < 0:
            raise ProviderError(
                f"The cloud's answer has more than {LARGEST_ANSWER >> 20} MiB.", code="answer-too-large"
            )
        if time.monotonic() > self._until:
            raise ProviderError(f"The cloud's answer took more than {ANSWERED_WITHIN:.0f} s.", code="answer-too-slow")
        return part

    def all(self, parts: Iterator[bytes]) -> bytes:
        """Raises ProviderError."""
        return b"".join(map(self.count, parts))
