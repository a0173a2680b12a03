"""How a machine finds out how it stands: its services are real ones of TLS, at an address of this machine's own."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509

from longshore.nodes.certificates import Authority
from longshore.nodes.standing import NodePlace, certificates_of, database_of, has_address

ADDRESS = f"127.97.{os.getpid() % 250}.{os.getpid() // 250 % 250 + 1}"  # nobody else's here


@pytest.fixture
def place(tmp_path):
    authority = Authority.new()
    key, certificate = authority.sign(("longshore", ADDRESS))
    for name, content in (("ca", authority.certificate), ("key", key), ("certificate", certificate)):
        (tmp_path / f"{name}.pem").write_bytes(content)
    own = (tmp_path / "certificate.pem", tmp_path / "key.pem")
    return NodePlace("node1", ADDRESS, "192.0.2.97", tmp_path / "ca.pem", *own)


def context_of(place):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.certificate, place.private_key)
    return context


@contextmanager
def patroni(place, **said):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(503 if said.get("state") != "running" else 200)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_):
            pass

    with HTTPServer((ADDRESS, 8008), Handler) as server:
        server.socket = context_of(place).wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@contextmanager
def postgresql(place):
    """As much of one as is asked before it shows its certificate."""

    def serve():
        connection, _ = listening.accept()
        with connection:
            assert connection.recv(8)[4:] == b"\x04\xd2\x16\x2f"
            connection.sendall(b"S")
            with context_of(place).wrap_socket(connection, server_side=True):
                pass

    with socket.create_server((ADDRESS, 5432)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ({"state": "running", "role": "primary"}, "primary"),
        ({"state": "running", "role": "replica", "replication_state": "streaming"}, "standby"),
        ({"state": "running", "role": "replica", "replication_state": "in archive recovery"}, "away"),
        ({"state": "starting", "role": "primary"}, "away"),
        ({}, "away"),
    ],
)
def test_what_postgresql_does_is_what_patroni_says(place, said, role):
    with patroni(place, **said):
        assert database_of(place) == role


def test_without_patroni_or_with_a_stranger_at_its_port_the_database_is_away(place, tmp_path):
    assert database_of(place) == "away"
    (tmp_path / "ca.pem").write_bytes(Authority.new().certificate)
    with patroni(place, state="running", role="primary"):
        assert database_of(place) == "away"


def test_certificates_are_those_that_services_show(place):
    ends = x509.load_pem_x509_certificate(place.certificate.read_bytes()).not_valid_after_utc
    with patroni(place, state="running", role="primary"), postgresql(place):
        found = certificates_of(place)
    assert found.pop("authority") > ends
    assert found == {"patroni": ends, "postgresql": ends}
    # A new one in a file isn't shown as long as the service has the old one; and one that has ended is told, too
    assert certificates_of(place).keys() == {"authority"}


def test_a_machine_has_its_own_addresses_alone(place):
    assert has_address("127.0.0.1")
    assert not has_address(place.virtual)


WHERE_ALL_CAN_BE_BOUND = """
ip link set lo up
ip address add 192.0.2.6/24 dev lo
ip address add 192.0.2.7/24 dev lo
echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind
exec "$0" -c 'from longshore.nodes.standing import has_address as has; print(has("192.0.2.7"), has("192.0.2.8"))'
"""


def test_an_address_is_elsewhere_though_this_machine_may_bind_all():
    apart = ["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", WHERE_ALL_CAN_BE_BOUND, sys.executable]
    assert subprocess.run(apart, capture_output=True, text=True, check=True).stdout.split() == ["True", "False"]
