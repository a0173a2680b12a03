"""Reading files of YAML with the line of every entry, and writing them as OS-Migrate does."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from longshore.errors import LongshoreError
from longshore.model.strict_reading import Misread
from longshore.model.strict_yaml import read_yaml
from longshore.tenancy.faults import FileFault, FilePlace

LARGEST = 64 << 20  # bytes of a file; 5,000 resources take some 8 MiB


class BadYaml(LongshoreError):
    """The error for a file that isn't YAML that can be read; `fault` says where."""

    code = "invalid-files"

    def __init__(self, fault: FileFault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def read(path: Path, name: str) -> Any:
    """Read the file's one document. `name` is what the file is called in faults. Raises BadYaml."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _bad(name, 0, "This isn't a file.")
        if found.st_size > LARGEST:
            raise _bad(
                name,
                0,
                f"The file has {found.st_size / 1e6:.0f} MB; more than {LARGEST / 1e6:.0f} MB isn't read. "
                "Split it: all *.yml files of a directory count.",
            )
        content = path.read_bytes()
    except OSError as error:
        raise _bad(name, 0, f"The file can't be read: {error.strerror}.") from None
    try:
        return read_yaml(content, largest=LARGEST)
    except Misread as error:
        raise _bad(name, error.line, error.sentence) from None


def write(path: Path, document: Any) -> None:
    """Write a file whole or not at all: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf8") as file:
            yaml.dump(document, file, Dumper=_Plain, default_flow_style=False, allow_unicode=True)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


class _Plain(yaml.CSafeDumper):
    """A writer without anchors: a list that occurs twice is written twice, so that it can be edited."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _bad(name: str, line: int, sentence: str) -> BadYaml:
    return BadYaml(FileFault(FilePlace(name, line), sentence))
