"""When a policy's vault is verified next, and its points are proved."""

from datetime import datetime

from longshore.planning.schedules import next_time, parse_calendar
from longshore.store.tables import without_zone


def next_verification(schedule: str, policy_id: str, now: datetime) -> datetime:
    """In UTC without a zone; other policies' are at other times. Raises InvalidInput."""
    return without_zone(next_time(parse_calendar(schedule), now, f"{policy_id}/verify"))


def next_proof(schedule: str, policy_id: str, now: datetime) -> datetime:
    """As `next_verification`."""
    return without_zone(next_time(parse_calendar(schedule), now, f"{policy_id}/prove"))
