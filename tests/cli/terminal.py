"""A real terminal for what is written to one, and what a person then sees on it."""

import os
import pty
import termios
import threading
from contextlib import ExitStack, redirect_stderr, redirect_stdout

import pyte


class Terminal:
    """A terminal: what was written to it is in `written` and on its screen after the block."""

    def __init__(self, columns=100, rows=30):
        self._size = columns, rows
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (rows, columns))
        self.file = os.fdopen(slave, "w")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        read = b""
        while True:
            try:
                read += os.read(self._master, 65536)
            except OSError:  # nobody has it open any more
                self.written = read
                return

    def __enter__(self):
        """Write here what is written to standard error and output."""
        self._redirected = ExitStack()
        self._redirected.enter_context(redirect_stderr(self.file))
        self._redirected.enter_context(redirect_stdout(self.file))
        return self

    def __exit__(self, *why):
        self._redirected.__exit__(*why)
        self.file.close()
        self._reader.join()
        os.close(self._master)

    def seen(self):
        """Return the lines on the screen."""
        return self._screens(self.written)[-1]

    def ever_seen(self):
        """All lines that were on it at some time."""
        return [line for screen in self._screens(*self.written.splitlines(keepends=True)) for line in screen]

    def _screens(self, *parts):
        screen = pyte.Screen(*self._size)
        stream = pyte.ByteStream(screen)
        shown = []
        for part in parts:
            stream.feed(part)
            shown.append([line.rstrip() for line in screen.display])
        return shown
