"""The fixtures that tests of several rooms need."""

import gc
import os
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

import longshore.providers.registry  # noqa: F401 planning asks for the traits that are declared there
from longshore.processes.memory import seldom_look_for_cycles
from longshore.store import StateDirectory

gc.disable()  # all that is imported and collected lives as long as the tests; when it is, garbage is looked for again

# How long one example takes is the machine's business, which others may be using
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))
sys.path.insert(0, str(Path(__file__).parent))

# What is shared by tests asserts, too, and says what it found when that fails; without this, pytest says nothing more
# than AssertionError
_SHARED = {path.stem for path in Path(__file__).parent.rglob("*.py") if not path.name.startswith(("test_", "conftest"))}
pytest.register_assert_rewrite(*_SHARED)

from less_work import compile_once, copy_tables, stretch_little  # noqa: E402 beside this file
from turns import pytest_collection_modifyitems, pytest_sessionfinish  # noqa: E402, F401

compile_once()
copy_tables()
stretch_little()
_FILES_TOLD = 50

# A server in a thread of a test logs while pytest exchanges the standard streams, which the interpreter doesn't survive
# every time: what goes through logging is kept in memory
structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())

# Without KVM: it is there on some test machines, and nothing boots by it
os.environ.setdefault("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")


def pytest_configure(config):
    from matrix_runs import recorders

    # What a shell starts in the background is deaf to Ctrl-C, and so would be all that tests start
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # of a run by several processes, in the one that hears of all
        for recorder in recorders():
            config.pluginmanager.register(recorder)


def pytest_collection_finish():
    """Look for cyclic garbage among what tests make, and not among ten thousand tests."""
    gc.freeze()
    gc.enable()
    seldom_look_for_cycles()


def pytest_unconfigure():
    """Let what ten thousand tests have left go with the process: pytest looks through it for garbage once more."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter, config):
    """Tell the files that take longest where durations are asked for, of the lab's tests beside the lane each is in.

    That is where to look when a run takes too long.
    """
    if not config.getoption("durations"):
        return
    taken = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                taken[report.nodeid.partition("::")[0]] += report.duration
    terminalreporter.section("seconds by file")
    lane = getattr(sys.modules.get("lanes"), "lane", lambda _: "")  # which the lab's tests bring along
    for file, seconds in taken.most_common(_FILES_TOLD):
        beside = f" ({lane(file)})" if file.startswith("tests/lab/") else ""
        terminalreporter.write_line(f"{seconds:7.0f}  {file}{beside}")


@pytest.fixture(scope="session")
def paper():
    """A simulated vCenter of machines that only its inventory knows, with real SOAP, REST and TLS."""
    from vcenter.paper import paper_vcenter

    with tempfile.TemporaryDirectory() as directory, paper_vcenter(Path(directory)) as served:
        yield served


@pytest.fixture(scope="session")
def s3_server():
    """Run an S3 server with a bucket "vaults", for vaults of different prefixes."""
    from s3_server import S3Server

    server = S3Server()
    server.make_bucket("vaults")
    yield server
    server.close()


@pytest.fixture
def s3(s3_server):
    """The same, as good as it was."""
    yield s3_server
    s3_server.fault = s3_server.late = None


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL of the tests' own, from which each takes new databases."""
    from postgresql import Cluster

    cluster = Cluster()
    yield cluster
    cluster.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def each_state(request, tmp_path):
    """A state directory with its database in it, and one whose database is on PostgreSQL."""
    url = request.getfixturevalue("postgresql").database() if request.param == "postgresql" else None
    return StateDirectory(tmp_path / "state", url)


@pytest.fixture(scope="session")
def running_appliance(tmp_path_factory):
    """Run one appliance for all modules that build guests on its disks: each takes many seconds to start under
    emulation."""
    import phony

    handle = phony.start(tmp_path_factory.mktemp("disks"), os.environ)
    yield handle
    handle.close()


@pytest.fixture(scope="module")
def empty_appliance(running_appliance):
    """Wipe what earlier modules have left on the appliance's disks."""
    import phony

    phony.wipe(running_appliance)
    return running_appliance
