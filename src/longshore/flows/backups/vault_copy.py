"""The copy of one disk into a vault, whose map there begins as that of the disk in the point before.

Where that turns out to be damaged, the disk is read from its source anew, without it.
"""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longshore.blocks.exports import Export
from longshore.errors import Cancelled, LongshoreError
from longshore.flows.moves.copying import Copied, DiskCopy
from longshore.model.changes import Changed, Changes
from longshore.model.extents import align
from longshore.vault.disks import NewDisk, damage_beside, told_damage
from longshore.vault.errors import Damaged, VaultFull, WriterLost, full_vault
from longshore.vault.exports import serve_new_disk
from longshore.vault.geometry import BLOCK, Top
from longshore.vault.writers import beat


@dataclass(frozen=True, kw_only=True)
class DiskIntoVault(DiskCopy):
    """A copy into the vault that is the job's target. `run` copies the disk; `finish` then writes its map."""

    before: Top  # of the disk in the point before; without an entry where there is none
    known: tuple[Top, ...]  # of disks whose blocks one without a point before needn't store again

    async def run(self) -> Copied:
        try:
            if await asyncio.to_thread(self._begins_anew):
                return await self._run_anew()
            if self.before.entry is None:
                return await DiskCopy.run(self)
            return await self._run_on_base()
        except LongshoreError as error:
            raise await asyncio.to_thread(self._explained, error) from error

    def finish(self) -> dict[str, Any]:
        """Store the upper nodes of the disk's map. Return its top, in JSON."""
        self.job.raise_if_cancelled()
        with self._vault() as vault:
            beat(vault, self.job.id)
            new = NewDisk(vault, self._base(), self._journal)
            try:
                return new.finish().told()
            finally:
                new.close()

    async def _run_on_base(self) -> Copied:
        """Copy what has changed since the point before; all of the disk, where that point is damaged."""
        try:
            copied = await DiskCopy.run(replace(self, stops=False))
            # The upper nodes of the base's map are read for that alone: found out while all can still be copied
            await asyncio.to_thread(self.finish)
        except LongshoreError as error:
            if not await asyncio.to_thread(self._leave_base, error):
                if not self.job.parks_for(error):
                    self.job.stop()  # no sense in going on with the other disks
                raise
        else:
            return copied
        return await self._run_anew()

    async def _run_anew(self) -> Copied:
        anew = replace(self, name=f"{self.name}-anew", told=None, verify=self.job.copy_request.verify)
        return await DiskCopy.run(anew)

    def _leave_base(self, error: LongshoreError) -> bool:
        """Find out whether a copy failed since what it is based on is damaged. Then it is copied anew, without that."""
        damage = str(error) if isinstance(error, Damaged) else told_damage(self._journal)
        if damage is None:
            return False
        said = f"{damage} {self.disk.label} is read from the source anew, without the point before."
        self.job.say(said, "warning")
        self._anew.touch()
        for path in (self._journal, damage_beside(self._journal)):
            path.unlink(missing_ok=True)
        return True

    def _begins_anew(self) -> bool:
        return self._anew.exists()

    def _base(self) -> Top:
        return Top(self.disk.size, None) if self._begins_anew() else self.before

    def _changes(self) -> Changes | None:
        """Return the changes, widened to whole blocks where the rest of each block would have to be asked of a distant
        vault."""
        changes = super()._changes()
        if isinstance(changes, Changed):
            with self._vault() as vault:
                if vault.store.far:
                    return replace(changes, extents=tuple(align(changes.extents, BLOCK, self.disk.size)))
        return changes

    def _open_target(self, exports: ExitStack) -> Export:
        base = self._base()
        if base.entry is not None and (damage := told_damage(self._journal)) is not None:
            raise Damaged(damage)  # by an earlier try: a further one finds the same
        known = list(self.known) if base.entry is None else []
        with self._vault() as vault:
            beat(vault, self.job.id)  # one that the vault has given up isn't tried again
            return exports.enter_context(serve_new_disk(vault, base, self._journal, self.job.id, known))

    def _explained(self, error: LongshoreError) -> LongshoreError:
        """Return the reason why a copy failed to write, where the vault is full or has given its writer up, or that it
        was cancelled while that was looked at; else the error."""
        if error.code == Cancelled.code:
            return error
        try:
            with self._vault() as vault:
                if error.code == VaultFull.code:
                    return full_vault(vault.store)
                beat(vault, self.job.id)
        except WriterLost as lost:
            return lost
        except LongshoreError as another:
            return another if another.code == Cancelled.code else error
        return error

    @property
    def _journal(self) -> Path:
        return self._path(f"{self.disk.key}.journal")

    @property
    def _anew(self) -> Path:
        """Return the path of a file that is there once the disk's base was found damaged."""
        return self._path(f"{self.disk.key}.anew")

    def _vault(self) -> Any:
        return self.job.clouds.vault(self.job.record.target_id, "write")
