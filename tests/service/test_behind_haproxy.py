"""The HAProxy of three nodes before real servers, of which one is killed."""

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from longshore import nodes
from ports import port_to_serve

pytestmark = pytest.mark.long
TEMPLATE = Path(nodes.__file__).parent / "files" / "haproxy.cfg"
CERTIFICATE_NAME = "longshore"


def certificate(directory):
    """As an operator puts it there: longshore.pem with key and certificate, ca.pem with whom to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, CERTIFICATE_NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(CERTIFICATE_NAME), x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "longshore.pem").write_bytes(secret + made)
    (directory / "key.pem").write_bytes(secret)
    (directory / "ca.pem").write_bytes(made)


class Server:
    """A real `longshore server`. Its Keystone is nowhere: what is asked of it here needs no token."""

    def __init__(self, tmp_path, tls, url):
        self.port = port_to_serve()
        settings = tmp_path / f"{self.port}.toml"
        settings.write_text(
            f"""
state = "{tmp_path / "state"}"
[server]
port = {self.port}
certificate = "{tls / "ca.pem"}"
private_key = "{tls / "key.pem"}"
[server.keystone]
auth_url = "https://127.0.0.1:1/v3"
password = "nothing"
"""
        )
        command = [Path(sys.executable).with_name("longshore"), "--config", settings, "server"]
        self.log = tmp_path / f"{self.port}.log"
        with self.log.open("w") as log:
            environment = {**os.environ, "LONGSHORE_DATABASE_URL": url}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.skipif(shutil.which("haproxy") is None and "CI" not in os.environ, reason="there is no HAProxy here")
def test_requests_go_on_when_a_server_is_killed(tmp_path, postgresql):
    tls = tmp_path / "tls"
    tls.mkdir()
    certificate(tls)
    url = postgresql.database()
    servers = [Server(tmp_path, tls, url) for _ in range(2)]
    listen = port_to_serve()
    # The third is a machine that is down from the start
    ports = [*(server.port for server in servers), port_to_serve()]
    said = TEMPLATE.read_text().replace("/etc/haproxy", str(tls)).replace("bind :443", f"bind 127.0.0.1:{listen}")
    said = said.replace("127.0.0.1:9796", f"127.0.0.1:{(lives := port_to_serve())}")
    for number, port in enumerate(ports, 1):
        said = said.replace(f"${{node{number}}}:9797", f"127.0.0.1:{port}")
    if os.getuid() != 0:
        said = said.replace("  user haproxy\n  group haproxy\n", "")
    config = tmp_path / "haproxy.cfg"
    config.write_text(said)
    checked = subprocess.run(["haproxy", "-c", "-f", config], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    with (tmp_path / "haproxy.log").open("w") as log:
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", config], stdout=log, stderr=log)
    try:
        ask = Asking(f"https://localhost:{listen}", tls / "ca.pem")
        ask.until_ready()
        assert {"node1", "node2"} <= ask.asked_of(40, tmp_path), "both of them answer"
        servers[0].kill()
        for _ in range(100):
            answer = ask("/readyz")
            assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        refused = ask("/v1/migrations")
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
        assert refused.headers["X-Openstack-Request-Id"].startswith("req-")
        assert ask("/").json()["versions"][0]["links"][0]["href"].startswith("https://")
        ask("/ui/wall/open?key=that-nobody-else-has")
        assert "that-nobody-else-has" not in logged_once(tmp_path, "GET /ui/wall/open HTTP/1.1")
        postgresql.stop()
        try:
            end = time.monotonic() + 6  # HAProxy looks each two seconds, and believes the second answer
            while time.monotonic() < end:
                assert requests.get(f"http://127.0.0.1:{lives}/haproxy-lives", timeout=20).status_code == 200
                assert ask("/healthz").status_code == 200, "a server that waits for its database isn't down"
                assert (ask("/readyz").status_code, ask("/readyz").json()["status"]) == (503, "unavailable")
                time.sleep(0.5)
        finally:
            postgresql.start()
    finally:
        for process in (haproxy, *(server.process for server in servers)):
            process.kill()
            process.wait()


def logged_once(tmp_path, words):
    """Return HAProxy's log as soon as it has these words: it logs after it has answered."""
    end = time.monotonic() + 30
    while words not in (said := (tmp_path / "haproxy.log").read_text()):
        assert time.monotonic() < end, said
        time.sleep(0.1)
    return said


class Asking:
    """Each time over a new connection, like a command does."""

    def __init__(self, url, trusted):
        self._url, self._trusted = url, trusted

    def __call__(self, path):
        return requests.get(self._url + path, verify=str(self._trusted), timeout=20)

    def until_ready(self):
        end = time.monotonic() + 90
        while True:
            try:
                if self("/readyz").status_code == 200:
                    return
            except requests.ConnectionError:
                pass
            assert time.monotonic() < end
            time.sleep(0.2)

    def asked_of(self, times, tmp_path):
        """Which servers have answered, once they had the time to come up: their names in HAProxy's log."""
        end = time.monotonic() + 60
        while True:
            for _ in range(times):
                assert self("/readyz").status_code == 200
            said = (tmp_path / "haproxy.log").read_text()
            names = {node for node in ("node1", "node2") if f"servers/{node} " in said}
            if len(names) > 1 or time.monotonic() > end:
                return names
            time.sleep(0.5)
