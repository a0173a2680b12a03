"""The client against a server on a port, and against what isn't one."""

import os
import socket
import struct
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from cloud_stand_in import Cloud
from keystoneauth1.identity import Password
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token
from serving import serving

from longshore.cli.migrations import DeleteMigration, ShowMigration
from longshore.cli.plugin import as_typed
from longshore.cli.wall_links import CreateWallLink, DeleteWallLink, ListWallLinks
from longshore.client import Client, Remote
from longshore.client.wires import to_server
from longshore.errors import InvalidInput, LongshoreError, Unreachable
from longshore.store import StateDirectory, Store
from ports import nobody_listens


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server that takes tests/service/tokens.py's tokens."""
    store = Store(StateDirectory(tmp_path_factory.mktemp("served") / "state"))
    with serving(store) as url:
        yield url
    store.close()


@pytest.fixture(autouse=True)
def clouds(monkeypatch):
    monkeypatch.setattr("longshore.service.providers.connect", Cloud)


def client(url, token="ann"):
    return Client(Remote(Session(Token(url, token))))


def test_what_goes_in_process_goes_over_the_wire(server):
    with client(server) as ann, client(server, "bob") as bob:
        settings = {"host": "h", "username": "u", "ca_file": "/home/ann/ca.pem"}  # a path of Ann's own machine
        added = ann.add_provider("vc", "vsphere", settings, {"password": "right"})
        assert added.provider.settings == {"host": "h", "username": "u", "vddk_libdir": "/opt/vddk"}
        assert [p.name for p in ann.providers()] == ["vc"]
        assert bob.providers() == []
        with pytest.raises(LongshoreError, match="There is no provider named vc") as refused:
            bob.provider("vc")
        assert refused.value.code == "not-found"


def test_a_token_that_is_refused_is_said_so(server):
    with client(server, "expired") as nobody, pytest.raises(LongshoreError, match="isn't valid"):
        nobody.providers()


@pytest.mark.long
def test_a_keystone_that_does_not_answer_is_said_so(server):
    with nobody_listens() as port:
        nobody = f"http://127.0.0.1:{port}"
        ann = Password(nobody, username="ann", password="secret-word", project_name="p", user_domain_id="default")
        with Client(Remote(Session(ann), server)) as client, pytest.raises(Unreachable) as refused:
            client.providers()
    assert str(refused.value).startswith("Keystone doesn't answer: ")
    assert nobody in str(refused.value)
    assert "HTTPConnectionPool" not in str(refused.value)
    assert "secret-word" not in str(refused.value)


@contextmanager
def something_else(status, body):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever).start()
        yield f"http://127.0.0.1:{other.server_port}"
        other.shutdown()


@pytest.mark.parametrize(("status", "body"), [(502, b"<html>Bad gateway"), (200, b"<html>Welcome"), (404, b'{"a": 1}')])
def test_something_else_that_answers_is_no_longshore(status, body):
    nobody = pytest.raises(Unreachable, match="No Longshore server answers there")
    with something_else(status, body) as url, client(url) as asked, nobody:
        asked.migrations()


@pytest.mark.long
def test_nobody_answers():
    refused = pytest.raises(Unreachable, match="doesn't answer")
    with nobody_listens() as port, client(f"http://127.0.0.1:{port}") as asked, refused:
        asked.migrations()


@pytest.fixture
def breaks_off():
    """A server that ends its first two connections in the middle of their requests. Its address, and what it was
    asked."""
    asked = []

    class Breaking(BaseHTTPRequestHandler):
        def answer(self):
            asked.append(self.command)
            if len(asked) <= 2:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Breaking) as other:
        threading.Thread(target=other.serve_forever).start()
        yield f"http://127.0.0.1:{other.server_port}", asked
        other.shutdown()


def test_what_only_reads_is_asked_again_when_its_server_breaks_off(breaks_off):
    url, asked = breaks_off
    with client(url) as ann:
        assert ann.limits() == []
    assert asked == ["GET"] * 3


def test_what_changes_something_is_sent_once(breaks_off):
    url, asked = breaks_off
    with client(url) as ann, pytest.raises(Unreachable):
        ann.add_provider("vc", "vsphere", {}, {})
    assert asked == ["POST"]


@pytest.mark.long
@pytest.mark.parametrize("ask", [lambda ann: ann.limits(), lambda ann: ann.add_provider("vc", "vsphere", {}, {})])
def test_an_address_that_nobody_has_for_two_seconds_is_waited_for(ask):
    taken = []
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        late.settimeout(20)  # nobody may ask again

        def listen():
            time.sleep(2)
            late.listen()
            with late.accept()[0] as connection:
                taken.append(connection.recv(1 << 16))
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        listens = threading.Thread(target=listen)
        listens.start()
        answered = pytest.raises(Unreachable, match="No Longshore server answers")
        with client(f"http://127.0.0.1:{late.getsockname()[1]}") as ann, answered:
            ask(ann)
        listens.join()
    assert len(taken) == 1


def test_an_answer_that_takes_too_long_is_asked_for_once(monkeypatch):
    monkeypatch.setattr("longshore.client.wires.ANSWER_WITHIN", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with client(f"http://127.0.0.1:{silent.getsockname()[1]}") as ann, pytest.raises(Unreachable):
            ann.limits()
        silent.accept()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.mark.long
def test_who_waits_for_an_answer_hears_soon_that_the_address_has_gone_elsewhere():
    """The machine that has the address now doesn't know the connection, and says so when it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with client(f"http://127.0.0.1:{port}") as asked:

            def wait():
                with pytest.raises(Unreachable):
                    asked.migrations()

            asking = threading.Thread(target=wait)
            asking.start()
            with silent.accept()[0] as connection:
                connection.recv(1)
                (waits,) = (one for one in own_sockets() if one.getpeername() == ("127.0.0.1", port))
                assert waits.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                silence, pause, number = (
                    waits.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                )
                waits.close()
                silent.close()  # it would be asked again there
            asking.join()
    assert silence + pause * number <= 20


def own_sockets():
    """Return what this process is connected by to others, each as one more handle."""
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found = socket.socket(fileno=os.dup(int(entry.name)))
            found.getpeername()
        except OSError:
            continue
        yield found


def test_a_server_needs_credentials(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "none.yaml"))
    monkeypatch.delenv("OS_CLOUD", raising=False)
    with pytest.raises(InvalidInput, match="needs your credentials"):
        to_server("https://longshore:9797")
    monkeypatch.setenv("OS_CLOUD", "nowhere")
    with pytest.raises(InvalidInput, match=r"OS_CLOUD is nowhere, and no clouds\.yaml has an entry of that name"):
        to_server("https://longshore:9797")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("clouds: {bad: {auth: x}}", "describe a cloud: it, and auth in it, are names with values"),
        ("clouds: {bad: }", "describe a cloud: it, and auth in it, are names with values"),
        ("clouds:\n  bad: {auth: {password: a:b: c}}", r"clouds\.yaml, line 2: this isn't YAML"),
    ],
)
def test_a_clouds_yaml_that_cannot_be_used_is_told(monkeypatch, tmp_path, file, said):
    (tmp_path / "clouds.yaml").write_text(file)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("OS_CLOUD", "bad")
    with pytest.raises(InvalidInput, match=said):
        to_server("https://longshore:9797")


@pytest.mark.parametrize(
    "url", ["longshore", "ftp://longshore", "http://", "https://[::1", "https://l:99999", "https://l l"]
)
def test_what_is_no_address_of_a_server_is_told(url):
    with pytest.raises(InvalidInput, match="is no server's address"):
        to_server(url)


def test_a_host_that_cannot_be_is_told(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "none.yaml"))
    for name, value in {"AUTH_URL": "https://a..b/v3", "USERNAME": "u", "PASSWORD": "p", "PROJECT_NAME": "x"}.items():
        monkeypatch.setenv(f"OS_{name}", value)
    with pytest.raises(InvalidInput, match=r"Such a host can't be: Failed to parse: 'a\.\.b'"):
        to_server("https://longshore:9797").ask("GET", "/v1/me")


@pytest.mark.parametrize("command", [ShowMigration, DeleteMigration])
def test_a_refusal_advises_what_one_types_there(server, command):
    """One that answers something and one that doesn't, as `openstack` runs them."""
    with client(server) as ann:
        app = SimpleNamespace(client_manager=SimpleNamespace(migration=ann), stdout=None)
        asked = command(app, None)
        arguments = asked.get_parser("openstack migration").parse_args(["nothing"])
        with pytest.raises(LongshoreError, match=r"See: openstack migration job list\.$"):
            asked.run(arguments)


def test_advice_is_typed_as_the_command_is():
    said = "See: longshore migration show 1, or longshore plan list; longshore migrate web; longshore copy."
    assert as_typed(said) == (
        "See: openstack migration show 1, or openstack migration plan list; openstack migration create web; "
        "longshore copy."
    )


def test_a_wall_link_is_made_shown_as_a_whole_address_and_taken_back(server):
    with client(server) as ann, client(server, "bob") as bob:
        app = SimpleNamespace(client_manager=SimpleNamespace(migration=ann), stdout=None)

        def answer(command, *words):
            asked = command(app, None)
            return asked.take_action(asked.get_parser("openstack migration").parse_args(list(words)))

        columns, made = answer(CreateWallLink, "operations-room", "--lasts", "7d")
        said = dict(zip(columns, made, strict=True))
        assert said["address"].startswith(f"{server}/ui/wall/open?key=")
        ends = datetime.fromisoformat(said["ends_at"])
        assert timedelta(days=6.9) < ends - datetime.now(UTC) <= timedelta(days=7)
        _columns, ((name, *_rest, id_),) = answer(ListWallLinks)
        assert (name, bob.wall_links()) == ("operations-room", [])
        assert answer(DeleteWallLink, id_) == 0
        assert ann.wall_links() == []
        with pytest.raises(LongshoreError, match="at most 31 days"):
            answer(CreateWallLink, "for-ever", "--lasts", "32d")
