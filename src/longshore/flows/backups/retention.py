"""Retention in vaults: which of a policy's points stay, with every reason, and which go. The rules are those of
replicas.

A policy judges the points that it has made. Those that somebody made by hand, or another policy, are none of its own.
"""

from collections.abc import Collection, Iterable, Mapping
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
    *,
    suspect: Collection[str] = (),
) -> dict[str, Decision]:
    """Return the decisions by machine, named as the points' names begin.

    `in_use`: by point, what stands on it, as people call it. `held`: by point, what is to keep it. `suspect`: points
    that were found damaged.
    """
    machines: dict[str, list[model.Point]] = {}
    for point in found:
        if point.content.get("policy") != policy.id or point.maker not in (None, policy.project_id):
            continue  # what another project says of its points doesn't count here
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


def suspects_of(policy: BackupPolicyRecord, vault_id: str) -> tuple[str, ...]:
    """Return the points of one of its vaults that its last verification has found damaged. Only the policy's first
    vault is verified."""
    return policy.verification.suspect if policy.verification and vault_id == policy.vault_id else ()


def folder_in(point_name: str) -> str:
    return point_name.partition("/")[0]


def thin(store: Store, clouds: Clouds, policy: BackupPolicyRecord, made: str) -> tuple[str, ...]:
    """Delete what no rule keeps of the machine of the point that was `made`. Return the names of the deleted points.

    Raise Conflict when that point isn't there any more: nothing goes then.
    """
    with clouds.vault(policy.vault_id, "write") as vault:
        folder = folder_in(made)
        found = list(points(vault, folder))
        if made not in [point.name for point in found]:
            raise Conflict(f"The point {made} is gone, so no other one was deleted.")
        return _thin(store, vault, policy, policy.vault_id, found, holds(vault, folder))


def thin_copies(store: Store, clouds: Clouds, policy: BackupPolicyRecord, vault_id: str) -> tuple[str, ...]:
    """Delete what no rule keeps in the policy's second vault, of any machine. Return the names of the
    deleted points."""
    with clouds.vault(vault_id, "write") as vault:
        return _thin(store, vault, policy, vault_id, points(vault), holds(vault))


def _thin(  # noqa: PLR0917
    store: Store,
    vault: Vault,
    policy: BackupPolicyRecord,
    vault_id: str,
    found: Iterable[Point],
    held: Mapping[str, model.Hold],
) -> tuple[str, ...]:
    suspect, in_use = suspects_of(policy, vault_id), store.backup_policies.points_in_use(vault_id)
    decisions = decide_of_policy(policy, found, in_use, held, datetime.now(UTC), suspect=suspect)
    deleted: list[str] = []
    for point in (point for decision in decisions.values() for point in decision.going):
        with suppress(Held):  # since a moment ago, or the list of holds came late
            delete_point(vault, point.id)
            deleted.append(point.id)
    return tuple(deleted)
