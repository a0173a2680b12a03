"""Prunes that a policy has done by itself: of what its deleted points have left in its vaults, while there is
something.

A prune of a vault is begun at most every 20 hours: one for what a run has left, and further ones as long as the one
before says that there is more to remove. In a vault that locks one is begun whatever there is to remove: it renews the
lock of what lives.
"""

import uuid
from datetime import timedelta

from longshore.errors import Cancelled, Conflict, LongshoreError, NotSharedAnyMore
from longshore.flows.backups.keeping import jobs_of
from longshore.flows.moves.context import MoveContext
from longshore.model.backup_policy import Stand
from longshore.model.request import MigrationType, VaultRequest
from longshore.store import BackupPolicyRecord, MigrationRecord, NewMigration, Scope
from longshore.store.tables import utc_now

_EVERY = timedelta(hours=20)  # a policy that runs daily is to find it due each time


def prune_if_due(job: MoveContext, policy: BackupPolicyRecord) -> None:
    """Queue a prune of each of the policy's vaults that needs one, unless a run or a second copy is under way. One that
    somebody else has begun does as well."""
    if policy.run is None or policy.runs or policy.copies:
        return
    lost = any(one.deleted or one.stand is Stand.FAILED for one in policy.run.backups)
    _prune(job, policy, policy.vault_id, leaves=lost)
    if policy.copy_to is not None and policy.copy is not None:
        lost = bool(policy.copy.deleted) or policy.copy.stand is Stand.FAILED
        _prune(job, policy, policy.copy_to, leaves=lost)


def _prune(job: MoveContext, policy: BackupPolicyRecord, vault_id: str, *, leaves: bool) -> None:
    """Queue a prune of the vault, if it needs one now.

    `leaves`: whether the policy's last run has left something. A prune says itself what a later one may remove.
    """
    assert policy.run is not None
    try:
        job.clouds.refuse_taken_back(vault_id)
    except NotSharedAnyMore:
        return
    last = next(iter(jobs_of(job.store, vault_id, MigrationType.PRUNE)), None)
    if last is not None and (not last.status.ended or utc_now() - last.created_at < _EVERY):
        return
    # The same of one run, or after one prune, whenever this step is done: it is begun once
    of_run = _id(policy, f"{vault_id} {policy.run.begun_at.isoformat()}")
    further = _id(policy, f"{vault_id} after {last.id if last is not None else ''}")
    begun = {one.id for one in job.store.migrations.several([of_run, further])}
    if leaves and of_run not in begun:
        _queue(job, policy, vault_id, of_run)
    elif further not in begun and ((last is not None and _leaves(last)) or _locks(job, vault_id)):
        _queue(job, policy, vault_id, further)


def _id(policy: BackupPolicyRecord, of: str) -> str:
    return str(uuid.uuid5(uuid.UUID(policy.id), of))


def _leaves(prune: MigrationRecord) -> bool:
    """Tell whether a later prune may remove more."""
    return any((prune.result or {}).get(what) for what in ("condemned", "locked"))


def _locks(job: MoveContext, vault_id: str) -> bool:
    """Tell whether the vault locks what is in it, so that prunes have to renew its lock. One that can't be opened may:
    somebody has meddled with it, and its prune renews the lock, if there is one, and says what is wrong."""
    try:
        with job.clouds.vault(vault_id, "write") as vault:
            return vault.lock is not None
    except LongshoreError as error:
        if error.code == Cancelled.code:
            raise
        return True


def _queue(job: MoveContext, policy: BackupPolicyRecord, vault_id: str, id_: str) -> None:
    vault = job.store.providers.get(vault_id)
    request = VaultRequest(MigrationType.PRUNE, of=policy.id)
    new = NewMigration.of_provider(vault, request, id=id_)
    try:
        # The vault's owner's: who only shares it sees not all that is in it, and nothing of what is done with that
        job.store.migrations.scoped(Scope(vault.project_id)).add_together([new])
    except Conflict:
        return
    job.say(f"The vault {vault.name} is pruned of what deleted points have left.")
