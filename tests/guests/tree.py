"""A directory in the place of libguestfs: enough of its calls for what only reads and writes files."""

import os
import shutil
import tarfile
from pathlib import Path

from longshore.guests.appliance import Guest
from longshore.guests.report import OperatingSystem


class Tree:
    """A tree of files that raises RuntimeError as libguestfs does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.attributes: dict[str, bytes] = {}

    def _at(self, path: str) -> Path:
        return self._directory / path.lstrip("/")

    def is_file(self, path, *, followsymlinks=False):
        return self._at(path).is_file() and (followsymlinks or not self._at(path).is_symlink())

    def is_dir(self, path, *, followsymlinks=False):
        return self._at(path).is_dir() and (followsymlinks or not self._at(path).is_symlink())

    def exists(self, path):
        return self._at(path).exists()

    def filesize(self, path):
        return self._at(path).stat().st_size

    def read_file(self, path):
        return self._at(path).read_bytes()

    def ls(self, path):
        return sorted(os.listdir(self._at(path)))

    def find(self, path):
        start = self._at(path)
        return sorted(str(found.relative_to(start)) for found in start.rglob("*"))

    def ls0(self, path, names):
        Path(names).write_bytes(b"".join(name + b"\0" for name in os.listdir(os.fsencode(self._at(path)))))

    def find0(self, path, names):
        Path(names).write_bytes(b"".join(os.fsencode(name) + b"\0" for name in self.find(path)))

    def du(self, path):
        return sum(found.stat().st_size for found in self._at(path).rglob("*") if found.is_file()) >> 10

    def tar_out(self, path, archive):
        with tarfile.open(archive, "w") as files:
            files.add(self._at(path), arcname=".")

    def download(self, path, copy):
        shutil.copyfile(self._at(path), copy)

    def write(self, path, content):
        if not self._at(path).parent.is_dir():
            raise RuntimeError(f"write: open: {path}: No such file or directory")
        self._at(path).write_bytes(content)

    def mkdir_p(self, path):
        self._at(path).mkdir(parents=True, exist_ok=True)

    def rm(self, path):
        self._at(path).unlink()

    def rm_f(self, path):
        self._at(path).unlink(missing_ok=True)

    def rm_rf(self, path):
        shutil.rmtree(self._at(path), ignore_errors=True)

    def chmod(self, mode, path):
        self._at(path).chmod(mode)

    def cp_a(self, path, copy):
        shutil.copy2(self._at(path), self._at(copy))

    def sh(self, command):
        raise RuntimeError("sh: export: No such file or directory")

    def lgetxattr(self, path, _name):
        if path not in self.attributes:
            raise RuntimeError("lgetxattr: No data available")
        return self.attributes[path]

    def lsetxattr(self, _name, value, length, path):
        self.attributes[path] = value.encode()[:length]

    def umount_all(self):
        pass

    def list_partitions(self):
        return []


def guest_in(directory: Path, tree: dict[str, str], *, systemd: bool = True) -> Guest:
    """Make a Linux guest of these files."""
    files = Tree(directory)
    if systemd:
        files.mkdir_p("/usr/lib/systemd/network")
    for path, text in tree.items():
        files.mkdir_p(path.rpartition("/")[0])
        files.write(path, text.encode())
    return Guest(
        files, OperatingSystem("/dev/sda1", "linux", "made-up", "1.0", "Made-up 1", "x86_64", "rpm", "made-up")
    )
