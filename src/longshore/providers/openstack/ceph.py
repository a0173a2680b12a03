"""A trial whether Ceph's client on this machine can log in to a cluster, before anything is copied.

In a process of its own, this module run by itself: librados prints what it reads, keys too, and may wait for long.
"""

import ctypes
import errno
import os
import subprocess
import sys

from longshore.errors import NotInstalled
from longshore.processes.installed import refuse_without_driver
from longshore.processes.parent import die_with_parent

_WAITS, _PATIENCE = 10, 30  # seconds: for an answer of the monitors, and for the whole process
_NO_LIBRARY = 200  # exit code; below it are errnos


def storage_outlook(conf: str, user: str | None) -> str:
    """Return a sentence for people about what opening volumes from here would meet. `user`: None is whom Cinder
    names."""
    if not os.access(conf, os.R_OK):
        return f"{conf} can't be read on this machine: volumes are opened by workers on which it can"
    try:
        refuse_without_driver("rbd")
    except NotInstalled as error:
        return f"can't be opened from here: {error.message} {error.advice}"
    if user is None:
        return f"as {conf} says, by the Ceph user that Cinder names; name it (--ceph-user) to have it tried here"
    command = die_with_parent(sys.executable, "-m", __name__, conf, user)
    try:
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_PATIENCE, check=False
        )
        number = done.returncode
    except subprocess.TimeoutExpired:
        number = errno.ETIMEDOUT
    if number == 0:
        return f"Ceph lets client.{user} in from here"
    return f"can't be opened from here: {_reason(number, conf, user)}"


def _reason(number: int, conf: str, user: str) -> str:
    if number == _NO_LIBRARY:
        return "Ceph's client (librados) isn't installed"
    if number == errno.ETIMEDOUT:
        return f"no monitor that {conf} names answers"
    if number == errno.ENOENT:
        return f"no keyring that {conf} names has a key of client.{user}, or it can't be read"
    if number in (errno.EACCES, errno.EPERM):
        return f"Ceph doesn't let client.{user} in: the key isn't the one that the cluster has, or a file can't be read"
    if number in (errno.EIO, errno.EINVAL):
        return (
            f"Ceph's client here doesn't understand the key of client.{user} or {conf}; one that is older than the "
            "cluster doesn't know all keys (Ceph 20 makes aes256k): have one made with --key-type aes"
        )
    return os.strerror(number)


def _log_in(conf: str, user: str) -> int:
    """Answer an errno, or 0."""
    try:
        rados = ctypes.CDLL("librados.so.2")
    except OSError:
        return _NO_LIBRARY
    cluster = ctypes.c_void_p()
    if failed := rados.rados_create(ctypes.byref(cluster), user.encode()):
        return -int(failed)
    if failed := rados.rados_conf_read_file(cluster, conf.encode()):
        return -int(failed)
    rados.rados_conf_set(cluster, b"client_mount_timeout", str(_WAITS).encode())
    failed = rados.rados_connect(cluster)
    return -int(failed)


if __name__ == "__main__":
    os._exit(_log_in(*sys.argv[1:3]))  # without librados' own end, which may wait
