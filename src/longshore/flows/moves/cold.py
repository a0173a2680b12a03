"""Cold migration: the machine is shut down, copied, made ready for its new hardware and booted on the target.

    prepare → volumes, ports → snapshot, look, drop it → shut down → track changes → snapshot → copy and verify
      → drop the snapshot → snapshot the volumes → convert → boot → check → hand over

A guest that is to be changed, or whose hardware is to be chosen, is looked into before the machine is shut down, in a
snapshot that comes and goes. Where that can't be had, a guest that lands as it is is looked into when it is copied.

What can fail without touching the source comes first. From "shut down" on the source is off; until the target has been
seen up, any failure and any cancel takes everything back and powers the source on again, if it was on. But what has
been copied by then stays when something fails: it waits for another try, as a warm migration does after a failed
cutover (flows/moves/warm.py). So that this try reads no more than what changes until then, the source is asked to track
changes. That the source is off is looked at again wherever it counts: one that somebody has powered on meanwhile is
such a failure.
"""

from datetime import UTC, datetime
from typing import Any

from longshore.errors import LongshoreError
from longshore.flows.moves.copying import Copied
from longshore.flows.moves.kept_copies import keep_copy, may_stay, stays
from longshore.flows.moves.look import STEP, Choice, snapshot_to_look_into, try_source
from longshore.flows.moves.migration import CopyTotals, Migration, figures_of, result_of
from longshore.flows.moves.source_side import (
    drop_if_possible,
    require_still_off,
    shut_down,
    source_running,
    take_still,
    track_for_another_try,
)
from longshore.flows.moves.syncing import SyncState, after, after_break
from longshore.flows.moves.syncs import Sync
from longshore.flows.moves.target_side import Prepared
from longshore.model.forms import form
from longshore.model.job import JobKind
from longshore.model.machine import Snapshot
from longshore.model.request import LandingMode
from longshore.model.target import Port, Volume
from longshore.planning.new_addresses import changes_guest


class ColdMigration(Migration):
    goes_back = True
    _copying: tuple[SyncState, Snapshot] | None = None  # once that is under way

    async def _forward(self) -> dict[str, Any]:
        job = self._job
        prepared, volumes, ports = await self._begin()
        choice = await self._look_beforehand(prepared, ports)
        off = await job.step("shut-down", shut_down, job)
        if prepared.machine.can_begin_tracking and may_stay(job):
            await job.step("track-changes", track_for_another_try, job)
        await job.step("stillness", job.phase, "snapshot", "Taking one snapshot of all disks.")
        still = await job.step("snapshot", take_still, job, "snapshot", prepared.machine.disks, off)
        if not still.off:
            raise source_running(job.record.machine_name)
        await job.step("copying", job.phase, "copying", f"Copying {len(volumes)} disk(s) at once.")
        began = SyncState(prepared, volumes, ports, choice=choice)
        self._copying = began, still.snapshot
        copies = await self._copy("copy", prepared.machine.disks, still.snapshot, volumes)
        await job.step("copied", self._note_copied, began, copies, still.snapshot)
        await job.step("still-off", require_still_off, job, off)  # before more time goes by in vain
        await job.step("drop-snapshot", drop_if_possible, job, "snapshot", still.snapshot)
        if choice is None:
            choice = await self._look_late(prepared, volumes, ports)
        server, report, proof = await self._land(prepared, volumes, ports, choice, off)
        return result_of(prepared, server, ports, figures_of(CopyTotals().plus(copies), copies), report, proof)

    def _note_copied(self, state: SyncState, copies: list[Copied], snapshot: Snapshot) -> None:
        """Keep what was copied in the record: from here on an error throws no copy away."""
        now = datetime.now(UTC)
        state = after(state, Sync(0, now, now, tuple(copies), final=True), snapshot)
        self._job.store.migrations.update(self._job.id, state=state.kept())

    def _fail(self, error: LongshoreError) -> None:
        job = self._job
        other = self._other_landing(error)
        state = self._copied() if other or stays(job, error) else None
        if state is not None:
            keep_copy(job, error, state, landing=True, other=other)
        elif other is not None:
            self._begin_again(error, other)
        else:
            self._roll_back(error)

    def _begin_again(self, error: LongshoreError, other: LandingMode) -> None:
        """Take back what was made, as nothing is copied yet, and have another job land the machine in another way."""
        job = self._job
        job.say(f"{error} It is tried with --landing {other}.", "warning", phase="rolling-back")
        job.ignore_cancel()
        job.say_each(self._take_back(), "error")
        asked = job.store.migrations.get(job.id).request
        request = {**asked, "landing": other.value, "landing_else": None}
        job.end(next_kind=JobKind.COLD, request=request)

    def _copied(self) -> SyncState | None:
        """Return what another try can go by. None: nothing has been copied."""
        if (kept := self._job.store.migrations.get(self._job.id).state) is not None:
            return form(SyncState).validate_python(kept)
        if self._copying is None:
            return None
        began, snapshot = self._copying
        state = after_break(self._job, began, snapshot, "copy")
        return state if state.bases else None

    async def _look_beforehand(self, prepared: Prepared, ports: list[Port]) -> Choice | None:
        """Look into the machine as it is, and return how it lands. None where that can't be looked at before it is off.

        Raise InvalidInput when it can't land.
        """
        job, machine = self._job, prepared.machine
        if not changes_guest(prepared.landing.request):
            return Choice(LandingMode.UNCHANGED)
        if machine.streamed:
            job.say(f"vSphere exports the disks of {machine.name}: they are looked into once they are copied.")
            return None
        beheld = await job.step("look-snapshot", snapshot_to_look_into, job, machine.disks)
        if beheld.snapshot is None:
            return None
        look = await job.step("look", try_source, job, machine, ports, beheld.snapshot)
        await job.step("look-drop-snapshot", drop_if_possible, job, STEP, beheld.snapshot)
        return None if look.findings is None else await self._judge(prepared, look.findings)

    async def _look_late(self, prepared: Prepared, volumes: list[Volume], ports: list[Port]) -> Choice:
        """Look into the copies, where that is needed: the machine is off by now. A conversion tells by itself what it
        can't do."""
        if prepared.landing.request.landing is LandingMode.CONVERT:
            return Choice(LandingMode.CONVERT)
        return await self._look_into_copies(prepared, volumes, ports, name="look-late")
