"""Whoever has had much makes way for others, for a moment each time."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest

from longshore.service import shares as shares_module
from longshore.service.shares import Shares

SOON = 20  # seconds, on a machine that has much else to do


@pytest.fixture
def clock(monkeypatch):
    """What the shares take for the time. It stands still; what they wait for at most is longer than any test."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(shares_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(shares_module, "_MOMENT", 10 * SOON)
    return clock


class Request:
    """One that is at work from when it may begin until it is told to end."""

    def __init__(self, shares, project):
        self.end, self.begun = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._work(shares, project))

    async def _work(self, shares, project):
        async with shares.share(project):
            self.begun.set()
            await self.end.wait()

    async def begins(self):
        await asyncio.wait_for(self.begun.wait(), SOON)
        return self

    async def waits(self):
        await asyncio.sleep(0.2)
        return not self.begun.is_set()

    async def ends(self):
        self.end.set()
        await self._task


async def had(shares, clock, project, seconds):
    async with AsyncExitStack() as work:
        await asyncio.wait_for(work.enter_async_context(shares.share(project)), SOON)
        clock.now += seconds


def test_nobody_waits_who_is_alone_or_has_had_as_much(clock):
    async def go():
        shares = Shares()
        await had(shares, clock, "noisy", 10)
        many = [await Request(shares, "noisy").begins() for _ in range(10)]
        await asyncio.gather(*(one.ends() for one in many))
        async with shares.share("other"), shares.share("equal"):
            clock.now += 10
        both = [await Request(shares, project).begins() for project in ("other", "equal", "other", "equal")]
        await asyncio.gather(*(one.ends() for one in both))

    asyncio.run(go())


def test_who_has_had_much_begins_when_the_others_are_done(clock):
    async def go():
        shares = Shares()
        await had(shares, clock, "noisy", 10)
        quiet = await Request(shares, "quiet").begins()
        noisy = Request(shares, "noisy")
        assert await noisy.waits()
        second = await Request(shares, "quiet").begins()  # which goes before it, though it was asked for later
        await quiet.ends()
        assert await noisy.waits()
        await second.ends()
        await noisy.begins()
        await (await Request(shares, "quiet").begins()).ends()  # and waits for nobody
        await noisy.ends()

    asyncio.run(go())


def test_it_makes_way_for_a_moment_only(clock, monkeypatch):
    """So who sends a body byte by byte keeps nobody."""
    monkeypatch.setattr(shares_module, "_MOMENT", 1.0)

    async def go():
        shares = Shares()
        await had(shares, clock, "noisy", 10)
        slow = await Request(shares, "slow").begins()
        noisy = Request(shares, "noisy")
        assert await noisy.waits()
        clock.now += 2
        await (await noisy.begins()).ends()
        await (await Request(shares, "noisy").begins()).ends()
        await slow.ends()

    asyncio.run(go())


def test_beside_others_who_has_had_much_has_one_at_a_time(clock):
    async def go():
        shares = Shares()
        await had(shares, clock, "noisy", 10)
        await had(shares, clock, "quiet", 0.1)
        first = await Request(shares, "noisy").begins()
        second = Request(shares, "noisy")
        assert await second.waits()
        await first.ends()
        await second.begins()
        await second.ends()

    asyncio.run(go())


def test_what_was_had_is_forgotten(clock):
    async def go():
        shares = Shares()
        for number in range(500):
            await had(shares, clock, f"project {number}", 1)
            clock.now += 1
        assert len(shares._projects) < 110
        clock.now += 600
        quiet = await Request(shares, "quiet").begins()
        old = await Request(shares, "project 499").begins()
        await asyncio.gather(quiet.ends(), old.ends())

    asyncio.run(go())
