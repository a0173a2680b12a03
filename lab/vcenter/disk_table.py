"""What the stand-in disk library reads: which disks may be opened by whom, and what shall go wrong.

Two files beside the library (tabs between fields; labvddk.c reads them and says what the rows mean): `disks.tsv`, read
at each open of a disk, and `trouble.tsv`, looked at again during every read. Both may only be read by their owner: the
first holds the vCenter's password.
"""

from __future__ import annotations

import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .context import Context
from .virtual_machine import VirtualMachine

LARGEST_READ = 2 << 20
"""Bytes that a read may ask for: more makes the copy service of a real host run out of memory."""


def _write(path: Path, rows: list[list[str]]) -> None:
    new = path.with_name(path.name + ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines("\t".join(row) + "\n" for row in rows)
    os.rename(new, path)


@dataclass(frozen=True)
class ReadError:
    """A read that covers this byte of a disk fails; `times` of them, or all (0)."""

    machine: str
    disk: int
    offset: int
    times: int


class DiskTable:
    def __init__(self, context: Context) -> None:
        self.context = context
        self._lock = threading.Lock()
        self._disks = context.settings.disklib / "disks.tsv"
        self._trouble = context.settings.disklib / "trouble.tsv"
        self._errors: dict[int, ReadError] = {}
        self._next_error = 1
        self._latency_ms: dict[str, int] = {}
        self._mib_per_s: dict[str, int] = {}
        self._largest_read = LARGEST_READ

    def write(self) -> None:
        settings = self.context.settings
        with self._lock:
            rows = [
                ["server", settings.host, str(settings.port)],
                ["thumbprint", settings.thumbprint],
                ["user", settings.user, settings.password],
            ]
            rows += [["session", cookie] for cookie, _ in self.context.sessions.items()]
            for machine in self.context.of_type(VirtualMachine):
                rows += machine.open_to_library
            _write(self._disks, rows)

    # -- trouble that a test ordered. A disk is "<moref of the machine>:<device key>".
    def add_read_error(self, error: ReadError) -> None:
        with self._lock:
            self._errors[self._next_error] = error
            self._next_error += 1
        self._write_trouble()

    def set_latency(self, disk: str, milliseconds: int) -> None:
        self._latency_ms[disk] = milliseconds
        self._write_trouble()

    def set_speed(self, disk: str, mib_per_s: int) -> None:
        self._mib_per_s[disk] = mib_per_s
        self._write_trouble()

    def set_largest_read(self, size: int) -> None:
        self._largest_read = size
        self._write_trouble()

    def clear_trouble(self) -> None:
        with self._lock:
            self._errors.clear()
            self._latency_ms.clear()
            self._mib_per_s.clear()
            self._largest_read = LARGEST_READ
        for fired in self.context.settings.disklib.glob("fired-*"):
            fired.unlink()
        self._write_trouble()

    def trouble(self) -> dict[str, Any]:
        with self._lock:
            return {
                "read_errors": [asdict(error) for error in self._errors.values()],
                "latency_ms": dict(self._latency_ms),
                "mib_per_s": dict(self._mib_per_s),
                "largest_read": self._largest_read,
            }

    def _write_trouble(self) -> None:
        with self._lock:
            rows = [["largest-read", str(self._largest_read)]]
            for number, error in self._errors.items():
                disk = f"{error.machine}:{error.disk}"
                rows.append(["error", str(number), disk, str(error.offset), str(error.times)])
            rows += [["latency", disk, str(ms)] for disk, ms in self._latency_ms.items() if ms]
            rows += [["speed", disk, str(speed)] for disk, speed in self._mib_per_s.items() if speed]
            _write(self._trouble, rows)
