"""Disks for tests: sparse files with content that can be told apart, and servers for them."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from longshore.blocks import exports as servers
from longshore.blocks.copy import Copy
from longshore.blocks.exports import Export, serve_nbdkit
from longshore.blocks.request import CopyRequest, CopyResult

KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True)
class Image:
    """A disk in a file."""

    path: Path

    def read(self, offset: int = 0, length: int | None = None) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read() if length is None else file.read(length)

    def write(self, offset: int, data: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    @property
    def allocated(self) -> int:
        """Return the bytes that take room on the disk below."""
        return self.path.stat().st_blocks * 512


@pytest.fixture
def image(tmp_path: Path) -> Callable[..., Image]:
    """Make a sparse disk; `data` are (offset, length) that get random content, the same for the same seed."""
    numbers = iter(range(1000))

    def make(size: int, data: list[tuple[int, int]] | None = None, seed: int = 1) -> Image:
        made = Image(tmp_path / f"disk-{next(numbers)}")
        made.path.touch()
        with made.path.open("r+b") as file:
            file.truncate(size)
            source = random.Random(seed)
            for offset, length in data or []:
                file.seek(offset)
                file.write(source.randbytes(length))
        return made

    return make


@pytest.fixture(autouse=True)
def _quick_ends(monkeypatch):
    """A server waits for its clients, and copies that were broken off on purpose leave some in this process."""
    monkeypatch.setattr(servers, "STOP_TIMEOUT", 0.5)


@pytest.fixture
def exports():
    """Serves images until the test ends."""
    with ExitStack() as stack:

        def serve(image: Image, *, filters: tuple[str, ...] = (), threads: int = 16, **options) -> Export:
            read_only = options.pop("read_only", False)
            parameters = {"file": str(image.path), **{key: str(value) for key, value in options.items()}}
            return stack.enter_context(
                serve_nbdkit("file", parameters, filters=filters, read_only=read_only, threads=threads)
            )

        yield serve


def copy(source: Export | str, target: Export | str, **options) -> CopyResult:
    """Copy in this process, with small blocks unless asked otherwise."""
    uris = {f"{side}_uri": getattr(end, "uri", end) for side, end in (("source", source), ("target", target))}
    options.setdefault("block_size", 64 * KIB)
    options.setdefault("merge_gap", 0)
    options.setdefault("retry_for", 2.0)
    return Copy(CopyRequest(**uris, **options), lambda _: None).run()


def command(source: Export | str, target: Export | str, *arguments: str) -> list[str]:
    """Return the command line of a copy in a process of its own."""
    uris = [getattr(end, "uri", end) for end in (source, target)]
    return [sys.executable, "-m", "longshore.blocks", *uris, "--progress=json", *arguments]


def run_command(source: Export | str, target: Export | str, *arguments: str) -> tuple[int, dict]:
    """Exit code and last event of a copy in a process of its own."""
    done = subprocess.run(command(source, target, *arguments), capture_output=True, text=True, check=False, timeout=60)
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    return done.returncode, json.loads(lines[-1])
