"""A machine is looked into at its source, running or not: what its disks tell of how it would land. Nothing is moved.

    look at the machine → snapshot → look into it → drop the snapshot → tell

The source sees one snapshot that comes and goes. It is recorded like a migration, so that a snapshot that somebody's
death leaves behind is removed by whoever goes on, a worker does it that can, and what was found stays to be read.
"""

from dataclasses import asdict
from typing import Any

from longshore.errors import InvalidInput
from longshore.flows.flow import Flow
from longshore.flows.moves.look import STEP, concerns_by_landing, look_into_source
from longshore.flows.moves.source_side import drop_if_possible, take_snapshot, without_texts
from longshore.guests import ensure_confinement
from longshore.model.guest import GuestFindings
from longshore.model.machine import Machine
from longshore.model.target import Owner, Port


class Inspection(Flow):
    async def _forward(self) -> dict[str, Any]:
        job = self._job
        await job.step("start", self._start)
        machine = await job.step("prepare", self._look_at)
        snapshot = await job.step("look-snapshot", take_snapshot, job, STEP, machine.disks, quiesce=False, first=False)
        own = [Port("", nic.mac, nic.addresses, "") for nic in machine.nics]
        findings = await job.step("look", look_into_source, job, machine, own, snapshot)
        await job.step("look-drop-snapshot", drop_if_possible, job, STEP, snapshot)
        concerns = await job.step("judge", _judge, machine, findings)
        return {"concerns": concerns}

    def _look_at(self) -> Machine:
        job = self._job
        job.raise_if_cancelled()
        job.phase("preparing", f"Looking at {job.record.machine_name}.")
        ensure_confinement()
        with job.clouds.source(job.record.source_id) as source:
            machine = without_texts(job, source.by_reference(job.record.machine_ref))
            if machine.streamed:
                raise InvalidInput(
                    f"vSphere exports the disks of {machine.name} each as a whole: they can't be looked into there.",
                    advice="Read them through a proxy (--transport proxy) or by VDDK; or begin a dry run, which looks "
                    "into a copy.",
                )
            source.make_ready(Owner(job.id, "read"), machine.ref)
        job.phase("snapshot", "Taking one snapshot of all disks.")
        return machine


def _judge(machine: Machine, findings: GuestFindings) -> dict[str, Any]:
    found = concerns_by_landing(machine, findings)
    return {landing.value: [asdict(concern) for concern in concerns] for landing, concerns in found.items()}
