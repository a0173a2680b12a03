"""A point as files that other tools read: a qcow2 image of each disk, and a JSON document that describes the machine.

The document is written last, when all images are safe on the disk: a directory without it holds no whole export.
"""

import json
import os
import re
import select
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from longshore.blocks.endpoints import connect
from longshore.blocks.exports import LocalExport, serve_qemu_nbd
from longshore.errors import Conflict, ExportError, InvalidInput, LongshoreError
from longshore.model.exported import DESCRIPTION, FORMAT
from longshore.model.forms import form
from longshore.model.machine import Machine
from longshore.processes.durable import replace_file
from longshore.processes.installed import refuse_without
from longshore.processes.parent import die_with_parent
from longshore.providers.vault.source import shown_machine
from longshore.vault.copies import differing
from longshore.vault.disks import PointDisk
from longshore.vault.errors import Damaged
from longshore.vault.exports import serve_disk
from longshore.vault.geometry import BLOCK, Top
from longshore.vault.points import Point
from longshore.vault.vault import Vault

_DONE = re.compile(rb"\(([0-9.]+)/100%\)")  # as qemu-img says how far it is

OnProgress = Callable[[int, int], None]  # bytes of the disks that are dealt with, and all of them


def export_point(vault: Vault, point: Point, directory: Path, on_progress: OnProgress) -> dict[str, Any]:
    """Export a point. Returns what its document says. The directory is empty or isn't there; what was written goes when
    this fails.

    The user's own data of a server is left out: it may hold secrets, and these files are in clear.
    Raises Conflict, InvalidInput, Damaged, ExportError.
    """
    with _written(directory) as folder:
        return _export(vault, point, folder, None, partial(_report, on_progress, 0, _size(point)))


def export_chain(
    vault: Vault, points: Sequence[Point], directory: Path, on_progress: OnProgress
) -> tuple[list[dict[str, Any]], dict[str, LongshoreError]]:
    """Export points of one machine, oldest first, each as `export_point` does, into a directory of its own. Returns
    what their documents say, and why points are left out, by their names.

    An image holds what the one of the point before doesn't, and names that by a relative path: so all of it can be
    moved together. A disk that is new, or has another size, is whole. A point that can't be read is left out; where
    that holds for all of them, the error of the first is raised.
    """
    total, done = sum(_size(point) for point in points), 0
    found: list[dict[str, Any]] = []
    left_out: dict[str, LongshoreError] = {}
    with _written(directory) as folder:
        before: ExportedPoint | None = None
        for point in points:
            inner = folder.inner(point.name.rpartition("/")[2])
            try:
                told = _export(vault, point, inner, before, partial(_report, on_progress, done, total))
            except (Damaged, ExportError) as error:
                folder.drop(inner)
                left_out[point.name] = error
            else:
                before = ExportedPoint(point, inner.path, {disk["key"]: disk["file"] for disk in told["disks"]})
                found.append(told)
            done += _size(point)
        if left_out and not found:
            raise next(iter(left_out.values()))
    return found, left_out


class ExportedPoint(NamedTuple):
    point: Point
    directory: Path
    files: dict[str, str]  # by disk


def _export(
    vault: Vault, point: Point, folder: "_Folder", before: ExportedPoint | None, on_bytes: Callable[[int], None]
) -> dict[str, Any]:
    """Export a point as `export_point` does. `on_bytes` is told the bytes of its disks that are dealt with."""
    machine = shown_machine(point)
    labels = {disk.key: disk.label for disk in machine.disks}
    disks: list[dict[str, Any]] = []
    for number, (key, top) in enumerate(point.disks.items(), 1):
        label, path = labels.get(key, key), folder.add(f"disk-{number}.qcow2")
        report = partial(_report_part, on_bytes, sum(disk["size"] for disk in disks), top.size)
        then = before.point.disks.get(key) if before else None
        if before is not None and then is not None and then.size == top.size:
            _write_layer(vault, top, then, path, f"../{before.directory.name}/{before.files[key]}", report)
        else:
            with serve_disk(vault, top, called=point.called(key)) as export:
                _convert(export, path, report)
        disks.append({"key": key, "label": label, "file": path.name, "format": "qcow2", "size": top.size})
    told = {
        "format": FORMAT,
        "point": point.name,
        "moment": point.moment.isoformat(),
        "consistency": point.content.get("consistency", ""),
        "machine": form(Machine).dump_python(machine, mode="json"),
        "disks": disks,
    }
    place = folder.path / DESCRIPTION
    try:
        replace_file(place, [json.dumps(told, indent=1).encode() + b"\n"])
    except OSError as error:
        place.with_name(f".{DESCRIPTION}.new").unlink(missing_ok=True)
        raise InvalidInput(f"{place} can't be written: {error.strerror}.") from None
    folder.made.append(place)
    return told


def _size(point: Point) -> int:
    return sum(top.size for top in point.disks.values())


def _report(on_progress: OnProgress, before: int, total: int, done: int) -> None:
    on_progress(before + done, total)


def _report_part(on_bytes: Callable[[int], None], before: int, size: int, part: float) -> None:
    on_bytes(before + int(part * size))


class _Folder:
    """A directory that is written to, and what was made in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made: list[Path] = []
        self._inner: list[_Folder] = []

    def add(self, name: str) -> Path:
        """Add a new file, for its owner alone."""
        path = self.path / name
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self.made.append(path)
        return path

    def inner(self, name: str) -> "_Folder":
        path = self.path / name
        path.mkdir(mode=0o700)
        self._inner.append(_Folder(path))
        return self._inner[-1]

    def drop(self, inner: "_Folder") -> None:
        inner.empty()
        with suppress(OSError):  # somebody has put something there
            inner.path.rmdir()
        self._inner.remove(inner)

    def empty(self) -> None:
        for folder in list(self._inner):
            self.drop(folder)
        for path in self.made:
            path.unlink(missing_ok=True)


@contextmanager
def _written(directory: Path) -> Iterator[_Folder]:
    """Use a directory. All that was made in it goes when the block fails."""
    there = directory.exists()
    if there and (not directory.is_dir() or any(directory.iterdir())):
        raise Conflict(f"{directory} isn't an empty directory.", advice="Name one that is empty, or isn't there yet.")
    if not directory.parent.is_dir():
        raise InvalidInput(f"{directory.parent} isn't there.", advice="Make it, or mount it, first.")
    refuse_without("qemu-img", "qemu-nbd")
    folder = _Folder(directory)
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        yield folder
    except BaseException as error:
        folder.empty()
        if not there:
            with suppress(OSError):  # it couldn't be made, or somebody has put something there
                directory.rmdir()
        if isinstance(error, OSError):
            raise InvalidInput(f"{directory} can't be written to: {error.strerror}.") from None
        raise


def _write_layer(  # noqa: PLR0917
    vault: Vault, top: Top, before: Top, path: Path, below: str, on_progress: Callable[[float], None]
) -> None:
    """Write what a disk holds otherwise than `before`, above the image `below`. Raises Damaged, ExportError."""
    words = ["-q", "-f", "qcow2", "-b", below, "-F", "qcow2", str(path.absolute()), str(top.size)]
    made = subprocess.run(["qemu-img", "create", *words], capture_output=True, text=True, check=False)
    if made.returncode:
        raise ExportError(f"{path} couldn't be made: {made.stderr.strip()}")
    import nbd

    disk = PointDisk(vault, top)
    with serve_qemu_nbd(path.absolute(), image_format="qcow2") as export:
        handle = connect(export.uri)
        try:
            for number, entry in differing(vault, top, before):
                length = disk.length_of(number)
                if entry is None:
                    handle.zero(length, number * BLOCK)
                else:
                    handle.pwrite(disk.block(number, entry), number * BLOCK)
                on_progress(number * BLOCK / top.size)
            handle.flush()
            handle.shutdown()
        except nbd.Error as error:
            raise ExportError(f"{path} couldn't be written: {error.string}. {export.last_words()}".strip()) from None
    _make_safe(path)
    on_progress(1.0)


def _convert(export: LocalExport, path: Path, on_progress: Callable[[float], None]) -> None:
    """Convert an export into a file that is there. `on_progress` is told the part that is done. Raises ExportError."""
    command = ["qemu-img", "convert", "-p", "-f", "raw", "-O", "qcow2", export.uri, str(path.absolute())]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            die_with_parent(*command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for us, who remove what it has written
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        try:
            assert process.stdout is not None
            while chunk := _read(process.stdout.fileno()):
                if found := _DONE.findall(chunk):
                    on_progress(float(found[-1]) / 100)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        if status != 0:
            errors.seek(0)
            said = [line.strip() for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
            words = (said or ["it gives no reason"])[-1].removeprefix("qemu-img: ")
            raise ExportError(f"{path} couldn't be written: {words}. {export.last_words()}".strip())
    _make_safe(path)


def _read(descriptor: int) -> bytes:
    """Return what has been said since; empty at the end."""
    # A signal right before a read that waits is noticed after it, if ever: so nothing waits for longer than this
    while not select.select([descriptor], [], [], 0.5)[0]:
        pass
    return os.read(descriptor, 1 << 12)


def _make_safe(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
