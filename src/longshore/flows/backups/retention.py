"""Which points of a policy stay in its vault, with every reason, and which go: what planning says of replicas' points.

A policy judges the points that it has made. Those that somebody made by hand, or another policy, are none of its own.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from longshore.errors import Conflict
from longshore.flows.clouds import Clouds
from longshore.model import point as model
from longshore.planning.retention import Decision, decide, parse_retention
from longshore.store import BackupPolicyRecord, Store
from longshore.vault.holds import Held, delete_point, holds
from longshore.vault.points import Point, points
from longshore.vault.vault import Vault


def decide_of_policy(
    policy: BackupPolicyRecord,
    found: Iterable[Point],
    in_use: Mapping[str, tuple[str, ...]],
    held: Mapping[str, model.Hold],
    now: datetime,
) -> dict[str, Decision]:
    """By machine, as points' names begin with it. By point `in_use`: what stands on it, as people call it; `held`: what
    is to keep it."""
    suspect = policy.verification.suspect if policy.verification else ()
    machines: dict[str, list[model.Point]] = {}
    for point in found:
        if point.content.get("policy") != policy.id:
            continue
        seen = model.Point(
            point.name,
            model.Arrival(point.moment, point.moment),
            model.Consistency(point.content["consistency"]),
            suspect=point.name in suspect,
            holds=(held[point.name],) if point.name in held else (),
            users=in_use.get(point.name, ()),
        )
        machines.setdefault(folder_in(point.name), []).append(seen)
    rules = parse_retention(policy.retention)
    return {folder: decide(of_machine, rules, now) for folder, of_machine in machines.items()}


def folder_in(point_name: str) -> str:
    return point_name.partition("/")[0]


def thin(store: Store, clouds: Clouds, policy: BackupPolicyRecord, made: str) -> tuple[str, ...]:
    """Delete what no rule keeps of the machine of the point that was `made`. The names of what goes."""
    with clouds.vault(policy.vault_id, "write") as vault:
        decision = _decision(store, vault, policy, made)
        deleted: list[str] = []
        for point in decision.going:
            with suppress(Held):  # since a moment ago, or the list of holds came late
                delete_point(vault, point.id)
                deleted.append(point.id)
    return tuple(deleted)


def _decision(store: Store, vault: Vault, policy: BackupPolicyRecord, made: str) -> Decision:
    """Raises Conflict when the point that was made isn't there any more: nothing goes then."""
    folder = folder_in(made)
    found = list(points(vault, folder))
    if made not in [point.name for point in found]:
        raise Conflict(f"The point {made} is gone, so no other one was deleted.")
    in_use = store.backup_policies.points_in_use(policy.vault_id)
    return decide_of_policy(policy, found, in_use, holds(vault, folder), datetime.now(UTC))[folder]
