"""Reads and writes on a connection's own socket, for threads that do nothing else.

libnbd connects and negotiates. What comes after that is simple as long as whoever asks then waits: a header of
28 bytes and perhaps data one way, one of 16 bytes and perhaps data the other way
(https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, "Transmission phase", simple replies). Spoken
straight to the socket, it costs less processor time than through libnbd: no state machine between the system
calls, no other thread to wake up, and the bytes of a read arrive in memory that is used again and again.
"""

import errno
import os
import socket
import struct
from contextlib import suppress

from longshore.blocks.endpoints import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Awaited = TypeVar("Awaited")

_REQUEST = struct.Struct(">IHHQQI")  # magic, flags, type, cookie, offset, length
_ANSWER = struct.Struct(">IIQ")  # magic, error, cookie
_REQUEST_MAGIC, _ANSWER_MAGIC = 0x25609513, 0x67446698
_READ, _WRITE, _DISCONNECT, _WRITE_ZEROES = 0, 1, 2, 6
_MOST_UNCONFIRMED = 16  # as many as qemu-nbd and nbdkit work on at a time; their answers fit into any socket's queue
_QUEUE = 1 << 20  # bytes; the system grants what its net.core.wmem_max allows


class RequestRefused(OSError):
    """The server's answer is an error; the connection is as good as before."""


class Wire:
    """A connection to a server that is spoken to without TLS. For one thread.

    A read is waited for; or several are asked for, and come in any order. Writes and zeroes are sent one after the
    other, and the server may work on all of them at once, in whatever order, until `confirm`: none may touch what
    another does. All calls raise RequestRefused, or another OSError when the connection is lost; that a write was
    refused may be told by any later call.
    """

    def __init__(self, uri: str) -> None:
        """Connect. Raises CopyError when the server can't be reached or refuses."""
        self._handle = connect(uri, structured=False)
        self._fd = self._handle.aio_get_fd()  # libnbd leaves it alone until it is told to do something
        os.set_blocking(self._fd, True)
        _lengthen_queue(self._fd)
        self._answer = memoryview(bytearray(_ANSWER.size))
        self._cookie = 0
        self._unconfirmed: dict[int, None] = {}  # cookies of the writes and zeroes whose answers are to come
        self._asked: dict[int, tuple[int, memoryview]] = {}  # by cookie, that and where what was asked for belongs

    def read(self, into: memoryview, offset: int) -> None:
        """Fill the memory with what is at that offset of the disk."""
        self.confirm()
        self._send(self._request(_READ, offset, len(into)))
        have = os.readv(self._fd, [self._answer, into])
        self._check_answer(have, {self._cookie: None})
        self._fill(into[max(0, have - _ANSWER.size) :])

    def ask(self, into: memoryview, offset: int) -> int:
        """Have the memory filled with what is at that offset of the disk. The number that `answered` has for it."""
        request = self._request(_READ, offset, len(into))
        self._asked[self._cookie] = self._cookie, into
        self._send(request)
        return self._cookie

    def answered(self) -> int:
        """Wait for one of those that were asked for. Which one it is; its memory is filled."""
        number, into = self._check_answer(0, self._asked)
        self._fill(into)
        return number

    def write(self, data: memoryview, offset: int) -> None:
        """Send the data for that offset of the disk. The memory may be used again at once."""
        request = self._begin(_WRITE, offset, len(data))
        sent = os.writev(self._fd, [request, data])
        self._send(request[sent:])
        self._send(data[max(0, sent - len(request)) :])

    def zero(self, length: int, offset: int) -> None:
        """Have so many bytes at that offset of the disk read as zeroes from now on; the server may free them."""
        self._send(self._begin(_WRITE_ZEROES, offset, length))

    def confirm(self) -> None:
        """Wait until all writes and zeroes are done, or refused; raise the first error."""
        refused: RequestRefused | None = None
        while self._unconfirmed:
            try:
                self._check_answer(0, self._unconfirmed)
            except RequestRefused as error:
                refused = refused or error
        if refused:
            raise refused

    def close(self) -> None:
        """Say goodbye, so that the server knows that this was meant.

        What was asked for is waited for: nbdkit 1.32 aborts when it can't be told any more.
        """
        with suppress(OSError):
            while self._asked:
                with suppress(RequestRefused):
                    self.answered()
            self._send(self._request(_DISCONNECT, 0, 0))
        del self._handle  # closes the socket

    def _request(self, kind: int, offset: int, length: int) -> bytes:
        self._cookie += 1
        return _REQUEST.pack(_REQUEST_MAGIC, 0, kind, self._cookie, offset, length)

    def _begin(self, kind: int, offset: int, length: int) -> bytes:
        """Return the header of one more request that is confirmed later, after checking an answer where no more may
        wait."""
        if len(self._unconfirmed) == _MOST_UNCONFIRMED:
            self._check_answer(0, self._unconfirmed)
        request = self._request(kind, offset, length)
        self._unconfirmed[self._cookie] = None
        return request

    def _check_answer(self, have: int, awaited: "dict[int, Awaited]") -> "Awaited":
        """Receive the rest of the answer's header, of which the first bytes are there, and see what it says.

        Answers what is noted of its request, and takes that from what is awaited.
        """
        self._fill(self._answer[have:])
        magic, error, cookie = _ANSWER.unpack(self._answer)
        if magic != _ANSWER_MAGIC or cookie not in awaited:
            raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
        noted = awaited.pop(cookie)
        if error:
            raise RequestRefused(error, os.strerror(error))  # the protocol's numbers are Linux's
        return noted

    def _send(self, data: bytes | memoryview) -> None:
        while data:
            data = data[os.write(self._fd, data) :]

    def _fill(self, into: memoryview) -> None:
        while into:
            if not (received := os.readv(self._fd, [into])):
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            into = into[received:]


def _lengthen_queue(descriptor: int) -> None:
    """Let a local socket take more than its usual 208 KiB before whoever writes has to wait for whoever reads.

    The system lengthens those of TCP by itself, and no longer does so once it has been told.
    """
    with socket.socket(fileno=os.dup(descriptor)) as ours:
        if ours.family == socket.AF_UNIX:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _QUEUE)
