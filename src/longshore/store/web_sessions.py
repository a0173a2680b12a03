"""The sessions of the pages, which all servers of a database share.

A row's id is a digest of what the browser has, and the tokens in it are sealed: a thief of the table can use neither.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, update

from longshore.model.session import Session, SessionKind
from longshore.store.database import Database, through_outages
from longshore.store.secrets import SecretBox, SecretsError
from longshore.store.tables import WebSessionRow, utc_now, with_zone, without_zone

_NOTED = timedelta(seconds=60)  # that one was used is written once in that time


@through_outages
class WebSessions:
    """Sessions of the pages. `key`: what the browser has, at least 256 random bits."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def put(self, kind: SessionKind, key: str, session: Session, instead_of: str | None = None) -> None:
        """Keep it, and forget the one that it takes the place of."""
        id_ = _digest(kind, key)
        content = {name: value for name, value in asdict(session).items() if name != "ends_at"}
        sealed = self._box.seal(json.dumps(content), owner=_owner(id_))
        with self._database.session() as opened:
            if instead_of is not None:
                opened.execute(delete(WebSessionRow).where(WebSessionRow.id == _digest(kind, instead_of)))
            ends_at = without_zone(session.ends_at)
            opened.merge(WebSessionRow(id=id_, sealed=sealed, used_at=utc_now(), ends_at=ends_at))

    def find(self, kind: SessionKind, key: str, idle: timedelta, *, used: bool) -> Session | None:
        """Return a session; None when there is none, or it has ended: at its time, or since nobody has used it for
        `idle`.

        `used`: somebody does something with it now.
        """
        id_, now = _digest(kind, key), utc_now()
        with self._database.session() as opened:
            row = opened.get(WebSessionRow, id_)
            if row is None:
                return None
            found = self._open(row)
            if found is None or row.ends_at <= now or row.used_at + idle <= now:
                opened.execute(delete(WebSessionRow).where(WebSessionRow.id == id_))
                return None
            if used and row.used_at + _NOTED <= now:
                opened.execute(update(WebSessionRow).where(WebSessionRow.id == id_).values(used_at=now))
            return found

    def forget(self, kind: SessionKind, key: str) -> None:
        """Delete a session, if it is there."""
        with self._database.session() as opened:
            opened.execute(delete(WebSessionRow).where(WebSessionRow.id == _digest(kind, key)))

    def forget_ended(self, idle: timedelta) -> None:
        now = utc_now()
        ended = or_(WebSessionRow.ends_at <= now, WebSessionRow.used_at <= now - idle)
        with self._database.session() as opened:
            opened.execute(delete(WebSessionRow).where(ended))

    def _open(self, row: WebSessionRow) -> Session | None:
        """Return the session of a row; None once the key that it was sealed with is gone: its user logs in again."""
        try:
            content: Mapping[str, Any] = json.loads(self._box.open(row.sealed, owner=_owner(row.id)))
        except SecretsError:
            return None
        ends_at: datetime = with_zone(row.ends_at)
        return Session(**content, ends_at=ends_at)


def _digest(kind: SessionKind, key: str) -> str:
    """Return the digest of a browser's key. Whatever text is sent as a key, it has the digest of no other kind's."""
    return hashlib.sha256(f"{kind}\0{key}".encode()).hexdigest()


def _owner(id_: str) -> str:
    return f"web-session/{id_}"
