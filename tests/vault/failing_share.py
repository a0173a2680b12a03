"""A share that fails when it is told to: a directory, passed on by FUSE. `python failing_share.py ROOT MOUNT FAULTS`.

FAULTS is a file of JSON, looked at before each call: [{"call": "fsync", "errno": "ENOSPC", "left": 2}, …]. So many
calls of that name still succeed, all others fail.
"""

import errno
import json
import os
import sys
import threading
from pathlib import Path

os.environ.setdefault("FUSE_LIBRARY_NAME", "fuse3")
import mfusepy


class Share(mfusepy.Operations):
    use_ns = True

    def __init__(self, root, faults):
        self._root, self._faults, self._lock = Path(root), Path(faults), threading.Lock()

    def _fail(self, call):
        with self._lock:
            faults = json.loads(self._faults.read_text())
            for fault in faults:
                if fault["call"] != call:
                    continue
                if fault["left"] <= 0:
                    raise mfusepy.FuseOSError(getattr(errno, fault["errno"]))
                fault["left"] -= 1
                self._faults.write_text(json.dumps(faults))

    def _at(self, path):
        return self._root / path.lstrip("/")

    def getattr(self, path, fh=None):
        self._fail("getattr")
        found = os.fstat(fh) if fh is not None else os.lstat(self._at(path))
        return {
            "st_mode": found.st_mode,
            "st_nlink": found.st_nlink,
            "st_size": found.st_size,
            "st_uid": found.st_uid,
            "st_gid": found.st_gid,
            "st_mtime": found.st_mtime_ns,
            "st_atime": found.st_atime_ns,
            "st_ctime": found.st_ctime_ns,
        }

    def readdir(self, path, fh):
        self._fail("readdir")
        return [".", "..", *os.listdir(self._at(path))]

    def open(self, path, flags):
        self._fail("open")
        return os.open(self._at(path), flags)

    def create(self, path, mode, fi=None):
        self._fail("create")
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path, size, offset, fh):
        self._fail("read")
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        self._fail("write")
        return os.pwrite(fh, data, offset)

    def flush(self, path, fh):
        self._fail("flush")

    def fsync(self, path, datasync, fh):
        self._fail("fsync")

    def fsyncdir(self, path, datasync, fh):
        self._fail("fsyncdir")

    def release(self, path, fh):
        os.close(fh)

    def link(self, target, source):
        self._fail("link")
        os.link(self._at(source), self._at(target))

    def unlink(self, path):
        self._fail("unlink")
        os.unlink(self._at(path))

    def mkdir(self, path, mode):
        os.mkdir(self._at(path), mode)

    def rmdir(self, path):
        os.rmdir(self._at(path))

    def truncate(self, path, length, fh=None):
        os.truncate(self._at(path) if fh is None else fh, length)

    def utimens(self, path, times=None):
        os.utime(self._at(path), ns=times)

    def chmod(self, path, mode):
        os.chmod(self._at(path), mode)


if __name__ == "__main__":
    root, mount, faults = sys.argv[1:]
    # The kernel says some time later that a file was closed: one that is removed before would be hidden by a renaming
    plain = {"attr_timeout": 0, "entry_timeout": 0, "hard_remove": True}
    mfusepy.FUSE(Share(root, faults), mount, foreground=True, auto_unmount=True, **plain)
