"""Dry run: a copy of the running machine is booted and checked on the target; the machine itself goes on as it was.

    prepare → volumes, network, ports → snapshot → copy and verify → drop the snapshot
      → look into the copies → snapshot the volumes → convert → boot → check → clean up, or keep

The source sees one snapshot that comes and goes, nothing else. The copy gets the machine's MACs and addresses only on a
network of its own that leads nowhere; beside the machine, on the mapped networks, it gets others.
"""

from typing import Any

from longshore.flows.moves.migration import CopyTotals, Migration, figures_of, result_of
from longshore.flows.moves.source_side import drop_if_possible, take_snapshot
from longshore.store import ThingKind


class DryRun(Migration):
    async def _forward(self) -> dict[str, Any]:
        job = self._job
        prepared, volumes, ports = await self._begin()
        await job.step("moment", job.phase, "snapshot", "Taking one snapshot of all disks.")
        quiesce = job.request.quiesce
        snapshot = await job.step("snapshot", take_snapshot, job, "snapshot", prepared.machine.disks, quiesce=quiesce)
        await job.step("copying", job.phase, "copying", f"Copying {len(volumes)} disk(s) at once.")
        copies = await self._copy("copy", prepared.machine.disks, snapshot, volumes)
        await job.step("drop-snapshot", drop_if_possible, job, "snapshot", snapshot)
        choice = await self._look_into_copies(prepared, volumes, ports)
        server, report, proof = await self._land(prepared, volumes, ports, choice)
        return result_of(prepared, server, ports, figures_of(CopyTotals().plus(copies), copies), report, proof)

    def _hand_over(self, result: dict[str, Any]) -> None:
        """Remove all of it, or leave it in the ledger until it is cleaned up: nothing of a dry run is handed over."""
        job = self._job
        if job.request.keep:
            gone = {ThingKind.SOURCE_SNAPSHOT, ThingKind.VOLUME_SNAPSHOT, ThingKind.AGENT_PROBE}
            job.say(f"The copy stays until you clean it up: longshore migration cleanup {job.id}.")
        else:
            gone = set(ThingKind) - {ThingKind.RELAY}  # others may use those: the pool that counts its users ends them
        job.phase("cleaning-up", "Removing what the dry run made.")
        self._remove_made(gone)
        self._done(result)
