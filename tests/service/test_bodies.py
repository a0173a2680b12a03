"""Bodies of requests: what is too large is refused unread, and a project's large ones come one after another."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from longshore.service.bodies import LARGE, Bodies, TooLarge

PIECE = b"x" * (LARGE // 2)


class Sender:
    """A body in pieces of half of what is large, each sent when it is asked for."""

    def __init__(self, pieces, length=None):
        self.left, self.asked = pieces, 0
        self.scope = {"type": "http", "headers": [(b"content-length", str(length).encode())] if length else []}

    async def receive(self):
        self.asked += 1
        self.left -= 1
        return {"type": "http.request", "body": PIECE, "more_body": self.left > 0}


def read(bodies, sender, project, held):
    return bodies.read(sender.scope, sender.receive, project, held)


def test_what_says_that_it_is_too_large_is_refused_unread():
    sender = Sender(9, length=9 * len(PIECE))

    async def go():
        async with AsyncExitStack() as held:
            await read(Bodies(4 * len(PIECE)), sender, "a", held)

    with pytest.raises(TooLarge):
        asyncio.run(go())
    assert sender.asked == 0


def test_a_projects_second_large_body_is_not_read_while_the_first_is_at_work():
    async def go():
        bodies = Bodies(100 * len(PIECE))
        second, others, small = Sender(20), Sender(20), Sender(1)
        later = AsyncExitStack()
        async with AsyncExitStack() as first:
            await read(bodies, Sender(20), "a", first)
            waiting = asyncio.create_task(read(bodies, second, "a", later))
            async with AsyncExitStack() as held:
                assert len(await read(bodies, others, "b", held)) == 20 * len(PIECE)
                assert await read(bodies, small, "a", held) == PIECE
            assert not waiting.done()
            assert second.asked * len(PIECE) <= LARGE + len(PIECE)
        assert len(await waiting) == 20 * len(PIECE)
        await later.aclose()
        async with AsyncExitStack() as held:  # and nothing is kept from then on
            await asyncio.wait_for(read(bodies, Sender(20), "a", held), 5)

    asyncio.run(go())
