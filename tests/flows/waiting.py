"""Waiting for what happens in an engine's process, and the state of a migration that kept its copy."""

import time

from small_clouds import SIZES

from longshore.model.status import Status


def wait_for(condition, engine, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert engine.poll() is None, "the engine has ended"
        assert time.monotonic() < end
        time.sleep(0.05)


def waits_with_its_copy(run, engine):
    """Check after a cutover that has failed: the machine runs, and there is nothing but what was copied."""
    wait_for(lambda: run.record.phase == "waiting" and run.record.error is not None, engine)
    state = run.world.read()
    assert state["power"] == "on"
    assert not any(state[kind] for kind in ("vsnaps", "networks", "ports", "servers"))
    assert len(state["volumes"]) == len(SIZES)
    assert all(volume["reserved"] is None for volume in state["volumes"].values())
    assert (run.record.source_off_at, run.record.target_up_at, run.record.server_id) == (None, None, None)
    assert run.record.status is Status.RUNNING
