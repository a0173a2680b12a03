"""Second copies of a policy's points, in another vault: copied after each run, and kept there by the same rules."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

from longshore.errors import Cancelled, Conflict, LongshoreError
from longshore.flows.backups.retention import thin
from longshore.flows.moves.context import MoveContext
from longshore.model.backup_policy import SecondCopy, Stand
from longshore.model.request import MigrationType, VaultRequest
from longshore.model.status import Status
from longshore.store import BackupPolicyRecord, MigrationRecord, NewMigration, Scope


def begin_copy_if_due(job: MoveContext, policy: BackupPolicyRecord) -> None:
    """Begin a copy once a run has ended. What a copy that failed has left is copied after the next run, too."""
    if policy.copy_to is None or policy.copies or policy.run is None or policy.run.ended_at is None:
        return
    now, ended_at = datetime.now(UTC), policy.run.ended_at
    if ended_at > now:  # by a clock that was ahead: one copy follows it, as if it had ended just now
        ended_at = now
        job.store.backup_policies.keep(policy.id, replace(policy.run, ended_at=now))
    if policy.copy is None or not ended_at <= policy.copy.begun_at <= now:
        job.store.backup_policies.begin(policy.id, SecondCopy(str(uuid.uuid4()), now))


def follow_copy(job: MoveContext, policy: BackupPolicyRecord) -> None:
    """Queue the copy, and note its end. Points of the second vault that no rule keeps are deleted then."""
    copy = policy.copy
    if copy is None or copy.stand.ended:
        return
    found = job.store.migrations.several([copy.id])
    if copy.stand is Stand.CHOSEN:
        copy = replace(copy, stand=Stand.UNDER_WAY) if found else _queued(job, policy, copy)
    elif not found:
        copy = _failed(job, copy, "Its record is gone.")
    elif found[0].status.ended:
        copy = _noted(job, policy, copy, found[0])
    job.store.backup_policies.keep(policy.id, copy)


def _queued(job: MoveContext, policy: BackupPolicyRecord, copy: SecondCopy) -> SecondCopy:
    """Return the copy as queued, or as failed. It is unchanged while another copy between the same vaults is under way:
    its turn comes after that."""
    request = VaultRequest(MigrationType.VAULT_COPY, of=policy.id)
    providers = job.store.providers
    try:
        if policy.copy_to is None:
            return _failed(job, copy, "The policy has no second vault any more.")
        vault, second = providers.get(policy.vault_id), providers.get(policy.copy_to)
        new = NewMigration.of_provider(vault, request, second, id=copy.id)
        job.store.migrations.scoped(Scope(job.record.project_id)).add_together([new])
    except LongshoreError as error:
        return copy if error.code == Conflict.code else _failed(job, copy, str(error))
    return replace(copy, stand=Stand.UNDER_WAY)


def _noted(job: MoveContext, policy: BackupPolicyRecord, copy: SecondCopy, record: MigrationRecord) -> SecondCopy:
    if record.result is None:
        return _failed(job, copy, record.error or "It was cancelled.")
    copy = replace(copy, stand=Stand.DONE, points=int(record.result["points"]))
    if record.status is not Status.DONE:  # some points are damaged; all others are copied, and old ones go as ever
        copy = _failed(job, copy, record.error or "It was cancelled.")

    def note(deleted: tuple[str, ...]) -> None:
        nonlocal copy
        copy = replace(copy, deleted=deleted)
        job.store.backup_policies.keep(policy.id, replace(copy, stand=Stand.UNDER_WAY, error=None))

    try:
        deleted = thin(job.store, job.clouds, policy, record.target_id, copy.deleted, note)
    except LongshoreError as error:
        if error.code == Cancelled.code:
            raise
        job.say(f"Old points of the second vault stay for now: {error}", "warning")
        said = f"Old points stay for now: {error}"
        return replace(copy, error=said if copy.error is None else f"{copy.error} {said}")
    if deleted:
        job.say(f"No rule keeps these points of the second vault; they are deleted: {', '.join(deleted)}.")
    return replace(copy, deleted=deleted)


def _failed(job: MoveContext, copy: SecondCopy, why: str) -> SecondCopy:
    job.say(f"The copy to the second vault failed: {why}", "error")
    return replace(copy, stand=Stand.FAILED, error=why)
