"""What the bench of the noisy neighbour runs against, each in a process of its own: a Keystone that knows two projects,
`longshore server` at a soft limit of 1024 open files, `longshore worker`, and a cloud, webhooks and a vault that are
hostile.

Server and worker are the real ones. Only clouds called "paper" are not: they answer at once, and a copy only takes its
time.
"""

import base64
import gzip
import json
import multiprocessing
import os
import resource
import socket
import ssl
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import control_plane

HERE = Path(__file__).parent
COPY_SECONDS = 1.0
AT_ONCE = 4
# What a console shows for which an expression with backtracking takes for ever
CONSOLE = "a" * 60
FILES = 1024  # that may be open at first, as systemd has it
HUGE = 300 << 20  # bytes of a document in the hostile vault
_SPAWN = multiprocessing.get_context("spawn")


def _paper():
    """In the place of clouds that are called so; any other is asked as ever."""
    from longshore.flows import clouds
    from longshore.model.inventory import Inventory
    from longshore.service import providers

    real = clouds.connect
    control_plane.stand_in(COPY_SECONDS)
    blank = clouds.connect

    def connect(kind, settings, secrets, *more):
        name = settings.get("username") or settings.get("auth", {}).get("username", "")
        if not name.startswith("paper"):
            return real(kind, settings, secrets, *more)
        cloud = blank()
        cloud.check = lambda: {"version": "8"}
        cloud.inventory = Inventory
        cloud.describe = lambda refs: (cloud.machine(ref) for ref in refs)
        cloud.tags = lambda _refs: {}
        if name == "paper-hostile":
            cloud.console = lambda _id: CONSOLE
        return cloud

    clouds.connect = providers.connect = connect


def _log_to(path):
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _keystone(pipe):
    """Tokens are the names of their projects: "quiet" and "noisy". Any other isn't valid."""

    def domained(name):
        return {"id": name, "name": name, "domain": {"id": "default", "name": "Default"}}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            subject = self.headers.get("X-Subject-Token", "service")
            if not self.path.endswith("/auth/tokens"):
                links = [{"rel": "self", "href": f"{url}/v3/"}]
                return self._say(200, {"version": {"id": "v3.14", "status": "stable", "links": links}})
            if subject not in ("quiet", "noisy", "service"):
                return self._say(404, {"error": {"code": 404, "message": "No such token.", "title": "Not Found"}})
            endpoint = {"interface": "internal", "region": "R", "region_id": "R", "url": f"{url}/v3", "id": "e"}
            services = [{"type": "identity", "name": "identity", "id": "i", "endpoints": [endpoint]}]
            token = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "catalog": services}
            token |= {"issued_at": "2026-01-01T00:00:00.000000Z", "roles": [{"id": n, "name": n} for n in ROLES]}
            self._say(201, {"token": {**token, "user": domained(subject), "project": domained(subject)}})

        do_GET = do_POST = answer

        def _say(self, status, body):
            status = 200 if status == 201 and self.command == "GET" else status
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (("X-Subject-Token", "t"), ("Content-Type", "application/json")):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    ROLES = ("member", "reader")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    pipe.send(url)
    server.serve_forever()


def _hostile_cloud(pipe):
    """The address of one that answers with a bomb, and of one that takes connections and never says anything."""

    bomb = gzip.compress(b" " * (100 << 20), 9)

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.send_response(200)
            for name, value in (("Content-Type", "application/json"), ("Content-Encoding", "gzip")):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(bomb)))
            self.end_headers()
            self.wfile.write(bomb)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    silent = socket.create_server(("127.0.0.1", 0), backlog=1000)
    pipe.send((f"http://127.0.0.1:{server.server_port}/v3", f"http://127.0.0.1:{silent.getsockname()[1]}/v3"))
    server.serve_forever()


def _webhooks(certificate, told, pipe):
    """Those below /evil trickle a line of their header, any other takes what it is told, at the moment in `told`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
    pipe.send(f"https://127.0.0.1:{listening.getsockname()[1]}")

    def serve(plain):
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as wire:
            asked = wire.recv(65536)
            if b" /evil" not in asked:
                told.value = time.time()
                wire.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                return
            wire.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                wire.sendall(b"X")
                time.sleep(1)

    while True:
        threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()


def _bucket(pipe):
    """An S3 server. When it is told so, the vault in it becomes hostile: before its own key come some that ask for the
    most that is done to try one, new ones all the time, and some that ask for more; and a point has 300 MiB."""
    import_tests()
    from s3_server import S3Server

    server = S3Server()
    server.make_bucket("vaults")
    pipe.send(server.endpoint)
    while True:
        pipe.recv()
        objects, names = server._objects, server.stored("s3://vaults/noisy")
        own = json.loads(next(one.value for name, one in names.items() if name.startswith("keys/")))
        threading.Thread(target=_more_keys, args=(objects, own), daemon=True).start()
        objects.put_object("vaults", "noisy/points/a/20260101T000000000Z-00000000.point", bytes(HUGE))
        pipe.send(len(names))


def _more_keys(objects, own):
    while True:
        for name, cost in (("0", 1 << 18), ("00", 1 << 18), ("000", 1 << 20)):
            key = own | {"scrypt": {"n": cost, "r": 8, "p": 1}, "salt": base64.b64encode(os.urandom(16)).decode()}
            objects.put_object("vaults", f"noisy/keys/{name}.json", _text(key))
        time.sleep(0.2)


def _text(key):
    return json.dumps(key).encode()


def _settings(keystone, port, bucket):
    from longshore.configuration import Keystone, ServiceSettings

    said = {"port": port, "secrets": "database", "reach_allowed": ["127.0.0.0/8"], "vault_endpoints": [bucket]}
    return ServiceSettings(**said, keystone=Keystone(auth_url=f"{keystone}/v3", password="bench"))


def _server(state, url, keystone, port, bucket, log):
    _log_to(log)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    _paper()
    from longshore.configuration import read_configuration
    from longshore.web.many import serve_many

    serve_many(read_configuration(state=state, database_url=url, server=_settings(keystone, port, bucket)))


def _worker(state, url, keystone, port, bucket, log):
    _log_to(log)
    _paper()
    from longshore.configuration import read_configuration
    from longshore.engine import worker_process
    from longshore.flows.workflows import FLOWS

    server = _settings(keystone, port, bucket)
    worker_process.serve(read_configuration(state=state, database_url=url, at_once=AT_ONCE, server=server), FLOWS)


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Neighbourhood:
    """`told`: when the quiet project's webhook was told something. `turn_hostile`: makes vaults in the bucket so."""

    def __init__(self, store, server, worker, keystone, told, vaults, noisy_port, **where):
        self.store, self.server, self.worker, self.keystone, self.told = store, server, worker, keystone, told
        self.where = SimpleNamespace(**where)  # what a neighbour has to know
        self.port = self.where.port
        self.noisy = SimpleNamespace(**where | {"port": noisy_port})  # where the noisy project asks
        self.made_ready = set()
        self._vaults = vaults

    def turn_hostile(self):
        self._vaults.send("now")
        return self._vaults.recv()


@contextmanager
def neighbourhood(cluster, *, next_door=False):
    from longshore.store import StateDirectory, Store

    url = cluster.database()
    processes = []

    def started(target, *arguments):
        processes.append(_SPAWN.Process(target=target, args=arguments, daemon=True))
        processes[-1].start()
        return processes[-1]

    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        store = Store(StateDirectory(root / "state", url))
        try:
            ours, theirs = _SPAWN.Pipe()
            started(_keystone, theirs)
            keystone = ours.recv()
            started(_hostile_cloud, theirs)
            bomb, silent = ours.recv()
            told = _SPAWN.Value("d", 0.0)
            from s3_server import own_certificate

            _, certificate = own_certificate(root)
            os.environ["SSL_CERT_FILE"] = str(certificate)  # server and worker trust it
            started(_webhooks, (certificate, root / "s3.key"), told, theirs)
            webhooks = ours.recv()
            vaults, bucket_end = _SPAWN.Pipe()
            started(_bucket, bucket_end)
            bucket = vaults.recv()
            port = _free_port()
            server = started(_server, root / "state", url, keystone, port, bucket, root / "server.log")
            noisy_port = _free_port() if next_door else port
            if next_door:
                started(_server, root / "state", url, keystone, noisy_port, bucket, root / "next-door.log")
            worker = started(_worker, root / "state", url, keystone, port, bucket, root / "worker.log")
            end = time.monotonic() + 300  # on a machine that has much else to do
            while not (_listens(port) and _listens(noisy_port) and store.workers.all()):
                if time.monotonic() > end or not (server.is_alive() and worker.is_alive()):
                    raise SystemExit("\n".join(path.read_text()[-3000:] for path in root.glob("*.log")))
                time.sleep(0.1)
            where = {"port": port, "bomb": bomb, "silent": silent, "webhooks": webhooks, "bucket": bucket}
            yield Neighbourhood(store, server, worker, keystone, told, vaults, noisy_port, **where)
        finally:
            for process in reversed(processes):
                process.kill()
                process.join()
            store.close()


def _listens(port):
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def import_tests():
    sys.path[:0] = [str(HERE.parent / "tests")]


if __name__ == "__main__":
    raise SystemExit("This is a part of noisy_neighbour.py, which is to be called.")
