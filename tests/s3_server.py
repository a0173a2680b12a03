"""An S3 server in this process, moto's, on loopback; and what can go wrong with one: answers lost, lists late."""

import io
import re
import ssl
import subprocess
import threading
import time
from datetime import datetime, timedelta

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeKey, s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from longshore.vault.bucket import Bucket

SECRET = "a secret key that nobody may see"


class _Quiet(WSGIRequestHandler):
    def log(self, *_):
        """Log nothing: tests say themselves what went wrong."""


class S3Server:
    """`fault(method, path)`, when it is set, gives None, or what becomes of a request: an S3 error code as (status,
    code), "lost" (done, and answered by 500), "page" (a proxy answers by 200 and HTML) or a number of seconds that it
    hangs for."""

    def __init__(self, tls=None):
        """Start the server. `tls`: an SSLContext."""
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Quiet, ssl_context=tls)
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self.fault = None
        self.late = None  # a random.Random: lists come late
        self._fresh, self._gone = set(), {}
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    @property
    def _objects(self):
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def make_bucket(self, name, *, versions=False, locks=False):
        made = self._objects.create_bucket(name, "us-east-1")
        if versions or locks:
            made.versioning_status, made.object_lock_enabled = "Enabled", locks

    def remove_bucket(self, name):
        """Remove a bucket with all that is in it, locked or not."""
        self._objects.buckets[name].keys.clear()
        self._objects.delete_bucket(name)

    def store(self, url, **other):
        told = {"url": url, "endpoint": self.endpoint, "region": "us-east-1", "access_key": "AKIATEST"}
        return Bucket(**(told | {"secret_key": SECRET} | other))

    def stored(self, url):
        """Return what is there, by name: as the bucket's own server has it."""
        return {name: kept[-1] for name, kept in self.kept(url).items() if isinstance(kept[-1], FakeKey)}

    def kept(self, url):
        """Return all versions and markers, oldest first, by name."""
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        keys = self._objects.buckets[bucket].keys
        names = [key for key in list(keys) if key.startswith(f"{prefix}/")]
        return {key.removeprefix(f"{prefix}/"): list(keys.getlist(key)) for key in names if keys.getlist(key)}

    def days_pass(self, url, seconds):
        """Let time pass for all objects, and for their locks."""
        for version in (version for kept in self.kept(url).values() for version in kept):
            version.last_modified -= timedelta(seconds=seconds)
            if getattr(version, "lock_until", None):
                until = datetime.fromisoformat(version.lock_until) - timedelta(seconds=seconds)
                version.lock_until = f"{until.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
        self.lists_come()

    def lists_come(self):
        """Have lists show all that was done up to now."""
        self._fresh, self._gone = set(), {}

    def _serve(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        given = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(given)
        if method == "POST" and environ["QUERY_STRING"].startswith("delete"):  # of several, though it is always one
            method, path = "DELETE", f"{path}/{re.search(rb'<Key>(.*?)</Key>', given)[1].decode()}"
        fault = self.fault(method, path) if self.fault is not None else None
        if isinstance(fault, tuple):
            return _error(start_response, *fault)
        if isinstance(fault, float):
            time.sleep(fault)
        if fault == "page":
            start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
            return [b"<html><body>Please log in.</body></html>"]
        answer = {}

        def begin(status, headers, _error=None):
            answer["status"], answer["headers"] = status, headers

        body = b"".join(self._app(environ, begin))
        if fault == "lost":
            return _error(start_response, 500, "InternalError")
        if self.late is not None:
            body = self._made_late(method, path, environ, answer["status"], body)
            if "list-type=2" in environ["QUERY_STRING"]:
                answer["headers"] = [each for each in answer["headers"] if each[0] != "Content-Length"]
        start_response(answer["status"], answer["headers"])
        return [body]

    def _made_late(self, method, path, environ, status, body):
        key = path.removeprefix("/").partition("/")[2]
        if method == "PUT" and status.startswith("200"):
            self._fresh.add(key)
            self._gone.pop(key, None)
        elif method == "DELETE":
            if key not in self._fresh:  # else it may never have been shown
                self._gone[key] = None
            self._fresh.discard(key)
        elif "list-type=2" in environ["QUERY_STRING"]:
            prefix = re.search(rb"<Prefix>(.*?)</Prefix>", body)
            below = prefix[1].decode() if prefix else ""

            def shown(found):
                hidden = re.search(rb"<Key>(.*?)</Key>", found[0])[1].decode() in self._fresh
                return b"" if hidden and self.late.random() < 0.5 else found[0]

            body = re.sub(rb"<Contents>.*?</Contents>", shown, body, flags=re.DOTALL)
            stale = b"".join(
                b"<Contents><Key>%s</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                b'<ETag>"0"</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>' % gone.encode()
                for gone in self._gone
                if gone.startswith(below) and self.late.random() < 0.5
            )
            body = body.replace(b"</ListBucketResult>", stale + b"</ListBucketResult>")
        return body


def own_certificate(directory):
    """Make a certificate of 127.0.0.1, signed by nobody else: as a server takes it, and the file of it."""
    key, certificate = directory / "s3.key", directory / "s3.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=s3.lab", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def _error(start_response, status, code):
    start_response(f"{status} {code}", [("Content-Type", "application/xml")])
    return [f"<Error><Code>{code}</Code><Message>secret {SECRET}</Message></Error>".encode()]
