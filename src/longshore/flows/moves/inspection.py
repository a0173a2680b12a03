"""A machine is looked into at its source, running or not: what its disks tell of how it would land. Nothing is moved.

    look at the machine and its files → snapshot → look into it → drop the snapshot → tell

The source sees one snapshot that comes and goes. It is recorded like a migration, so that a snapshot that somebody's
death leaves behind is removed by whoever goes on, a worker does it that can, and what was found stays to be read.
"""

from dataclasses import asdict, replace
from typing import Any

from longshore.errors import InvalidInput
from longshore.flows.flow import Flow
from longshore.flows.moves.look import STEP, concerns_by_landing, look_into_source
from longshore.flows.moves.source_side import ReadingBeforehand, drop_if_possible, take_snapshot, without_texts
from longshore.guests.confined import ensure_confinement
from longshore.model.guest import GuestFindings
from longshore.model.machine import Doubt, Machine
from longshore.model.target import Owner, Port
from longshore.planning.file_checks import file_concerns


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
        job.begin_phase("preparing", f"Looking at {job.record.machine_name}.")
        ensure_confinement()
        with job.clouds.source(job.record.source_id) as source:
            machine = without_texts(job, source.by_reference(job.record.machine_ref))
            # Whatever is wrong with files is told and not refused
            doubts = source.check_machine(machine.ref, ReadingBeforehand(job).see, tuple(Doubt))
            if machine.streamed:
                raise InvalidInput(
                    f"vSphere exports the disks of {machine.name} each as a whole: they can't be looked into there.",
                    advice="Read them through a proxy (--transport proxy) or by VDDK; or begin a dry run, which looks "
                    "into a copy.",
                )
            source.make_ready(Owner(job.id, "read"), machine.ref)
        job.phase("snapshot", "Taking one snapshot of all disks.")
        return replace(machine, file_doubts=tuple(dict.fromkeys((*machine.file_doubts, *doubts))))


def _judge(machine: Machine, findings: GuestFindings) -> dict[str, Any]:
    found, of_files = concerns_by_landing(machine, findings), list(file_concerns(machine.file_doubts))
    return {landing.value: [asdict(one) for one in (*of_files, *concerns)] for landing, concerns in found.items()}
