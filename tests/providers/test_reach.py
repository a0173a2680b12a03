"""Clouds that callers of a server name: where they may be, and what of their answers is taken and told."""

import gzip
import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from longshore.errors import AccessDenied, LongshoreError, ProviderError, QuotaExceeded, Unreachable
from longshore.model.reach import Reach
from longshore.providers import reaching
from longshore.providers.openstack import http
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.source import OpenstackSource
from longshore.providers.vsphere.certificate import fetch_fingerprint
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.providers.vsphere.source import VsphereSource
from s3_server import own_certificate

HERE = Reach(allowed=("127.0.0.1/32",))
ENDS = {"issued_at": "2026-01-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1"),
        *("255.255.255.255", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "localhost", "", "10.1.2.3"),
        *("168.63.129.16", "::ffff:168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    ],
)
def test_addresses_of_this_machine_its_links_and_the_operators_are_out_of_reach(address):
    assert not Reach(refused=("10.0.0.0/8",)).permits(address)


def test_other_addresses_and_those_that_the_operator_allows_are_within_reach():
    reach = Reach(allowed=("10.1.0.0/16", "127.0.0.2"), refused=("10.0.0.0/8",))
    for address in ("192.0.2.1", "192.168.1.1", "2001:db8::1", "10.1.2.3", "::ffff:10.1.2.3", "127.0.0.2"):
        assert reach.permits(address), address
    assert not reach.permits("10.2.0.1")


def test_who_is_not_limited():
    reach = Reach(trusted=("https://cloud:5000/v3",))
    at = {"auth": {"auth_url": "https://cloud:5000"}}
    assert reach.limits("", {}) is None, "a user's own command"
    assert reach.limits("project", at) is None, "a cloud that the operator vouches for"
    assert reach.limits("project", {"auth": {"auth_url": "https://elsewhere:5000/v3"}}) is reach
    assert reach.limits("project", {"host": "vc"}) is reach


class Evil:
    """A Keystone, a Nova and whatever a test makes of them. `answers`: by the path's beginning, what else is said."""

    def __init__(self, url):
        self.url = url
        self.seen = []
        self.answers = {}
        self.compute = f"{url}/compute/v2.1"

    def answer(self, method, path):
        for beginning, answer in self.answers.items():
            if path.startswith(beginning):
                return answer
        if method == "POST":
            domain = {"id": "d", "name": "d"}
            endpoint = {"id": "1", "interface": "public", "region": "R", "region_id": "R", "url": self.compute}
            catalog = [{"type": "compute", "name": "nova", "id": "a", "endpoints": [endpoint]}]
            who = {kind: {"id": "i", "name": "n", "domain": domain} for kind in ("user", "project")}
            return 201, {}, {"token": {**who, **ENDS, "methods": ["password"], "roles": [], "catalog": catalog}}
        if path.startswith("/compute"):
            links = [{"rel": "self", "href": f"{self.url}/compute/v2.1/"}]
            version = {"id": "v2.1", "status": "CURRENT", "version": "2.90", "min_version": "2.1", "links": links}
            return 200, {}, {"version": version}
        links = [{"rel": "self", "href": f"{self.url}/v3/"}]
        return 200, {}, {"version": {"id": "v3.14", "status": "stable", "links": links}}


@contextmanager
def served(address="127.0.0.1"):
    class Handler(BaseHTTPRequestHandler):
        def do(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            evil.seen.append(f"{self.command} {self.path}")
            status, headers, body = evil.answer(self.command, self.path)
            said = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            usual = {"Content-Type": "application/json", "X-Subject-Token": "t", "Content-Length": str(len(said))}
            for name, value in (usual | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    evil = Evil(f"http://{address}:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield evil
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def evil():
    with served() as evil:
        yield evil


@pytest.fixture
def internal():
    """A service of the server's own network, that trusts whoever reaches it."""
    with served("127.0.0.2") as internal:
        yield internal


def settings_for(url, reach=HERE):
    names = {"username": "u", "project_name": "p", "user_domain_name": "d", "project_domain_name": "d"}
    return OpenstackSettings(auth={"auth_url": f"{url}/v3", **names}, transport="relay", reach=reach)


def refusal(settings):
    source = OpenstackSource(settings, {"password": "x"})
    with pytest.raises(LongshoreError) as caught:
        source.room()
        source.check()
    source.close()
    return caught.value


def test_no_cloud_of_a_callers_is_on_this_machine(evil):
    error = refusal(settings_for(evil.url, Reach()))
    assert (type(error), error.code, evil.seen) == (AccessDenied, "address-refused", [])
    refusal(settings_for(evil.url, None))  # a user's own command goes there
    assert evil.seen


def test_no_vcenter_of_a_callers_is_on_this_machine():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        port = listening.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            vcenter = VsphereSource(VsphereSettings(host, "u", port, "00" * 32, reach=Reach()), "x")
            for ask in (vcenter.check, lambda name=host: fetch_fingerprint(name, port, Reach())):
                with pytest.raises(AccessDenied) as caught:
                    ask()
                assert caught.value.code == "address-refused"
        with pytest.raises(TimeoutError):
            listening.accept()


def test_what_a_catalogue_names_is_looked_at_as_well(evil, internal):
    evil.compute = f"{internal.url}/compute/v2.1"
    assert refusal(settings_for(evil.url)).code == "address-refused"
    assert internal.seen == []


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(evil, internal, monkeypatch):
    """The name means the caller's cloud when it is looked up first, and a service of this network from then on."""
    known, told = socket.getaddrinfo, iter(["127.0.0.1"])

    def resolve(host, *args, **more):
        return known(next(told, "127.0.0.2") if host == "rebinding.example" else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    evil.answers["/v3"] = 500, {"Connection": "close"}, {}
    port = evil.url.rpartition(":")[2]
    settings = settings_for(f"http://rebinding.example:{port}")
    refusal(settings)
    assert evil.seen
    before = len(evil.seen)
    assert refusal(settings).code == "address-refused"
    assert (internal.seen, len(evil.seen)) == ([], before)


@pytest.mark.parametrize("path", ["/v3/auth/tokens", "/compute/v2.1/"])
def test_no_redirect_is_followed_to_another_host(evil, internal, path):
    evil.answers[path] = 302, {"Location": f"{internal.url}/latest/meta-data"}, {}
    error = refusal(settings_for(evil.url, Reach(allowed=("127.0.0.0/8",))))
    assert error.code == "redirect-refused"
    assert (internal.seen, internal.url in str(error)) == ([], False)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v3", {"version": []}),
        ("/v3/auth/tokens", None),
        ("/v3/auth/tokens", {"token": {"expires_at": "s3cr3t-of-the-host"}}),
        ("/v3/auth/tokens", b"[" * 100_000),
    ],
)
def test_an_answer_of_another_shape_is_told_in_a_sentence(evil, path, body):
    evil.answers[path] = 200, {}, body
    said = str(refusal(settings_for(evil.url)))
    assert said.startswith("What answered while trying to ")
    assert "s3cr3t" not in said


def test_a_redirect_to_no_address_is_refused_in_a_sentence(evil):
    evil.answers["/v3/auth/tokens"] = 302, {"Location": "http://[x"}, {}
    assert refusal(settings_for(evil.url, Reach(allowed=("127.0.0.0/8",)))).code == "redirect-refused"


@pytest.mark.parametrize(
    "body", [{"error": {"message": "SecretKey s3cr3t-of-the-host", "code": 404}}, b"build 42, s3cr3t-of-the-host"]
)
@pytest.mark.parametrize("path", ["/v3", "/v3/auth/tokens", "/compute/v2.1"])
@pytest.mark.parametrize("status", [401, 404, 599])
def test_what_it_says_when_it_refuses_comes_back_to_nobody(evil, path, status, body):
    evil.answers[path] = status, {"X-Openstack-Request-Id": "s3cr3t-of-the-host"}, body
    assert "s3cr3t" not in str(refusal(settings_for(evil.url)))


def test_a_quota_is_still_told_from_other_refusals(evil):
    said = {"forbidden": {"message": "Quota exceeded for s3cr3t: Requested 1", "code": 403}}
    evil.answers["/compute/v2.1/"] = 403, {}, said
    error = refusal(settings_for(evil.url))
    assert (type(error), "s3cr3t" in str(error)) == (QuotaExceeded, False)
    assert "s3cr3t" in str(refusal(settings_for(evil.url, None))), "whom the operator vouches for is told in full"


PACKED = {"Content-Encoding": "gzip"}, gzip.compress(b" " * (20 << 20), 6)


@pytest.mark.parametrize(
    ("reach", "answer", "code"),
    [
        (HERE, ({}, b" " * (2 << 20)), "answer-too-large"),
        (None, PACKED, "answer-too-large"),
        (HERE, PACKED, "answer-compressed"),  # before any of it is unpacked
    ],
)
def test_answers_are_of_bounded_size_also_unpacked(evil, reach, answer, code, monkeypatch):
    monkeypatch.setattr(reaching, "LARGEST_ANSWER", 1 << 20)
    evil.answers["/v3"] = 200, *answer
    error = refusal(settings_for(evil.url, reach))
    assert (type(error), error.code) == (ProviderError, code)


@pytest.mark.parametrize("reach", [HERE, None])
def test_a_cloud_that_takes_connections_and_says_nothing_is_not_waited_for_ever(reach, monkeypatch):
    monkeypatch.setattr(http, "SILENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert isinstance(refusal(settings_for(url, reach)), Unreachable)


def test_one_that_trickles_is_not_waited_for_ever(evil, monkeypatch):
    monkeypatch.setattr(reaching, "ANSWERED_WITHIN", -1.0)
    assert refusal(settings_for(evil.url)).code == "answer-too-slow"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n"
TRICKLES = {
    "status": b"HTTP",
    "headers": b"HTTP/1.1 200 OK\r\nX: ",
    "body": HEAD,
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\nX: ",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
}


@contextmanager
def trickling(beginning, context=None, count=10**6, piece=b"a"):
    """A server that says this at once, and then a bit every twentieth of a second: never silent, never done."""

    def answer(connection):
        with suppress(OSError), connection:
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            connection.recv(9000)
            connection.sendall(beginning)
            for _ in range(count):
                connection.sendall(piece)
                time.sleep(0.05)

    def listen():
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=listen, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return own_certificate(tmp_path_factory.mktemp("tls"))


def refused_soon(ask):
    began = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        ask()
    assert caught.value.code == "answer-too-slow"
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("where", TRICKLES)
@pytest.mark.parametrize("reach", [HERE, None])
def test_a_cloud_whose_answer_trickles_is_not_waited_for_beyond_the_time_of_a_whole_answer(reach, where, monkeypatch):
    monkeypatch.setattr(reaching, "ANSWERED_WITHIN", 0.5)
    with trickling(TRICKLES[where]) as port, requests.Session() as session:
        session.mount("http://", http.Adapter(reach))
        refused_soon(lambda: session.get(f"http://127.0.0.1:{port}/v3", timeout=5))


@pytest.mark.parametrize("where", TRICKLES)
@pytest.mark.parametrize("reach", [HERE, None])
def test_nor_is_a_vcenter_a_web_server_or_whoever_takes_a_webhook(reach, where, certificate):
    ours, authority = certificate
    theirs = ssl.create_default_context(cafile=authority)
    with trickling(TRICKLES[where], ours) as port:
        connection = reaching.HttpsConnection(
            "127.0.0.1", port, reach=reach, timeout=5, context=theirs, answered_within=0.5
        )

        def ask():
            connection.request("GET", "/")
            connection.getresponse().read()

        refused_soon(ask)
        connection.close()


def test_one_that_never_finishes_its_handshake_is_not_waited_for_either(monkeypatch):
    monkeypatch.setattr(reaching, "CONNECTED_WITHIN", 0.5)
    hello = b"\x16\x03\x03\x40\x00"  # a record of TLS of 16 KiB begins
    with trickling(hello) as port:
        context = ssl.create_default_context()
        connection = reaching.HttpsConnection("127.0.0.1", port, reach=HERE, timeout=60, context=context)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.connect()
        assert time.monotonic() - began < 8


@pytest.mark.parametrize("reach", [HERE, None])
def test_what_is_read_by_parts_may_take_longer_once_its_header_is_there(reach, monkeypatch):
    monkeypatch.setattr(reaching, "ANSWERED_WITHIN", 0.5)
    monkeypatch.setattr(reaching, "LARGEST_ANSWER", 20_000)
    with trickling(HEAD, count=20, piece=b"a" * 4500) as port, requests.Session() as session:
        session.mount("http://", http.Adapter(reach))
        answer = session.get(f"http://127.0.0.1:{port}/image", timeout=5, stream=True)
        assert b"".join(answer.iter_content(1000)) == b"a" * 90000


def test_a_name_with_hundreds_of_addresses_has_only_a_few_of_them_tried(monkeypatch):
    tried = []

    def connect(address, _timeout):
        tried.append(address)
        raise TimeoutError

    many = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{last}", 443)) for last in range(1, 200)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: many)
    monkeypatch.setattr(socket, "create_connection", connect)
    for reach in (Reach(), None):
        with pytest.raises(TimeoutError):
            reaching.open_socket("many.example", 443, 15.0, reach)
    assert len(tried) == 8


def test_settings_know_no_reach_unless_somebody_says_so(evil):
    assert replace(settings_for(evil.url), reach=None) == settings_for(evil.url, None)
