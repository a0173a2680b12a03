"""Savings in what tests make again and again, with less work than the program. Processes that they start are not
concerned."""

import sqlite3
import threading
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

from longshore.store import database
from longshore.vault import sealing

_upgrade = database._upgrade
_tables = sqlite3.connect(":memory:", check_same_thread=False)
_copying = threading.Lock()
_STATEMENTS = 4000  # more than there are in Longshore


def copy_tables() -> None:
    """A new SQLite database gets the tables of the first one, which the program has made: 6 ms instead of 27."""
    database._upgrade = _copy_or_upgrade


def stretch_little() -> None:
    """A new key is made of its pass phrase by a thousandth of the work; test_keys.py holds how much that is."""
    sealing._SCRYPT = {**sealing._SCRYPT, "n": sealing._SCRYPT["n"] >> 10}


def compile_once() -> None:
    """Have what SQLAlchemy has compiled for one SQLite database serve for all of this process.

    The program opens one database in its life, each test another.
    """
    connect, statements = database._connect, LRUCache(_STATEMENTS)
    dialect = None  # the first engine's, which its first connection initializes; statements are kept by dialect

    def connect_alike(*args: Any, **kwargs: Any) -> Engine:
        nonlocal dialect
        engine = connect(*args, **kwargs)
        if engine.dialect.name == "sqlite":
            dialect = dialect or engine.dialect
            engine.dialect, engine._compiled_cache = dialect, statements
        return engine

    database._connect = connect_alike


def _copy_or_upgrade(engine: Engine) -> None:
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


def _is_empty(file: sqlite3.Connection) -> bool:
    return file.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
