"""Opening the database: schema up to date, and every call safe from what a shared one may do to it.

SQLite is set so that several processes can read while one writes. PostgreSQL may be away for a moment (a restart, a
fail-over, a cable): a repository whose methods are each one transaction runs such a method again until the database
answers, so that nothing above it has to know. A commit whose answer was lost may have been done: what is tried again
then finds what it has made by an id or a time that was chosen before the first try, and doesn't complain that what it
is to remove is gone (`may_be_done`).
"""

import functools
import inspect
import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    ExceptionContext,
    MetaData,
    PrimaryKeyConstraint,
    ScalarSelect,
    String,
    Table,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import Pool

from longshore.errors import Conflict, InvalidInput, Unreachable
from longshore.model.job import JobKind
from longshore.store.tables import Base

T = TypeVar("T")
# Seconds that a command waits for a database that is away: more than the half minute in which a standby takes the place
# of a primary that is gone without a word
PATIENCE = 40.0
_TELL_EVERY = 10.0  # seconds: many wait at once
_PAUSES = (0.1, 2.0)  # seconds: the first between two tries, doubled each time, and the longest
# A cable that was pulled is noticed within seconds, not after the minutes that TCP takes by itself
CONNECTING = {
    "target_session_attrs": "read-write",  # a standby isn't the database, also where it has its name or address
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,  # milliseconds, the others seconds
}
# Seconds that a transaction may do nothing. A worker that is suspended in the middle of one keeps its locks, among them
# that of the queue, for as long as the server hears from its kernel or hypervisor: days
_IDLE = 15
_READ_ONLY = "25006"  # SQLSTATE, of a standby in recovery, too
_IDLED = "25P03"  # SQLSTATE of a connection that was ended for that
_NAMED = 500  # rows that one query names
_SCHEMA = Path(__file__).parent / "schema"
# The table is as Alembic makes it
_VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_SCHEMA_LOCK = 0x10_06_50_01  # any two numbers do, as long as nobody else in the database uses them
_QUEUE_LOCK = 0x10_06_50_02
_TURNS_LOCK = 0x10_06_50_03

_REDUNDANCY = text(
    "SELECT host(inet_server_addr()), (SELECT count(*) FROM pg_stat_replication), "
    "current_setting('synchronous_standby_names'), current_setting('synchronous_commit')"
)

_log = logging.getLogger("longshore.store")


@dataclass(frozen=True, slots=True)
class Redundancy:
    """The primary of a database and its standbys, of which one may have all that it acknowledges."""

    primary: str | None  # its address, as it sees itself; None: it is in a file, or reached by a socket
    servers: int  # that the configuration names, of which one is the primary
    standbys: int  # that are connected to it
    waits: bool  # for a standby, before it acknowledges


class _Work(threading.local):
    """The state of a thread's work for `Database.persist`."""

    may_be_done = False


class Database:
    def __init__(self, url: str) -> None:
        """Connect to a database and bring its schema up to date.

        Raises InvalidInput for an address that can't be one, Unreachable when nobody answers there.
        """
        self.patience = PATIENCE
        self._told = -math.inf
        self._work = _Work()
        self.guard: Callable[[], None] = lambda: None  # asked before each transaction: may this process still work?
        # Asked before jobs of these kinds are added: will somebody be able to do them?
        self.refuse_undoable: Callable[[Collection[JobKind]], None] = lambda _kinds: None
        self._url = _parsed(url)
        self.engine = _connect(self._url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self.persist(lambda: _upgrade(self.engine))

    @contextmanager
    def session(self, *, dry_run: bool = False) -> Iterator[Session]:
        """Open one transaction: it is committed at the end, and rolled back when the block raises, or in a dry run."""
        self.guard()
        with self._sessions() as session:  # which rolls back what isn't committed
            yield session
            session.flush()  # so that what fails from here on is the commit
            if dry_run:
                return
            try:
                session.commit()
            except DBAPIError:
                self._work.may_be_done = True
                raise

    @property
    def may_be_done(self) -> bool:
        """Tell whether an earlier try of this thread's work may have been committed: no answer to its commit came."""
        return self._work.may_be_done

    @contextmanager
    def alone(self, *, dry_run: bool = False) -> Iterator[Session]:
        """Open one transaction that no other one opened like this runs beside, whatever process or machine it is in."""
        with self.session(dry_run=dry_run) as session:
            if self.engine.dialect.name == "sqlite":
                session.execute(text("BEGIN IMMEDIATE"))
            else:
                session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _QUEUE_LOCK})
            yield session

    @staticmethod
    def take_turn(session: Session, whose: ScalarSelect[str]) -> None:
        """Have transactions that number things for the same `whose` take turns: others wait until this one ends.

        Otherwise a caller who asks for what comes after a number would miss what has a smaller one and is committed
        later. SQLite has one writer at a time in any case.
        """
        if session.get_bind().dialect.name != "sqlite":
            session.execute(select(func.pg_advisory_xact_lock(_TURNS_LOCK, func.hashtext(whose))))

    def persist(self, work: Callable[[], T]) -> T:
        """Do one transaction's work, again while the database is away. Raises Unreachable when that takes too long."""
        outer = self._work.may_be_done
        self._work.may_be_done = False
        try:
            return self._persist(work)
        finally:
            self._work.may_be_done = outer

    def _persist(self, work: Callable[[], T]) -> T:
        end, pause = None, _PAUSES[0]
        while True:
            try:
                return work()
            except (DBAPIError, PoolTimeout) as error:
                if not _is_away(error):
                    raise
                end = end or time.monotonic() + self.patience
                if time.monotonic() >= end:
                    # Not from the error: its text holds what was written
                    raise Unreachable(
                        f"The database doesn't answer{_said(error)}.",
                        advice="See that it runs, takes this user's connections and isn't overloaded, and try again.",
                    ) from None
                if time.monotonic() - self._told > _TELL_EVERY:
                    self._told = time.monotonic()
                    _log.warning("the database is away, trying again%s", _said(error))
            time.sleep(pause)
            pause = min(pause * 2, _PAUSES[1])

    def of_its_own(self, **connecting: int) -> Engine:
        """Return a second engine for the same database, which doesn't wait behind the first one's connections.

        `connecting`: what differs for it from CONNECTING, where the database is a PostgreSQL.
        """
        return _connect(self._url, connecting, pool_size=1, max_overflow=0)

    def redundancy(self) -> Redundancy:
        """Ask where the primary is, and who has what it acknowledges. Raises Unreachable when it stays away."""
        return self.persist(self._redundancy)

    def _redundancy(self) -> Redundancy:
        if self.engine.dialect.name == "sqlite":
            return Redundancy(None, 1, 0, waits=False)
        with self.session() as session:
            where, standbys, names, commit = session.execute(_REDUNDANCY).one()
        hosts = self._url.normalized_query.get("host", ())
        servers = max(1, len([host for each in hosts for host in each.split(",")]))
        waits = bool(names) and commit not in ("off", "local")
        return Redundancy(where, servers, standbys, waits=waits)

    def warn_of_losses(self) -> None:
        """Log a warning if a fail-over of this database would lose what it has acknowledged."""
        found = self.redundancy()
        if (found.standbys or found.servers > 1) and not found.waits:
            _log.warning(
                "the database acknowledges before a standby has it: what it has acknowledged last is lost when it "
                "fails over (PostgreSQL: synchronous_standby_names, synchronous_commit; Patroni: synchronous_mode)"
            )

    def close(self) -> None:
        self.engine.dispose()


def in_portions(ids: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split ids into portions of as many as one query may name."""
    return (ids[start : start + _NAMED] for start in range(0, len(ids), _NAMED))


def through_outages(repository: type[T]) -> type[T]:
    """Make each public method of this class one transaction of its `_database`, and have it run again after an outage.

    A method may also consist of several, each of which is `persistent` by itself.
    """
    for name, method in inspect.getmembers(repository, inspect.isfunction):
        if not name.startswith("_"):
            setattr(repository, name, persistent(method))
    return repository


def persistent(method: Callable[..., T]) -> Callable[..., T]:
    @functools.wraps(method)
    def again(self: Any, *args: Any, **kwargs: Any) -> T:
        database: Database = self._database
        return database.persist(lambda: method(self, *args, **kwargs))

    return again


def _is_away(error: Exception) -> bool:
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError) or not type(error.orig).__module__.startswith("psycopg"):
        return False
    if error.connection_invalidated:
        return True
    state = _sqlstate(error)
    if state is None:  # no answer from the server: it refused, hung up or was never reached
        return type(error.orig).__name__ in ("OperationalError", "ConnectionTimeout", "InterfaceError")
    # Connection exceptions, too many connections, shutting down or starting up, deadlocks
    return state.startswith(("08", "53", "57P0")) or state in (_READ_ONLY, _IDLED, "40001", "40P01")


def _sqlstate(error: BaseException) -> str | None:
    state: str | None = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state


@event.listens_for(Engine, "handle_error")  # of every engine: the workflows' is made by somebody else
def _leave_the_server(context: ExceptionContext) -> None:
    """Have no connection to a server used again, not those in the pool either, when it isn't the primary any more."""
    state = _sqlstate(context.original_exception)
    if state is not None and (state == _READ_ONLY or state.startswith(("08", "57P0"))):
        context.is_disconnect = True


@event.listens_for(Pool, "connect")  # of every engine
def _end_what_idles(connection: Any, _record: Any) -> None:
    """Have PostgreSQL roll back a transaction whose process does nothing any more, so that others don't wait for it."""
    if type(connection).__module__.startswith("psycopg"):
        connection.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE}s'")
        connection.commit()


def _said(error: Exception) -> str:
    """Return the driver's first line, after a colon: it names host and user, never the password."""
    lines = str(getattr(error, "orig", None) or "").strip().splitlines()
    return f": {lines[0].rstrip('.')}" if lines else ""


def _parsed(url: str) -> URL:
    if url.count("@") > 1:  # what is behind the first one would be taken for the host, and told in errors
        raise InvalidInput(
            "The database's address has more than one @ in it.",
            advice="Write one that belongs to the password as %40, a / as %2F and a % as %25: see database_url.",
        )
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # whose text repeats what it was given
        raise InvalidInput("The database's address isn't one: see database_url in the configuration.") from None


def _connect(url: URL, connecting: Mapping[str, int] = MappingProxyType({}), **pool: Any) -> Engine:
    if url.get_backend_name() == "postgresql":
        pool = {"pool_size": 10, "max_overflow": 20, **pool}
        return create_engine(url, connect_args={**CONNECTING, **connecting}, hide_parameters=True, **pool)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        # WAL: readers never wait for the writer. The busy time-out covers the moment two processes both write.
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=30000", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _upgrade(engine: Engine) -> None:
    """Make a new database as the tables are now, and bring one of an earlier version up to date.

    All versions, one after the other, would make the same of a new one, and take ten times as long. Raises Conflict for
    a database of a version that isn't known.
    """
    with engine.connect() as connection:
        found = _revision(connection)
    if found == newest_revision():  # nearly always, and to load Alembic takes tenths of a second
        return
    if found is not None and found not in _revisions():
        raise Conflict(
            f"The database is of another release of Longshore: its tables have version {found}, and this release knows "
            f"none later than {newest_revision()}.",
            advice="Use the release that has opened it last.",
        )
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":  # whose caller holds a lock on a file
            # A table that is made anew goes for a moment, and what refers to it shall stay
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # Python's driver begins none for what changes tables
            connection.detach()  # no other work is done without foreign keys
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
        if _revision(connection) is None:
            Base.metadata.create_all(connection)
            _VERSION.create(connection, checkfirst=True)
            connection.execute(_VERSION.insert().values(version_num=newest_revision()))
        else:
            _apply_revisions(connection)


def _apply_revisions(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCHEMA))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    """Return the revision of the schema that is there; None: there is none, or making it was interrupted."""
    if not connection.dialect.has_table(connection, _VERSION.name):
        return None
    found: str | None = connection.scalar(select(_VERSION.c.version_num))
    return found


def newest_revision() -> str:
    """Return the newest revision of the schema, which the code works with."""
    return max(_revisions())


def _revisions() -> list[str]:
    """Return all revisions of the schema.

    They follow one another, and their files' names begin with them: 0001, 0002, …
    """
    return [path.name.partition("_")[0] for path in (_SCHEMA / "versions").glob("[0-9]*.py")]
