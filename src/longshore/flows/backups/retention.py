"""Retention in vaults: which of a policy's points stay, with every reason, and which go. The rules are those of
replicas.

A policy judges the points that it has made. Those that somebody made by hand, or another policy, are none of its own.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from longshore.errors import Conflict
from longshore.flows.clouds import Clouds
from longshore.model import point as model
from longshore.planning.retention import Decision, decide, parse_retention
from longshore.store import BackupPolicyRecord, Store
from longshore.vault.holds import Held, delete_point, holds
from longshore.vault.points import Point, has_point, points
from longshore.vault.vault import Vault

Note = Callable[[tuple[str, ...]], None]  # writes down names of points that are deleted, or about to be


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


def thin(  # noqa: PLR0917
    store: Store, clouds: Clouds, policy: BackupPolicyRecord, made: str, noted: tuple[str, ...], note: Note
) -> tuple[str, ...]:
    """Delete what no rule keeps of the machine of the point that was `made`. Return the names of the deleted points.

    `note` is called before each deletion, with all names up to that; `noted`: what an earlier call that was broken off
    has noted. Raise Conflict when the point that was made isn't there any more: nothing goes then.
    """
    with clouds.vault(policy.vault_id, "write") as vault:
        folder = folder_in(made)
        found = list(points(vault, folder))
        if made not in [point.name for point in found]:
            raise Conflict(f"The point {made} is gone, so no other one was deleted.")
        return _thin(store, vault, policy, policy.vault_id, found, holds(vault, folder), noted, note)


def thin_copies(  # noqa: PLR0917
    store: Store, clouds: Clouds, policy: BackupPolicyRecord, vault_id: str, noted: tuple[str, ...], note: Note
) -> tuple[str, ...]:
    """Delete what no rule keeps in the policy's second vault, of any machine. Return the names of the
    deleted points. `noted`, `note`: as `thin` has them."""
    with clouds.vault(vault_id, "write") as vault:
        return _thin(store, vault, policy, vault_id, points(vault), holds(vault), noted, note)


def _thin(  # noqa: PLR0917
    store: Store,
    vault: Vault,
    policy: BackupPolicyRecord,
    vault_id: str,
    found: Iterable[Point],
    held: Mapping[str, model.Hold],
    noted: tuple[str, ...],
    note: Note,
) -> tuple[str, ...]:
    suspect, in_use = suspects_of(policy, vault_id), store.backup_policies.points_in_use(vault_id)
    decisions = decide_of_policy(policy, found, in_use, held, datetime.now(UTC), suspect=suspect)
    deleted = [name for name in noted if not has_point(vault, name)]
    for point in (point for decision in decisions.values() for point in decision.going):
        note((*deleted, point.id))  # a second call doesn't find it, and what it leaves is pruned if it is known
        with suppress(Held):  # since a moment ago, or the list of holds came late
            delete_point(vault, point.id)
            deleted.append(point.id)
    return tuple(deleted)
