"""An NBD server of our own for one disk, of a vault as a rule, on a Unix socket: a thread for each connection.

It speaks what the copy engine, qemu and nbdkit's clients ask for (doc/proto.md of NetworkBlockDevice/nbd): fixed
newstyle, structured replies, base:allocation, writing of zeroes, several connections. What it can't read or keep is an
error of that request; why goes to standard error.
"""

import errno
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple, Protocol

from longshore.errors import LongshoreError
from longshore.vault.disks import NewDisk, Range, pieces
from longshore.vault.errors import Damaged, VaultFull
from longshore.vault.geometry import BLOCK

LARGEST = 1 << 25  # bytes of a request
_MOST_RANGES = 1024  # in an answer
_MOST_PARTS = 512  # handed to the kernel at once, which takes 1,024 at most
_MAGIC, _OPTION, _OPTION_REPLY = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9
_REQUEST, _SIMPLE, _STRUCTURED = 0x25609513, 0x67446698, 0x668E33EF
_HEAD = struct.Struct(">IHHQQI")
_CHUNK = struct.Struct(">IHHQI")
_GO, _LIST_META, _SET_META = 7, 9, 10  # options that are told apart from others of their kind
_ACK, _SERVER, _INFO_REPLY, _META_REPLY, _UNSUPPORTED = 1, 2, 3, 4, (1 << 31) | 1
_READ, _WRITE, _DISCONNECT, _FLUSH, _TRIM, _ZERO, _STATUS = 0, 1, 2, 3, 4, 6, 7
_ALLOCATION = b"base:allocation"
_ONE = 1 << 3  # a flag of a request: one range is enough


class ReadableDisk(Protocol):
    """One that is served. Its methods are called from several threads, and may raise LongshoreError."""

    size: int
    description: str  # for who connects

    def parts(self, offset: int, length: int) -> list[bytes]:
        """Read a range within the disk, in pieces."""

    def ranges(self, offset: int, length: int) -> Iterator[Range]:
        """Return what is known to be zero of a range, and what isn't, in order and without gaps."""


class _Asked(NamedTuple):
    """A request, as its header has it."""

    flags: int
    command: int
    cookie: int
    offset: int
    length: int


class _Gone(Exception):
    """The client has."""


def serve(
    listening: socket.socket, disk: ReadableDisk, damaged: Callable[[Damaged], None] = lambda _error: None
) -> None:
    """Serve a disk to all who connect, until the process is ended or the socket is shut down. `damaged` is called when
    something that was asked for is."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError as error:
            if error.errno in (errno.EBADF, errno.EINVAL):  # it is closed, or shut down
                return
            raise
        threading.Thread(target=_answer, args=(connection, disk, damaged), daemon=True).start()


def _answer(connection: socket.socket, disk: ReadableDisk, damaged: Callable[[Damaged], None]) -> None:
    with connection, suppress(_Gone, OSError):
        _Connection(connection, disk, damaged).answer()


class _Connection:
    def __init__(self, connection: socket.socket, disk: ReadableDisk, damaged: Callable[[Damaged], None]) -> None:
        self._socket = connection
        self._damaged = damaged
        self._disk = disk
        self._new = disk if isinstance(disk, NewDisk) else None
        self._structured = False
        self._ranges = False
        self._block = bytearray(BLOCK)  # what is being written, a block at a time

    def answer(self) -> None:
        self._socket.sendall(struct.pack(">QQH", _MAGIC, _OPTION, 3))
        (flags,) = struct.unpack(">I", self._receive(4))
        while not self._option(no_zeroes=bool(flags & 2)):
            pass
        while self._request():
            pass

    def _flags(self) -> int:
        """Return the export's flags: has flags, several connections; then either read-only, or flush, trim, writing
        zeroes."""
        return 1 | 1 << 8 | (1 << 1 if self._new is None else 1 << 2 | 1 << 5 | 1 << 6)

    def _option(self, *, no_zeroes: bool) -> bool:
        """Answer an option. Returns whether requests follow."""
        magic, option, length = struct.unpack(">QII", self._receive(16))
        if magic != _OPTION or length > 1 << 16:
            raise _Gone
        data = self._receive(length)
        match option:
            case 1:  # export name
                self._socket.sendall(
                    struct.pack(">QH", self._disk.size, self._flags()) + bytes(0 if no_zeroes else 124)
                )
                return True
            case 2:  # abort
                self._reply(option, _ACK)
                raise _Gone
            case 3:  # list
                self._reply(option, _SERVER, struct.pack(">I", 0))
                self._reply(option, _ACK)
            case 6 | 7:  # info, go
                self._reply(option, _INFO_REPLY, struct.pack(">HQH", 0, self._disk.size, self._flags()))
                self._reply(option, _INFO_REPLY, struct.pack(">HIII", 3, 1, BLOCK, LARGEST))
                self._reply(option, _INFO_REPLY, struct.pack(">H", 2) + self._disk.description.encode())
                self._reply(option, _ACK)
                return bool(option == _GO)
            case 8:  # structured replies
                self._structured = True
                self._reply(option, _ACK)
            case 9 | 10:  # list, set meta contexts
                self._meta(option, data)
            case _:
                self._reply(option, _UNSUPPORTED)
        return False

    def _meta(self, option: int, data: bytes) -> None:
        (length,) = struct.unpack_from(">I", data)
        at = 4 + length
        (count,) = struct.unpack_from(">I", data, at)
        at += 4
        asked = []
        for _ in range(count):
            (length,) = struct.unpack_from(">I", data, at)
            asked.append(data[at + 4 : at + 4 + length])
            at += 4 + length
        known = _ALLOCATION in asked or (option == _LIST_META and (not asked or b"base:" in asked))
        if option == _SET_META:
            self._ranges = known
        if known:
            self._reply(option, _META_REPLY, struct.pack(">I", option == _SET_META) + _ALLOCATION)
        self._reply(option, _ACK)

    def _reply(self, option: int, kind: int, data: bytes = b"") -> None:
        self._socket.sendall(struct.pack(">QIII", _OPTION_REPLY, option, kind, len(data)) + data)

    def _request(self) -> bool:
        """Answer a request. Returns whether another one may follow."""
        magic, flags, command, cookie, offset, length = _HEAD.unpack(self._receive(_HEAD.size))
        if magic != _REQUEST:
            raise _Gone
        if command == _DISCONNECT:
            return False
        if command == _WRITE and length > LARGEST:
            raise _Gone
        wrong = offset + length > self._disk.size or (command == _READ and length > LARGEST)
        wrong = wrong or (command in (_READ, _WRITE, _TRIM, _ZERO, _STATUS) and not length)
        if wrong or command not in (_READ, _WRITE, _FLUSH, _TRIM, _ZERO, _STATUS):
            if command == _WRITE:
                self._pass_over(length)
            self._failed(cookie, errno.EINVAL)
            return True
        try:
            self._do(_Asked(flags, command, cookie, offset, length))
        except VaultFull as error:
            print(error, file=sys.stderr, flush=True)
            self._failed(cookie, errno.ENOSPC)
        except LongshoreError as error:
            print(error, file=sys.stderr, flush=True)
            if isinstance(error, Damaged):
                self._damaged(error)
            self._failed(cookie, errno.EIO)
        return True

    def _do(self, asked: "_Asked") -> None:
        flags, command, cookie, offset, length = asked
        if command == _READ:
            self._send_data(cookie, offset, self._disk.parts(offset, length))
            return
        if command == _STATUS:
            if not self._ranges:
                self._failed(cookie, errno.EINVAL)
                return
            self._send_ranges(cookie, offset, length, one=bool(flags & _ONE))
            return
        if self._new is None:
            if command == _WRITE:
                self._pass_over(length)
            self._failed(cookie, errno.EPERM)
            return
        match command:
            case 1:  # write
                self._write(self._new, offset, length)
            case 3:  # flush
                self._new.flush()
            case _:  # trim, zero
                self._new.zero(offset, length)
        if flags & 1:  # force unit access
            self._new.flush()
        self._done(cookie)

    def _write(self, new: NewDisk, offset: int, length: int) -> None:
        """Block by block as it comes in, so that what a request holds is never in memory as a whole."""
        left = length
        try:
            for number, start, end in pieces(offset, length):
                size = end - start
                left -= size
                if size == BLOCK:
                    self._fill(memoryview(self._block))
                    new.write(number * BLOCK, self._block)
                else:
                    new.write(number * BLOCK + start, self._receive(size))
        except LongshoreError:
            self._pass_over(left)
            raise

    def _send_data(self, cookie: int, offset: int, parts: list[bytes]) -> None:
        length = sum(map(len, parts))
        if not self._structured:
            head = struct.pack(">IIQ", _SIMPLE, 0, cookie)
        else:
            head = _CHUNK.pack(_STRUCTURED, 1, 1, cookie, length + 8) + struct.pack(">Q", offset)
        unsent = [memoryview(part) for part in (head, *parts)]
        while unsent:
            sent = self._socket.sendmsg(unsent[:_MOST_PARTS])
            while unsent and sent >= len(unsent[0]):
                sent -= len(unsent.pop(0))
            if sent:
                unsent[0] = unsent[0][sent:]

    def _send_ranges(self, cookie: int, offset: int, length: int, *, one: bool) -> None:
        found: list[list[int]] = []
        for part in self._disk.ranges(offset, length):
            state = 3 if part.zero else 0  # a hole, and zero
            if found and found[-1][1] == state:
                found[-1][0] += part.length
            elif found and (one or len(found) == _MOST_RANGES):
                break
            else:
                found.append([part.length, state])
        data = struct.pack(">I", 1) + b"".join(struct.pack(">II", *each) for each in found)
        self._socket.sendall(_CHUNK.pack(_STRUCTURED, 1, 5, cookie, len(data)) + data)

    def _done(self, cookie: int) -> None:
        if self._structured:
            self._socket.sendall(_CHUNK.pack(_STRUCTURED, 1, 0, cookie, 0))
        else:
            self._socket.sendall(struct.pack(">IIQ", _SIMPLE, 0, cookie))

    def _failed(self, cookie: int, number: int) -> None:
        if self._structured:
            self._socket.sendall(_CHUNK.pack(_STRUCTURED, 1, (1 << 15) | 1, cookie, 6) + struct.pack(">IH", number, 0))
        else:
            self._socket.sendall(struct.pack(">IIQ", _SIMPLE, number, cookie))

    def _receive(self, length: int) -> bytes:
        data = bytearray(length)
        self._fill(memoryview(data))
        return bytes(data)

    def _pass_over(self, length: int) -> None:
        """Pass over the data of a write that fails, or has failed."""
        view = memoryview(self._block)
        while length > 0:
            self._fill(view[:length])
            length -= BLOCK

    def _fill(self, view: memoryview) -> None:
        done = 0
        while done < len(view):
            received = self._socket.recv_into(view[done:])
            if not received:
                raise _Gone
            done += received
