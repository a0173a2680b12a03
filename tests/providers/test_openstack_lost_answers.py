"""A cloud that does what it is asked, and whose answer is lost on the way: it isn't asked to do it twice."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from keystoneauth1.session import Session

from longshore.errors import Unreachable
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.http import Adapter

SILENCE = 0.2  # seconds


@pytest.fixture
def cloud():
    """Its address, and what it has been asked. It hangs up without an answer, or says nothing at all."""
    asked = []
    enough = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def ask(self):
            asked.append(self.command)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/silent":
                enough.wait(10)
            self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = ask

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    enough.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def session():
    made = Session(timeout=SILENCE)
    made.mount("http://", Adapter(None))
    return made


def ask(session, method, url, **body):
    with explained("make a server"):
        session.request(
            url, method, **(body or {"json": {}}), authenticated=False, connect_retries=1, connect_retry_delay=0.01
        )


@pytest.mark.parametrize("path", ["/hangs-up", "/silent"])
@pytest.mark.parametrize(("method", "times"), [("POST", 1), ("PATCH", 1), ("GET", 2)])
def test_only_what_changes_nothing_is_asked_again(cloud, session, path, method, times):
    address, asked = cloud
    with pytest.raises(Unreachable, match="didn't answer while trying to make a server"):
        ask(session, method, address + path)
    assert asked == [method] * times


def test_an_image_isnt_sent_again_without_its_bytes(cloud, session):
    address, asked = cloud
    with pytest.raises(Unreachable):
        ask(session, "PUT", f"{address}/hangs-up", data=iter([b"bytes"]))
    assert asked == ["PUT"]


def test_what_never_arrived_is_asked_again(session, monkeypatch):
    """A connection that is refused: nothing of it can have been done."""
    sent = []
    once = Adapter.send
    monkeypatch.setattr(Adapter, "send", lambda *args, **more: (sent.append(args), once(*args, **more))[1])
    with pytest.raises(Unreachable):
        ask(session, "POST", "http://127.0.0.1:9")
    assert len(sent) == 2
