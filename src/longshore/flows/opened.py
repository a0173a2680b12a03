"""What a step has open while it works asynchronously."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager


@asynccontextmanager
async def opened() -> AsyncIterator[ExitStack]:
    """What is entered here, in threads, is left in one, too: leaving a volume asks its cloud, which may take its time,
    and all migrations of this process share one event loop."""
    stack = ExitStack()
    try:
        yield stack
    except BaseException:
        await asyncio.to_thread(stack.__exit__, *sys.exc_info())
        raise
    await asyncio.to_thread(stack.close)
