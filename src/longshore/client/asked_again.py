"""Sending a request again whose connection broke, as when the server or its address goes to another machine."""

from types import TracebackType
from typing import Self

from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry


class AskedAgain(Retry):
    """Requests that only read are sent again for seven seconds. Others might be done twice, and are only sent again,
    for as long, where nobody took the connection. An answer that takes too long isn't asked for again: it would take as
    long.
    """

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


# At once, and after 1, 2 and 4 seconds more
ASKED_AGAIN = AskedAgain(total=4, redirect=0, status=0, other=0, backoff_factor=0.5, allowed_methods=("GET",))
