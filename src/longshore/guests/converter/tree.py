"""The converter: where it is, and what is in it.

A converter is a tree, all of it root's: what a Debian has, and in its directory `converter` the appliance and records
of what it is. `current` in the directory of converters is the tree that is used, or a link to it.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from longshore.errors import ConversionError

VARIABLE = "LONGSHORE_CONVERTER"  # names the directory of converters
NO_CONVERTER = "no-converter"  # code of the error when this machine has none: no second try helps
CURRENT = "current"
_USUAL = Path("/var/lib/longshore-converter")
_RECORDS = "converter"
_HOW = "Run, as root: longshore converter build. docs/howto/converter.md says how it is done without a mirror."


@dataclass(frozen=True, slots=True)
class Converter:
    root: Path
    recipe: str  # digest of what it was made from
    made: float  # seconds since 1970
    packages: Mapping[str, str]  # name to version

    @property
    def appliance(self) -> Path:
        """Return the fixed appliance, as libguestfs calls it: kernel, initrd, root image."""
        return self.root / _RECORDS / "appliance"

    def version(self, package: str) -> str:
        """Return a package's version without Debian's revision; "" when it isn't there."""
        return self.packages.get(package, "").rpartition(":")[2].partition("-")[0]

    @property
    def program(self) -> Path:
        return self.root / "usr/bin/virt-v2v-in-place"


def converters() -> Path:
    """Return the directory that has the converters."""
    return Path(os.environ.get(VARIABLE) or _USUAL)


def current() -> Converter:
    """Return the converter that is used. Raises ConversionError when there is none, or one that somebody else may
    change."""
    directory = converters() / CURRENT
    try:
        root = directory.resolve(strict=True)
    except OSError:
        raise ConversionError(
            f"This machine has no converter: there is no {directory}.", advice=_HOW, code=NO_CONVERTER
        ) from None
    return read(root)


def read(root: Path) -> Converter:
    """Read what a tree's records say. Raises ConversionError."""
    records = root / _RECORDS
    try:
        status = root.stat()
        packages = dict(line.split(" ", 1) for line in (records / "packages").read_text().splitlines())
        converter = Converter(
            root, (records / "recipe").read_text().strip(), float((records / "made").read_text()), packages
        )
    except (OSError, ValueError) as error:
        raise ConversionError(f"{root} is no whole converter: {error}.", advice=_HOW, code=NO_CONVERTER) from None
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        raise ConversionError(
            f"{root} can be changed by others than root, so what is in it isn't run.", advice=_HOW, code=NO_CONVERTER
        )
    return converter


@contextmanager
def in_use(root: Path | None = None) -> Iterator[Converter]:
    """Hold the current one, or that tree, which stays where it is meanwhile. Raises ConversionError."""
    converter = read(root) if root else current()
    with locked(converter.root, fcntl.LOCK_SH):
        yield read(converter.root)  # again: one that was just replaced may be gone


@contextmanager
def locked(directory: Path, how: int) -> Iterator[None]:
    """Lock a directory, `how` as flock(2) has it. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
