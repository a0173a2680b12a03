"""How long a machine was away, and what a disk says of its copy when it is done."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from longshore.blocks import CopyProgress, CopyResult
from longshore.blocks.request import Phase
from longshore.flows.moves.copying import _Kept
from longshore.flows.moves.downtime import STILL_OFF, WAS_OFF, downtime_of
from longshore.model.status import Status
from longshore.model.verify import Verify

OFF = datetime(2026, 11, 21, 20, 0)


def record(status, **fields):
    nothing = dict.fromkeys(["source_off_at", "target_up_at", "source_on_at", "finished_at"])
    return SimpleNamespace(**{"status": Status(status), "source_power": "on", **nothing, **fields})


def after(seconds):
    return OFF + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (record("running"), (None, None)),
        (record("running", source_off_at=OFF), (20.0, None)),
        (record("done", source_off_at=OFF, target_up_at=after(90), finished_at=after(99)), (90.0, None)),
        (record("failed", source_off_at=OFF, source_on_at=after(45), finished_at=after(50)), (45.0, None)),
        (record("cancelled", source_off_at=OFF, finished_at=after(50)), (50.0, STILL_OFF)),
        (record("failed", finished_at=after(50)), (None, None)),
        (record("done", source_power="off", source_off_at=OFF, target_up_at=after(1200)), (None, WAS_OFF)),
    ],
)
def test_it_is_from_off_to_seen_up_again_on_either_side(known, told):
    assert downtime_of(known, now=after(20)) == told


def test_a_disk_that_is_done_is_verified_whole_and_nothing_is_left_of_it():
    kept = _Kept(SimpleNamespace(), SimpleNamespace(key="2000"))
    result = CopyResult(300, 300, 0, 0, 0, 322, Verify.FULL, (), 10.0, "ab")
    assert kept.at_end(result) is None
    kept.see(CopyProgress(Phase.VERIFY, 400, 380, 300, 280, 90, 322, 126, 5.0, 6.0, 65.0))
    end = kept.at_end(result)
    assert (end["verified"], end["to_verify"], end["done"], end["total"]) == (322, 322, 400, 400)
    assert (end["copied"], end["rate"], end["eta"]) == (300, 30.0, None)
