"""Proofs of a policy's points by a schedule of their own: its machines' newest good points are restored as dry runs.

That is what `restore create --dry-run --isolated` begins: a clone is booted on networks that lead nowhere, is seen up,
and goes with all that was made for it. One after another, so that a proof takes no more of the cloud than a single
machine does.
"""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

from longshore.errors import Cancelled, Conflict, LongshoreError, NotFound
from longshore.flows.backups.clocks import next_due
from longshore.flows.moves.context import MoveContext
from longshore.flows.replicas.landing import parts_of
from longshore.model.backup_policy import PointTrial, Proof, Stand
from longshore.model.request import MigrationRequest, MigrationType, WhenStuck
from longshore.model.status import Status
from longshore.store import BackupPolicyRecord, MigrationRecord, NewMigration, Scope
from longshore.store.tables import without_zone
from longshore.vault.points import newest_points, own_points


def begin_proof_if_due(job: MoveContext, policy: BackupPolicyRecord) -> None:
    """Begin a proof if one is due, by writing down which points it is about. However many times were
    missed, it is one."""
    now = datetime.now(UTC)
    if policy.proves or policy.paused or policy.prove is None or policy.prove_due_at is None:
        return
    if without_zone(now) < policy.prove_due_at:
        return
    try:
        proof = Proof(now, _choose(job, policy))
    except LongshoreError as error:
        if error.code == Cancelled.code:
            raise
        proof = Proof(now, (), now, str(error))
        job.say(f"No point could be proved: {error}", "error")
    job.store.backup_policies.begin(policy.id, proof, prove_due_at=next_due(policy.prove, policy.id, "prove", now))


def follow_proof(job: MoveContext, policy: BackupPolicyRecord) -> None:
    """Note what has ended, and queue the next trial when none is under way."""
    proof = policy.proof
    if proof is None or proof.ended_at is not None:
        return
    trials: list[PointTrial] = []
    for trial in proof.trials:
        one = _noted(job, trial) if trial.stand is Stand.UNDER_WAY else trial
        if one.stand is Stand.CHOSEN and all(before.stand.ended for before in trials):
            one = _queued(job, policy, one)
        trials.append(one)
    proof = replace(proof, trials=tuple(trials))
    if all(trial.stand.ended for trial in trials):
        proof = replace(proof, ended_at=datetime.now(UTC))
        good = sum(trial.stand is Stand.DONE for trial in trials)
        job.say(f"A proof has ended: {good} of {len(trials)} point(s) were restored and seen up.")
    job.store.backup_policies.keep(policy.id, proof)


def _choose(job: MoveContext, policy: BackupPolicyRecord) -> tuple[PointTrial, ...]:
    """Return trials of each machine's newest point that no verification found damaged. Raise LongshoreError if there is
    none."""
    suspect = policy.verification.suspect if policy.verification else ()
    with job.clouds.vault(policy.vault_id, "read") as vault:
        made = (point for point in own_points(vault) if point.content.get("policy") == policy.id)
        newest = newest_points(point for point in made if point.name not in suspect)
    if not newest:
        raise NotFound("The policy has no good point yet.")
    return tuple(PointTrial(point.machine_or_folder, point.name, str(uuid.uuid4())) for point in newest.values())


def _queued(job: MoveContext, policy: BackupPolicyRecord, one: PointTrial) -> PointTrial:
    store = job.store
    if store.migrations.several([one.id]):  # by an earlier run of this step
        return replace(one, stand=Stand.UNDER_WAY)
    # Nobody waits for it at night: what is short then is an outcome, and other machines have their turn
    request = MigrationRequest(
        type=MigrationType.DRY_RUN,
        of=policy.id,
        isolated=True,
        networks=policy.prove_networks,
        when_stuck=WhenStuck.TAKE_BACK,
    )
    try:
        if policy.prove_on is None:
            raise Conflict("The policy has no cloud any more where its points are proved.")
        new = NewMigration(
            machine_name=one.machine_name,
            machine_ref=one.point,
            source_id=policy.vault_id,
            target_id=store.providers.get(policy.prove_on).id,
            request=request.to_json(),
            id=one.id,
        )
        with job.clouds.source(policy.vault_id) as vault:
            new = replace(new, disks=vault.by_reference(one.point).disks)
        store.migrations.scoped(Scope(job.record.project_id)).add_together([new])
    except LongshoreError as error:
        if error.code == Cancelled.code:
            raise
        return _failed(job, one, str(error))
    return replace(one, stand=Stand.UNDER_WAY)


def _noted(job: MoveContext, one: PointTrial) -> PointTrial:
    found = job.store.migrations.several([one.id])
    if not found:
        return _failed(job, one, "Its record is gone.")
    (record,) = found
    if not record.status.ended:
        return one
    one = replace(one, seconds=_seconds(job, record))
    if record.status is not Status.DONE or record.result is None:
        return _failed(job, one, record.error or "It was cancelled.")
    return replace(one, stand=Stand.DONE, shown_by=record.result.get("proof"))


def _seconds(job: MoveContext, record: MigrationRecord) -> dict[str, float]:
    """Return the seconds that each part took until the machine was seen up or it failed."""
    end = record.target_up_at or record.finished_at
    return parts_of(job.store.events.of(record.id, limit=10_000), end) if end is not None else {}


def _failed(job: MoveContext, one: PointTrial, why: str) -> PointTrial:
    job.say(f"The proof of {one.machine_name}'s point {one.point} failed: {why}", "error")
    return replace(one, stand=Stand.FAILED, error=why)
