"""Keeping a vault in order: reading all that its points name, and removing what none of them names any more."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from longshore.errors import Conflict, LongshoreError
from longshore.flows.flow import Flow
from longshore.flows.moves.context import MoveContext
from longshore.model.request import MigrationType
from longshore.store import JobFilter, MigrationRecord, Store
from longshore.store.tables import utc_now, without_zone
from longshore.vault.errors import Damaged
from longshore.vault.points import Point, folder_in
from longshore.vault.prune import PrunedInPart, prune_at
from longshore.vault.verify import verify

_TOLD = 20  # sentences that are said one by one; the result has them all
_LONGEST = timedelta(hours=20)  # that a prune may take: policies begin one each day
_LOOKED_AT = 50  # jobs of a vault
KEEPS_DELETED = (
    "The bucket keeps versions of what is deleted, and locks nothing: what was removed takes its room for ever. Give "
    "it a lifecycle rule that lets versions which aren't current expire."
)


def jobs_of(store: Store, vault_id: str, type_: MigrationType) -> list[MigrationRecord]:
    """Return the last jobs of one type that a vault had, newest first, without those that a wrong clock has dated into
    the future."""
    found = store.migrations.page(_LOOKED_AT, fitting=JobFilter(provider_id=vault_id, types=[type_]), backwards=True)
    return [one for one in found if one.created_at <= utc_now()]


def damaged_disks(job: MoveContext, point: Point) -> set[str]:
    """Return the keys of a point's disks that the last verification of the job's vault has found damaged: the last that
    was its project's own or the vault's owner's, since others' aren't about its points.

    A point that was made while that read may go on from what it found: the damage of its machine's other points counts
    as its own.
    """
    vault = job.store.providers.get(job.record.target_id)
    projects = (job.record.project_id, vault.project_id)
    for one in jobs_of(job.store, vault.id, MigrationType.VERIFICATION):
        if one.status.ended and one.result is not None and one.project_id in projects:
            made = without_zone(point.moment)
            meanwhile = one.created_at <= made <= (one.finished_at or made)
            hurt = f"{folder_in(point.name)}/" if meanwhile else point.name
            return {fault["disk"] for fault in one.result["faults"] if fault["point"].startswith(hurt)}
    return set()


class VerifyingVault(Flow):
    async def _forward(self) -> dict[str, Any]:
        await self._job.step("start", self._start)
        return await self._job.step("verify", self._verify)

    def _verify(self) -> dict[str, Any]:
        """Read all that the vault's points name. Raise Damaged when anything isn't as it was written."""
        job = self._job
        job.raise_if_cancelled()
        job.phase("verifying", "Reading all that the vault's points name.")
        with job.clouds.vault(job.record.target_id, "read") as vault:
            found = verify(vault, beat=job.raise_if_cancelled)
        for fault in found.faults[:_TOLD]:
            job.say(str(fault), "error")
        result = {"points": found.points, "blocks": found.blocks, "faults": [asdict(fault) for fault in found.faults]}
        job.store.migrations.update(job.id, result=result)
        if found.faults:
            bad = len({fault.point for fault in found.faults})
            raise Damaged(f"{bad} of {found.points} point(s) can't be restored whole. The first: {found.faults[0]}")
        return result


class Pruning(Flow):
    async def _forward(self) -> dict[str, Any]:
        await self._job.step("start", self._start)
        return await self._job.step("prune", self._prune)

    def _prune(self) -> dict[str, Any]:
        """Remove what no point of the vault names. In a vault that locks, renew its locks, whatever becomes of the
        rest.

        Raise Damaged when something isn't as it should be: all else was pruned then.
        """
        job = self._job
        job.raise_if_cancelled()
        job.phase("pruning", "Looking for what no point of the vault names.")
        said: tuple[str, ...] = ()
        with job.clouds.vault_store(job.record.target_id) as place:
            try:
                done = prune_at(place, lambda: job.clouds.vault(job.record.target_id, "prune"))
            except PrunedInPart as error:
                done, said = error.done, error.said
            except Conflict as error:
                raise self._alarmed(error) from error
            keeps_deleted = bool(done.freed) and place.keeps_deleted()
        for sentence in said[:_TOLD]:
            job.say(sentence, "error")
        waits = f"; {done.condemned} more may go by a prune a day later" if done.condemned else ""
        job.say(f"{done.deleted} of {done.packs} pack(s) are removed, {done.freed} bytes{waits}.")
        if done.locked:
            job.say(f"{done.locked} bytes that were deleted are locked: a prune after their lock's end frees them.")
        if done.renewed:
            job.say(f"The lock of {done.renewed} object(s) was renewed.")
        if keeps_deleted:
            job.say(KEEPS_DELETED, "warning")
        result = {**asdict(done), "said": list(said)}
        if said:
            job.store.migrations.update(job.id, result=result)
            raise PrunedInPart(done, said)
        return result

    def _alarmed(self, error: Conflict) -> LongshoreError:
        """Return the error to raise for a prune that is refused because of another one. Where prunes were refused for
        longer than one can take, it says that the vault needs a person to look."""
        job = self._job
        refused = []
        for one in jobs_of(job.store, job.record.target_id, MigrationType.PRUNE):
            if one.id != job.id and one.status.ended:
                if one.error_code != error.code:
                    break
                refused.append(one.created_at)
        if not refused or utc_now() - refused[-1] < _LONGEST:
            return error
        return Damaged(
            f"The vault is said to be pruned since {refused[-1]:%Y-%m-%d %H:%M} UTC, and no prune takes so long. "
            f"{error.message}",
            advice="Somebody keeps prune.json there, so that nothing is removed: see who has the vault's keys.",
        )
