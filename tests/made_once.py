"""What each test would make anew at great cost, and always the same: made once by the real code, then copied."""

import sqlite3
import threading

from sqlalchemy import Engine

from longshore.store import database
from longshore.vault import sealing

_upgrade = database._upgrade
_tables = sqlite3.connect(":memory:", check_same_thread=False)
_copying = threading.Lock()


def _is_empty(file: sqlite3.Connection) -> bool:
    return file.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


def _copy_or_upgrade(engine: Engine) -> None:
    """A new SQLite database gets the tables of the first one that this process has made."""
    if engine.dialect.name != "sqlite":
        return _upgrade(engine)
    with engine.connect() as connection, _copying:
        file = connection.connection.driver_connection
        if not _is_empty(file):
            return _upgrade(engine)
        if not _is_empty(_tables):
            return _tables.backup(file)
        _upgrade(engine)
        file.backup(_tables)


def make_once() -> None:
    """Tables of SQLite. And let pass phrases be stretched a thousand times less than outside of tests."""
    database._upgrade = _copy_or_upgrade
    sealing._SCRYPT = {**sealing._SCRYPT, "n": 1 << 6}
