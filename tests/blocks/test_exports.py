"""Servers: they start, they stop, they never stay behind, and they keep secrets."""

import base64
import http.server
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from longshore.blocks.endpoints import connect, probe
from longshore.blocks.exports import Listen, Psk, serve_nbdkit, serve_qemu_nbd
from longshore.errors import ExportError, InvalidInput, NotInstalled

from .conftest import MIB, copy


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_gone(pid):
    deadline = time.monotonic() + 30
    while is_running(pid):
        assert time.monotonic() < deadline, f"{pid} is still running"
        time.sleep(0.02)


@pytest.fixture
def disk(image):
    return image(MIB, [(0, MIB)])


def test_nbdkit_serves_until_the_context_ends(disk):
    with serve_nbdkit("file", {"file": str(disk.path)}) as export:
        endpoint = export.probe()
        assert (endpoint.size, endpoint.read_only) == (MIB, True)
        export.check()
    assert not is_running(export.pid)
    assert not Path(export.uri.split("socket=")[1]).parent.exists()


@pytest.mark.parametrize("tcp", [False, True])
def test_qemu_nbd_serves_and_is_written(disk, image, tcp):
    target = image(MIB)
    listen = Listen() if tcp else None
    with serve_nbdkit("file", {"file": str(disk.path)}) as source, serve_qemu_nbd(target.path, listen=listen) as served:
        assert served.uri.startswith("nbd://127.0.0.1:" if tcp else "nbd+unix://")
        assert not served.probe().takes_whole
        copy(source, served)
    assert target.read() == disk.read()


def test_qemu_nbd_takes_block_options_and_names_with_commas(image, tmp_path):
    odd = tmp_path / "a,b=c"
    odd.write_bytes(b"x" * 512)
    options = {"driver": "raw", "file.driver": "file", "file.filename": str(odd)}
    with serve_qemu_nbd(options, read_only=True) as export:
        assert (export.probe().size, export.probe().read_only) == (512, True)


def test_a_raw_disk_that_looks_like_qcow2_is_served_as_it_is(image):
    disguised = image(MIB)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disguised.path), "1G"], check=True)
    with serve_qemu_nbd(disguised.path, read_only=True) as export:
        assert 0 <= export.probe().size - disguised.size < 512


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (lambda: serve_nbdkit("file", {"file": "/nowhere"}), "No such file or directory"),
        (lambda: serve_nbdkit("nosuchplugin", {}), "cannot open plugin"),
        (lambda: serve_qemu_nbd("/nowhere"), "No such file or directory"),
    ],
)
def test_a_server_that_cannot_start_says_why(serve, words):
    with pytest.raises(ExportError, match=f"couldn't be started.*{words}"), serve():
        pass


def test_a_missing_program_is_named():
    with (
        pytest.raises(NotInstalled, match=r"nbdkit isn't installed on this machine\. Install the package nbdkit, "),
        serve_nbdkit("memory", {"size": "1M"}, environment={"PATH": "/nowhere"}),
    ):
        pass


def test_a_server_that_dies_is_noticed_at_once(disk):
    with serve_nbdkit("file", {"file": str(disk.path)}) as export:
        os.kill(export.pid, signal.SIGKILL)
        readable, _, _ = select.select([export], [], [], 5)
        assert readable
        with pytest.raises(ExportError, match="ended by itself \\(killed by SIGKILL\\)"):
            export.check()


def test_a_disk_that_cannot_be_opened_shows_when_probed():
    with (
        serve_nbdkit("eval", {"open": "echo ENOENT the disk is locked >&2; exit 1", "get_size": "echo 0"}) as export,
        pytest.raises(ExportError, match=r"refuses to open its disk.*the disk is locked"),
    ):
        export.probe()


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize("server", ["nbdkit", "qemu-nbd"])
def test_no_server_outlives_a_killed_process(disk, server, thread):
    """Also when the thread that asked for it had ended before: no sign that the process had."""
    serve = "serve_nbdkit('file', {'file': path})" if server == "nbdkit" else "serve_qemu_nbd(path)"
    program = f"""
import sys, threading, time
from longshore.blocks.exports import serve_nbdkit, serve_qemu_nbd
path = sys.argv[1]
def start():
    global context
    context = {serve}
    print(context.__enter__().pid, flush=True)
if {thread}:
    starting = threading.Thread(target=start)
    starting.start()
    starting.join()
else:
    start()
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(disk.path)], stdout=subprocess.PIPE, text=True
    ) as process:
        pid = int(process.stdout.readline())
        time.sleep(0.1)
        assert is_running(pid)
        process.kill()
        process.wait()
        wait_until_gone(pid)


def test_what_a_killed_process_left_is_removed_by_the_next_and_nobody_elses(disk, monkeypatch):
    program = """
import sys, time
from longshore.blocks.exports import serve_nbdkit
with serve_nbdkit('file', {'file': sys.argv[1]}) as export:
    print(export.uri, flush=True)
    time.sleep(600)
"""
    temporary = tempfile.TemporaryDirectory(prefix="t-")  # a socket's path must not be long
    place = Path(temporary.name)
    arguments = [sys.executable, "-c", program, str(disk.path)]
    environment = {**os.environ, "TMPDIR": str(place)}

    def start():
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
        return process, process.stdout.readline().strip()

    (killed, _), (living, uri) = start(), start()
    try:
        killed.kill()
        killed.wait()
        assert len(list(place.iterdir())) == 2
        (place / "longshore-nbd-notes").write_text("a file is none of ours")
        (place / "longshore-nbd-link").symlink_to(disk.path.parent)
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with serve_nbdkit("file", {"file": str(disk.path)}):
            assert len(list(place.iterdir())) == 4
        assert probe(uri).size == disk.path.stat().st_size
        left = {path.name for path in place.iterdir()}
        assert len(left) == 3
        assert {"longshore-nbd-notes", "longshore-nbd-link"} < left
        assert disk.path.exists()
    finally:
        for process in (killed, living):
            process.kill()
            process.communicate()
        temporary.cleanup()


def test_secrets_reach_the_server_and_nobody_else(tmp_path):
    """nbdkit's curl plugin shows the password to a web server; it is in no command line, environment or error."""
    seen = []

    class Web(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            seen.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", "4096")
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()

        def log_message(self, *_):
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    parameters = {"url": f"http://127.0.0.1:{web.server_port}/disk", "user": "me"}
    with serve_nbdkit("curl", parameters, secrets={"password": "s3cret word"}) as export:
        assert export.probe().size == 4096
        for place in ("cmdline", "environ"):
            assert b"s3cret" not in Path(f"/proc/{export.pid}/{place}").read_bytes()
    web.shutdown()
    web.server_close()
    assert seen[0] == "Basic " + base64.b64encode(b"me:s3cret word").decode()


def test_secrets_are_blotted_out_of_last_words():
    with pytest.raises(ExportError) as caught, serve_nbdkit("/nowhere/s3cret.so", {}, secrets={"password": "s3cret"}):
        pass
    assert "s3cret" not in str(caught.value).split("couldn't be started")[1]
    assert "***" in str(caught.value)


def test_tls_lets_in_who_has_the_key(disk, image, tmp_path):
    keys = tmp_path / "keys.psk"
    keys.write_text("longshore:" + os.urandom(32).hex() + "\n")
    keys.chmod(0o600)
    target = image(MIB)
    listen = Listen("127.0.0.1", tls=Psk(keys, "longshore"))
    with (
        serve_nbdkit("file", {"file": str(disk.path)}, listen=listen) as source,
        serve_qemu_nbd(target.path, listen=listen) as served,
    ):
        assert source.uri.startswith("nbds://longshore@127.0.0.1:")
        copy(source, served)
        plain = source.uri.replace("nbds://longshore@", "nbd://").split("/?")[0]
        with pytest.raises(Exception, match="Can't connect"):
            connect(plain)
    assert target.read() == disk.read()


def test_disks_are_not_served_to_other_machines_in_the_clear(disk):
    with (
        pytest.raises(InvalidInput, match="in the clear"),
        serve_nbdkit("file", {"file": str(disk.path)}, listen=Listen("0.0.0.0")),
    ):
        pass
