"""The channel into the guest: its second serial port, one line asked, one line answered."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

ANNOUNCEMENT = "tools up"
"""What the program in the guest says by itself when it begins to listen."""


class GuestChannel:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._buffer = b""

    def ask(self, words: str, answers: tuple[str, ...] = (), timeout: float = 5) -> str | None:
        """The guest's answer to one line; None when nobody answers within `timeout` seconds.

        With `answers`, only a line that begins with one of these counts: a late answer to an earlier question is not
        taken for the answer to this one.
        """
        end = time.monotonic() + timeout
        with self._lock:
            try:
                self._connect()
                assert self._socket
                self._buffer = b""
                self._socket.sendall(words.encode() + b"\n")
                while (line := self._line(end)) is not None:
                    if line and line != ANNOUNCEMENT and (not answers or line.startswith(answers)):
                        return line
            except OSError:
                pass  # no guest, or it does not listen: the same to the caller
            self._disconnect()
            return None

    def close(self) -> None:
        with self._lock:
            self._disconnect()

    def _connect(self) -> None:
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX)
            try:
                made.connect(str(self._path))
            except OSError:
                made.close()
                raise
            self._socket = made
        self._socket.settimeout(0)
        try:
            while self._socket.recv(4096):
                pass  # answers that came too late
        except BlockingIOError:
            pass

    def _disconnect(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None

    def _line(self, end: float) -> str | None:
        assert self._socket
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            data = self._socket.recv(4096)
            if not data:
                raise OSError(os.strerror(104))
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace").strip()
