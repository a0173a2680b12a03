"""The record of a machine's syncs, where it is copied again and again."""

from typing import Any

from sqlalchemy.orm import Session

from longshore.store.events import forget_said
from longshore.store.ledger import ThingKind, forget_removed
from longshore.store.tables import MigrationRow

_KEPT = 50
_OF_SYNCS = ("syncing", "waiting", "removing")  # phases that come again and again
_EVENTS_KEPT = 300


def keep_sync(session: Session, migration_id: str, sync: dict[str, Any], state: dict[str, Any]) -> None:
    """Keep the result of a sync, and the state that the next one needs.

    A sync of the same number replaces what an earlier run kept. Of many syncs the first and the last ones are kept, and
    of their snapshots' entries and events as much: syncs may go on for months.
    """
    row = session.get_one(MigrationRow, migration_id)
    others = [kept for kept in row.syncs or () if kept["number"] != sync["number"]]
    ordered = sorted([*others, sync], key=lambda kept: kept["number"])
    row.syncs = [*ordered[:1], *ordered[1:][-_KEPT:]]
    row.state = state
    for kind in (ThingKind.SOURCE_SNAPSHOT, ThingKind.PROXY_DISKS):
        forget_removed(session, migration_id, kind, _KEPT)
    forget_said(session, migration_id, _OF_SYNCS, _EVENTS_KEPT)
