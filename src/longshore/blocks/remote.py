"""NBD servers that run on another machine: reached, watched, and named like our own."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from longshore.blocks.endpoints import connect
from longshore.blocks.exports import Export
from longshore.errors import ExportError

if TYPE_CHECKING:
    import nbd

# Seconds. A machine that is gone says nothing: one that doesn't answer for this long in all is taken for gone.
_SILENCE, _BETWEEN_QUESTIONS, _QUESTIONS = 5, 2, 3


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
