"""HTTPS: /sdk (SOAP), /folder (datastore files), /nfc (exported disks)."""

from __future__ import annotations

import base64
import hmac
import http.server
import logging
import os
import socket
import ssl
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree.ElementTree import ParseError

from pyVmomi import vmodl

from .context import Context
from .export import Lease
from .importing import STREAM, ImportLease
from .managed import ApiFault, HangUp
from .rest import answer as rest_answer
from .soap import SERVICE_VERSIONS, Dispatcher, fault_answer

log = logging.getLogger(__name__)
COPY_SIZE = 1 << 20


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one write, at once: otherwise each call waits 40 ms for a delayed acknowledgement.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    timeout = 900
    server: VCenterServer

    def log_message(self, *args: object) -> None:
        pass

    @property
    def context(self) -> Context:
        return self.server.context

    @property
    def cookie(self) -> str:
        cookies = self.headers.get("Cookie") or ""
        return cookies.partition("vmware_soap_session=")[2].split(";")[0].strip('"')

    def send_body(
        self, status: int, text: str, kind: str = "text/xml; charset=utf-8", cookie: str | None = None
    ) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if cookie:
            self.send_header("Set-Cookie", f'vmware_soap_session="{cookie}"; Path=/; HttpOnly; Secure')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    # -- SOAP, and the little that there is of REST
    def do_POST(self) -> None:
        body = self._read_body()
        if self.path.startswith("/nfc/"):
            _, _, lease_id, key = [*urlsplit(self.path).path.split("/"), "", ""][:4]
            lease = self.context.objects.get(lease_id)
            taken = isinstance(lease, ImportLease)
            self.send_body(lease.take(key, self.headers.get("Content-Type") or "", body) if taken else 404, "")
            return
        if self.path.startswith("/api/"):
            self._rest(body)
            return
        try:
            text, cookie = self.server.dispatcher.answer(body, self.cookie)
        except ApiFault as error:
            self.send_body(500, fault_answer(error))
        except HangUp:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        except (ParseError, StopIteration, TypeError) as error:
            fault = vmodl.fault.InvalidRequest()
            self.send_body(500, fault_answer(ApiFault(fault, f"The request could not be understood: {error!r}")))
        except Exception as error:
            log.exception("a call failed")
            fault = vmodl.fault.SystemError(reason=repr(error))
            self.send_body(500, fault_answer(ApiFault(fault, f"A general system error occurred: {error!r}")))
        else:
            self.send_body(200, text, cookie=cookie)

    def do_DELETE(self) -> None:
        self._rest(self._read_body())

    def _rest(self, body: bytes) -> None:
        status, text = rest_answer(self.context, self.command, self.path, dict(self.headers.items()), body)
        self.send_body(status, text, "application/json")

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    # -- files
    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path.startswith("/api/"):
            self._rest(b"")
        elif address.path == "/sdk/vimServiceVersions.xml":
            self.send_body(200, SERVICE_VERSIONS)
        elif address.path.startswith("/folder/"):
            self._datastore_file(unquote(address.path[len("/folder/") :]), parse_qs(address.query))
        elif address.path.startswith("/nfc/"):
            self._exported_disk(address.path)
        else:
            self.send_body(404, "")

    do_HEAD = do_GET

    def _authorised(self) -> bool:
        settings = self.context.settings
        basic = b"Basic " + base64.b64encode(f"{settings.user}:{settings.password}".encode())
        given = (self.headers.get("Authorization") or "").encode()
        return hmac.compare_digest(given, basic) or self.context.sessions.touch(self.cookie)

    def _datastore_file(self, name: str, query: dict[str, list[str]]) -> None:
        if not self._authorised():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="VMware HTTP server"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.wfile.flush()
            return
        datastore = query.get("dsName", [""])[0]
        root = (self.context.settings.datastores / datastore).resolve()
        path = (root / name).resolve()
        known = self.context.inventory.datastore_named(datastore) is not None
        if not known or not path.is_relative_to(root) or not path.is_file():
            self.send_body(404, "")
            return
        self._send_file(path)

    def _exported_disk(self, path: str) -> None:
        """Send all of it, whatever range is asked for, in chunks: nobody knows its length before."""
        _, _, lease_id, name = [*path.split("/"), "", ""][:4]
        lease = self.context.objects.get(lease_id)
        try:
            pieces = lease.send(name) if isinstance(lease, Lease) and lease.is_open else None
        except KeyError:
            pieces = None
        if pieces is None:
            self.send_body(404, "")
            return
        self.send_response(200)
        self.send_header("Content-Type", STREAM)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "GET":
            for piece in pieces:
                if piece:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _send_file(self, path: Path) -> None:
        """The whole file, or one byte range of it."""
        size = os.path.getsize(path)
        first, last, status = 0, size - 1, 200
        wanted = self.headers.get("Range") or ""
        if wanted.startswith("bytes="):
            begin, _, end = wanted[len("bytes=") :].partition("-")
            first, last, status = int(begin), min(int(end) if end else size - 1, size - 1), 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if self.command == "GET":
            with open(path, "rb") as file:
                file.seek(first)
                left = last - first + 1
                while left > 0 and (data := file.read(min(left, COPY_SIZE))):
                    self.wfile.write(data)
                    left -= len(data)
        self.wfile.flush()


class VCenterServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, context: Context, certificate: Path, key: Path, address: tuple[str, int] | None = None) -> None:
        """Listen at the address of one of its hosts (`address`), or at its own."""
        super().__init__(address or (context.settings.host, context.settings.port), Handler)
        self.context = context
        self.dispatcher = Dispatcher(context)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        # The handshake happens in the connection's own thread: a client that never speaks holds up nobody else.
        try:
            request.settimeout(30)
            request = self.tls.wrap_socket(request, server_side=True)
            request.settimeout(None)
        except OSError:
            self.shutdown_request(request)
            return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        log.info("connection of %s ended early", client_address, exc_info=True)
