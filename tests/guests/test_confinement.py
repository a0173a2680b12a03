"""What a program that works on a guest can reach, as a hostile one would find out, and where its limits are."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import pytest

from longshore.blocks.exports import serve_nbdkit
from longshore.errors import ConversionError, NotConfined
from longshore.guests import process
from longshore.guests.confined import GuestLimits, ensure_confinement, run_confined
from longshore.guests.process import convert
from longshore.processes.launcher import Sandbox
from running import command_lines

SOMEBODY = 61000  # a user without rights, when the tests run as root

# Tries what it is told, and says what came of it
INTRUDER = r"""
import json, os, resource, socket, sys
asked = json.loads(sys.stdin.readline())
def tried(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__
def connected(family, address):
    with socket.socket(family) as one:
        one.settimeout(5)
        one.connect(address)
        return one.recv(8).decode()
print(json.dumps({"result": {
    "user": os.getuid(), "groups": os.getgroups(), "processes": sorted(n for n in os.listdir("/proc") if n.isdigit()),
    "rights": [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapP", "CapE", "CapB"))],
    "environment": dict(os.environ), "interfaces": [name for _, name in socket.if_nameindex()],
    "top": sorted(os.listdir("/")), "etc": sorted(os.listdir("/etc")), "scratch": os.listdir("/tmp"),
    "read": [tried(lambda: open(path).read()) for path in asked["paths"]],
    "kill": tried(lambda: os.kill(asked["pid"], 0)),
    "tcp": [tried(lambda: connected(socket.AF_INET, (to, asked["port"]))) for to in ("127.0.0.1", asked["address"])],
    "abstract": tried(lambda: connected(socket.AF_UNIX, "\0" + asked["abstract"])),
    "unix": [tried(lambda: connected(socket.AF_UNIX, path)) for path in (asked["socket"], "/disks/0", "/disks/1")],
    "write": [tried(lambda: open(path, "w").close()) for path in ("/x", "/usr/x", "/dev/x", "/dev/shm/x", "/tmp/x")],
    "fill": tried(lambda: os.posix_fallocate(os.open("/tmp/y", os.O_CREAT | os.O_WRONLY), 0, 64 << 20)),
    "score": open("/proc/self/oom_score_adj").read().strip(), "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
}}))
"""

KEEPER = """
import json, sys
from pathlib import Path
from longshore.guests.confined import run_confined
from longshore.guests.confined import GuestLimits
from longshore.processes.launcher import Sandbox
asked = json.loads(sys.stdin.read())
sandbox = Sandbox(
    GuestLimits(30.0, scratch=16 << 20), sockets={"/disks/0": Path(asked["own"])}, environment={"GIVEN": "yes"}
)
print(json.dumps(run_confined(sandbox, (sys.executable, "-c", asked["script"]), asked, print)))
"""


def confined(script, on_message=print, request=None, **limits):
    """What this Python script answers when it runs confined."""
    return run_confined(
        Sandbox(GuestLimits(**{"seconds": 60.0, **limits})), (sys.executable, "-c", script), request or {}, on_message
    )


@pytest.mark.parametrize("user", ["root", "somebody"])
def test_a_hostile_guest_reaches_nothing_but_its_own_disks(user):
    if user == "root" and os.geteuid() != 0:
        pytest.skip("a worker that is root is tried by root")
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory()))  # pytest's are for its own user alone
        place.chmod(0o711)
        secret = place / "secrets.key"
        secret.write_text("the key of all secrets")
        secret.chmod(0o644)  # even what others may read isn't there
        own, other = (
            Path(parse_qs(urlsplit(stack.enter_context(serve_nbdkit("memory", {"size": "1M"})).uri).query)["socket"][0])
            for _ in range(2)
        )
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0longshore-test-{os.getpid()}")
        abstract.listen()
        command = [sys.executable, "-c", KEEPER]
        if user == "somebody" and os.geteuid() == 0:
            command = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups", "--", *command]
            for path in (own.parent, own):
                os.chown(path, SOMEBODY, SOMEBODY)
        asked = {
            **{"own": str(own), "script": INTRUDER, "socket": str(other), "pid": os.getpid()},
            **{
                "port": listener.getsockname()[1],
                "abstract": f"longshore-test-{os.getpid()}",
                "address": "169.254.2.2",
            },
            "paths": [str(secret), "/etc/ceph/ceph.conf", "/etc/shadow", f"/proc/{os.getpid()}/environ"],
        }
        done = subprocess.run(
            command,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LONGSHORE_DATABASE_URL": "postgresql+psycopg://me:secret@db/x"},
            cwd="/",
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["user"] not in (0, os.geteuid(), SOMEBODY)
    assert set(found["rights"]) == {"0000000000000000"}
    assert len(found["processes"]) <= 3  # bubblewrap's, a shell's, its own
    assert found["interfaces"] == ["lo"]
    assert found["tcp"] == ["ConnectionRefusedError", "OSError"]  # nobody listens; no way there
    assert found["abstract"] == "ConnectionRefusedError"
    assert found["unix"] == ["FileNotFoundError", "NBDMAGIC", "FileNotFoundError"]
    assert found["read"] == ["FileNotFoundError"] * 4
    assert found["kill"] == "ProcessLookupError"
    assert found["environment"].keys() <= {"PATH", "LC_ALL", "HOME", "TMPDIR", "PWD", "GIVEN"}
    assert set(found["top"]) <= {
        *("bin", "sbin", "lib", "lib32", "lib64", "usr", "dev", "proc", "etc", "tmp", "var", "disks"),
        *(Path(path).parts[1] for path in (sys.prefix, sys.base_prefix, __file__)),
    }
    assert set(found["etc"]) <= {"hosts", "passwd", "group", "nsswitch.conf", "alternatives", "ld.so.cache"}
    assert found["scratch"] == []
    assert found["write"] == ["OSError", "OSError", "OSError", "OSError", None]
    assert found["fill"] == "OSError"
    assert (found["score"], found["core"]) == ("1000", 0)


def test_too_long_ends_in_a_sentence_and_leaves_nothing():
    mark = f"confined-{os.getpid()}"
    started = time.monotonic()
    script = f"import subprocess; subprocess.run(['sleep', '614'], start_new_session=True) # {mark}"
    with pytest.raises(ConversionError, match=r"took longer than 2 s, the most it may") as caught:
        confined(script, seconds=2.0)
    assert caught.value.code == "conversion-limit"
    assert time.monotonic() - started < 20
    assert not [line for line in command_lines().values() if mark.encode() in line or b"sleep\x00614" in line]


def test_too_much_memory_ends_in_a_sentence():
    script = (
        "import sys, longshore.guests.work as work\n"
        "work._OPERATIONS['inspect'] = (lambda *_: bytearray(4 << 30), True)\n"
        "sys.exit(work.main())\n"
    )
    with pytest.raises(ConversionError, match="takes more memory than this may have") as caught:
        confined(script, request={"operation": "inspect", "disks": []}, memory=2 << 30)
    assert caught.value.code == "conversion-limit"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("""for _ in range(99): print('{"message": "%s"}' % ("x" * 1000))""", "said more than they may"),
        ("""print('{"message": "' + "x" * 99999)""", "said more than they may"),
        ("print('nonsense')", "no understandable answer"),
        ("""print('{"result": ["another shape"]}')""", "no understandable answer"),
        ("""print('{"error": "another shape"}')""", "no understandable answer"),
        ("""print('{"result": ' + '[' * 9999 + ']' * 9999 + '}')""", "no understandable answer"),
        ("import sys; sys.exit('Oh dear')", r"ended unexpectedly \(status 1\): Oh dear"),
    ],
)
def test_what_it_says_is_limited_and_not_believed(script, said):
    heard = []
    with pytest.raises(ConversionError, match=said):
        confined(script, heard.append, messages=25_000)
    assert len(heard) < 26


def test_what_it_says_holds_no_commands_for_a_terminal():
    heard = []
    script = (
        "import json\n"
        "text = 'one\\x1b[2Jtwo\\nthree' + 'x' * 5000\n"
        "print(json.dumps({'message': text}))\n"
        "print(json.dumps({'result': {'deep': [text]}}))\n"
    )
    ((deep,),) = confined(script, heard.append).values()
    for text in (heard[0], deep):
        assert text.startswith("one\\x1b[2Jtwo\\x0athree")
        assert len(text) < 2100
        assert text.isprintable()


def test_an_answer_of_another_shape_is_an_error(tmp_path, monkeypatch):
    async def ask(*_):
        return {"result": {"system": "shapeless"}}, 0

    monkeypatch.setattr(process, "ask", ask)
    with pytest.raises(ConversionError, match="no understandable answer"):
        asyncio.run(convert(["nbd://x"], tmp_path, print))


def test_a_log_keeps_its_beginning_and_its_end(capfdbinary):
    script = r"""import sys; sys.stderr.write("first\n" + "x" * (9 << 20) + "\nlast\n"); print('{"result": {}}')"""
    confined(script, log=1 << 20)
    log = capfdbinary.readouterr().err
    assert log.startswith(b"first\n")
    assert log.endswith(b"\nlast\n")
    assert b"bytes are left out here" in log
    assert len(log) < 1.2 * (1 << 20)


def test_this_machine_can():
    ensure_confinement()


def test_a_machine_that_cannot_confine_says_why(tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    bwrap = programs / "bwrap"
    bwrap.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2; exit 1\n")
    bwrap.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin")
    with pytest.raises(NotConfined, match="safely on this machine: setting up uid map: Perm") as caught:
        confined("")
    assert caught.value.code == "not-confined"
    assert "user namespaces" in caught.value.advice
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotConfined, match="bwrap isn't installed") as caught:
        ensure_confinement()
    assert caught.value.advice == "Install the package bubblewrap."
