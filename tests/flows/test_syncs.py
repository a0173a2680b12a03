"""When a warm migration syncs, waits and stops its machine."""

from datetime import UTC, datetime, timedelta

import pytest

from longshore.flows.moves.syncs import History, Sync, Turn, next_moment, next_turn
from longshore.model.request import Cutover, CutoverMode

NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
AUTOMATIC = Cutover(mode=CutoverMode.AUTOMATIC, downtime=30.0, syncs=3)
NIGHT = Cutover(mode=CutoverMode.SCHEDULED, at=NOW, until=NOW + timedelta(hours=1), interval=600.0)


def history(*seconds, ago=0.0):
    """Syncs that took so long, one right after the other, the last of which ended so many seconds ago."""
    begin = NOW - timedelta(seconds=sum(seconds) + ago)
    done = History()
    for number, length in enumerate(seconds):
        end = begin + timedelta(seconds=length)
        done = done.plus(Sync(number, begin, end, ()))
        begin = end
    return done


@pytest.mark.parametrize(
    ("cutover", "past", "asked", "turn"),
    [
        (Cutover(), history(100), False, Turn.WAIT),
        (Cutover(interval=60.0), history(100, ago=61), False, Turn.SYNC),
        (Cutover(), history(100, ago=59), True, Turn.CUT_OVER),
        (Cutover(), history(100, ago=61), True, Turn.SYNC),  # what it wrote meanwhile isn't left to the downtime
        (AUTOMATIC, history(100), False, Turn.SYNC),  # nobody knows yet how much it writes
        (AUTOMATIC, history(100, 20), False, Turn.CUT_OVER),
        (AUTOMATIC, history(100, 90), False, Turn.SYNC),
        (AUTOMATIC, history(100, 90, 90, 90), False, Turn.WAIT),  # it doesn't get there: the user decides
        (AUTOMATIC, history(100, 90, 90, 90), True, Turn.CUT_OVER),
        (NIGHT, history(100, ago=30), False, Turn.CUT_OVER),
        (NIGHT, history(100, ago=300), False, Turn.SYNC),
        (Cutover(mode=CutoverMode.SCHEDULED, at=NOW + timedelta(seconds=1)), history(100), False, Turn.WAIT),
        (Cutover(mode=CutoverMode.SCHEDULED, at=NOW, until=NOW - timedelta(seconds=1)), history(100), False, Turn.WAIT),
    ],
)
def test_what_to_do_next(cutover, past, asked, turn):
    assert next_turn(cutover, past, NOW, asked=asked) is turn


@pytest.mark.parametrize(
    ("cutover", "past", "after"),
    [
        (Cutover(interval=60.0), history(100, ago=10), 50),
        (AUTOMATIC, history(100, 90, 90, 90), AUTOMATIC.interval),
        (Cutover(mode=CutoverMode.SCHEDULED, at=NOW + timedelta(seconds=20), interval=60.0), history(100), 20),
        (Cutover(mode=CutoverMode.SCHEDULED, at=NOW + timedelta(hours=2), interval=60.0), history(100), 60),
        (Cutover(mode=CutoverMode.SCHEDULED, at=NOW - timedelta(hours=2), interval=60.0), history(100), 60),
    ],
)
def test_who_waits_is_looked_at_when_there_is_something_to_do(cutover, past, after):
    assert next_moment(cutover, past, NOW) == NOW + timedelta(seconds=after)
