"""Making a converter: from Debian's packages, or from a file that another machine has written.

recipe/ says what is in it. A new one is made beside the one that is used, and takes its place only when an appliance
has started in it; who works in the old one goes on to the end.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from longshore.errors import ConversionError, InvalidInput, LongshoreError
from longshore.guests.converter.tree import CURRENT, Converter, converters, current, locked, read
from longshore.guests.start import Started, start_appliance
from longshore.processes.debian import (
    KEYRING,
    RecipeFailed,
    digest_of,
    known_archives,
    reaching_mirrors,
    run_recipe,
    source,
)

RECIPE = Path(__file__).parent / "recipe"
SUITE = "trixie"  # of which the converter is, whatever the machine is
_SUITES = {"Debian": (SUITE, f"{SUITE}-updates"), "Debian-Security": (f"{SUITE}-security",)}  # by their labels
_ROOM = 3 << 30  # bytes that it takes while it is made
_NEEDED = {"mmdebstrap": "mmdebstrap", "apt-get": "apt"}  # programs, and the packages they are in
_NO_MIRROR = (
    "Make it on another machine (longshore converter build, longshore converter export FILE), and bring the file here: "
    "longshore converter unpack FILE."
)

Progress = Callable[[str], None]  # told twice a second what is being done


@dataclass(frozen=True, slots=True)
class Made:
    converter: Converter
    started: Started | None  # None: it was there before, and nothing was done


def recipe_digest() -> str:
    return digest_of(RECIPE)


def build(progress: Progress, *, again: bool = False) -> Made:
    """Make it from Debian's packages, unless one of this recipe is there. Takes some minutes, and 200 MB of downloads.

    `again`: all the same, for newer packages. Raises LongshoreError; the one that was used stays then.
    """
    with _alone():
        found = _of_this_recipe()
        if found and not again:
            return Made(found, None)
        _check_machine()
        with _place() as place:
            (place / "sources").write_text(sources())
            (place / "apt").write_text(reaching_mirrors())
            words = [place / "root", place / "sources", place / "apt", recipe_digest(), place / "log"]
            try:
                run_recipe([str(RECIPE / "build"), *map(str, words)], place, progress)
            except RecipeFailed as failed:
                raise LongshoreError(
                    f"The converter couldn't be built {failed.message}",
                    advice=f"Check that apt-get update works on this machine. {_NO_MIRROR}",
                    code="converter-build-failed",
                ) from None
            return _take(place / "root", progress)


def export(file: Path) -> Converter:
    """Write the one that is used to a file, for machines without a mirror. Raises LongshoreError."""
    converter = current()
    part = file.with_name(f"{file.name}.part")
    try:
        _tar(
            "--create", "--zstd", "--sparse", "--numeric-owner", "--exclude=./dev/*", "--file", part, at=converter.root
        )
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return converter


def unpack(file: Path, progress: Progress) -> Made:
    """Take what `export` has written. Raises LongshoreError; the one that was used stays then."""
    if not file.is_file():
        raise InvalidInput(f"There is no file {file}.")
    with _alone():
        _check_root()
        with _place() as place:
            progress("Unpacking the converter")
            (place / "root").mkdir()
            _tar(
                "--extract", "--zstd", "--sparse", "--numeric-owner", "--same-owner", "--file", file, at=place / "root"
            )
            return _take(place / "root", progress)


def sources() -> str:
    """Return apt's lines for the converter's suites, on this machine's mirrors. Raises InvalidInput."""
    mirrors: dict[str, str] = {}
    for archive in known_archives():
        if archive.label in _SUITES:
            mirrors.setdefault(archive.label, archive.uri)
    if "Debian" not in mirrors:
        raise InvalidInput(
            "apt on this machine knows no mirror of Debian, from which the converter could be built.",
            advice=f"Run apt-get update first where it should. {_NO_MIRROR}",
        )
    return "".join(source(uri, suite) for label, uri in mirrors.items() for suite in _SUITES[label])


def _take(made: Path, progress: Progress) -> Made:
    """Start an appliance in it; then it is the one that is used, and older ones go once nobody works in them."""
    made.chmod(0o755)
    read(made)
    progress("Starting an appliance in it")
    started = start_appliance(made)
    digest, moment = recipe_digest(), time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    root = converters() / f"{moment}-{digest}"
    made.rename(root)
    link = converters() / f".{CURRENT}-{os.getpid()}"
    link.symlink_to(root.name)
    link.replace(converters() / CURRENT)
    remove_unused()
    return Made(read(root), started)


def remove_unused() -> None:
    """Remove trees that aren't used any more, but for those in which somebody works still."""
    used = (converters() / CURRENT).resolve()
    for tree in converters().iterdir():
        if tree.is_symlink() or not tree.is_dir() or tree.name.startswith(".") or tree == used:
            continue
        with suppress(BlockingIOError), locked(tree, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(tree)


def _of_this_recipe() -> Converter | None:
    try:
        found = current()
    except ConversionError:
        return None
    return found if found.recipe == recipe_digest() else None


@contextmanager
def _alone() -> Iterator[None]:
    """Have one converter made at a time; who comes second finds what the first has made."""
    try:
        converters().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{converters()} can't be used: {error.strerror}.", advice="Run it as root.") from None
    with locked(converters(), fcntl.LOCK_EX):
        yield


@contextmanager
def _place() -> Iterator[Path]:
    """Make a directory for making one, on the file system on which it stays. What was left by a killed one goes."""
    for left in converters().glob(".made-*"):
        shutil.rmtree(left)
    free = shutil.disk_usage(converters()).free
    if free < _ROOM:
        raise InvalidInput(f"{converters()} has {free >> 20} MiB free, and the converter takes {_ROOM >> 20} MiB.")
    with tempfile.TemporaryDirectory(prefix=".made-", dir=converters()) as place:
        Path(place).chmod(0o755)
        yield Path(place)


def _check_root() -> None:
    if os.geteuid() != 0:
        raise InvalidInput("The converter can only be made by root: its files belong to root.", advice="Use sudo.")


def _check_machine() -> None:
    _check_root()
    missing = {package for program, package in _NEEDED.items() if shutil.which(program) is None}
    if not KEYRING.exists():
        missing.add("debian-archive-keyring")
    if missing:
        raise InvalidInput(
            "The converter can't be built here: something is missing on this machine.",
            advice=f"Run, as root: apt-get install {' '.join(sorted(missing))}. {_NO_MIRROR}",
        )


def _tar(*words: str | Path, at: Path) -> None:
    if shutil.which("zstd") is None:
        raise InvalidInput(
            "tar packs and unpacks a converter by zstd, which isn't installed here.",
            advice="Run, as root: apt-get install zstd.",
        )
    command = ["tar", "--directory", str(at), *map(str, words), *(["."] if "--create" in words else [])]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise LongshoreError(f"tar failed: {said[0]}", code="converter-file-failed")
