"""Retention in vaults: which of a policy's points stay, with every reason, and which go. The rules are those of
replicas.

A policy judges the points that it has made. Those that somebody made by hand, or another policy, are none of its own.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from longshore.errors import Conflict
from longshore.flows.clouds import Clouds
from longshore.model import point as model
from longshore.planning.retention import Decision, decide, parse_retention
from longshore.providers.vault.source import consistency_of
from longshore.store import BackupPolicyRecord, Store
from longshore.vault.holds import Held, delete_point, holds
from longshore.vault.points import Point, folder_in, has_point, points
from longshore.vault.vault import Vault

_CLOCKS = timedelta(days=1)  # by which two clocks may differ

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
            consistency_of(point),
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


def thin(  # noqa: PLR0917
    store: Store,
    clouds: Clouds,
    policy: BackupPolicyRecord,
    vault_id: str,
    noted: tuple[str, ...],
    note: Note,
    made: str = "",
) -> tuple[str, ...]:
    """Delete what no rule keeps in one of the policy's vaults: points of the machine of the point that was `made`, or
    of any machine. Return the names of the deleted points.

    `note` is called before each deletion, with all names up to that; `noted`: what an earlier call that was broken off
    has noted. Raise Conflict when the point that was made isn't there any more, or a clock is wrong, NotFound when the
    policy was deleted: nothing goes then.
    """
    with clouds.vault(vault_id, "write") as vault:
        folder = folder_in(made)
        found = list(points(vault, folder))
        if made and made not in [point.name for point in found]:
            raise Conflict(f"The point {made} is gone, so no other one was deleted.")
        policy = store.backup_policies.get(policy.id)  # somebody may have changed its rules while points were read
        suspect, in_use = suspects_of(policy, vault_id), store.backup_policies.points_in_use(vault_id)
        held = holds(vault, folder)
        decisions = decide_of_policy(policy, found, in_use, held, _now(vault), suspect=suspect)
        deleted = [name for name in noted if not has_point(vault, name)]
        for point in (point for decision in decisions.values() for point in decision.going):
            note((*deleted, point.id))  # a second call doesn't find it, and what it leaves is pruned if it is known
            with suppress(Held):  # since a moment ago, or the list of holds came late
                delete_point(vault, point.id)
                deleted.append(point.id)
        return tuple(deleted)


def _now(vault: Vault) -> datetime:
    """Return the time. Raise Conflict when this machine and the vault's store don't agree on it: a point that was made
    by a clock which is far ahead would push good ones out."""
    now, there = datetime.now(UTC), datetime.fromtimestamp(vault.store.now(), UTC)
    if abs(now - there) > _CLOCKS:
        raise Conflict(
            f"This machine's clock says {now:%Y-%m-%d %H:%M} UTC, and that of the vault {there:%Y-%m-%d %H:%M} UTC: "
            "no point is deleted by rules.",
            advice="Set the clock that is wrong. Points that it has dated wrongly are deleted by hand.",
        )
    return now
