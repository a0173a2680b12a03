"""Reads and writes on a connection's own socket, one at a time, for threads that do nothing else.

libnbd connects and negotiates. What comes after that is simple as long as one answer at most is to come: a header of
28 bytes and perhaps data one way, one of 16 bytes and perhaps data the other way
(https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, "Transmission phase", simple replies). Spoken
straight to the socket, it costs less processor time than through libnbd: no state machine between the system
calls, no other thread to wake up, and the bytes of a read arrive in memory that is used again and again.
"""

import errno
import os
import struct
from contextlib import suppress

from longshore.blocks.endpoints import connect

_REQUEST = struct.Struct(">IHHQQI")  # magic, flags, type, cookie, offset, length
_ANSWER = struct.Struct(">IIQ")  # magic, error, cookie
_REQUEST_MAGIC, _ANSWER_MAGIC = 0x25609513, 0x67446698
_READ, _WRITE, _DISCONNECT, _WRITE_ZEROES = 0, 1, 2, 6


class Refused(OSError):
    """The server's answer is an error; the connection is as good as before."""


class Wire:
    """A connection to a server that is spoken to without TLS. For one thread.

    The server works on one request at a time, and the thread may do something else meanwhile: between `ask` and `take`,
    and after `write` until the next call. All calls raise Refused, or another OSError when the connection is lost.
    """

    def __init__(self, uri: str) -> None:
        """Connect. Raises CopyError when the server can't be reached or refuses."""
        self._handle = connect(uri, structured=False)
        self._fd = self._handle.aio_get_fd()  # libnbd leaves it alone until it is told to do something
        os.set_blocking(self._fd, True)
        self._answer = memoryview(bytearray(_ANSWER.size))
        self._cookie = 0
        self._unconfirmed = False  # whether the answer to a write is to come

    def read(self, into: memoryview, offset: int) -> None:
        """Fill the memory with what is at that offset of the disk."""
        self.ask(len(into), offset)
        self.take(into)

    def ask(self, length: int, offset: int) -> None:
        """Ask for so many bytes at that offset of the disk; the next call must take them."""
        self.confirm()
        self._send(self._request(_READ, offset, length))

    def take(self, into: memoryview) -> None:
        """Wait for what was asked for, and fill the memory with it."""
        have = os.readv(self._fd, [self._answer, into])
        self._check_answer(have)
        have = max(0, have - _ANSWER.size)
        while have < len(into):
            have += self._receive(into[have:])

    def write(self, data: memoryview, offset: int) -> None:
        """Send the data for that offset of the disk; whether it was written is told by `confirm`.

        The memory may be used again at once.
        """
        self.confirm()
        self._unconfirmed = True
        request = self._request(_WRITE, offset, len(data))
        sent = os.writev(self._fd, [request, data])
        self._send(request[sent:])
        self._send(data[max(0, sent - len(request)) :])

    def confirm(self) -> None:
        """Wait until the latest write is done."""
        if self._unconfirmed:
            self._unconfirmed = False
            self._check_answer(0)

    def zero(self, length: int, offset: int) -> None:
        """Have so many bytes at that offset of the disk read as zeroes from now on; the server may free them."""
        self.confirm()
        self._send(self._request(_WRITE_ZEROES, offset, length))
        self._check_answer(0)

    def close(self) -> None:
        """Say goodbye, so that the server knows that this was meant."""
        with suppress(OSError):
            self._send(self._request(_DISCONNECT, 0, 0))
        del self._handle  # closes the socket

    def _request(self, kind: int, offset: int, length: int) -> bytes:
        self._cookie += 1
        return _REQUEST.pack(_REQUEST_MAGIC, 0, kind, self._cookie, offset, length)

    def _check_answer(self, have: int) -> None:
        """Receive the rest of the answer's header, of which the first bytes are there, and see what it says."""
        while have < _ANSWER.size:
            have += self._receive(self._answer[have:])
        magic, error, cookie = _ANSWER.unpack(self._answer)
        if magic != _ANSWER_MAGIC or cookie != self._cookie:
            raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
        if error:
            raise Refused(error, os.strerror(error))  # the protocol's numbers are Linux's

    def _send(self, data: bytes | memoryview) -> None:
        while data:
            data = data[os.write(self._fd, data) :]

    def _receive(self, into: memoryview) -> int:
        if not (received := os.readv(self._fd, [into])):
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        return received
