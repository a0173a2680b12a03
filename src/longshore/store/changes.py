"""Hearing that the queue has changed, so that nobody has to ask it again and again.

PostgreSQL tells all that listen, once the transaction of who changed it is committed. SQLite doesn't tell, but says
without a query whether another connection has written anything. Neither is relied on: what isn't heard (the listener
was away, a pooler between here and PostgreSQL keeps no LISTEN) is found by a look at the queue now and then.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from longshore.store.database import CONNECTING, Database

_CHANNEL = "longshore_queue"
_PAUSE = 1.0  # seconds between two tries to listen

_log = logging.getLogger("longshore.store")

Wait = Callable[[], Awaitable[None]]  # until there may have been a change since it was last waited for


def tell_workers(session: Session | Connection) -> None:
    """Have all of them look at the queue, once this transaction is committed."""
    connection = session.connection() if isinstance(session, Session) else session
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": _CHANNEL})


@asynccontextmanager
async def changes(database: Database, every: float) -> AsyncIterator[Wait]:
    """Open a function that waits for the next change of the database.

    `every`: seconds between two looks where nobody tells.
    """
    if database.engine.dialect.name == "postgresql":
        told = asyncio.Event()
        listening = asyncio.create_task(_listen(database, told))
        try:
            yield lambda: _wait_until(told)
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
    else:
        with closing(_Writes(database, every)) as writes:
            yield writes.wait


async def _wait_until(told: asyncio.Event) -> None:
    await told.wait()
    told.clear()


async def _listen(database: Database, told: asyncio.Event) -> None:
    """Set `told` at each notification, over a connection of its own, and a new one whenever that is lost."""
    import psycopg

    arguments, named = database.engine.dialect.create_connect_args(database.engine.url)
    away = False
    while True:
        try:
            # Annotated: what dialects hand out has no types
            connection: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(
                *arguments, **{**named, **CONNECTING}, autocommit=True
            )
            async with connection:
                await connection.execute(f"LISTEN {_CHANNEL}")
                away = False
                told.set()  # what was told before, nobody heard
                async for _ in connection.notifies():
                    told.set()
        except psycopg.Error as error:
            if not away:  # its text names the host and more: what is wrong, whoever asks the database says
                _log.warning("changes of the queue aren't heard at once (%s)", type(error).__name__)
            away = True
        await asyncio.sleep(_PAUSE)


class _Writes:
    """Watcher for writes into SQLite's file by connections other than its own, those of this process among them."""

    def __init__(self, database: Database, every: float) -> None:
        self._engine = database.of_its_own()
        self._connection = self._engine.raw_connection()
        self._every = every
        self._seen = self._version()

    async def wait(self) -> None:
        while (version := self._version()) == self._seen:
            await asyncio.sleep(self._every)
        self._seen = version

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()

    def _version(self) -> int | None:
        """Return the version of the file's data, or None when it can't be read now.

        That takes microseconds and no lock, so the loop itself reads it rather than a thread.
        """
        cursor = self._connection.cursor()
        try:
            cursor.execute("PRAGMA data_version")
            [(version,)] = cursor.fetchall()  # all of it: what is read from is held, and wouldn't change
        except sqlite3.OperationalError:
            return None
        finally:
            cursor.close()
        return int(version)
