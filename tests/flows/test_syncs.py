"""When a warm migration syncs, waits and stops its machine."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from longshore.flows.moves import syncs
from longshore.flows.moves.syncs import Sync, Turn, next_turn, wait_for_turn
from longshore.model.request import Cutover, CutoverMode

NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
AUTOMATIC = Cutover(mode=CutoverMode.AUTOMATIC, downtime=30.0, syncs=3)
NIGHT = Cutover(mode=CutoverMode.SCHEDULED, at=NOW, until=NOW + timedelta(hours=1), interval=600.0)


def history(*seconds, ago=0.0):
    """Syncs that took so long, one right after the other, the last of which ended so many seconds ago."""
    begin = NOW - timedelta(seconds=sum(seconds) + ago)
    done = []
    for number, length in enumerate(seconds):
        end = begin + timedelta(seconds=length)
        done.append(Sync(number, begin, end, ()))
        begin = end
    return done


@pytest.mark.parametrize(
    ("cutover", "past", "asked", "turn"),
    [
        (Cutover(), history(100), False, None),
        (Cutover(interval=60.0), history(100, ago=61), False, Turn.SYNC),
        (Cutover(), history(100, ago=59), True, Turn.CUT_OVER),
        (Cutover(), history(100, ago=61), True, Turn.SYNC),  # what it wrote meanwhile isn't left to the downtime
        (AUTOMATIC, history(100), False, Turn.SYNC),  # nobody knows yet how much it writes
        (AUTOMATIC, history(100, 20), False, Turn.CUT_OVER),
        (AUTOMATIC, history(100, 90), False, Turn.SYNC),
        (AUTOMATIC, history(100, 90, 90, 90), False, None),  # it doesn't get there: the user decides
        (AUTOMATIC, history(100, 90, 90, 90), True, Turn.CUT_OVER),
        (NIGHT, history(100, ago=30), False, Turn.CUT_OVER),
        (NIGHT, history(100, ago=300), False, Turn.SYNC),
        (Cutover(mode=CutoverMode.SCHEDULED, at=NOW + timedelta(seconds=1)), history(100), False, None),
        (Cutover(mode=CutoverMode.SCHEDULED, at=NOW, until=NOW - timedelta(seconds=1)), history(100), False, None),
    ],
)
def test_what_to_do_next(cutover, past, asked, turn):
    assert next_turn(cutover, past, NOW, asked=asked) is turn


def test_any_number_of_them_wait_without_holding_a_thread(monkeypatch):
    monkeypatch.setattr(syncs, "_LOOK_EVERY", 0.01)
    fresh = [Sync(0, datetime.now(UTC), datetime.now(UTC), ())]
    asked, said = [False], []

    async def wait():
        return await wait_for_turn(
            Cutover(), fresh, asked=lambda: asked[0], raise_if_cancelled=lambda: None, say=said.append
        )

    async def many():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        waiting = [asyncio.create_task(wait()) for _ in range(50)]
        await asyncio.sleep(0.2)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "somebody else's work"), 5)
        assert not any(task.done() for task in waiting)
        asked[0] = True
        return await asyncio.wait_for(asyncio.gather(*waiting), 10)

    assert set(asyncio.run(many())) == {Turn.CUT_OVER}
    assert len(said) == 50  # each says once why it waits
