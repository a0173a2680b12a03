"""Clouds that limit how often they are asked: 429, or 503 and 413 with Retry-After."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from longshore.errors import Unreachable
from longshore.providers.openstack.http import Adapter


@contextmanager
def cloud(answer):
    """`answer(number, body)`: status and headers for the request of that number, from 1 on."""
    seen = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with lock:
                seen.append(body)
                status, headers = answer(len(seen), body)
            said = json.dumps({"said": status}).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    session = requests.Session()
    session.mount("http://", Adapter(None))
    try:
        yield session, f"http://127.0.0.1:{server.server_port}/servers", seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("limit", [(429, {"Retry-After": "1"}), (429, {}), (503, {"Retry-After": "1"})])
def test_a_request_is_sent_again_as_it_was_when_the_cloud_has_asked_to_wait(limit):
    with cloud(lambda number, _: limit if number == 1 else (202, {})) as (session, url, seen):
        began = time.monotonic()
        assert session.post(url, data=b'{"server": {}}').status_code == 202
        assert time.monotonic() - began >= 1
    assert seen == [b'{"server": {}}'] * 2


def test_a_moment_may_be_a_date():
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    with cloud(lambda number, _: (429, {"Retry-After": date}) if number == 1 else (200, {})) as (session, url, _):
        assert session.get(url).status_code == 200


@pytest.mark.parametrize("moment", ["Wed, 21 Oct 99999 07:28:00 GMT", "9" * 5000, "soon"])
def test_a_moment_that_is_none_is_a_second(moment):
    with cloud(lambda number, _: (429, {"Retry-After": moment}) if number == 1 else (200, {})) as (session, url, _):
        assert session.get(url).status_code == 200


@pytest.mark.long
def test_many_at_once_take_turns_and_none_fails():
    """The cloud takes twenty a second, and five at once."""
    room, looked = 5.0, time.monotonic()

    def answer(_number, _body):
        nonlocal room, looked
        now = time.monotonic()
        room, looked = min(5.0, room + (now - looked) * 20), now
        if room < 1:
            return 429, {"Retry-After": "1"}
        room -= 1
        return 200, {}

    with cloud(answer) as (session, url, seen), ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: session.get(url).status_code, range(40)))
    assert answers == [200] * 40
    assert len(seen) < 80, "they adapt"


def test_who_is_asked_to_wait_for_long_is_told_at_once_and_asks_no_more():
    with cloud(lambda _number, _: (429, {"Retry-After": "600"})) as (session, url, seen):
        assert session.get(url).status_code == 429
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 asks to wait for (600|599) s more"):
            session.get(url)
    assert len(seen) == 1


@pytest.mark.parametrize("answer", [(413, {"Retry-After": "0"}), (503, {}), (200, {"Retry-After": "5"})])
def test_other_answers_are_no_wish_to_wait(answer):
    with cloud(lambda _number, _: answer) as (session, url, seen):
        assert session.get(url).status_code == answer[0]
    assert len(seen) == 1


def test_a_body_that_is_read_while_it_is_sent_goes_once():
    with cloud(lambda _number, _: (429, {"Retry-After": "1"})) as (session, url, seen):
        assert session.post(url, data=iter([b"image"]), headers={"Content-Length": "5"}).status_code == 429
    assert len(seen) == 1
