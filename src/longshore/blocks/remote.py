"""NBD servers that run on another machine: reached, watched, and named like our own."""

from __future__ import annotations

import math
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from longshore.blocks.endpoints import connect
from longshore.blocks.exports import Export
from longshore.errors import ExportError

if TYPE_CHECKING:
    import nbd

# Seconds. A machine that is gone says nothing: one that doesn't answer for this long in all is taken for gone.
_SILENCE, _BETWEEN_QUESTIONS, _QUESTIONS = 5, 2, 3
_ANSWER_WITHIN = 10.0  # seconds until a server that lives has said what it serves


class RemoteExport(Export):
    """A connection is kept open only to see that the server lives; the bytes go over others."""

    def __init__(self, name: str, uri: str, watch: nbd.NBD, last_words: Callable[[], str]) -> None:
        super().__init__(name, uri)
        self.size: int = watch.get_size()  # bytes
        self._watch = watch
        self._last_words = last_words
        with socket.socket(fileno=watch.aio_get_fd()) as connection:
            try:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENCE)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _BETWEEN_QUESTIONS)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _QUESTIONS)
            finally:
                connection.detach()  # it is libnbd's

    def fileno(self) -> int:
        descriptor: int = self._watch.aio_get_fd()
        return descriptor

    def check(self) -> None:
        watched = select.poll()
        watched.register(self.fileno(), select.POLLIN)
        if watched.poll(0):  # nothing was asked on it, so what comes can only be its end
            raise ExportError(f"{self.name} can't be reached any more{self.said().rstrip('.')}.")

    def last_words(self) -> str:
        return self._last_words()


def list_exports(uri: str, *, name: str, within: float | None = None) -> list[str]:
    """Return the names of all that the server at a URI exports. `name` begins the sentences about it. Raises
    ExportError when it doesn't answer within that many seconds (None: what a server that lives may take)."""
    import nbd

    handle = nbd.NBD()
    handle.set_uri_allow_local_file(True)
    handle.set_opt_mode(True)
    found: list[str] = []
    told: list[int] = []  # errors, or 0, once the list is complete

    def complete(error: Any) -> int:
        told.append(error.value)
        return 1

    # Whatever takes a connection may never say a word, as the kernel of a machine does whose disk hangs
    end = time.monotonic() + (_ANSWER_WITHIN if within is None else within)
    try:
        handle.aio_connect_uri(uri)
        _wait(handle, handle.aio_is_negotiating, end, name)
        handle.aio_opt_list(lambda export, _description: found.append(export), complete)
        _wait(handle, lambda: bool(told), end, name)
    except nbd.Error as error:
        raise ExportError(f"{name} didn't answer: {error.string}.") from None
    if told[0]:
        raise ExportError(f"{name} didn't answer: {os.strerror(told[0])}.")
    with suppress(nbd.Error):  # a goodbye, and no more
        handle.aio_opt_abort()
    return found


def flush(uri: str, *, name: str) -> None:
    """Have all that was written to the export at a URI be on its disk. `name` begins the sentences about it. Raises
    CopyError when it can't be reached, ExportError when it doesn't do so."""
    handle = connect(uri)
    import nbd

    try:
        handle.flush()
        handle.shutdown()
    except nbd.Error as error:
        raise ExportError(f"{name} didn't write to its disk all that it had taken: {error.string}.") from error


def _wait(handle: nbd.NBD, done: Callable[[], bool], end: float, name: str) -> None:
    while not done():
        left = end - time.monotonic()
        if left <= 0:
            raise ExportError(f"{name} didn't answer in time.")
        handle.poll(math.ceil(left * 1000))


@contextmanager
def reach(uri: str, *, name: str, last_words: Callable[[], str]) -> Iterator[RemoteExport]:
    """Open the export at a URI while the context is entered. `name` begins the sentences about it, `last_words` is
    asked when it is gone.

    Raises CopyError when it can't be opened.
    """
    watch = connect(uri)
    import nbd

    try:
        yield RemoteExport(name, uri, watch, last_words)
    finally:
        with suppress(nbd.Error):
            watch.shutdown()
