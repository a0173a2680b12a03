"""One step of Longshore's, for backing_up.py, as a process of its own: what a job's process does, and no more.

    .venv/bin/python bench/backing_up_steps.py back-up DIRECTORY IMAGE [CHANGES]
    .venv/bin/python bench/backing_up_steps.py restore DIRECTORY TARGET
    .venv/bin/python bench/backing_up_steps.py prune DIRECTORY

Stretching the pass phrase takes 64 MiB for a moment, so what is needed later is loaded after that.
"""

import sys
from pathlib import Path

from longshore.vault.directory import Directory
from longshore.vault.vault import Vault

PHRASE = "the bench's pass phrase"
NBDKIT_THREADS = 4  # of a connection; each of them keeps the memory of its largest request


def back_up(directory: Path, image: Path, changes: Path | None) -> None:
    vault = Vault.open(Directory(directory / "vault"), "write", PHRASE)

    from contextlib import ExitStack
    from datetime import UTC, datetime

    from longshore.blocks.exports import serve_nbdkit
    from longshore.vault.disks import NewDisk
    from longshore.vault.exports import serve_new_disk
    from longshore.vault.geometry import Top
    from longshore.vault.points import Point, new_name, points
    from longshore.vault.writers import finish, leave, register

    last = max(points(vault), key=lambda point: point.moment, default=None)
    base = last.disks["disk"] if last else Top(image.stat().st_size, None)
    now = datetime.now(UTC)
    writer, journal = f"w{now:%H%M%S%f}", directory / "journal"
    register(vault, writer, (base,))
    options = [f"--changes={changes}"] if changes else []
    with ExitStack() as stack:
        source = stack.enter_context(serve_nbdkit("file", {"file": str(image)}, read_only=True, threads=NBDKIT_THREADS))
        target = stack.enter_context(serve_new_disk(vault, base, journal, writer))
        copy(source.uri, target.uri, *options)
    new = NewDisk(vault, base, journal)
    top = new.finish()
    new.close()
    finish(vault, writer, Point(new_name("0" * 32, now), now, {"disk": top}, {}))
    leave(vault, writer)
    journal.unlink()


def restore(directory: Path, target: Path) -> None:
    vault = Vault.open(Directory(directory / "vault"), "read", PHRASE)

    from contextlib import ExitStack

    from longshore.blocks.exports import serve_nbdkit
    from longshore.vault.exports import serve_disk
    from longshore.vault.points import points

    point = max(points(vault), key=lambda point: point.moment)
    with target.open("wb") as file:
        file.truncate(point.disks["disk"].size)
    with ExitStack() as stack:
        source = stack.enter_context(serve_disk(vault, point.disks["disk"]))
        end = stack.enter_context(serve_nbdkit("file", {"file": str(target)}, read_only=False, threads=NBDKIT_THREADS))
        copy(source.uri, end.uri)


def prune(directory: Path) -> None:
    vault = Vault.open(Directory(directory / "vault"), "prune", PHRASE)

    from longshore.vault.prune import prune

    prune(vault)


def copy(source: str, target: str, *options: str) -> None:
    from subprocess import run

    command = [sys.executable, "-m", "longshore.blocks", source, target, "--verify=none", "--progress=none", *options]
    run(command, check=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["back-up", directory, image]:
            back_up(Path(directory), Path(image), None)
        case ["back-up", directory, image, changes]:
            back_up(Path(directory), Path(image), Path(changes))
        case ["restore", directory, target]:
            restore(Path(directory), Path(target))
        case ["prune", directory]:
            prune(Path(directory))
        case _:
            raise SystemExit("This is a step of backing_up.py: back-up DIRECTORY IMAGE [CHANGES], restore, or prune.")
