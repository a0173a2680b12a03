"""libguestfs' appliance: a small virtual machine in which a guest's file systems are mounted, never on the host."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import guestfs

from longshore.errors import ConversionError
from longshore.guests.encrypted import unlock
from longshore.guests.inspection import inspect, is_as_found
from longshore.guests.report import OperatingSystem

# The appliance is run without libvirt: one daemon less, and no user of its own to whom disks would have to be readable
BACKEND = {"LIBGUESTFS_BACKEND": "direct"}
# MiB, where keys are to be tried: LUKS 2 takes 1 GiB for one, as cryptsetup sets it up on machines of 2 GiB and more
_MEMORY_FOR_KEYS = 2560
LARGEST_SETTINGS = 1 << 20  # bytes
LARGEST_TEXT = 16 << 20  # bytes; the longest are a kernel's lists of modules, of 1 MiB


class Guest:
    """A guest's disks opened in the appliance, its file systems mounted as its own fstab says."""

    def __init__(self, handle: guestfs.GuestFS, system: OperatingSystem) -> None:
        self.files = handle
        self.system = system

    def text(self, path: str) -> str:
        """Read a file of the guest's configuration as text. Raises ConversionError for one that can't be any."""
        if self.files.filesize(path) > LARGEST_TEXT:
            raise ConversionError(
                f"The guest's {path} is larger than {LARGEST_TEXT >> 20} MiB, so it can't be what its name says."
            )
        text: str = self.files.read_file(path).decode(errors="replace")
        return text

    def settings(self, path: str) -> str:
        """Read a file of settings; "" for what isn't there, or is too long to be what its name says."""
        there = self.has_file(path) and self.files.filesize(path) <= LARGEST_SETTINGS
        return self.text(path) if there else ""

    def has_file(self, path: str) -> bool:
        """Tell whether there is a file, or a link to one. What can't be a path, which a guest's text may say, isn't
        there."""
        if not path.startswith("/") or "\0" in path:
            return False
        with suppress(RuntimeError):  # too long, or a loop of links
            return bool(self.files.is_file(path, followsymlinks=True))
        return False

    def names_in(self, directory: str) -> list[str]:
        """Return what is in a directory, in order; nothing where there is none.

        Names that aren't UTF-8 are left out: the bindings raise UnicodeDecodeError for all of a list that has one, and
        couldn't be asked about the file.
        """
        return self._names(self.files.ls0, directory)

    def paths_below(self, directory: str) -> list[str]:
        """Return the paths of all that is below a directory, as `names_in` would; they begin there."""
        return self._names(self.files.find0, f"{directory.rstrip('/')}/")

    def _names(self, listed: Callable[[str, str], None], directory: str) -> list[str]:
        if not self.files.is_dir(directory, followsymlinks=True):
            return []
        with tempfile.TemporaryDirectory(prefix="longshore-") as place:
            file = Path(place, "names")
            listed(directory, str(file))
            found = file.read_bytes().split(b"\0")
        names = []
        for name in found:
            with suppress(UnicodeDecodeError):
                names.append(name.decode().lstrip("/"))
        return sorted(name for name in names if name)

    def disk_of(self, device: str) -> str:
        """Return the disk that a partition, or a file system without one, is on: by its name, longest first.

        libguestfs' own answers about devices aren't all by the names that it takes.
        """
        disks: list[str] = [disk for disk in self.files.list_devices() if device.startswith(disk)]
        return max(disks, key=len) if disks else str(self.files.part_to_dev(device))

    def run(self, command: str) -> str:
        """Run a shell command inside the guest's own root. Raises RuntimeError with what it printed on standard
        error."""
        environment = "export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        output: str = self.files.sh(f"{environment}; {command}")
        return output


@contextmanager
def opened(
    ports: Sequence[int], *, read_only: bool, system: OperatingSystem | None = None, keys: Sequence[str] = ()
) -> Iterator[Guest]:
    """Open the disks served over NBD on these loopback ports, in the machine's order.

    `system` is what an earlier inspection of the same disks has found; looking again takes as long as
    starting the appliance, and is done only where that isn't certain to be the same. `keys` are for what is encrypted.
    Raises ConversionError when the appliance doesn't start or the disks don't hold one operating system.
    """
    with launched(ports, read_only=read_only, keys=keys) as handle:
        if system is None or not is_as_found(handle, system):
            system = inspect(handle)
        yield mounted(handle, system, read_only=read_only)


@contextmanager
def launched(ports: Sequence[int], *, read_only: bool, keys: Sequence[str] = ()) -> Iterator[guestfs.GuestFS]:
    """Start the appliance with the disks served over NBD on these loopback ports, and open what `keys` open on them;
    nothing is mounted. Raises ConversionError when it doesn't start."""
    for name, value in BACKEND.items():
        os.environ.setdefault(name, value)
    handle = guestfs.GuestFS(python_return_dict=True)
    try:
        handle.set_network(False)
        if keys:
            handle.set_memsize(max(handle.get_memsize(), _MEMORY_FOR_KEYS))
        for port in ports:
            handle.add_drive_opts(
                "",
                format="raw",
                protocol="nbd",
                server=[f"localhost:{port}"],
                readonly=read_only,
                cachemode="writeback",
            )
        try:
            handle.launch()
        except RuntimeError as error:
            raise ConversionError(
                f"The appliance in which guests are worked on didn't start: {error}",
                advice="Run longshore check guests on this machine to see what is wrong.",
            ) from None
        unlock(handle, keys)
        yield handle
        handle.umount_all()
        handle.shutdown()  # raises when the disks couldn't be written
    finally:
        handle.close()


def mounted(handle: guestfs.GuestFS, system: OperatingSystem, *, read_only: bool) -> Guest:
    """Mount the system's file systems in the appliance where its own fstab says."""
    mount = handle.mount_ro if read_only else handle.mount
    for mount_point in sorted(system.mounts, key=len):
        if mount_point == "/":
            mount(system.mounts[mount_point], mount_point)
        else:
            # A line in fstab for a disk that isn't there, or was never formatted, is the guest's own matter
            with suppress(RuntimeError):
                mount(system.mounts[mount_point], mount_point)
    return Guest(handle, system)
