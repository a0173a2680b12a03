"""The clocks of a backup policy: when its vault is verified next, and when its points are proved."""

from datetime import datetime
from typing import Literal

from longshore.planning.schedules import next_time, parse_calendar
from longshore.store import BackupPolicyRecord
from longshore.store.tables import without_zone


def next_due(schedule: str, policy_id: str, what: Literal["verify", "prove"], now: datetime) -> datetime:
    """Return the time of a policy's next verification or proof, in UTC without a zone. Other policies' are at other
    times.

    Raise InvalidInput for a schedule that isn't one.
    """
    return without_zone(next_time(parse_calendar(schedule), now, f"{policy_id}/{what}"))


def mistimed(policy: BackupPolicyRecord, now: datetime) -> dict[str, datetime]:
    """Return moments of the policy that are later than its schedules' next time from now on, and what they have to be.

    A clock that was wrong once has left them. The keys are the names of their columns, the values in UTC without a
    zone.
    """
    nexts = {"due_at": without_zone(next_time(parse_calendar(policy.schedule), now, policy.id))}
    if policy.verify is not None and policy.verify_due_at is not None:
        nexts["verify_due_at"] = next_due(policy.verify, policy.id, "verify", now)
    if policy.prove is not None and policy.prove_due_at is not None:
        nexts["prove_due_at"] = next_due(policy.prove, policy.id, "prove", now)
    return {name: following for name, following in nexts.items() if following < getattr(policy, name)}
