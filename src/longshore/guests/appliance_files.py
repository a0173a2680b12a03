"""The files of libguestfs' appliance: a kernel and a small system, made of this machine's own by supermin.

A confined process can't make them, and shall not be able to change what others start, so they are made before: once,
and again whenever a package has changed. They hold nothing of a guest.
"""

import fcntl
import os
import platform
import stat
import subprocess
from pathlib import Path

import guestfs

from longshore.errors import ConversionError
from longshore.processes.parent import die_with_parent

_MADE = ("kernel", "initrd", "root")
_FIXED = "README.fixed"  # what tells libguestfs that a directory holds a finished appliance
INSIDE = "/appliance"


def appliance_files() -> dict[str, Path]:
    """The appliance's files by their places in a confinement, where LIBGUESTFS_PATH is `INSIDE`.

    Raises ConversionError when they can't be made.
    """
    library = Path(guestfs.GuestFS(python_return_dict=True).get_path().split(":")[0])
    if (library / _FIXED).exists():  # the operator has made one
        return {f"{INSIDE}/{name}": library / name for name in (*_MADE, _FIXED)}
    directory = _own_directory(Path("/var/tmp") / f"longshore-appliance-{os.geteuid()}")  # noqa: S108 it is checked
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
        _make(library / "supermin.d", directory / "appliance")
    places = {f"{INSIDE}/{name}": directory / "appliance" / name for name in _MADE}
    return {**places, f"{INSIDE}/{_FIXED}": directory / "lock"}


def _make(recipe: Path, directory: Path) -> None:
    made = subprocess.run(
        die_with_parent(
            *("supermin", "--build", "--if-newer", "--copy-kernel", "--format", "ext2"),
            *("--host-cpu", platform.machine(), str(recipe), "-o", str(directory)),
        ),
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "TMPDIR": "/var/tmp"},  # noqa: S108
    )
    if made.returncode != 0:
        said = made.stderr.strip().splitlines()[-1:] or [f"supermin ended with status {made.returncode}"]
        raise ConversionError(
            f"The appliance in which guests are worked on couldn't be made: {said[0].removeprefix('supermin: ')}",
            advice="It needs a kernel in /boot that this user may read (chmod 0644 /boot/vmlinuz-*).",
        )
    for name in _MADE:
        path = directory / name
        path.chmod(0o644)  # some distributions keep kernels from everybody but root
        os.utime(path)  # supermin keeps the kernel's own date, and would make all of it anew next time


def _own_directory(path: Path) -> Path:
    """Raises ConversionError when somebody else has made it: its files are run."""
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise ConversionError(f"{path} isn't this user's own directory.", advice="Remove it.")
    return path
