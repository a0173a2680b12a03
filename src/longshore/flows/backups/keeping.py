"""What keeps a vault in order: reading all that its points name, and removing what none of them names any more."""

from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any

from longshore.engine.steps import step
from longshore.flows.moves.migration import Migration
from longshore.vault.errors import Damaged
from longshore.vault.locks import unlocked_by
from longshore.vault.prune import prune
from longshore.vault.vault import Use, Vault
from longshore.vault.verify import verify

_TOLD = 20  # ranges that are said one by one; the result has them all


class _OfVault(Migration):
    def _vault(self, use: Use) -> AbstractContextManager[Vault]:
        return self._job.clouds.vault(self._job.record.target_id, use)

    def _hand_over(self, result: dict[str, Any]) -> None:
        self._done(result)


class Verification(_OfVault):
    async def _forward(self) -> dict[str, Any]:
        await step("start", type(None), self._start)
        return await step("verify", dict[str, Any], self._verify)

    def _verify(self) -> dict[str, Any]:
        """Raises Damaged when anything isn't as it was written."""
        job = self._job
        job.raise_if_cancelled()
        job.phase("verifying", "Reading all that the vault's points name.")
        with self._vault("read") as vault:
            found = verify(vault, beat=job.raise_if_cancelled)
        for fault in found.faults[:_TOLD]:
            job.say(str(fault), "error")
        result = {"points": found.points, "blocks": found.blocks, "faults": [asdict(fault) for fault in found.faults]}
        job.store.migrations.update(job.id, result=result)
        if found.faults:
            bad = len({fault.point for fault in found.faults})
            raise Damaged(f"{bad} of {found.points} point(s) can't be restored whole. The first: {found.faults[0]}")
        return result


class Pruning(_OfVault):
    async def _forward(self) -> dict[str, Any]:
        await step("start", type(None), self._start)
        return await step("prune", dict[str, Any], self._prune)

    def _prune(self) -> dict[str, Any]:
        job = self._job
        job.raise_if_cancelled()
        job.phase("pruning", "Looking for what no point of the vault names.")
        with self._vault("prune") as vault:
            if changed := unlocked_by(vault):
                raise Damaged(changed, advice="Bring it back: longshore vault recover.")
            done = prune(vault)
        waits = f"; {done.condemned} more may go after {vault.grace / 3600:.0f} h" if done.condemned else ""
        job.say(f"{done.deleted} of {done.packs} pack(s) are removed, {done.freed} bytes{waits}.")
        if done.locked:
            job.say(f"{done.locked} bytes that were deleted are locked: a prune after their lock's end frees them.")
        if done.renewed:
            job.say(f"The lock of {done.renewed} object(s) was renewed.")
        return asdict(done)
