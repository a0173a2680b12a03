"""A machine that landed as it was is converted, in a stop of its own.

    look at the server → snapshot, look into it, drop it → stop the server → snapshot the volumes → remove the server
      → convert → boot → check → done

What can't be converted is refused while the server runs, as in any other migration. Nova keeps the hardware of a server
as it was when the server was made, so it is made anew: on the same volumes and ports, with the same name, and another
id. Whatever fails before the guest is seen up, the volumes go back to their snapshots and the server is made again on
the hardware that it had. A server that was off is off again in the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from longshore.errors import Conflict, LongshoreError, NotFound
from longshore.flows.moves.context import MachinePlace, MoveContext
from longshore.flows.moves.conversion import GuestChange, go_back
from longshore.flows.moves.look import (
    STEP,
    judge,
    snapshot_of_landed,
    try_landed,
)
from longshore.flows.moves.migration import Migration
from longshore.flows.moves.proving import check, find_answering
from longshore.flows.moves.source_side import drop_if_possible
from longshore.flows.moves.target_side import SAFEGUARD, Prepared, boot, safeguard
from longshore.flows.undo import undo
from longshore.guests.confined import ensure_confinement
from longshore.model.forms import form
from longshore.model.guest import GuestFindings
from longshore.model.hardware import Hardware
from longshore.model.machine import Machine, PowerState
from longshore.model.request import LandingMode, MigrationRequest, MigrationType, PowerAfter
from longshore.model.status import Status
from longshore.model.target import Port, Volume
from longshore.planning import Landing, carry_along
from longshore.providers.contract import Servers
from longshore.store import EntryState, MigrationRecord, ThingKind

_AGAIN = "server-as-it-was"


@dataclass(frozen=True, slots=True)
class LandedMachine:
    """A machine that an earlier migration has brought."""

    server_id: str
    prepared: Prepared
    volumes: list[Volume]
    ports: list[Port]
    hardware: Hardware


def landed(record: MigrationRecord) -> LandedMachine:
    """Return what a migration has brought. Raise Conflict when that is nothing that could be converted."""
    result = record.result or {}
    conversion = result.get("conversion") or {}
    if record.status is not Status.DONE or not conversion.get("hardware") or not record.server_id:
        raise Conflict(
            f"Migration {record.id} has brought no machine that landed as it was.",
            advice="Only what was moved with --landing as-is is converted later.",
        )
    if result.get("converted_by"):
        raise Conflict(f"{record.machine_name} has been converted already ({result['converted_by']}).")
    machine = form(Machine).validate_python(result["machine"])
    sizes = {disk.key: disk.size for disk in machine.disks}
    request = form(MigrationRequest).validate_python(record.request)
    return LandedMachine(
        server_id=record.server_id,
        prepared=Prepared(machine, _landing(machine, request, result)),
        volumes=[Volume(disk.volume_id or "", disk.label, sizes[disk.key]) for disk in record.disks],
        ports=[Port(port["id"], port["mac"], tuple(port["addresses"]), "") for port in result["ports"]],
        hardware=form(Hardware).validate_python(conversion["hardware"]),
    )


def _landing(machine: Machine, request: MigrationRequest, result: dict[str, Any]) -> Landing:
    """Return the machine's landing on the flavor that it has, with what it was given to carry along."""
    along, _ = carry_along(machine, request)
    return Landing(
        result["flavor"]["id"],
        result["flavor"]["name"],
        (),
        (),
        description=along.description,
        cpu_topology=result.get("cpu_topology", {}),
        tpm=result.get("tpm", {}),
        request=replace(request, tags=along.tags, metadata=along.metadata),
    )


def request_after(
    earlier: MigrationRecord, accept: Sequence[str] = (), guest_keys: Sequence[str] = ()
) -> MigrationRequest:
    """Return the request for the later conversion of what this migration has brought: all else was done with it.

    What is accepted and opens its disks is added to what was given then.
    """
    asked = form(MigrationRequest).validate_python(earlier.request)
    asked = replace(asked, before=None, after=None, power=PowerAfter.AS_BEFORE)
    asked = replace(asked, addresses={}, readdress={})  # it has them, or others that somebody gave it since
    asked = replace(asked, accept=(*asked.accept, *accept), guest_keys=(*asked.guest_keys, *guest_keys))
    return replace(asked, type=MigrationType.CONVERSION, of=earlier.id)


class LateConversion(Migration):
    async def _forward(self) -> dict[str, Any]:
        job = self._job
        await job.step("start", self._start)
        now = await job.step("look", self._look)
        await self._look_into(now)
        await job.step("stop", self._stop, now)
        snapshots = await job.step("safeguard", safeguard, job, now.volumes)
        await job.step("remove", self._remove, now)
        change = GuestChange(job, now.prepared.machine, now.ports, now.volumes, snapshots)
        report = await job.step("convert", change.convert)
        others = await job.step("answering", find_answering, job, now.ports)
        server = await job.step("boot", boot, job, now.prepared, now.volumes, now.ports, None)
        proof = await job.step("check", check, job, now.prepared, server, now.ports, others)
        return {
            "server_id": server.id,
            "ports": [{"id": p.id, "mac": p.mac, "addresses": list(p.addresses)} for p in now.ports],
            "conversion": {**report, "landed": LandingMode.CONVERT.value, "hardware": None},
            "proof": proof,
        }

    async def _look_into(self, now: LandedMachine) -> None:
        """Look into the server's disks. Raise InvalidInput when the guest can't be converted, Conflict when the server
        has other volumes than it landed with."""
        job = self._job
        server = MachinePlace(job.record.target_id, now.server_id)
        beheld = await job.step("look-snapshot", snapshot_of_landed, job, server, now.volumes)
        if beheld.snapshot is None:
            return
        machine, snapshot = now.prepared.machine, beheld.snapshot
        look = await job.step("look-into", try_landed, job, machine, now.ports, now.volumes, snapshot)
        await job.step("look-drop-snapshot", drop_if_possible, job, STEP, beheld.snapshot, server)
        if look.findings is not None:
            await job.step("judge", self._judge_landed, now, look.findings)

    def _judge_landed(self, now: LandedMachine, findings: GuestFindings) -> None:
        power = PowerState(self._job.store.migrations.get(self._job.id).source_power or PowerState.UNKNOWN)
        asked = replace(self._job.request, landing=LandingMode.CONVERT)
        prepared = now.prepared
        landing = replace(prepared.landing, request=asked)
        judge(self._job, Prepared(replace(prepared.machine, power=power), landing), findings)

    def _look(self) -> LandedMachine:
        job = self._job
        job.begin_phase("preparing", f"Looking at {job.record.machine_name}, as it has landed.")
        ensure_confinement()  # while the server runs
        found = landed(job.store.migrations.get(job.record.of))
        with job.clouds.target(job.record.target_id) as target:
            server = target.server(found.server_id)  # raises NotFound when somebody has removed it
        power = PowerState.OFF if server.is_off else PowerState.ON
        job.store.migrations.update(job.id, source_power=power.value)
        return found

    def _stop(self, now: LandedMachine) -> None:
        job = self._job
        job.begin_phase("shutting-down", f"Stopping {job.record.machine_name}.")
        job.store.migrations.stamp(job.id, "shutdown_requested_at")
        with job.clouds.target(job.record.target_id) as target:
            target.stop_server(now.server_id)
        job.store.migrations.stamp(job.id, "source_off_at")

    def _remove(self, now: LandedMachine) -> None:
        """Remove the server alone: its volumes and ports were made before it, and outlive it.

        Raise Conflict when somebody has started it since: what it has written isn't in the volumes' snapshots.
        """
        self._job.phase("removing", "Removing the server, to make it anew on other hardware. Its disks and ports stay.")
        with self._job.clouds.target(self._job.record.target_id) as target:
            if _is_there(target, now.server_id) and not target.server(now.server_id).is_off:
                raise Conflict(
                    f"The server of {self._job.record.machine_name} was started after it had been stopped.",
                    advice="Let it be off while it is converted, and start again.",
                )
            target.delete_server(now.server_id)

    def _hand_over(self, result: dict[str, Any]) -> None:
        job = self._job
        earlier = job.store.migrations.get(job.record.of)
        converted = {**(earlier.result or {}), "converted_by": job.id, "server_id": result["server_id"]}
        job.store.migrations.update(earlier.id, server_id=result["server_id"], result=converted)
        super()._hand_over(result)

    def _take_back(self) -> list[str]:
        return make_again(self._job)


def make_again(job: MoveContext) -> list[str]:
    """Make the server again as it was, on volumes as they were. Return a sentence where that didn't work: what it needs
    for another try stays."""
    job.ignore_cancel()
    if job.store.migrations.get(job.id).shutdown_requested_at is not None:
        try:
            _as_it_was(job)
            job.store.migrations.stamp(job.id, "source_on_at")
        except LongshoreError as failure:
            return [
                f"{job.record.machine_name} could not be made again as it was: {failure} "
                f"Try once more: longshore migration cleanup {job.id}."
            ]
    return undo(job.store, job.clouds, job.id)


def _as_it_was(job: MoveContext) -> None:
    """Make the server again, or start it if it is still there. This may be run again at any time. Raise
    LongshoreError."""
    then = landed(job.store.migrations.get(job.record.of))
    was_off = job.store.migrations.get(job.id).source_power == PowerState.OFF.value
    entries = {entry.step: entry for entry in job.store.ledger.entries(job.id)}
    again = entries.get(_AGAIN)
    if again is not None and again.state is EntryState.HANDED_OVER:
        return  # an earlier run got so far
    if left := undo(job.store, job.clouds, job.id, lambda entry: entry.kind is ThingKind.SERVER):
        raise Conflict(" ".join(left))
    with job.clouds.target(job.record.target_id) as target:
        if _is_there(target, then.server_id):
            if not was_off:
                target.start_server(then.server_id)
            return
    if job.store.migrations.get(job.id).conversion_attempts:
        go_back(job, then.volumes, [entries[f"{SAFEGUARD}{volume.id}"].ref or "" for volume in then.volumes])
    server = boot(job, then.prepared, then.volumes, then.ports, then.hardware, step=_AGAIN)
    if was_off:
        with job.clouds.target(job.record.target_id) as target:
            target.stop_server(server.id)
    job.settle(ThingKind.SERVER, EntryState.HANDED_OVER)
    job.store.migrations.update(job.record.of, server_id=server.id)


def _is_there(target: Servers, server_id: str) -> bool:
    try:
        target.server(server_id)
    except NotFound:
        return False
    return True
