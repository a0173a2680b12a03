"""A Debian with systemd as its first process, in namespaces of its own: for what only an init does with packages.

Needs root and a cgroup2 that is mounted somewhere. It has no network but loopback, unless it is put into one, and of
this machine's devices those that do no harm.
"""

import os
import subprocess
import time
from pathlib import Path

_BOOT = """
root=$1
mount --rbind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty fuse; do [ ! -e "/dev/$node" ] || cp -a "/dev/$node" "$root/dev/"; done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
touch "$root/dev/console"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
ip link set lo up
hostname booted
cd "$root"
mkdir -p mnt
pivot_root . mnt
exec chroot . sh -c 'umount -l /mnt; exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --log-target=console --show-status=0'
"""
OUR_NETWORK = "/proc/self/ns/net"  # of the machine that the tests run on
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "cat",
}


def cgroups():
    """Return where a cgroup2 is mounted, or None."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return next((Path(at) for _, at, kind, *_ in mounts if kind == "cgroup2"), None)


def until(condition, seconds=120):
    """Wait for something that other processes do, and return what the condition is then."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.2)
    return found


class Booted:
    """A machine over `base`, which stays as it is: what changes is kept in `directory`. A context manager.

    `bound`: directories of this machine, each by the name that it has there. `network`: a namespace that is its own,
    and is there whenever it boots.
    """

    def __init__(self, base, directory, bound=None, network=None):
        self._at = directory
        self._network = network
        self.root = directory / "root"
        for name in ("root", "upper", "work"):
            (directory / name).mkdir()
        layers = f"lowerdir={base},upperdir={directory / 'upper'},workdir={directory / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root], check=True)
        for place, source in (bound or {}).items():
            at = self.root / place.lstrip("/")
            at.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--bind", source, at], check=True)
        self._group = cgroups() / f"booted-{os.getpid()}-{time.monotonic_ns()}"
        self._group.mkdir()

    def __enter__(self):
        self.boot()
        return self

    def boot(self):
        namespaces = "--mount --pid --ipc --uts --cgroup --fork --kill-child"
        unshare = f"ip netns exec {self._network} unshare" if self._network else "unshare --net"
        command = f'echo $$ >"$1/cgroup.procs" && exec {unshare} {namespaces} -- sh -ec "$2" sh "$3"'
        with (self._at / "console").open("a") as console:
            self._process = subprocess.Popen(
                ["sh", "-c", command, "sh", self._group, _BOOT, self.root],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        until(lambda: children.read_text().strip())
        self._init = children.read_text().strip()
        until(lambda: self.on("systemctl is-system-running") in ("running", "degraded"))

    def power_off(self):
        """End it without a word to whoever runs there."""
        self._process.kill()  # and with it all that it has begun
        self._process.wait()
        until(lambda: "populated 0" in (self._group / "cgroup.events").read_text())
        for group in sorted((path for path in self._group.rglob("*") if path.is_dir()), reverse=True):
            group.rmdir()

    def __exit__(self, *_):
        self.power_off()
        self._group.rmdir()
        subprocess.run(["umount", "--recursive", self.root], check=True)

    @property
    def inside(self):
        """Return the words that run whatever command comes behind them there."""
        variables = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        return ["nsenter", "-t", self._init, "-m", "-p", "-i", "-u", "-C", "-n", "--", "env", "-i", *variables]

    @property
    def on_its_network(self):
        """Return the words that run a command of this machine on its loopback."""
        return ["nsenter", "-t", self._init, "-n", "--"]

    def on(self, script, network=None):
        """Return what a shell script there says, on both of its streams together. `network`: the file of the network's
        namespace that it is in; None: the machine's own."""
        enter = f"--net={network}" if network else "-n"
        done = subprocess.run(
            [*(enter if word == "-n" else word for word in self.inside), "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout.strip()
