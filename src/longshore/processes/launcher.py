"""The one way in which programs are started that look at strangers' bytes: images, file systems, guests.

What runs in a `Sandbox` has namespaces of its own, made by bubblewrap: a network with nothing but its loopback address,
no other processes, and of files only programs (/usr), Longshore's own code, what is named for it, and a scratch
directory in memory. Besides:

* its environment and that of all around it is empty but for what is named: nothing of ours stands in /proc/1/environ;
* its session is its own, and no ioctl types into a terminal;
* it has no capability, can't get any, and can't make a user namespace, whoever started it;
* the system calls of longshore.processes.system_calls are refused;
* each of its processes has a limit of memory, all together have one of processes and of scratch, and a time.

`Sandbox(limits, …).run(command, …)` waits for the program's end. For one that is talked with, or serves,
`start` gives a Popen: whoever has started it kills it when `limits.seconds` are over, and it dies with the thread that
started it, at the latest.
See docs/decisions/confined-guests.md.
"""

import os
import re
import select
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import longshore
from longshore.errors import NotConfined, Overstepped
from longshore.processes import system_calls
from longshore.processes.parent import die_with_parent

SCRATCH = "/tmp"  # noqa: S108 the confined process' own
_GONE_WITHIN = 5.0  # seconds; those that are killed wait for a disk at most
_KVM = Path("/dev/kvm")
# No file of this machine belongs to one of them: systemd gives them to services while they run (DynamicUser=)
_FIRST_USER, _USERS = 61184, 4336
_OWN = 1000  # who it is in a user namespace
# What files below /usr are links to; libosinfo, and virt-v2v with it, gives up without the list of USB devices
_LINKED_TO = ("etc/alternatives", "etc/ld.so.cache", "var/lib/usbutils")
_ETC = {
    "hosts": "127.0.0.1 localhost\n",
    "passwd": "guest:x:{user}:{user}::/tmp:/bin/sh\n",
    "group": "guest:x:{user}:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_WAYS_TO_ALLOW = (
    "Allow unprivileged users their own user namespaces, or run the worker as root; docs/howto/confinement.md says how."
)


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Memory is what each process may have, the rest is for all of them together."""

    seconds: float  # from start to end
    memory: int  # bytes of address space
    scratch: int  # bytes of files, in memory
    processes: int  # threads, too
    messages: int  # bytes of what it answers; no file that it writes to is larger, or than all of its scratch
    log: int = 1 << 16  # bytes that are kept of what its programs print besides


class Ended(NamedTuple):
    status: int
    told: bytes  # on standard output
    printed: bytes  # on standard error


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox for one program. Beside /usr, only what is named here exists inside."""

    limits: ProcessLimits
    files: Mapping[str, Path] = field(default_factory=dict)  # file or directory of this machine by its place inside
    sockets: Mapping[str, Path] = field(default_factory=dict)  # Unix sockets and directories it may write to, likewise
    environment: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path("/")  # whose programs it has: this machine's, or those of a tree made for it
    kvm: bool = False  # /dev/kvm, if we have it
    own_user: bool = False  # root stays root for files: needed to open inherited descriptors anew

    def start(
        self,
        command: Sequence[str],
        *,
        stdin: int | IO[bytes],
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
        descriptors: Sequence[int] = (),
        death_signal: str = "KILL",
        described: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """`descriptors` are inherited. When this process ends, bubblewrap gets the signal; what runs inside is killed.
        To the file `described` it writes, as JSON, which process is the first one inside.

        Raises NotConfined when this machine can't. What the kernel doesn't allow shows when it has ended: `refusal`.
        """
        with ExitStack() as stack:
            given = [stack.enter_context(_memory_file(content)) for content in self._contents()]
            line = self._line(given, command, described)
            return subprocess.Popen(
                die_with_parent(*line, death_signal=death_signal),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=[*descriptors, *given, *(() if described is None else (described,))],
                env={},
                start_new_session=True,
            )

    def run(self, command: Sequence[str], given: bytes = b"", descriptors: Sequence[int] = ()) -> Ended:
        """Run a program until it has ended, and all that it has started. `given`: what it finds on its standard input.

        Raises Overstepped when it takes more time than it may, or says more; NotConfined.
        """
        with ExitStack() as stack:
            asked, told, printed, described = (
                stack.enter_context(_memory_file(content)) for content in (given, b"", b"", b"")
            )
            process = self.start(
                command, stdin=asked, stdout=told, stderr=printed, descriptors=descriptors, described=described
            )
            try:
                status = process.wait(self.limits.seconds)
            except subprocess.TimeoutExpired:
                raise Overstepped(f"It took longer than {self.limits.seconds:.0f} s, the most it may.") from None
            finally:
                process.kill()  # the first process inside goes with it, and all others with that one
                process.wait()
                _wait_for_the_end_of_all(_whole(described))
            if os.fstat(told).st_size > self.limits.messages:
                raise Overstepped("It took more room for its answer than it may.")
            return Ended(status, _whole(told), _whole(printed))

    def _contents(self) -> list[bytes]:
        """Return the contents of the files made for the sandbox. bubblewrap reads each to its end, so all are new each
        time."""
        if os.uname().machine not in system_calls.REFUSED:
            raise NotConfined(
                f"What strangers have made can't be worked on safely on this machine: {os.uname().machine} is unknown.",
                advice="Use a machine with x86_64 or aarch64.",
            )
        return [system_calls.program(), *(text.format(user=self._user()).encode() for text in _ETC.values())]

    def _user(self) -> int:
        return _FIRST_USER + os.getpid() % _USERS if self._becomes_another() else _OWN

    def _becomes_another(self) -> bool:
        return os.geteuid() == 0 and not self.own_user

    def _line(self, given: Sequence[int], command: Sequence[str], described: int | None) -> list[str]:
        bubblewrap = shutil.which("bwrap")
        if bubblewrap is None:
            raise NotConfined(
                "What strangers have made can't be worked on safely on this machine: bwrap isn't installed.",
                advice="Install the package bubblewrap.",
            )
        user = self._user()
        kvm = self.kvm and _has_kvm()
        rules, *etc = given
        return [
            *("choom", "-n", "1000", "--"),  # the first to go when this machine runs out of memory
            *("env", "--ignore-environment"),  # a shell before it has set PWD
            *(bubblewrap, "--die-with-parent", "--new-session", "--seccomp", str(rules)),
            *(() if described is None else ("--info-fd", str(described))),
            *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
            *("--hostname", "guest"),
            # Root needs no user namespace, and couldn't be another user in one: root's files would be its own
            *(_AS_ROOT if self._becomes_another() else _AS_OURSELVES),
            *("--perms", "1777", "--size", str(self.limits.scratch), "--tmpfs", SCRATCH),
            *("--perms", "0755", "--dir", "/var", "--symlink", "../tmp", "/var/tmp"),  # noqa: S108
            *_system_files(self.root),
            *("--perms", "0755", "--dir", "/etc"),
            *(
                w
                for fd, name in zip(etc, _ETC, strict=True)
                for w in ("--perms", "0644", "--file", str(fd), f"/etc/{name}")
            ),
            *("--proc", "/proc", "--dev", "/dev"),
            *(("--dev-bind", str(_KVM), str(_KVM)) if kvm else ()),
            *(word for place, path in self.files.items() for word in _bound(path, place)),
            *(word for place, path in self._handed_over(user) for word in _bound(path, place, "--bind")),
            *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SCRATCH, "--clearenv"),
            *(word for name, value in self._variables().items() for word in ("--setenv", name, value)),
            "--",
            *("prlimit", f"--as={self.limits.memory}", f"--fsize={max(self.limits.scratch, self.limits.messages)}"),
            *(f"--nproc={self.limits.processes}", "--core=0", "--"),
            *(_become(user, kvm) if self._becomes_another() else ()),
            *command,
        ]

    def _variables(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": SCRATCH,
            "TMPDIR": SCRATCH,
            **self.environment,
        }

    def _handed_over(self, user: int) -> Iterator[tuple[str, Path]]:
        """Yield the sockets that the program may write to, after handing them to its user."""
        for place, path in self.sockets.items():
            if self._becomes_another():
                os.chown(path, user, user)
            yield place, path


def refusal(last_words: str) -> NotConfined | None:
    """Return why this machine can't confine a program, when these last words of one in a sandbox tell that there is no
    sandbox."""
    if not last_words.startswith("bwrap: "):
        return None
    return NotConfined(
        f"What strangers have made can't be worked on safely on this machine: {last_words.removeprefix('bwrap: ')}.",
        advice=_WAYS_TO_ALLOW,
    )


def _wait_for_the_end_of_all(described: bytes) -> None:
    """The kernel lets the first process of a namespace end when all others have; those close what they inherited.

    Bubblewrap that was killed early hasn't described it, and has started nothing.
    """
    named = re.search(rb'"child-pid": (\d+)', described)
    if named is None:
        return
    try:
        first = os.pidfd_open(int(named[1]))
    except ProcessLookupError:
        return
    try:
        select.select([first], [], [], _GONE_WITHIN)
    finally:
        os.close(first)


def _whole(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


@contextmanager
def _memory_file(content: bytes = b"") -> Iterator[int]:
    with os.fdopen(os.memfd_create("longshore-sandbox"), "wb") as file:
        file.write(content)
        file.flush()
        file.seek(0)
        yield file.fileno()


_AS_ROOT = (
    *("--cap-drop", "ALL"),
    *(word for name in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP") for word in ("--cap-add", name)),
)
_AS_OURSELVES = ("--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--uid", str(_OWN), "--gid", str(_OWN))


def _become(user: int, kvm: bool) -> tuple[str, ...]:
    """Return the command prefix that becomes another user for good, without any capability."""
    groups = f"--groups={_KVM.stat().st_gid}" if kvm else "--clear-groups"
    return (
        *("setpriv", f"--reuid={user}", f"--regid={user}", groups),
        *("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"),
    )


def _has_kvm() -> bool:
    return os.access(_KVM, os.R_OK | os.W_OK) and stat.S_ISCHR(_KVM.stat().st_mode)


def _system_files(root: Path) -> Iterator[str]:
    """Yield bubblewrap's options for programs and libraries and, where those are this machine's, for the Python
    environment that Longshore runs in."""
    yield from ("--ro-bind", str(root / "usr"), "/usr")
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = root / name
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), f"/{name}")
        elif path.is_dir():
            yield from ("--ro-bind", str(path), f"/{name}")
    for linked in _LINKED_TO:
        if (root / linked).exists():
            yield from _bound(root / linked, f"/{linked}")
    if root != Path("/"):
        return
    for path in (Path(sys.base_prefix), Path(sys.prefix), Path(longshore.__file__).parent):
        if not path.is_relative_to("/usr"):
            yield from _bound(path, str(path))


def _bound(path: Path, place: str, option: str = "--ro-bind") -> Iterator[str]:
    """Directories on the way there are made first: bubblewrap would close them to everybody but its own user."""
    for parent in reversed(Path(place).parents[:-1]):
        yield from ("--perms", "0755", "--dir", str(parent))
    yield from (option, str(path), place)
