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
        """End it as a power cut would, with all that it has started in its session."""
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


class Messages(Daemon):
    """RabbitMQ. What is sent before those who listen are back is lost, and a server may then be built for ever."""

    def end(self):
        self._heard_before = self._heard()
        assert self._heard_before, "nobody listens, or RabbitMQ doesn't say so"
        super().end()

    def start(self):
        """Returns when all who listened do so again."""
        super().start()
        wait_for(lambda: self._heard_before <= self._heard(), 120, "the cloud's services to listen again")

    def _heard(self):
        """Queues to which somebody listens, but for those that have another name each time; none before it is ready."""
        own = Path("/proc", self._pid(), "environ").read_bytes().rstrip(b"\0").split(b"\0")
        command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--silent", "list_queues", "name", "consumers"]
        asked = subprocess.run(command, env=dict(pair.split(b"=", 1) for pair in own), capture_output=True, text=True)
        rows = [line.split("\t") for line in asked.stdout.splitlines()] if asked.returncode == 0 else []
        return {name for name, listen in rows if listen != "0" and "_fanout_" not in name and "reply_" not in name}


def _lab():
    return Path(os.environ["LONGSHORE_LAB"])


KEYSTONE = Daemon("keystone", 5000)
RABBITMQ = Messages("rabbitmq", 5672)
