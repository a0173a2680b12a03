"""Those who ask for the same thing at once are answered together, and never with what was before they asked."""

import asyncio
import threading
import time

import pytest

from longshore.service.shared_reads import SharedReads


class Work:
    """Answers how often the thing had been changed when it looked, and takes its time."""

    def __init__(self):
        self.changed = 0
        self.looks = 0
        self.at_once = 0
        self._lock = threading.Lock()

    def __call__(self):
        with self._lock:
            self.looks += 1
            self.at_once += 1
            assert self.at_once == 1
        seen = self.changed
        time.sleep(0.05)
        with self._lock:
            self.at_once -= 1
        return seen


def test_fifty_readers_share_a_few_looks_and_each_sees_what_it_did_before():
    async def go():
        reads, work = SharedReads(), Work()

        async def reader(number):
            await asyncio.sleep(number * 0.002)
            work.changed += 1
            mine = work.changed
            assert await reads.read("plan", work) >= mine

        await asyncio.gather(*[reader(n) for n in range(50)])
        assert work.looks <= 6
        assert not reads._now
        assert not reads._next

    asyncio.run(go())


def test_what_is_another_thing_or_anothers_is_looked_for_by_itself():
    async def go():
        reads = SharedReads()
        asked = [reads.read(what, lambda what=what: what) for what in ("a", "b", "a")]
        assert await asyncio.gather(*asked) == ["a", "b", "a"]

    asyncio.run(go())


def test_an_error_is_everybodys_and_one_who_goes_away_nobodys():
    async def go():
        reads, work = SharedReads(), Work()

        def broken():
            time.sleep(0.02)
            raise ValueError("broken")

        for answer in await asyncio.gather(*[reads.read("x", broken) for _ in range(3)], return_exceptions=True):
            assert isinstance(answer, ValueError)
        one, other = (asyncio.create_task(reads.read("y", work)) for _ in range(2))
        await asyncio.sleep(0.01)
        one.cancel()
        assert await other == 0
        with pytest.raises(asyncio.CancelledError):
            await one
        assert work.looks == 1

    asyncio.run(go())
