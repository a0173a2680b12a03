"""The command line by which a program works on a guest's disks, and reaches nothing else of this machine.

What is on a guest's disks is a stranger's: file systems, compressed archives, and programs, which virt-v2v runs in its
appliance. So whatever touches them runs in namespaces of its own, made by bubblewrap: a network with nothing but its
loopback address, no other processes, and of files only programs (/usr), Longshore's own code, what is named here, and a
scratch directory in memory. It is an unprivileged user whatever the worker is. See docs/decisions/confined-guests.md.
"""

import os
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import longshore
from longshore.errors import ConversionError
from longshore.guests.limits import Limits

SCRATCH = "/tmp"  # noqa: S108 the confined process' own
NOT_CONFINED = "not-confined"  # code of the error when this machine can't confine a guest: no second try helps

_KVM = Path("/dev/kvm")
# No file of this machine belongs to one of them: systemd gives them to services while they run (DynamicUser=)
_FIRST_USER, _USERS = 61184, 4336
# What files below /usr are links to; libosinfo, and virt-v2v with it, gives up without the list of USB devices
_LINKED_TO = ("etc/alternatives", "etc/ld.so.cache", "var/lib/usbutils")
_ETC = {
    "hosts": "127.0.0.1 localhost\n",
    "passwd": "guest:x:{user}:{user}::/tmp:/bin/sh\n",
    "group": "guest:x:{user}:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a confined process has: everything that isn't named here, or a program below /usr, isn't there."""

    directory: Path  # for files that are made for it; only its owner may enter
    limits: Limits
    files: Mapping[str, Path] = field(default_factory=dict)  # file or directory of this machine by its place inside
    sockets: Mapping[str, Path] = field(default_factory=dict)  # Unix sockets, likewise
    environment: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path("/")  # whose programs it has: this machine's, or those of a converter's tree

    def command_line(self, *command: str) -> list[str]:
        """The command line of `command` confined. Raises ConversionError when bubblewrap isn't installed."""
        if shutil.which("bwrap") is None:
            raise ConversionError(
                "Guests can't be confined on this machine: bwrap isn't installed.",
                advice="Install the package bubblewrap.",
                code=NOT_CONFINED,
            )
        as_root = os.geteuid() == 0
        user = _FIRST_USER + os.getpid() % _USERS if as_root else 1000
        return [
            *("choom", "-n", "1000", "--"),  # the first to go when this machine runs out of memory
            *("bwrap", "--die-with-parent", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
            *("--unshare-cgroup-try", "--hostname", "guest"),
            # Root needs no user namespace, and couldn't be another user in one: root's files would be its own
            *(_AS_ROOT if as_root else ("--unshare-user", "--disable-userns", "--uid", str(user), "--gid", str(user))),
            *("--perms", "1777", "--size", str(self.limits.scratch), "--tmpfs", SCRATCH),
            *("--perms", "0755", "--dir", "/var", "--symlink", "../tmp", "/var/tmp"),  # noqa: S108
            *_system_files(self.root),
            *self._etc(user),
            *("--proc", "/proc", "--dev", "/dev"),
            *(("--dev-bind", str(_KVM), str(_KVM)) if _has_kvm() else ()),
            *(word for place, path in self.files.items() for word in _bound(path, place)),
            *(word for place, path in self._given(user, as_root) for word in _bound(path, place, "--bind")),
            *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SCRATCH, "--clearenv"),
            *(word for name, value in self._variables().items() for word in ("--setenv", name, value)),
            "--",
            *("prlimit", f"--as={self.limits.memory}", f"--fsize={self.limits.scratch}"),
            *(f"--nproc={self.limits.processes}", "--core=0", "--"),
            *(_become(user) if as_root else ()),
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

    def _etc(self, user: int) -> Iterator[str]:
        for name, text in _ETC.items():
            path = self.directory / name
            path.write_text(text.format(user=user))
            path.chmod(0o644)
            yield from _bound(path, f"/etc/{name}")

    def _given(self, user: int, as_root: bool) -> Iterator[tuple[str, Path]]:
        """The sockets, which whoever connects has to be allowed to write to."""
        for place, path in self.sockets.items():
            if as_root:
                os.chown(path, user, user)
            yield place, path


_AS_ROOT = (
    *("--cap-drop", "ALL"),
    *(word for name in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP") for word in ("--cap-add", name)),
)


def _become(user: int) -> tuple[str, ...]:
    """Another user for good, without any capability."""
    groups = f"--groups={_KVM.stat().st_gid}" if _has_kvm() else "--clear-groups"
    return (
        *("setpriv", f"--reuid={user}", f"--regid={user}", groups),
        *("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"),
    )


def _has_kvm() -> bool:
    return os.access(_KVM, os.R_OK | os.W_OK) and stat.S_ISCHR(_KVM.stat().st_mode)


def _system_files(root: Path) -> Iterator[str]:
    """Programs and libraries; and where they are this machine's, the Python environment that Longshore runs in."""
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
