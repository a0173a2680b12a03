"""An engine that is told to end, as by an upgrade: what ends soon is finished, the rest is the next one's."""

import signal

import pytest
from small_clouds import SIZES
from waiting import wait_for

from longshore.model.status import Status

pytestmark = pytest.mark.long
SLOWLY = 400 << 10  # bytes per second and disk


def test_it_finishes_what_ends_soon(begin):
    run = begin(rate_limit=SLOWLY)
    life = run.start_engine()
    wait_for(lambda: run.record.phase == "copying", life)
    life.signal(signal.SIGTERM)
    wait_for(lambda: "asked to end" in life.said, life)
    assert life.wait(timeout=120) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_told_twice_it_leaves_the_copy_to_the_next_one_which_goes_on_from_its_checkpoint(begin):
    run = begin(rate_limit=SLOWLY)
    life = run.start_engine()
    wait_for(lambda: any(run.store.state.migration(run.id).glob("*.checkpoint")), life)
    life.signal(signal.SIGTERM)
    wait_for(lambda: "asked to end" in life.said, life)
    life.signal(signal.SIGTERM)
    assert life.wait() == 0
    assert run.record.status is Status.RUNNING
    assert run.record.error is None
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert record.result["bytes_read"] < 2 * sum(SIZES.values())
    run.assert_moved()
