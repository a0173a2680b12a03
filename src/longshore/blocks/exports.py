"""Starts and stops NBD servers on this machine. The only place in Longshore that runs nbdkit and qemu-nbd.

A server is a context manager that yields an `Export`. By default it listens on a Unix socket in a directory only its
owner may enter; for other machines it listens on TCP, and then only with TLS.

What is promised:

* No server outlives the process that started it, not even after SIGKILL: setpriv(1) sets PR_SET_PDEATHSIG before it
  becomes the server. That signal fires when the *thread* that forked ends, so all servers are forked from one thread
  that lives as long as the process.
* A server that dies is noticed: `Export.check()` raises with its last words, and `Export.fileno()` is a pidfd that
  becomes readable at that moment, for event loops.
* Secrets reach a server through a memory file that only it inherits: never on a command line, in the environment or on
  a disk; and they are blotted out of its last words.
"""

import os
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from longshore.blocks.endpoints import Endpoint, probe
from longshore.blocks.request_size import TAKES_WHOLE
from longshore.errors import CopyError, ExportError, InvalidInput
from longshore.processes.installed import refuse_without
from longshore.processes.launcher import Sandbox
from longshore.processes.parent import die_with_parent
from longshore.processes.private import private_directory

START_TIMEOUT = 60.0  # seconds until a server must be listening; vddk and rbd may take a while to load
STOP_TIMEOUT = 5.0  # seconds a server gets to end by itself before it is killed; nbdkit waits for its clients
LAST_WORDS = 2000  # bytes of a server's standard error that are worth repeating

# What a server runs in that is kept from everything else, by the directory named, where its socket is to be
Confine = Callable[[Path], Sandbox]

# glibc gives each thread a heap of its own, of which little is given back: with a thread for each connection that were
# 200 MB more, and a fifth of the time for the pages
_ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}

# What names files in a URI of libnbd's, and the same as parameters of nbdkit's nbd plugin
_TLS_FILES = {"tls-psk-file": "tls-psk", "tls-certificates": "tls-certificates"}

_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="longshore-exports")


@dataclass(frozen=True, slots=True)
class Psk:
    """Pre-shared key for TLS: a file of lines "NAME:HEX", and the name to show. Readable by its owner only."""

    file: Path
    username: str


@dataclass(frozen=True, slots=True)
class Certificates:
    """A directory as nbdkit(1) "TLS" wants it: ca-cert.pem, server-cert.pem, server-key.pem; clients show theirs."""

    directory: Path


@dataclass(frozen=True, slots=True)
class Listen:
    """Serve on TCP. Anything but a loopback address needs `tls`. Port 0: any free one."""

    address: str = "127.0.0.1"
    port: int = 0
    tls: Psk | Certificates | None = None


class Export(ABC):
    """An NBD server and the URI it answers at, as long as the context that gave it is open."""

    def __init__(self, name: str, uri: str) -> None:
        self.uri = uri
        self.name = name
        self.maximum_read: int | None = None  # bytes that one read may ask for, where more is known to fail

    @abstractmethod
    def fileno(self) -> int:
        """Return a descriptor that becomes readable when the server ends."""

    @abstractmethod
    def check(self) -> None:
        """Raise ExportError, with the server's last words, when it has ended on its own."""

    @abstractmethod
    def last_words(self) -> str:
        """Return the end of what the server said, in one line, without secrets."""

    def probe(self) -> Endpoint:
        """Open it as a client would, and say what it offers.

        Raises ExportError with the server's last words: some plugins (vddk) find out only now that they can't open
        their disk, and tell the client nothing.
        """
        try:
            return probe(self.uri)
        except CopyError as error:
            self.check()
            raise ExportError(f"{self.name} runs, but refuses to open its disk{self.said()}") from error

    def said(self) -> str:
        """Return the last words as the end of a sentence."""
        words = self.last_words()
        return f": {words}" if words else "; it said nothing."


class LocalExport(Export):
    """A server that is a process of ours."""

    def __init__(
        self, name: str, uri: str, process: subprocess.Popen[bytes], log: IO[bytes], secrets: Sequence[str]
    ) -> None:
        super().__init__(name, uri)
        self.pid = process.pid
        self._process = process
        self._log = log
        self._secrets = secrets
        self._pidfd = os.pidfd_open(process.pid)

    def fileno(self) -> int:
        return self._pidfd

    def check(self) -> None:
        status = self._process.poll()
        if status is not None:
            raise ExportError(f"{self.name} ended by itself ({_ending(status)}){self.said()}")

    def last_words(self) -> str:
        """Return the end of what the server wrote to its standard error."""
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), LAST_WORDS, max(0, size - LAST_WORDS)).decode(errors="replace")
        for secret in filter(None, self._secrets):
            text = text.replace(secret, "***")
        return "; ".join(line.strip() for line in text.splitlines() if line.strip())

    def _close(self) -> None:
        os.close(self._pidfd)


@contextmanager
def serve_nbdkit(
    plugin: str,
    parameters: Mapping[str, str],
    *,
    filters: Sequence[str] = (),
    read_only: bool = True,
    threads: int = 1,
    secrets: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    listen: Listen | None = None,
    confined: Confine | None = None,
) -> Iterator[LocalExport]:
    """Serve what an nbdkit plugin (name or path of its .so) opens.

    `secrets` are parameters whose values nbdkit reads from a file (`name=+FILE`), `files` those that name a file, each
    with what it is to hold: no other process sees it, and it is on no disk. `environment` is added to ours.
    More than one thread lets nbdkit work on several requests at once, but nbdkit 1.32 aborts when a client dies while
    such requests are in flight: after a client's crash start a new export. Raises ExportError.
    """
    name = f"nbdkit (plugin {Path(plugin).name})"
    with ExitStack() as stack:
        directory = stack.enter_context(private_directory())
        place = _Place.choose(directory, listen)
        command = ["nbdkit", "--foreground", f"--pidfile={place.pid_file}", f"--threads={threads}"]
        command += ["--readonly"] if read_only else []
        command += [f"--filter={filter_name}" for filter_name in filters]
        if listen is None:
            command.append(f"--unix={place.socket}")
        else:
            command += [f"--ipaddr={listen.address}", f"--port={place.port}"]
            if isinstance(listen.tls, Psk):
                command += ["--tls=require", f"--tls-psk={listen.tls.file}"]
            elif isinstance(listen.tls, Certificates):
                command += ["--tls=require", f"--tls-certificates={listen.tls.directory}", "--tls-verify-peer"]
        command += [plugin, *(f"{key}={value}" for key, value in parameters.items())]
        descriptors = []
        held = [(f"{key}=+", value) for key, value in (secrets or {}).items()]
        held += [(f"{key}=", value) for key, value in (files or {}).items()]
        for parameter, value in held:
            descriptor = stack.enter_context(_memory_file(value))
            descriptors.append(descriptor)
            # Opened by path, so that a plugin that executes nbdkit once more (vddk does) reads it from the start again
            command.append(f"{parameter}/dev/fd/{descriptor}")
        yield stack.enter_context(
            _running(
                name,
                command,
                place,
                # Nothing of a reader is lost with it, and a plugin stuck in a vendor's library can't delay the end
                death_signal="KILL",
                descriptors=descriptors,
                secrets=[value for _, value in held],
                environment=environment,
                sandbox=None if confined is None else confined(directory),
            )
        )


def reaching(uri: str) -> dict[str, str]:
    """Return the parameters by which nbdkit's nbd plugin reaches what is at an export's URI, also over TLS: it opens no
    file that a URI names, but those that it is given beside."""
    parts = urlsplit(uri)
    said = dict(parse_qsl(parts.query))
    files = {plugins: said.pop(name) for name, plugins in _TLS_FILES.items() if name in said}
    query = urlencode(said, quote_via=quote)
    return {"uri": urlunsplit(parts._replace(query=query)), **files} if files else {"uri": uri}


@contextmanager
def serve_qemu_nbd(
    image: Mapping[str, str] | str | Path,
    *,
    image_format: str = "raw",
    read_only: bool = False,
    connections: int = 16,
    environment: Mapping[str, str] | None = None,
    listen: Listen | None = None,
    confined: Confine | None = None,
    descriptors: Sequence[int] = (),
) -> Iterator[LocalExport]:
    """Serve an image: QEMU's block options (`driver`, `file.driver`, …), or a file of the format named.

    The format of a file is never guessed: a guest could write a qcow2 header into its raw disk and so read its host's
    files. `descriptors` are inherited by the server. Raises ExportError.
    """
    with ExitStack() as stack:
        directory = stack.enter_context(private_directory())
        place = _Place.choose(directory, listen)
        command = ["qemu-nbd", "--persistent", f"--shared={connections}", f"--pid-file={place.pid_file}"]
        command += ["--read-only"] if read_only else ["--discard=unmap"]
        if listen is None:
            command.append(f"--socket={place.socket}")
        else:
            command += [f"--bind={listen.address}", f"--port={place.port}"]
            if isinstance(listen.tls, Psk):
                if listen.tls.file.name != "keys.psk":
                    raise InvalidInput(f"qemu-nbd wants its pre-shared keys in a file keys.psk, not {listen.tls.file}.")
                credentials = f"tls-creds-psk,id=tls,endpoint=server,dir={_escaped(str(listen.tls.file.parent))}"
                command += ["--object", credentials, "--tls-creds=tls"]
            elif isinstance(listen.tls, Certificates):
                where = _escaped(str(listen.tls.directory))
                credentials = f"tls-creds-x509,id=tls,endpoint=server,verify-peer=on,dir={where}"
                command += ["--object", credentials, "--tls-creds=tls"]
        if isinstance(image, Mapping):
            what = image.get("driver", "image")
            if image.get("file.driver") == "rbd":
                command.append(f"--description={TAKES_WHOLE}")
            command += ["--image-opts", ",".join(f"{key}={_escaped(value)}" for key, value in image.items())]
        else:
            what = str(image)
            command += [f"--format={image_format}", str(image)]
        yield stack.enter_context(
            _running(
                f"qemu-nbd ({what})",
                command,
                place,
                descriptors=descriptors,
                # So that it closes its image: a killed RBD client keeps the image's lock for half a minute
                death_signal="TERM",
                environment=environment,
                sandbox=None if confined is None else confined(directory),
            )
        )


@contextmanager
def serve_own(name: str, command: Sequence[str], told: str, *, port: int | None = None) -> Iterator[LocalExport]:
    """Run a server of our own: a command that is given a socket to listen on, a file to write its pid into then, and a
    file with what it is told, which may be secret. With `port` it is given that instead of a socket, to listen on the
    loopback address, where any user of this machine may connect; 0: any free one. Raises ExportError."""
    with ExitStack() as stack:
        listen = None if port is None else Listen(port=port)
        place = _Place.choose(stack.enter_context(private_directory()), listen)
        descriptor = stack.enter_context(_memory_file(told))
        where = str(place.socket) if listen is None else str(place.port)
        arguments = [*command, where, str(place.pid_file), f"/dev/fd/{descriptor}"]
        yield stack.enter_context(
            _running(name, arguments, place, death_signal="KILL", descriptors=[descriptor], environment=_ONE_ARENA)
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """The place where a server listens, and the file it writes once it does."""

    uri: str
    pid_file: Path
    socket: Path
    port: int

    @classmethod
    def choose(cls, directory: Path, listen: Listen | None) -> "_Place":
        path = directory / "socket"
        if listen is None:
            uri, port = f"nbd+unix:///?socket={quote(str(path))}", 0
        else:
            if listen.tls is None and not listen.address.startswith("127.") and listen.address != "::1":
                raise InvalidInput(
                    f"An NBD server on {listen.address} would send disks in the clear.",
                    advice="Give it a TLS key or certificates.",
                )
            port = listen.port or _free_port(listen.address)
            host = f"[{listen.address}]" if ":" in listen.address else listen.address
            if isinstance(listen.tls, Psk):
                key_file = quote(str(listen.tls.file))
                uri = f"nbds://{quote(listen.tls.username)}@{host}:{port}/?tls-psk-file={key_file}"
            elif isinstance(listen.tls, Certificates):
                uri = f"nbds://{host}:{port}/?tls-certificates={quote(str(listen.tls.directory))}"
            else:
                uri = f"nbd://{host}:{port}"
        return cls(uri=uri, pid_file=directory / "pid", socket=path, port=port)


@contextmanager
def _running(
    name: str,
    command: Sequence[str],
    place: _Place,
    *,
    death_signal: str,
    descriptors: Sequence[int] = (),
    secrets: Sequence[str] = (),
    environment: Mapping[str, str] | None,
    sandbox: Sandbox | None = None,
) -> Iterator[LocalExport]:
    variables = {**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})}
    refuse_without(command[0], path=variables.get("PATH"))
    with tempfile.TemporaryFile() as log:
        if sandbox is None:
            starting = _starter.submit(
                subprocess.Popen,
                die_with_parent(*command, death_signal=death_signal),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=list(descriptors),
                env=variables,
                start_new_session=True,  # Ctrl-C is for us: a server must outlive its clients' last flush
            )
        else:
            starting = _starter.submit(
                sandbox.start,
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                descriptors=descriptors,
                death_signal=death_signal,
            )
        process = starting.result()
        try:
            export = LocalExport(name, place.uri, process, log, secrets)
            try:
                _wait_until_listening(export, process, place)
                yield export
            finally:
                _stop(process)
                export._close()
        finally:
            process.kill()
            process.wait()


def _wait_until_listening(export: LocalExport, process: subprocess.Popen[bytes], place: _Place) -> None:
    """Wait until the server listens: each kind of server writes its pid file last. That is no event one could wait for,
    the server's end is."""
    deadline = time.monotonic() + START_TIMEOUT
    with selectors.DefaultSelector() as selector:
        selector.register(export.fileno(), selectors.EVENT_READ)
        while True:
            with suppress(FileNotFoundError):
                if place.pid_file.stat().st_size:
                    return
            if selector.select(timeout=0.005):
                status = process.wait()
                raise ExportError(f"{export.name} couldn't be started ({_ending(status)}){export.said()}")
            if time.monotonic() > deadline:
                raise ExportError(f"{export.name} didn't start listening within {START_TIMEOUT:.0f} s{export.said()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _memory_file(content: str) -> Iterator[int]:
    descriptor = os.memfd_create("longshore-secret")
    try:
        os.write(descriptor, content.encode())
        yield descriptor
    finally:
        os.close(descriptor)


def _free_port(address: str) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe_socket:
        probe_socket.bind((address, 0))
        port: int = probe_socket.getsockname()[1]
        return port


def _ending(status: int) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def _escaped(value: str) -> str:
    """Escape a value for QEMU's option lists, where a comma ends a value and two commas are one."""
    return value.replace(",", ",,")
