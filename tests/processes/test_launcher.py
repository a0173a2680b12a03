"""What a program in a sandbox can do, as one that a hostile file has taken over would try it: with the real kernel."""

import ctypes
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from longshore.errors import NotConfined, Overstepped
from longshore.processes import launcher, system_calls
from longshore.processes.launcher import ProcessLimits, Sandbox, refusal
from running import command_lines

SOMEBODY = 61000  # a user without rights, when the tests run as root
SOME = ProcessLimits(seconds=30.0, memory=2 << 30, scratch=16 << 20, processes=64, messages=64 << 20)
SECRET = "os-hunter2"

# Asks the kernel itself, whatever libraries think of it; arguments by which the call would be made, or fail otherwise
INTRUDER = r"""
import ctypes, errno, fcntl, glob, json, os, socket, subprocess, sys
calls, refused = json.loads(sys.argv[1])
library = ctypes.CDLL(None, use_errno=True)
def called(number, *arguments):
    ctypes.set_errno(0)
    result = library.syscall(number, *(arguments or (0,) * 6))
    return errno.errorcode[ctypes.get_errno()] if result == -1 else "done"
def tried(what):
    try:
        return what() or "done"
    except OSError as error:
        return errno.errorcode[error.errno]
def socketed(family, kind=socket.SOCK_SEQPACKET):
    return tried(lambda: socket.socket(family, kind).close())
def typed(number):
    master, slave = os.openpty()
    return tried(lambda: fcntl.ioctl(slave, number, b"x"))
def read(path):
    try:
        return open(path, "rb").read().decode(errors="replace")
    except OSError as error:
        return errno.errorcode[error.errno]
print(json.dumps({
    "calls": {name: called(number) for name, number in calls.items()},
    "clone": [called(refused["clone"], flag | 17, 0, 0, 0, 0) for flag in (1 << 28, 1 << 17, 1 << 29, 1 << 30)],
    "clone3": called(435, 0, 0), "newer": called(999),
    "sockets": [socketed(family) for family in (38, 40, 17, 31)],
    "typing": [typed(0x5412), typed(0x1_0000_0000 + 0x5412 - (1 << 32)), typed(0x541C)],
    "terminal": tried(lambda: os.open("/dev/tty", os.O_RDWR)),
    "unshare": subprocess.run(["unshare", "-Ur", "id"], capture_output=True).returncode,
    "environments": [read(path) for path in glob.glob("/proc/[0-9]*/environ")],
    "lines": [read(path) for path in glob.glob("/proc/[0-9]*/cmdline")],
    "status": dict(line.split(":\t") for line in open("/proc/self/status")),
    "session": os.getsid(0), "user": os.getuid(), "files": read("/etc/shadow") + read(sys.argv[2]),
}))
"""

STARTER = """
import json, subprocess, sys
from longshore.processes.launcher import ProcessLimits, Sandbox
own, *command = json.loads(sys.stdin.read())
limits = ProcessLimits(seconds=30.0, memory=2 << 30, scratch=16 << 20, processes=64, messages=1 << 20)
started = Sandbox(limits, own_user=own, kvm=True).start(
    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
)
sys.stdout.write(started.communicate(timeout=30)[0].decode())
"""


@pytest.fixture(params=["root", "somebody"])
def worker(request):
    """The beginning of a command line that runs as that user."""
    if os.geteuid() == 0:
        other = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups", "--"]
        return [] if request.param == "root" else other
    if request.param == "root":
        pytest.skip("a worker that is root is tried by root")
    return []


@pytest.mark.parametrize("own", [False, True])
def test_what_a_program_in_there_is_refused(worker, own, tmp_path):
    machine = os.uname().machine
    asked = [system_calls.REFUSED[machine], system_calls.ARGUED[machine]]
    secret = tmp_path / "secrets.key"
    secret.write_text(SECRET)
    done = subprocess.run(
        [*worker, sys.executable, "-c", STARTER],
        input=json.dumps([own, sys.executable, "-c", INTRUDER, json.dumps(asked), str(secret)]),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, "OS_PASSWORD": SECRET, "LONGSHORE_DATABASE_URL": f"postgresql+psycopg://me:{SECRET}@db/x"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: code for name, code in found["calls"].items() if code != "EPERM"} == {}
    assert found["clone"] == ["EPERM"] * 4
    assert (found["clone3"], found["newer"]) == ("ENOSYS", "ENOSYS")
    assert found["sockets"] == ["EPERM"] * 4  # the kernel's ciphers, the hypervisor, the wires, Bluetooth
    assert found["typing"] == ["EPERM"] * 3
    assert found["terminal"] == "ENXIO"
    assert found["unshare"] != 0
    assert SECRET not in done.stdout
    for environment in found["environments"]:
        names = {line.partition("=")[0] for line in environment.split("\0") if "=" in line}
        assert names <= {"PATH", "LC_ALL", "HOME", "TMPDIR", "PWD", "OLDPWD"}, names
    assert found["files"] == "ENOENTENOENT"
    assert {found["status"][name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (found["status"]["NoNewPrivs"].strip(), found["status"]["Seccomp"].strip()) == ("1", "2")
    assert found["session"] in (1, 2), "of this pid namespace, whose first process has begun it"
    assert found["user"] != os.geteuid()


def test_numbers_of_system_calls_are_those_of_the_kernels_headers():
    headers = {
        "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        "aarch64": Path("/usr/include/asm-generic/unistd.h"),
    }
    for machine, header in headers.items():
        if not header.exists():
            pytest.skip("the kernel's headers aren't installed")
        told = re.findall(r"#define\s+__NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
        known = {name: int(number) for name, number in told}
        ours = {**system_calls.REFUSED[machine], **system_calls.ARGUED[machine], "clone3": system_calls.CLONE3}
        del ours["architecture"]
        assert {name: number for name, number in ours.items() if known.get(name) != number} == {}
        assert len(system_calls.program(machine)) % 8 == 0
        assert len(system_calls.program(machine)) // 8 < 4096  # BPF_MAXINSNS


def test_nobody_in_there_types_into_the_terminal_of_whoever_runs_a_command(tmp_path):
    """Debian 12's kernels still let a program type into its terminal (TIOCSTI)."""
    mark = tmp_path / "typed"
    typist = (
        "import fcntl, os, termios\n"
        "for fd in (0, 1, 2, '/dev/tty'):\n"
        "    try:\n"
        "        fd = os.open(fd, os.O_RDWR) if isinstance(fd, str) else fd\n"
        f"        for c in b'touch {mark}\\n': fcntl.ioctl(fd, termios.TIOCSTI, bytes([c]))\n"
        "    except OSError as error: print('refused', error.errno)\n"
        "print('tried')\n"
    )
    script = tmp_path / "command.py"
    script.write_text(
        "import sys\nfrom longshore.processes.launcher import ProcessLimits, Sandbox\n"
        "limits = ProcessLimits(seconds=30.0, memory=2 << 30, scratch=16 << 20, processes=64, messages=1 << 20)\n"
        f"Sandbox(limits).start(['/usr/bin/python3', '-c', {typist!r}], stdin=0, stdout=1, stderr=2).wait()\n"
    )
    shell, terminal = pty.fork()
    if shell == 0:
        os.execvp("bash", ["bash", "--norc", "-i"])
    os.write(terminal, f"{sys.executable} {script}\n".encode())
    said = b""
    until = time.monotonic() + 30
    while b"tried\r\n" not in said and time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            said += os.read(terminal, 65536)
    time.sleep(0.5)  # the shell would do what was typed
    os.write(terminal, b"exit\n")
    os.close(terminal)
    os.waitpid(shell, 0)
    assert said.count(b"refused") == 4, said
    assert not mark.exists()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of Longshore's with this text, which is gone when the test is."""
    made = []

    def make(text):
        name = f"tried_{os.getpid()}_{len(made)}"
        path = Path(launcher.__file__).with_name(f"{name}.py")
        path.write_text(text)
        made.append(path)
        return f"longshore.processes.{name}"

    yield make
    for path in made:
        path.unlink()


def ended(module, limits=None, given=b""):
    return Sandbox(limits or SOME).run((sys.executable, "-m", module), given)


def test_bytes_in_bytes_out(module):
    name = module("import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1])")
    given = bytes(range(256)) * (5 << 12)
    assert ended(name, given=given).told == given[::-1]


@pytest.mark.parametrize(
    "text",
    [
        "import time; time.sleep(60)",
        "while True: pass",
        "import os\nwhile True: os.fork()",
        "held = bytearray(4 << 30)",
        "import sys; sys.stdout.write('x' * (3 << 20))",
        "import sys; sys.exit('I was asked for something else')",
        "import os; os.kill(os.getpid(), 9)",
        "import subprocess; subprocess.Popen(['sleep', '617'], start_new_session=True); import time; time.sleep(60)",
    ],
)
def test_what_takes_too_much_ends_and_leaves_nothing(module, text):
    name = module(text)
    few = ProcessLimits(seconds=2.0, memory=1 << 30, scratch=1 << 20, processes=16, messages=2 << 20)
    began = time.monotonic()
    try:
        assert ended(name, few).status != 0
    except Overstepped as error:
        assert str(error).startswith("It took")
    assert time.monotonic() - began < 15
    assert not [line for line in command_lines().values() if name.encode() in line or b"sleep\x00617" in line]


@pytest.mark.long
def test_nothing_is_left_of_many_that_end_slowly_and_hold_nothing_of_ours(module):
    name = module(
        "import os, subprocess, sys, time\n"
        "os.closerange(3, 100)\n"
        "hold = 'import time; held = bytearray(100 << 20); print(flush=True); time.sleep(618)'\n"
        "many = [subprocess.Popen([sys.executable, '-c', hold], stdout=subprocess.PIPE) for _ in range(12)]\n"
        "for one in many:\n    one.stdout.readline()\n"
        "time.sleep(60)"
    )
    with pytest.raises(Overstepped):
        ended(name, replace(SOME, seconds=4.0))
    assert not [line for line in command_lines().values() if b"sleep(618)" in line]


def test_a_machine_that_cannot_confine_says_why(tmp_path, monkeypatch, module):
    bwrap = tmp_path / "bwrap"
    bwrap.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2; exit 1\n")
    bwrap.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin")
    said = ended(module("print(1)")).printed.decode()
    assert "safely on this machine: setting up uid map: Permission denied" in str(refusal(said.rstrip("\n")))
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(NotConfined) as caught:
        ended(module("print(1)"))
    assert caught.value.advice == "Install the package bubblewrap."
    assert refusal("qemu-img: no such file") is None


def test_a_program_for_another_kind_of_machine_is_ended_by_the_kernel(tmp_path):
    """Calls by the numbers of 32 bits (int 0x80) would pass by a list of those of 64."""
    if os.uname().machine != "x86_64":
        pytest.skip("made of x86-64's instructions")
    source = tmp_path / "old.c"
    source.write_text(
        'int main(void) { long r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20)); return r > 0 ? 7 : 8; }\n'
    )
    program = tmp_path / "old"
    subprocess.run(["gcc", "-o", program, source], check=True, capture_output=True)
    program.chmod(0o755)
    kinds = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    assert subprocess.run([program], check=False).returncode == 7
    started = Sandbox(SOME, files={"/old": program}).start(["/old"], **kinds)
    assert started.wait(20) == 128 + 31  # SIGSYS


def test_the_filter_can_be_loaded_by_an_unprivileged_program_that_gives_up_rights():
    """prctl(2) checks each instruction; what bubblewrap says of a bad one is no more than that."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    text = system_calls.program()
    child = os.fork()
    if child == 0:
        library = ctypes.CDLL(None)
        library.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        loaded = library.prctl(22, 2, ctypes.byref(Program(len(text) // 8, text)))  # PR_SET_SECCOMP
        os._exit(abs(loaded))
    assert os.waitpid(child, 0)[1] == 0
