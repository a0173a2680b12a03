"""Receivers of what channels tell: an HTTPS server and a mail server over real sockets, which answer as bid."""

import asyncio
import hmac
import http.server
import json
import threading
from contextlib import contextmanager, suppress

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from s3_server import own_certificate

GONE = "hangs up before it answers"
HELD = "answers once it is let go"


class Webhook:
    """Takes POSTs. `answers`: what it answers by turns (a status, GONE, HELD), 204 after them."""

    def __init__(self, context):
        self.asked = []  # (headers, body), of which it has answered with 2xx
        self.tries = 0
        self.answers = []
        self.arrived, self.let_go = threading.Event(), threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.tries += 1
                outer.arrived.set()
                answer = outer.answers.pop(0) if outer.answers else 204
                if answer == HELD:
                    outer.let_go.wait(60)
                    answer = 204
                if answer == GONE:
                    self.close_connection = True
                    return
                if 200 <= answer < 300:
                    outer.asked.append((dict(self.headers), body))
                with suppress(OSError):
                    self.send_response(answer)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_args):
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_port
        self.url = f"https://127.0.0.1:{self.port}/T0/swordfish?x=1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def messages(self):
        return [message for _, body in self.asked for message in json.loads(body)["messages"]]

    def end(self):
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()


class MailServer:
    """Takes mail. `answers`: what it answers to mails by turns, "250 OK" after them; HELD: once it is let go."""

    def __init__(self, context=None, password=None):
        self.taken = []
        self.answers = []
        self.arrived, self.let_go = threading.Event(), threading.Event()
        login = {}
        if password is not None:
            login = {"auth_required": True, "authenticator": _who_knows(password)}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

        def speaking():
            return SMTP(self, hostname="mail.test", tls_context=context, loop=self._loop, **login)

        self._server = self._do(self._loop.create_server(speaking, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def handle_DATA(self, _server, _session, envelope):
        self.arrived.set()
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer == HELD:
            await self._loop.run_in_executor(None, self.let_go.wait, 60)
            answer = "250 OK"
        if answer.startswith("250"):
            self.taken.append(envelope)
        return answer

    def end(self):
        self.let_go.set()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _end(self):
        self._server.close()
        at_work = asyncio.all_tasks() - {asyncio.current_task()}
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)


def _who_knows(password):
    def authenticate(_server, _session, _envelope, _mechanism, data):
        known = isinstance(data, LoginPassword) and data.password == password.encode()
        return AuthResult(success=known, handled=False)

    return authenticate


@contextmanager
def trusted(directory, monkeypatch):
    """Make a certificate of 127.0.0.1 that this process trusts, and yield a server's side of it."""
    context, certificate = own_certificate(directory)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    yield context


def is_signed(headers, body, key):
    signed = hmac.new(key, headers["Longshore-Timestamp"].encode() + b"." + body, "sha256").hexdigest()
    return hmac.compare_digest(headers["Longshore-Signature"], f"sha256={signed}")
