"""Policies of backups are shown with what they have begun, and with why their points stay."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from longshore.api.backup_policies import (
    BackupPolicy,
    KeptPoint,
    PointTrial,
    PolicyBackup,
    PolicyCopy,
    PolicyProof,
    PolicyRun,
    PolicyVerification,
)
from longshore.flows.backups.retention import decide_of_policy, suspects_of
from longshore.flows.clouds import Clouds
from longshore.service.shapes import T, provider_names, shaped
from longshore.store import BackupPolicyRecord, Store
from longshore.store.tables import with_zone
from longshore.vault.holds import holds
from longshore.vault.points import points


def shown_policy(store: Store, found: BackupPolicyRecord) -> BackupPolicy:
    return shaped(BackupPolicy, found, **fields_shown(store, found))


def fields_shown(store: Store, found: BackupPolicyRecord) -> dict[str, Any]:
    """Return the fields of a policy that its record doesn't have, or has otherwise."""
    names = provider_names(store)
    run, copy, verification, proof = found.run, found.copy, found.verification, found.proof
    return {
        "source": names[found.source_id],
        "vault": names[found.vault_id],
        "filter": found.wanted,
        "copy_to": names[found.copy_to] if found.copy_to else None,
        "prove_on": names[found.prove_on] if found.prove_on else None,
        "due_at": None if found.paused else with_zone(found.due_at),
        "verify_due_at": None if found.paused else with_zone(found.verify_due_at),
        "prove_due_at": None if found.paused else with_zone(found.prove_due_at),
        "run": run
        and shaped(
            PolicyRun,
            run,
            missed=found.missed,
            backups=[_begun(PolicyBackup, one) for one in run.backups],
        ),
        "verification": verification and _begun(PolicyVerification, verification),
        "copied": copy and _begun(PolicyCopy, copy),
        "proof": proof and shaped(PolicyProof, proof, trials=[_begun(PointTrial, one) for one in proof.trials]),
    }


def _begun(kind: type[T], one: Any) -> T:
    """Return one thing that a policy has begun as it goes over the wire."""
    return shaped(kind, one, migration=one.id, state=one.stand)


def judged_points(
    store: Store, clouds: Clouds, found: BackupPolicyRecord, retention: str | None = None
) -> list[KeptPoint]:
    """Return the points that a policy has made, by machine, newest first, each with why its rules keep it. `retention`:
    other rules."""
    if retention is not None:
        found = replace(found, retention=retention)
    with clouds.vault(found.vault_id, "read") as vault:
        there = [point for point in points(vault) if point.content.get("policy") == found.id]
        held = holds(vault)
    names = {point.name: point.machine_or_folder for point in there}
    in_use = store.backup_policies.points_in_use(found.vault_id)
    kept: list[KeptPoint] = []
    suspect = suspects_of(found, found.vault_id)
    for decision in decide_of_policy(found, there, in_use, held, datetime.now(UTC), suspect=suspect).values():
        reasons = {one.point.id: list(one.reasons) for one in decision.kept}
        judged = [*(one.point for one in decision.kept), *decision.going]
        kept += [
            KeptPoint(
                name=point.id,
                machine_name=names[point.id],
                moment=point.moment,
                suspect=point.suspect,
                reasons=reasons.get(point.id, []),
            )
            for point in sorted(judged, key=lambda point: (point.moment, point.id), reverse=True)
        ]
    return kept
