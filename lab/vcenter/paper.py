"""A vCenter of machines that only its inventory knows, in its own process, for tests and benchmarks without the lab.

It needs nothing but the Python it is started with: no disk library, no QEMU, no namespaces.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .sidedoor_client import SideDoor

ADDRESS = "127.0.0.2"
USER = "administrator@vsphere.local"
START_LIMIT = 60.0  # seconds


@dataclass(frozen=True)
class PaperVcenter:
    port: int
    password: str
    sidedoor: SideDoor
    pid: int
    host: str = ADDRESS
    user: str = USER


@contextmanager
def paper_vcenter(directory: Path) -> Iterator[PaperVcenter]:
    """Serves while the context is open. `directory` is empty and gets its certificate, password and log."""
    for name in ("etc", "run/disklib", "run/vcenter", "log/machines", "data/vcenter", "cache/guests"):
        (directory / name).mkdir(parents=True)
    port = _free_port()
    lab = Path(__file__).parents[1]
    environment = {
        **os.environ,
        "LONGSHORE_LAB": str(directory),
        "LONGSHORE_VCENTER_PORT": str(port),
        "PYTHONPATH": str(lab),
    }
    log = directory / "log" / "vcenter.log"
    with log.open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "vcenter"], env=environment, stdin=subprocess.DEVNULL, stdout=words, stderr=words
        )
    try:
        sidedoor = SideDoor(directory / "run" / "vcenter-side.sock")
        deadline = time.monotonic() + START_LIMIT
        while not _answers(sidedoor):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The vCenter did not start:\n{log.read_text()}")
            time.sleep(0.02)
        password = (directory / "etc" / "vcenter.password").read_text().strip()
        yield PaperVcenter(port, password, sidedoor, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def _answers(sidedoor: SideDoor) -> bool:
    try:
        return bool(sidedoor.call("ready"))
    except OSError:
        return False
