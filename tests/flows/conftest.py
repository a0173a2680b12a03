import tempfile
from pathlib import Path

import pytest
import small_clouds
from backed_up import BackedUp
from between_clouds import BetweenClouds
from phases_told import assert_known
from protected import InThisProcess, Protected
from protected_group import ProtectedGroup
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
            assert_known(run.store)
            run.store.close()


@pytest.fixture
def run(begin):
    """Begin a cold migration."""
    return begin()


@pytest.fixture
def protect(monkeypatch):
    """Begins a replica that asks for what it is given; its jobs run in this process."""
    in_this_process(monkeypatch)
    yield from _protecting(InThisProcess)


@pytest.fixture
def protect_server(monkeypatch):
    """Begin a replica of a server of another small cloud; its jobs run in this process."""
    in_this_process(monkeypatch)
    yield from _protecting(BetweenClouds)


@pytest.fixture
def protect_group(monkeypatch):
    """Begin a group of three replicas, whose jobs run in this process."""
    in_this_process(monkeypatch)
    yield from _protecting(ProtectedGroup)


@pytest.fixture
def protect_really():
    """Begin a replica as `protect` does, by real engines that copy real bytes."""
    yield from _protecting(Protected)


def _protecting(kind):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        begun = []

        def protect(**request):
            begun.append(kind(Path(directory), **request))
            return begun[-1]

        yield protect
        for replica in begun:
            assert_known(replica.store)
            replica.store.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Run every day only the kills after calls, and of a call for each of two disks the one at the first.

    A kill before a call differs from one after the call before by what is in our own ledger alone: `make soak` has
    them, and those at the second disk.
    """
    twins = {(item.nodeid.partition("[")[0], *_call(item)) for item in items if _call(item)}
    for item in items:
        if not (called := _call(item)):
            continue
        test, (call, number, when) = item.nodeid.partition("[")[0], called
        before = when == "before" and (test, call, number, "after") in twins
        second = number == 2 and (test, call, 1, when) in twins and (test, call, 3, when) not in twins
        if before or second:
            item.add_marker(pytest.mark.soak)


def _call(item):
    """Return the call of a test of a kill, which of its kind, and whether before or after; empty for any other test."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if "call" not in params or item.get_closest_marker("long") is None:
        return ()
    return params["call"], params.get("number", 1), params.get("when", "after")


@pytest.fixture
def backed_up(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setenv("SMALL_WORLD", str(tmp_path / "world"))
    small_clouds.install(monkeypatch.setattr)

    def begin(phrase=None, s3=None, lock=None):
        begun.append(BackedUp(tmp_path, phrase, s3, lock))
        return begun[-1]

    yield begin
    for each in begun:
        assert_known(each.store)
        each.store.close()
