"""An SSH server of a test's own on a loopback address: read-only SFTP, by one key, as an ESXi host's."""

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ports import port_to_serve

ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class SshServer:
    port: int
    user: str
    key: str  # the private one that it lets in
    host_key: str  # "TYPE KEY"
    other_host_key: str  # of nobody

    def known(self, host: str = ADDRESS) -> tuple[str, ...]:
        return (f"{host} {self.host_key}",)


@contextmanager
def ssh_server(directory: Path) -> Iterator[SshServer]:
    for name in ("host", "client", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    port = port_to_serve()
    (directory / "sshd_config").write_text(
        f"ListenAddress {ADDRESS}:{port}\nHostKey {directory}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {directory}/client.pub\nAuthenticationMethods publickey\nLogLevel ERROR\n"
        "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\nForceCommand internal-sftp -R\n"
    )
    server = [
        shutil.which("sshd", path="/usr/sbin:/usr/bin") or "sshd",
        "-D",
        "-e",
        "-f",
        str(directory / "sshd_config"),
    ]
    if os.geteuid() == 0:  # it wants an empty directory below /run, which isn't the tests' to make
        inside = f"mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec {shlex.join(server)}"
        server = ["unshare", "--mount", "sh", "-c", inside]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(server, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_until_it_listens(port, process, directory / "log")
        host_key, other = (" ".join((directory / f"{name}.pub").read_text().split()[:2]) for name in ("host", "other"))
        yield SshServer(port, getpass.getuser(), (directory / "client").read_text(), host_key, other)
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((ADDRESS, port), 1).close()
        except ConnectionRefusedError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        else:
            return
