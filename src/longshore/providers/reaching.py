"""Connections to clouds: to addresses that may be reached, and for answers of bounded size that are there in time.

A name is resolved here, and the address that was looked at is the one that is connected to: a name server that tells
another one the next moment gains nothing.

An answer has a deadline as a whole, from the first byte of its status line on: each read from its socket waits for what
is left of it at most. `HttpsConnection` keeps to that by itself; another client of HTTP does as soon as its connections
make their responses of the class `Answer`.
"""

import http.client
import io
import math
import socket
import ssl
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from longshore.errors import AccessDenied, ProviderError
from longshore.model.reach import Reach

LARGEST_ANSWER = 64 << 20  # bytes, unpacked: a project's 50,000 ports have about as many
ANSWERED_WITHIN = 600.0  # seconds for a whole answer, however steadily it trickles
CONNECTED_WITHIN = 15.0  # seconds for TCP, to each address, and for TLS
_LONGEST_WAIT = 3600.0  # seconds; a socket takes no endless ones
_MOST_ADDRESSES = 4  # of a name that are tried: whoever owns it may give it hundreds where nobody answers


def addresses(host: str, port: int, reach: Reach | None) -> list[str]:
    """Return those addresses of a name that may be connected to. Raises AccessDenied when there are others only,
    OSError."""
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except UnicodeError:  # vcenter..example, or a part that is longer than names have
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
    permitted = [address for address in dict.fromkeys(found) if reach is None or reach.permits(address)]
    if not permitted:
        raise refused(host)
    return permitted[:_MOST_ADDRESSES]


def refused(host: str) -> AccessDenied:
    """The address itself isn't told: whoever named the host needn't know how this network resolves it."""
    return AccessDenied(
        f"{host} is at an address to which this server doesn't connect for its callers.",
        advice="If it should, its operator allows it (reach_allowed).",
        code="address-refused",
    )


def open_socket(host: str, port: int, timeout: float | None, reach: Reach | None) -> socket.socket:
    """Open a connection. Raises AccessDenied, OSError."""
    last: OSError | None = None
    for address in addresses(host, port, reach):
        try:
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            last = error
    assert last is not None
    raise last


class HttpsConnection(http.client.HTTPSConnection):
    """The standard library's, within `reach`. In somebody else's name an answer isn't taken compressed.

    `timeout`: seconds of silence. `answered_within`: seconds for a whole answer, ANSWERED_WITHIN if it isn't said. Who
    waits for an answer, or reads it, may get a ProviderError (answer-too-slow, answer-too-large).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        reach: Reach | None,
        timeout: float,
        context: ssl.SSLContext,
        answered_within: float | None = None,
    ) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._create_connection = self._open
        self._reach = reach
        kind = _WholeAnswer if reach is None else _PlainAnswer
        self.response_class = partial(kind, within=answered_within)  # type: ignore[assignment]

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self.timeout)

    def _open(self, address: tuple[str, int], timeout: float, _source: Any = None) -> socket.socket:
        return open_socket(*address, min(timeout, CONNECTED_WITHIN), self._reach)


class Answer(http.client.HTTPResponse):
    """Breaks off where it takes too long or gets too large, header included, unless `bound` is lifted.

    Waiting for it and reading it raise ProviderError then, and TimeoutError after a silence of the socket's timeout.
    """

    def __init__(self, sock: socket.socket, *args: Any, within: float | None = None, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.bound = Bound(within)
        self.fp.close()
        self.fp = io.BufferedReader(_Bounded(sock, self.bound))


class _WholeAnswer(Answer):
    def read(self, amt: int | None = None) -> bytes:
        """Reads all of it by pieces: Python makes room at once for as many bytes as the header says."""
        if amt is not None:
            return super().read(amt)
        return b"".join(iter(lambda: self.read(1 << 16), b""))


class _PlainAnswer(_WholeAnswer):
    def begin(self) -> None:
        super().begin()
        if (self.getheader("Content-Encoding") or "identity").lower() != "identity":
            raise ProviderError("It answered with something compressed, which wasn't asked for.")


class _Bounded(io.RawIOBase):
    """The bytes that come from a socket, as long as they are within the bound. The socket's own timeout is a limit of
    silence."""

    def __init__(self, sock: socket.socket, bound: "Bound") -> None:
        self._socket = sock
        self._silence = sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)
        self._bound = bound

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read into the buffer. Raises ProviderError, TimeoutError, OSError."""
        left = self._bound.seconds()
        self._socket.settimeout(left if self._silence is None else min(left, self._silence))
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            self._bound.seconds()  # raises, when it wasn't the silence that ended it
            raise
        finally:
            self._socket.settimeout(self._silence)
        self._bound.count(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class Bound:
    """The bound of what one answer may take."""

    def __init__(self, within: float | None = None) -> None:
        self._left: float = LARGEST_ANSWER
        self._within = ANSWERED_WITHIN if within is None else within
        self._until = time.monotonic() + self._within

    def lift(self) -> None:
        """Lift the bound for what is read by parts, and may be of any size."""
        self._left = self._until = math.inf

    def seconds(self) -> float:
        """Return the seconds that are left. Raises ProviderError when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise ProviderError(f"The cloud's answer took more than {self._within:.0f} s.", code="answer-too-slow")
        return min(left, _LONGEST_WAIT)

    def count(self, size: int) -> None:
        """Count bytes that came. Raises ProviderError when there are too many."""
        self._left -= size
        if self._left < 0:
            raise ProviderError(
                f"The cloud's answer has more than {LARGEST_ANSWER >> 20} MiB.", code="answer-too-large"
            )

    def all(self, parts: Iterator[bytes]) -> bytes:
        """Join all parts. Raises ProviderError when they are too much."""
        return b"".join(self._counted(parts))

    def _counted(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        for part in parts:
            self.count(len(part))
            yield part
