"""The lab's daemons, ended and started again as they were: for those who hold the lab to themselves, and only then."""

import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import wait_for


@dataclass
class Daemon:
    name: str
    port: int  # where it answers, on 127.0.0.1

    def end(self):
        """As a power cut would, with all that it has started in its session."""
        process = Path("/proc", self._pid())
        self._words = process.joinpath("cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        pairs = process.joinpath("environ").read_bytes().rstrip(b"\0").split(b"\0")
        self._environment = dict(pair.split(b"=", 1) for pair in pairs)
        os.killpg(int(process.name), signal.SIGKILL)
        wait_for(lambda: not self.answers(), 30, f"{self.name} to be gone")

    def start(self):
        """Returns when it answers."""
        command = [_lab() / "code" / "detach.py", self.name, *self._words]
        subprocess.run(command, env=self._environment, check=True, cwd=_lab())
        wait_for(self.answers, 120, f"{self.name} to answer again")

    @contextmanager
    def away(self):
        self.end()
        try:
            yield
        finally:
            self.start()

    def answers(self):
        with socket.socket() as asking:
            asking.settimeout(2)
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def _pid(self):
        return (_lab() / "run" / "daemons" / f"{self.name}.pid").read_text().split()[0]


def _lab():
    return Path(os.environ["LONGSHORE_LAB"])


KEYSTONE = Daemon("keystone", 5000)
RABBITMQ = Daemon("rabbitmq", 5672)
