"""Cold migration: the machine is shut down, copied, made ready for its new hardware and booted on the target.

    prepare → volumes, ports → shut down → snapshot → copy and verify → drop the snapshot
      → snapshot the volumes → convert → boot → check → hand over

What can fail without touching the source comes first. From "shut down" on the source is off; until the target has been
seen up, any failure and any cancel takes everything back and powers the source on again, if it was on. That it is off
is looked at again wherever it counts: a source that somebody has powered on meanwhile ends the migration as a failure.
"""

from functools import partial
from typing import Any

from longshore.flows.migration import Migration, result_of
from longshore.flows.source_side import (
    Off,
    Still,
    drop_last_snapshot,
    require_still_off,
    shut_down,
    source_running,
    take_still,
)
from longshore.flows.steps import step


class ColdMigration(Migration):
    async def _forward(self) -> dict[str, Any]:
        j = self._j
        prepared, volumes, ports = await self._begin()
        off = await step("shut-down", Off, partial(shut_down, j))
        await step("stillness", type(None), partial(j.phase, "snapshot", "Taking one snapshot of all disks."))
        still = await step("snapshot", Still, partial(take_still, j, "snapshot", prepared.machine.disks, off))
        if not still.off:
            raise source_running(j.record.machine_name)
        await step("copying", type(None), partial(j.phase, "copying", f"Copying {len(volumes)} disk(s) at once."))
        copies = await self._copy("copy", prepared.machine.disks, still.snapshot, volumes, verify=j.request.verify)
        await step("still-off", type(None), partial(require_still_off, j, off))  # before more time goes by in vain
        await step("drop-snapshot", type(None), partial(drop_last_snapshot, j, "snapshot", still.snapshot))
        choice = await self._hardware(prepared, volumes, ports)
        server, report, proof = await self._land(prepared, volumes, ports, choice, off)
        return result_of(prepared, server, ports, copies, copies, report, proof)
