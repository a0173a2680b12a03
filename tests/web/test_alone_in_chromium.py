"""`longshore web` as it is typed, in a real browser, on a machine whose other users listen at ports of their own."""

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from looking import IN_BROWSER

pytestmark = IN_BROWSER


@contextmanager
def longshore_web(directory):
    """The link that it prints."""
    command = [Path(sys.executable).with_name("longshore"), "web"]
    environment = {**os.environ, "LONGSHORE_STATE": str(directory), "HOME": str(directory)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield next(line.strip() for line in process.stderr if "key=" in line)
        finally:
            process.send_signal(signal.SIGINT)


@contextmanager
def another_users_server():
    """Its port, and the cookies that it is sent."""
    cookies = []

    class Listener(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            cookies.append(self.headers.get("Cookie"))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, cookies
        server.shutdown()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_server_at_another_port_gets_no_cookie(chromium, tmp_path, name):
    with longshore_web(tmp_path) as link, another_users_server() as (port, cookies):
        page = chromium.new_page()
        page.goto(link)
        assert page.url.endswith("/ui/"), "the name leads to this machine"
        assert re.fullmatch(r"http://[0-9a-f]{32}\.localhost:[0-9]+/ui/", page.url)
        page.goto(f"http://{name}:{port}/ui/")
        page.close()
    assert cookies[0] is None
