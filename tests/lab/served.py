"""A server of Longshore's in the lab, which asks the lab's Keystone."""

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from people import AUTH_URL, free_port, ready, service_user, without_cloud

from conftest import LONGSHORE, end_engine, wait_for


@dataclass
class Served:
    url: str
    config: Path
    state: Path
    logs: Path
    password: str  # of the service user
    process: subprocess.Popen | None = None

    def start(self):
        """Start again after `kill`, at the same address."""
        with self.logs.open("ab") as log:
            words = [LONGSHORE, "--config", self.config, "server"]
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=without_cloud()
            )
        wait_for(lambda: ready(self.process, self.url, self.logs), 90, "the server to be ready")

    def kill(self):
        """Kill it as a power cut would: it says nothing to anybody."""
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(root, lab, identity, more=""):
    """Serve with a service user of its own; all of it is taken away again. `more`: of its configuration, after what is
    of Keystone."""
    port = free_port()
    config, logs, url = root / "longshore.toml", root / "log", f"http://127.0.0.1:{port}"
    with service_user(identity) as (name, password):
        (root / "password").write_text(password)
        config.write_text(
            f'state = "{root / "state"}"\n[server]\nport = {port}\nvddk_libdir = "{lab.vddk}"\n'
            'reach_allowed = ["127.0.0.0/8"]\nvault_endpoints = ["http://127.0.0.4:7480"]\n'
            f'[server.keystone]\nauth_url = "{AUTH_URL}"\nusername = "{name}"\npassword_file = "{root / "password"}"\n'
            f"cache_seconds = 2\n{more}"
        )
        served = Served(url, config, root / "state", logs, password)
        try:
            served.start()
            yield served
        finally:
            served.process.terminate()
            served.process.wait(30)
            end_engine(type("Cli", (), {"state": root / "state"}))
