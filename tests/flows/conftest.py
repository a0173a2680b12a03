import tempfile
from pathlib import Path

import pytest
from protected import InThisProcess, Protected
from rounds import in_this_process
from runs import Run


@pytest.fixture
def begin():
    """Begins a migration that asks for what it is given."""
    # In memory: these tests are about order, and durability's many fsyncs would make them wait for a shared disk.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        begun = []

        def begin(**request):
            begun.append(Run(Path(directory), **request))
            return begun[-1]

        yield begin
        for run in begun:
            run.store.close()


@pytest.fixture
def run(begin):
    """A cold migration."""
    return begin()


@pytest.fixture
def protect(monkeypatch):
    """Begins a replica that asks for what it is given; its jobs run in this process."""
    in_this_process(monkeypatch)
    yield from _protecting(InThisProcess)


@pytest.fixture
def protect_really():
    """The same, by real engines that copy real bytes."""
    yield from _protecting(Protected)


def _protecting(kind):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        begun = []

        def protect(**request):
            begun.append(kind(Path(directory), **request))
            return begun[-1]

        yield protect
        for replica in begun:
            replica.store.close()
