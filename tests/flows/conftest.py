import tempfile
from pathlib import Path

import pytest
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
