"""The cold migration with a fault at each of its steps.

Whatever fails or dies, and whenever: in the end the machine is either whole on the target with nothing left over, or
as it was on the source with nothing left on either side. Never something in between.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from small_clouds import MAC, SIZES, World, expected

from longshore.model.request import MigrationRequest
from longshore.store import StateDirectory, Status, Store

ENGINE = Path(__file__).with_name("small_clouds.py")

# Every call the flow makes to a cloud, in the order of a run without faults (checked below).
LOOKING = ["machine", "networks", "volume_types", "flavors", "quota_room", "taken"]
MAKING = ["create_volume", "create_port", "power_state", "shut_down", "wait_powered_off", "snapshot", "open_disk"]
MAKING += ["open_volume", "remove_snapshot", "snapshot_volume", "convert", "finish_volume", "create_server", "console"]
HANDING_OVER = ["delete_volume_snapshot"]

# Calls that leave something behind when the process dies right after them, before it is written down what came of it.
LASTING = ["create_volume", "create_port", "shut_down", "snapshot", "open_volume", "remove_snapshot", "snapshot_volume"]
LASTING += ["convert", "create_server", "delete_volume_snapshot"]


class Run:
    def __init__(self, directory):
        self.world = World.create(directory / "world")
        self.store = Store(StateDirectory(directory / "state"))
        settings = {"root": str(self.world.root)}
        source = self.store.providers.add("small-source", "vsphere", settings, {"password": "x"})
        target = self.store.providers.add("small-target", "openstack", settings, {"password": "x"})
        self.id = self.store.migrations.add(
            machine_name="web",
            machine_ref="vm-1",
            source_id=source.id,
            target_id=target.id,
            request={"networks": {"VM Network": "private"}, "boot_timeout": 5.0, "shutdown_timeout": 5.0},
        ).id
        assert MigrationRequest(**self.store.migrations.get(self.id).request)

    def engine(self):
        """One life of an engine."""
        done = subprocess.run(
            [sys.executable, str(ENGINE), str(self.store.state.root)],
            env={**os.environ, "SMALL_WORLD": str(self.world.root)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stderr

    @property
    def record(self):
        return self.store.migrations.get(self.id)

    def to_the_end(self, lives=3):
        for _ in range(lives):
            _, said = self.engine()
            if self.record.status.ended:
                return self.record
        raise AssertionError(f"still {self.record.status} after {lives} engines: {said}")

    def assert_moved(self):
        state = self.world.read()
        assert state["power"] == "off"
        assert state["snapshots"] == {}
        assert state["vsnaps"] == {}
        (server,) = state["servers"].values()
        assert [p["mac"] for p in state["ports"].values()] == [MAC]
        assert set(server["volume_ids"]) == set(state["volumes"])
        assert all(volume["reserved"] is None for volume in state["volumes"].values())
        for volume, key in zip(server["volume_ids"], SIZES, strict=True):
            assert self.world.volume_file(volume).read_bytes() == expected(self.world, key)
        assert {e.state.value for e in self.store.ledger.entries(self.id)} == {"handed-over", "removed"}

    def assert_as_before(self):
        nothing = {"snapshots": {}, "volumes": {}, "vsnaps": {}, "ports": {}, "servers": {}}
        assert self.world.read() == {"power": "on", **nothing}
        assert {e.state.value for e in self.store.ledger.entries(self.id)} <= {"removed"}


@pytest.fixture
def run():
    # In memory: these tests are about order, and durability's many fsyncs would make them wait for a shared disk.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        run = Run(Path(directory))
        yield run
        run.store.close()


def test_without_faults_the_machine_is_moved_and_every_call_is_one_we_try_faults_at(run):
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    assert set(run.world.calls()) == {*LOOKING, *MAKING, *HANDING_OVER}
    assert record.result["bytes_verified"] == sum(SIZES.values())
    assert len(record.result["digests"]) == len(SIZES)
    assert record.result["conversion"]["changes"] == [f"{MAC} stays ens192"]


@pytest.mark.parametrize("call", [LOOKING[0], LOOKING[-1], *MAKING])  # all of LOOKING is one step
def test_an_error_takes_everything_back_and_says_why(run, call):
    run.world.plan_fault(call, 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert f"a moment of weakness in {call}" in record.error
    run.assert_as_before()


def test_an_error_after_the_target_is_up_is_reported_but_takes_nothing_back(run):
    for _ in range(4):
        run.world.plan_fault("delete_volume_snapshot", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE
    assert any("could not be removed" in e.text for e in run.store.migrations.events(run.id))
    (left,) = [e for e in run.store.ledger.entries(run.id) if e.state.value == "left"]
    assert left.ref in run.world.read()["vsnaps"]


def test_a_source_that_hangs_without_a_word_does_not_hang_the_migration(run):
    (run.world.root / "hang").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert record.error_code == "copy-failed"
    assert "hasn't moved for 12 s" in record.error
    run.assert_as_before()


def test_a_server_that_cannot_be_removed_keeps_the_source_off(run):
    """Two machines with one MAC and one address would be worse than none."""
    run.world.plan_fault("console", 1, "before", "error")
    for _ in range(4):
        run.world.plan_fault("delete_server", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert "stays powered off" in record.error
    state = run.world.read()
    assert state["power"] == "off"
    assert len(state["servers"]) == 1
    assert {e.kind.value for e in run.store.ledger.entries(run.id) if e.state.value == "left"} >= {"server"}


@pytest.mark.parametrize("call", LASTING)
def test_a_kill_right_after_a_call_loses_nothing_and_the_next_engine_ends_it(run, call):
    run.world.plan_fault(call, 1, "after", "kill")
    status, _ = run.engine()
    assert status == -9
    assert not run.record.status.ended
    record = run.to_the_end()
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    told = [e.text for e in run.store.migrations.events(run.id)]
    assert told.count("Copying 2 disk(s) at once.") == 1  # what was done already isn't told again


@pytest.mark.parametrize("call", ["delete_port", "delete_volume", "delete_volume_snapshot", "power_on"])
def test_a_kill_while_taking_back_is_taken_up_again(run, call):
    run.world.plan_fault("create_server", 1, "before", "error")
    run.world.plan_fault(call, 1, "after", "kill")
    status, _ = run.engine()
    assert status == -9
    record = run.to_the_end()
    assert record.status is Status.FAILED
    run.assert_as_before()


def test_a_cancel_before_the_engine_starts_changes_nothing(run):
    run.store.migrations.request_cancel(run.id)
    record = run.to_the_end(lives=1)
    assert record.status is Status.CANCELLED
    run.assert_as_before()
    assert "create_volume" not in run.world.calls()
