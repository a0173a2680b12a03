"""The machines that serve together, each as its own server has last said that it stands.

A machine that has said nothing for a while is away, by the database's clock, which is one for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from longshore.errors import Conflict, NotFound
from longshore.store.clock import clock
from longshore.store.database import through_outages
from longshore.store.part import StorePart
from longshore.store.rows import filled
from longshore.store.tables import NodeRow, utc_now, without_zone

AWAY_AFTER = 30.0  # seconds without a word; a server says how its machine stands each ten


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A machine. Moments are UTC without a zone; what changes is as it was when the machine was last heard of."""

    name: str
    address: str
    host: str
    version: str
    started_at: datetime
    heard_at: datetime
    alive: bool
    database: str
    database_since: datetime
    has_address: bool
    address_since: datetime
    certificates: dict[str, datetime]  # by who shows it, when it ends


@through_outages
class Nodes(StorePart):
    def all(self) -> list[NodeRecord]:
        """Return the machines that have ever said how they stand and weren't removed, by name."""
        with self._database.session() as session:
            now = _now(session)
            return [_record(row, now) for row in session.scalars(select(NodeRow).order_by(NodeRow.name))]

    def say(
        self,
        name: str,
        *,
        address: str,
        host: str,
        version: str,
        started_at: datetime,
        database: str,
        has_address: bool,
        certificates: Mapping[str, datetime],
    ) -> None:
        """Keep how a machine stands, and since when that is so. `started_at` and `certificates` have their zones."""
        with self._database.alone() as session:
            now, seen_at = utc_now(), _now(session)
            row = session.get(NodeRow, name)
            if row is None:
                row = NodeRow(name=name)
                session.add(row)
            if row.database != database:
                row.database, row.database_since = database, now
            if row.has_address != has_address:
                row.has_address, row.address_since = has_address, now
            row.address, row.host, row.version, row.started_at = address, host, version, without_zone(started_at)
            row.certificates = {shown: end.astimezone(UTC).isoformat() for shown, end in certificates.items()}
            row.seen_at = seen_at

    def remove(self, name: str) -> None:
        """Forget a machine. Raises NotFound, and Conflict for one that is alive."""
        with self._database.alone() as session:
            row = session.get(NodeRow, name)
            if row is None:
                if self._database.may_be_done:
                    return
                raise NotFound(f"There is no node {name}.", advice="See: longshore node list.")
            if _record(row, _now(session)).alive:
                raise Conflict(
                    f"Node {name} is alive, and would be there again at once.",
                    advice="Stop its server, and wait a minute.",
                )
            session.execute(delete(NodeRow).where(NodeRow.name == name))


def _now(session: Session) -> float:
    """Return the database's seconds since 1970."""
    return session.execute(select(clock(session.connection().engine))).scalar_one()


def _record(row: NodeRow, now: float) -> NodeRecord:
    silent = now - row.seen_at
    return filled(
        NodeRecord,
        row,
        heard_at=utc_now() - timedelta(seconds=max(silent, 0.0)),
        alive=silent < AWAY_AFTER,
        certificates={shown: without_zone(datetime.fromisoformat(end)) for shown, end in row.certificates.items()},
    )
