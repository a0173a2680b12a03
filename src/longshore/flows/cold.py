"""Cold migration: the machine is shut down, copied, made ready for its new hardware and booted on the target.

    prepare → volumes, ports → shut down → snapshot → copy and verify → drop the snapshot
      → snapshot the volumes → convert → boot → check → hand over

What can fail without touching the source comes first. From "shut down" on the source is off; until the target has been
seen up, any failure and any cancel takes everything back and powers the source on again, if it was on.
"""

from functools import partial
from typing import Any

from longshore.flows.migration import Migration, result_of
from longshore.flows.source_side import drop_snapshot, shut_down, take_snapshot
from longshore.flows.steps import step
from longshore.model.machine import Snapshot


class ColdMigration(Migration):
    async def _forward(self) -> dict[str, Any]:
        j = self._j
        prepared, volumes, ports = await self._begin()
        await step("shut-down", type(None), partial(shut_down, j))
        await step("stillness", type(None), partial(j.phase, "snapshot", "Taking one snapshot of all disks."))
        taking = partial(take_snapshot, j, "snapshot", prepared.machine.disks, quiesce=False)
        snapshot = await step("snapshot", Snapshot, taking)
        await step("copying", type(None), partial(j.phase, "copying", f"Copying {len(volumes)} disk(s) at once."))
        copies = await self._copy("copy", prepared.machine.disks, snapshot, volumes, verify=j.request.verify)
        await step("drop-snapshot", type(None), partial(drop_snapshot, j, "snapshot", snapshot))
        choice = await self._hardware(prepared, volumes, ports)
        server, report = await self._land(prepared, volumes, ports, choice)
        return result_of(prepared, server, ports, copies, copies, report)
