"""Files behind HTTPS, read by ranges where they are.

A server is asked how large a file is and whether it gives ranges; nbdkit's curl plugin reads it then. Where a
server of ours may not connect to everywhere, curl is given a socket of ours instead of the network, which leads to the
address that was looked at: what its name means the next moment doesn't count.
"""

import http.client
import os
import re
import selectors
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from longshore.blocks.exports import serve_nbdkit
from longshore.errors import AccessDenied, InvalidInput, LongshoreError, NotFound, Unreachable
from longshore.model.reach import Reach
from longshore.processes.private import private_directory
from longshore.providers.files.served import ServedFile
from longshore.providers.files.stored import Bundle, Stored, refuse_path
from longshore.providers.reaching import HttpsConnection, open_socket

ANSWERS_WITHIN = 60.0  # seconds
_THREADS = 8  # requests at once: each connection of the copy has one of curl's
_PIECE = 1 << 18  # bytes
_ASKED = 1  # which byte is asked for to see whether ranges are given: not the first, which comes in any case
_RANGE = re.compile(rf"bytes {_ASKED}-{_ASKED}/([0-9]{{1,18}})")


class WebPlace:
    def __init__(self, url: str, ca_file: str | None, reach: Reach | None) -> None:
        self._url = url
        self._ca_file = ca_file
        self._reach = reach

    def is_one(self) -> bool:
        return True

    def files(self, _below: str = "") -> list[str]:
        """Return the one file that is named: web servers have no lists that could be relied upon."""
        return [unquote(self._url.rpartition("/")[2])]

    @contextmanager
    def bundle(self, path: str) -> Iterator[Bundle]:
        """Open that file, and those beside it that it names."""
        if path != self.files()[0]:
            raise NotFound(f"{self._url} is the only file of this provider.")
        with ExitStack() as stack:
            yield _Beside(self._url.rpartition("/")[0], self._ca_file, self._reach, stack)


class _Beside(Bundle):
    def __init__(self, base: str, ca_file: str | None, reach: Reach | None, stack: ExitStack) -> None:
        self._base = base
        self._ca_file = ca_file
        self._reach = reach
        self._stack = stack
        self._opened: dict[str, ServedFile] = {}

    def open(self, name: str) -> Stored:
        """Run one server process of ours for each file, however many disks are said to be in it."""
        if name not in self._opened:
            self._opened[name] = self._open(name)
            self._opened[name].reach = self._reach
        return self._opened[name]

    def _open(self, name: str) -> ServedFile:
        refuse_path(name, "A machine's description", below=True)
        url = f"{self._base}/{quote(os.fsencode(name))}"
        size, version = self._ask(url)
        parameters = {"url": url, "protocols": "https", "followlocation": "false", "timeout": f"{ANSWERS_WITHIN:.0f}"}
        if self._ca_file:
            parameters["cainfo"] = self._ca_file
        if self._reach is not None:
            parts = urlsplit(url)
            assert parts.hostname is not None
            directory = self._stack.enter_context(private_directory())
            way = _Way(directory / "way", parts.hostname, parts.port or 443, self._reach)
            self._stack.callback(way.close)
            parameters["unix-socket-path"] = str(way.path)
        export = self._stack.enter_context(
            serve_nbdkit("curl", parameters, filters=("retry",), threads=_THREADS, environment=_NO_PROXY)
        )
        served = ServedFile(name, export, f"{url} {version} {size}")
        self._stack.callback(served.close)
        if served.size != size:
            raise InvalidInput(f"{url} had {size} bytes and has {served.size} now.", advice="Try again.")
        return served

    def _ask(self, url: str) -> tuple[int, str]:
        """Return the file's size in bytes, and what changes with the file. Raises NotFound, AccessDenied, InvalidInput,
        Unreachable."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        try:
            context = ssl.create_default_context(cafile=self._ca_file)
        except OSError as error:  # also for a file without a certificate
            raise InvalidInput(f"The authorities in {self._ca_file} can't be read: {error.strerror}.") from None
        connection = HttpsConnection(
            parts.hostname, parts.port or 443, reach=self._reach, timeout=ANSWERS_WITHIN, context=context
        )
        try:
            # nbdkit believes what it gets: from a server that ignores ranges, the beginning of the file for any part
            connection.request("GET", parts.path, headers={"Range": f"bytes={_ASKED}-{_ASKED}"})
            answer = connection.getresponse()
        except ssl.SSLCertVerificationError as error:
            raise AccessDenied(
                f"The certificate of {parts.netloc} isn't trusted: {error.verify_message}.",
                advice="Name the file with its authority's certificate (--ca-file).",
                code="certificate-refused",
            ) from None
        except (OSError, UnicodeError, http.client.HTTPException) as error:  # UnicodeError: no name that DNS could have
            raise Unreachable(
                f"{parts.netloc} can't be reached: {getattr(error, 'strerror', None) or error}."
            ) from None
        finally:
            connection.close()
        return _size_of(url, answer)


# Which would have curl connect elsewhere
_NO_PROXY = {"https_proxy": "", "HTTPS_PROXY": "", "all_proxy": "", "ALL_PROXY": "", "no_proxy": "*"}


def _size_of(url: str, answer: http.client.HTTPResponse) -> tuple[int, str]:
    if answer.status == http.HTTPStatus.NOT_FOUND:
        raise NotFound(f"There is no {url}.")
    if answer.status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        raise AccessDenied(f"{url} may not be read: its server answers {answer.status}.")
    if 300 <= answer.status < 400:
        raise InvalidInput(f"{url} leads elsewhere.", advice="Name the URL where the file itself is.")
    if answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise InvalidInput(f"{url} is too small to be anything.", code="truncated")
    if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
        raise Unreachable(f"The server of {url} answers {answer.status}.")
    told = _RANGE.fullmatch(answer.getheader("Content-Range") or "")
    if answer.status == http.HTTPStatus.OK or told is None:
        raise InvalidInput(
            f"The server of {url} gives no ranges of a file, only all of it.",
            advice="Serve it by another program (nginx, Apache), or download it and name the directory.",
            code="no-ranges",
        )
    return int(told[1]), answer.getheader("ETag") or answer.getheader("Last-Modified") or ""


class _Way:
    """A Unix socket that leads to one host and port, within reach. What goes through it is TLS and not looked at."""

    def __init__(self, path: Path, host: str, port: int, reach: Reach) -> None:
        self.path = path
        self._to = (host, port)
        self._reach = reach
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(16)
        threading.Thread(target=self._accept, name="longshore-way", daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):  # wakes the thread that waits for connections
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(near,), name="longshore-way", daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        with near:
            try:
                far = open_socket(*self._to, ANSWERS_WITHIN, self._reach)
            except (OSError, LongshoreError):
                return  # curl sees its connection closed
            far.settimeout(None)
            with far, suppress(OSError):
                _join(near, far)


def _join(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    with selectors.DefaultSelector() as selector:  # select(2) fails in a process that has a thousand files open
        selector.register(one, selectors.EVENT_READ, (one, other))
        selector.register(other, selectors.EVENT_READ, (other, one))
        while True:
            for key, _ in selector.select():
                ready, opposite = key.data
                data = ready.recv(_PIECE)
                if not data:
                    return
                opposite.sendall(data)
