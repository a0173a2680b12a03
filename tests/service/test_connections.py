"""Connections of strangers: what is silent or slow is ended, and nobody's keep another one out."""

import asyncio
import datetime
import gc
import ipaddress
import resource
import socket
import ssl
import struct
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from longshore.service import connections

HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def answers(scope, receive, send):
    """ "ok" at once, whatever comes as a body; at /endless with 64 MiB; at /body once all of it is there."""
    while scope["path"] == "/body" and (await receive()).get("more_body"):
        pass
    endless = scope["path"] == "/endless"
    length = [] if endless else [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    for _ in range(1000 if endless else 0):
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def serving(**options):
    config = connections.bounded(answers, log_config=None, lifespan="off", port=0, **options)
    server, listening = uvicorn.Server(config), config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield server, listening.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def says_ok(wire):
    said = b""
    while not said.endswith(b"ok") and (more := wire.recv(4096)):
        said += more
    return said.endswith(b"ok")


def is_ended(wire, within=5.0):
    """Whether the other side ends it, whatever it says before."""
    wire.settimeout(within)
    try:
        while wire.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def is_answered(port):
    with connected(port) as wire:
        wire.sendall(HEAD)
        return says_ok(wire)


@pytest.fixture
def hasty(monkeypatch):
    for name in ("HEAD_WITHIN", "_REST_WITHIN", "_TAKEN_WITHIN"):
        monkeypatch.setattr(connections, name, 0.4)


@pytest.fixture
def certificate(tmp_path):
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    (tmp_path / "c.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain, raw = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
    (tmp_path / "k.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, raw, plain))
    return {"ssl_certfile": tmp_path / "c.pem", "ssl_keyfile": tmp_path / "k.pem"}


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nX: "])
def test_a_connection_without_a_whole_head_is_ended(hasty, sent):
    with serving() as (_, port), connected(port) as wire:
        wire.sendall(sent)
        assert is_ended(wire)


def test_a_head_that_trickles_is_ended(hasty):
    """Also the second one of a connection."""
    with serving() as (_, port), connected(port) as wire:
        wire.sendall(HEAD)
        assert says_ok(wire)
        with pytest.raises(OSError):
            for _ in range(100):
                wire.sendall(b"X")
                time.sleep(0.05)


def test_a_body_that_nobody_reads_is_ended_once_it_is_answered(hasty):
    with serving() as (_, port), connected(port) as wire:
        wire.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100000000\r\n\r\nx")
        assert says_ok(wire)
        with pytest.raises(OSError):
            for _ in range(100):
                wire.sendall(b"x" * 1000)
                time.sleep(0.05)


def test_no_more_of_a_body_that_nobody_reads_is_taken_than_its_sender_needs():
    with serving() as (_, port), connected(port) as wire:
        wire.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100000000\r\n\r\nx")
        assert says_ok(wire)
        with pytest.raises(OSError):
            wire.sendall(b"x" * 99_999_999)


def test_a_short_rest_of_a_body_costs_no_connection(hasty):
    with serving() as (_, port), connected(port) as wire:
        for _ in range(2):
            wire.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\n")
            assert says_ok(wire)
            wire.sendall(b"xyz")


def test_a_body_and_an_answer_may_take_longer_than_a_head(hasty):
    with serving() as (_, port), connected(port) as wire:
        wire.sendall(b"POST /body HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n")
        for _ in range(5):
            time.sleep(0.2)
            wire.sendall(b"x")
        assert says_ok(wire)


def test_who_takes_nothing_of_an_answer_doesnt_keep_it(hasty):
    with serving() as (server, port), connected(port) as wire:
        wire.sendall(HEAD.replace(b"/ ", b"/endless "))
        end = time.monotonic() + 5
        while time.monotonic() < end and not server.server_state.connections:
            time.sleep(0.01)
        while time.monotonic() < end and server.server_state.connections:
            time.sleep(0.05)
        assert not server.server_state.connections


def test_a_handshake_that_nobody_goes_on_with_is_ended(hasty, certificate, monkeypatch):
    with serving(**certificate) as (_, port), connected(port) as wire:
        assert is_ended(wire)


def test_too_many_idle_connections_cost_their_own(monkeypatch):
    """Of one stranger: the oldest go, and everybody else is answered."""
    monkeypatch.setattr(connections, "WAITING", 50)
    with serving() as (_, port):
        held = [connected(port) for _ in range(120)]
        assert is_answered(port)
        left = sum(not is_ended(wire, 0.01) for wire in held)
        assert 40 <= left <= 50
        assert not is_ended(held[-1], 0.1)
        for wire in held:
            wire.close()


def test_those_of_whoever_has_most_go_first():
    class One:
        def __init__(self, address):
            self.client, self.ended, self.transport = (address, 1), False, self

        def abort(self):
            self.ended = True

    waiting = connections._Waiting(10)
    quiet = [One("::ffff:192.0.2.1"), One("2001:db8::1")]
    loud = [One(f"2001:db8:1:1::{n:x}") for n in range(40)]  # one subscriber's
    for one in (*quiet, *loud):
        waiting.add(one)
    assert [one.ended for one in quiet] == [False, False]
    assert [one.ended for one in loud] == [True] * 32 + [False] * 8


def test_a_process_may_open_as_many_files_as_the_system_lets_it():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        connections.bounded(answers)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_that_are_reset_leave_nothing(certificate):
    """uvicorn's timer of an idle connection kept all of it, with 256 KiB of asyncio's for TLS, until Python looked for
    circles."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE

    def ask():
        plain = connected(port)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with tls.wrap_socket(plain) as wire:
            wire.sendall(HEAD)
            assert says_ok(wire)

    def kept():
        # By type(): isinstance() asks a weak proxy of another test's object, which may be gone
        return sum(type(one) is asyncio.sslproto.SSLProtocol for one in gc.get_objects())

    with serving(**certificate) as (server, port):
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                ask()
            end = time.monotonic() + 5
            while time.monotonic() < end and (server.server_state.connections or kept() > 1):
                time.sleep(0.05)
            assert kept() <= 1
        finally:
            gc.enable()


@pytest.mark.long
def test_who_pauses_for_longer_than_a_proxy_s_pool_is_quick_finds_the_connection_open():
    """What is sent over one that the server ends at that moment is lost, and a POST isn't sent twice."""
    with serving() as (_, port), connected(port) as wire:
        for pause in (0, 7):  # uvicorn's own are 5
            time.sleep(pause)
            wire.sendall(HEAD)
            assert says_ok(wire)
