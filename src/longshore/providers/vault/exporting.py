"""A point as files that other tools read: a qcow2 image of each disk, and a JSON document that describes the machine.

The document is written last, when all images are safe on the disk: a directory without it holds no whole export.
"""

import io
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from longshore.blocks.durable import replace_file
from longshore.blocks.exports import LocalExport
from longshore.errors import Conflict, ExportError, InvalidInput
from longshore.model.forms import form
from longshore.model.machine import Machine
from longshore.processes.parent import die_with_parent
from longshore.providers.vault.source import shown_machine
from longshore.vault.exports import serve_disk
from longshore.vault.points import Point
from longshore.vault.vault import Vault

DESCRIPTION = "machine.json"
_FORMAT = "longshore export 1"
_DONE = re.compile(r"\(([0-9.]+)/100%\)")  # as qemu-img says how far it is

OnProgress = Callable[[int, int], None]  # bytes of the disks that are dealt with, and all of them


def export_point(vault: Vault, point: Point, directory: Path, on_progress: OnProgress) -> dict[str, Any]:
    """What the document says. The directory is empty or isn't there; what was written goes when this fails.

    The user's own data of a server is left out: it may hold secrets, and these files are in clear.
    Raises Conflict, InvalidInput, Damaged, ExportError.
    """
    machine = shown_machine(point)
    labels = {disk.key: disk.label for disk in machine.disks}
    with _written(directory) as add:
        disks: list[dict[str, Any]] = []
        total = sum(top.size for top in point.disks.values())
        for number, (key, top) in enumerate(point.disks.items(), 1):
            label, path = labels.get(key, key), add(f"disk-{number}.qcow2")
            report = partial(_report, on_progress, sum(disk["size"] for disk in disks), top.size, total)
            with serve_disk(vault, top) as export:
                _convert(export, path, report)
            disks.append({"key": key, "label": label, "file": path.name, "format": "qcow2", "size": top.size})
        told = {
            "format": _FORMAT,
            "point": point.name,
            "moment": point.moment.isoformat(),
            "consistency": point.content.get("consistency", ""),
            "machine": form(Machine).dump_python(machine, mode="json"),
            "disks": disks,
        }
        try:
            replace_file(directory / DESCRIPTION, [json.dumps(told, indent=1).encode() + b"\n"])
        except OSError as error:
            (directory / f".{DESCRIPTION}.new").unlink(missing_ok=True)
            raise InvalidInput(f"{directory / DESCRIPTION} can't be written: {error.strerror}.") from None
    return told


def _report(on_progress: OnProgress, before: int, size: int, total: int, part: float) -> None:
    on_progress(before + int(part * size), total)


@contextmanager
def _written(directory: Path) -> Iterator[Callable[[str], Path]]:
    """Gives what makes a new file in there, for its owner alone. They all go when the block fails."""
    there = directory.exists()
    if there and (not directory.is_dir() or any(directory.iterdir())):
        raise Conflict(f"{directory} isn't an empty directory.", advice="Name one that is empty, or isn't there yet.")
    if not directory.parent.is_dir():
        raise InvalidInput(f"{directory.parent} isn't there.", advice="Make it, or mount it, first.")
    made: list[Path] = []

    def add(name: str) -> Path:
        path = directory / name
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        made.append(path)
        return path

    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        yield add
    except BaseException as error:
        for path in made:
            path.unlink(missing_ok=True)
        if not there:
            with suppress(OSError):  # it couldn't be made, or somebody has put something there
                directory.rmdir()
        if isinstance(error, OSError):
            raise InvalidInput(f"{directory} can't be written to: {error.strerror}.") from None
        raise


def _convert(export: LocalExport, path: Path, on_progress: Callable[[float], None]) -> None:
    """Into a file that is there. `on_progress` is told the part that is done. Raises ExportError."""
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
            for line in io.TextIOWrapper(process.stdout, newline="\r"):
                if found := _DONE.search(line):
                    on_progress(float(found[1]) / 100)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        if status != 0:
            errors.seek(0)
            said = [line.strip() for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
            words = (said or ["it gives no reason"])[-1].removeprefix("qemu-img: ")
            raise ExportError(f"{path} couldn't be written: {words}. {export.last_words()}".strip())
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
