"""The time for which a machine was away: from when it was seen off until it was seen up again, on either side."""

from datetime import datetime
from typing import NamedTuple

from longshore.model.machine import PowerState
from longshore.store import MigrationRecord
from longshore.store.tables import utc_now

WAS_OFF = "The machine was off already."
STILL_OFF = "The machine was not seen running again; this is until the migration ended."


class Downtime(NamedTuple):
    seconds: float | None  # None: there was none, as far as is known by now
    note: str | None = None  # why there was none though it was off, or what the figure leaves out


def downtime_of(record: MigrationRecord, now: datetime | None = None) -> Downtime:
    """Return the downtime of a migration, while it lasts the time so far. `now`: in UTC without a zone; None: this
    moment."""
    if record.source_power == PowerState.OFF.value:
        return Downtime(None, WAS_OFF)
    off = record.source_off_at
    if off is None:
        return Downtime(None)
    up = record.target_up_at or record.source_on_at
    end = up or record.finished_at or now or utc_now()
    lasting = record.status.ended and up is None
    return Downtime(round((end - off).total_seconds(), 1), STILL_OFF if lasting else None)
