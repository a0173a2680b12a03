"""Results of a replica's audits, and the points that they make suspect."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from longshore.model.replica import PointState
from longshore.store.tables import PointRow, ReplicaRow

_KEPT = 20


@dataclass(frozen=True, slots=True)
class Audited:
    """A sync that has read everything; the first of all is one, too."""

    next_at: datetime | None  # of the next one, in UTC without a zone
    is_good: bool = True  # nothing was found
    found: dict[str, Any] | None = None  # to be shown; None: there was nothing yet to compare with


def keep_audit(session: Session, point: PointRow, audit: Audited) -> None:
    """Keep the result of an audit with the point that it has made.

    After one that isn't good, the points since the audit before are suspect: changes that were hidden from their syncs
    may be missing from them, even where the difference is gone by now.
    """
    replica = session.get_one(ReplicaRow, point.replica_id)
    before = replica.audited_point or 0
    if not audit.is_good:
        between = PointRow.number > before, PointRow.number < point.number
        made = PointRow.state != PointState.MAKING.value
        own = update(PointRow).where(PointRow.replica_id == point.replica_id, *between, made)
        session.execute(own.values(suspect=True))
    replica.audited_at, replica.audited_point, replica.audit_due_at = point.moment, point.number, audit.next_at
    if audit.found is not None:
        found = {**audit.found, "point": point.number, "since": before}
        replica.audits = [*(replica.audits or ()), found][-_KEPT:]
