"""Those who ask for the same thing at once are answered together, and never with what was before they asked."""

import asyncio
import threading

import pytest

from longshore.service.shared_reads import SharedReads


class Work:
    """Answers how often the thing had been changed when it looked, once it may."""

    def __init__(self):
        self.begun, self.may_end = threading.Event(), threading.Event()
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
        self.begun.set()
        assert self.may_end.wait(60)
        with self._lock:
            self.at_once -= 1
        return seen


def test_fifty_readers_share_a_few_looks_and_each_sees_what_it_did_before():
    async def go():
        reads, work = SharedReads(), Work()

        async def reader():
            work.changed += 1
            mine = work.changed
            assert await reads.read("plan", work) >= mine

        first = asyncio.create_task(reader())
        await asyncio.to_thread(work.begun.wait, 60)
        rest = [asyncio.create_task(reader()) for _ in range(49)]
        await asyncio.sleep(0)  # all of them have asked
        work.may_end.set()
        await asyncio.gather(first, *rest)
        assert work.looks == 2
        assert not reads._now
        assert not reads._next

    asyncio.run(go())


def test_what_is_another_thing_or_anothers_is_looked_for_by_itself():
    async def go():
        reads = SharedReads()
        asked = [reads.read(what, lambda what=what: what) for what in ("a", "b", "a")]
        assert await asyncio.gather(*asked) == ["a", "b", "a"]

    asyncio.run(go())


def test_a_project_that_reads_many_things_leaves_threads_to_others():
    async def go():
        reads, going_on = SharedReads(), threading.Event()
        many = [asyncio.create_task(reads.read(n, lambda: going_on.wait(30), "loud")) for n in range(100)]
        await asyncio.sleep(0.2)
        assert await asyncio.wait_for(reads.read("x", lambda: "told", "quiet"), 10) == "told"
        going_on.set()
        await asyncio.gather(*many)

    asyncio.run(go())


def test_an_error_is_everybodys_and_one_who_goes_away_nobodys():
    async def go():
        reads, work = SharedReads(), Work()

        def broken():
            raise ValueError("broken")

        for answer in await asyncio.gather(*[reads.read("x", broken) for _ in range(3)], return_exceptions=True):
            assert isinstance(answer, ValueError)
        one, other = (asyncio.create_task(reads.read("y", work)) for _ in range(2))
        await asyncio.to_thread(work.begun.wait, 60)
        one.cancel()
        work.may_end.set()
        assert await other == 0
        with pytest.raises(asyncio.CancelledError):
            await one
        assert work.looks == 1

    asyncio.run(go())
