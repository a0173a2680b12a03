"""Every step of every kind of migration fails once, in a run of its own, until none does. What keeps its copy when a
step fails tries again with that.

The steps aren't listed here: they are those that a run takes (failing_steps.py).
"""

import signal
import time

import pytest
from lives import FailingLife
from small_clouds import SIZES

from longshore.model.status import Status

pytestmark = pytest.mark.long

AT_ONCE = {"mode": "scheduled", "at": "2026-01-01T00:00:00Z"}  # cut over after the first copy: always the same steps
WAYS = {
    "cold": {},
    "cold, taken back": {"landing": "as-is", "when_stuck": "take-back"},
    "cold, as it is": {"landing": "as-is"},
    "warm": {"type": "warm", "cutover": AT_ONCE},
    "dry run": {"type": "dry-run", "isolated": True},
}
# Steps that a run takes in which some others are left out, or called otherwise
EXPECTED = {
    "cold": {"prepare", "volume-2001", "look-snapshot", "look", "look-drop-snapshot", "shut-down", "copy-2000"}
    | {"convert", "check", "track-changes", "sync-1-snapshot", "sync-2-snapshot"},
    "cold, taken back": {"look", "still-off", "drop-snapshot", "boot", "check"},
    "cold, as it is": {"look", "boot", "check"},
    "warm": {"track-changes", "sync-0-2000", "look", "sync-1-snapshot", "sync-1-drop-base", "safeguard", "check"},
    "dry run": {"networks", "ports", "snapshot", "look", "boot", "check"},
}


@pytest.mark.turns
@pytest.mark.parametrize("way", WAYS)
def test_all_is_as_it_was_until_none_fails(begin, tmp_path, way):
    run = begin(**WAYS[way])
    for sign in ("keeps-bases", "one-moment") if way == "dry run" else ("keeps-bases",):
        (run.world.root / sign).touch()
    record = tmp_path / "steps"
    engine = FailingLife(run.store.state.root, run.world.root, record)
    try:
        while (ended := to_its_end(run, engine)).status is not Status.DONE:
            assert ended.error_code == "struck", ended.error
            run.assert_as_before()
            run.again()
        engine.signal(signal.SIGTERM)
        assert engine.wait() == 0
    finally:
        if engine.poll() is None:
            engine.kill()
    steps = [line.split() for line in record.read_text().splitlines()]
    failed = {step for _, step, how in steps if how == "failed"}
    assert failed == {step for _, step, _ in steps}
    assert failed >= EXPECTED[way]


def to_its_end(run, engine):
    end = time.monotonic() + 400
    while not (record := run.record).status.ended:
        assert engine.poll() is None, f"the engine has ended: {engine.said}"
        assert time.monotonic() < end, engine.said
        if record.phase == "waiting" and record.error and not record.cutover_requested:
            assert record.error_code == "struck", record.error
            keeps_its_copy(run)
            run.store.migrations.request_cutover(run.id)
        time.sleep(0.05)
    return run.record


def keeps_its_copy(run):
    state = run.world.read()
    assert state["power"] == "on"
    assert not any(state[kind] for kind in ("servers", "vsnaps"))
    assert len(state["volumes"]) == len(SIZES)
