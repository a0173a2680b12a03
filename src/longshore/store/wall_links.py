"""Links that show a project's overview on a wall, to whoever has them. A thief of the table can use none: it has only
digests of what is secret in them."""

import hashlib
import secrets
import uuid
from datetime import datetime

from sqlalchemy import delete, func, select

from longshore.errors import Conflict
from longshore.model.wall_link import WallLink
from longshore.store.database import through_outages
from longshore.store.part import NamedPart
from longshore.store.rows import filled
from longshore.store.tables import WallLinkRow, utc_now, with_zone, without_zone

MOST = 20  # of a project


@through_outages
class WallLinks(NamedPart[WallLinkRow]):
    _rows = WallLinkRow

    def all(self) -> list[WallLink]:
        """Return the links that the scope sees and that haven't ended, by name."""
        with self._database.session() as session:
            query = select(WallLinkRow).where(self._visible(), WallLinkRow.ends_at > utc_now())
            rows = session.scalars(query.order_by(WallLinkRow.name, WallLinkRow.id))
            return [_link(row) for row in rows]

    def add(self, name: str, user_id: str, ends_at: datetime) -> tuple[WallLink, str]:
        """Add a link of the scope's project, and return it with its key, which is kept nowhere. `ends_at` has its zone.

        Raises Conflict when the name is taken, or there are as many as there may be.
        """
        key = secrets.token_urlsafe(32)
        with self._database.alone() as session:
            session.execute(delete(WallLinkRow).where(WallLinkRow.ends_at <= utc_now()))
            there = self._made_before(session, name)
            if there is not None:  # the answer to the first time, and its key, were lost
                session.delete(there)
                session.flush()
            own = WallLinkRow.project_id == self._scope.project_id
            if (session.scalar(select(func.count()).select_from(WallLinkRow).where(own)) or 0) >= MOST:
                raise Conflict(
                    f"The project has {MOST} wall links, and may have no more.",
                    advice="Take one back that isn't needed.",
                )
            row = WallLinkRow(
                id=str(uuid.uuid4()),
                project_id=self._scope.project_id,
                name=name,
                unique_name=self._unique(session, name),
                digest=_digest(key),
                user_id=user_id,
                ends_at=without_zone(ends_at),
            )
            session.add(row)
            session.flush()
            return _link(row), key

    def remove(self, name_or_id: str) -> None:
        """Take a link back: it shows nothing any more. Raises NotFound, or Conflict when several are called so."""
        with self._database.alone() as session:
            if (row := self._find_to_remove(session, name_or_id)) is not None:
                session.delete(row)

    def of_key(self, key: str) -> WallLink | None:
        """Return the link with this key, whatever project it is of; None when it has ended or was taken back."""
        with self._database.session() as session:
            query = select(WallLinkRow).where(WallLinkRow.digest == _digest(key), WallLinkRow.ends_at > utc_now())
            row = session.scalar(query)
            return _link(row) if row is not None else None


def _link(row: WallLinkRow) -> WallLink:
    return filled(WallLink, row, created_at=with_zone(row.created_at), ends_at=with_zone(row.ends_at))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
