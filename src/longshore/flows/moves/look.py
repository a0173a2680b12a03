"""A look into a machine's disks while it still runs: what can't land is refused before anything is stopped.

A warm migration and a dry run look into what they have copied first, a cold migration into a snapshot of the machine as
it is, a later conversion into one of the server. Nothing is written: what a running machine's file systems have left
open is mended in a layer above the disks that is thrown away.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from longshore.blocks.exports import Export
from longshore.errors import DISK_HELD, Conflict, LongshoreError, ProviderError, QuotaExceeded
from longshore.flows.moves.context import MachinePlace, MoveContext
from longshore.flows.moves.conversion import adapters_in_guest, guest_keys, nic_names
from longshore.flows.moves.opened import open_disk, open_volumes, opened
from longshore.flows.moves.source_side import make_snapshot, refuse_other_disks
from longshore.flows.moves.target_side import Prepared
from longshore.guests.agent_packages import agent_packages
from longshore.guests.process import check_as_found, look_into, system_found
from longshore.guests.report import OperatingSystem
from longshore.guests.windows_parts import windows_parts
from longshore.model.addresses import NewAddresses
from longshore.model.concern import Concern, Severity
from longshore.model.forms import form
from longshore.model.guest import GuestFindings
from longshore.model.hardware import BootDrivers, Hardware
from longshore.model.machine import Disk, Machine, Snapshot
from longshore.model.request import LandingMode, MigrationRequest
from longshore.model.target import Port, Volume
from longshore.model.windows import WindowsParts
from longshore.planning import blocked
from longshore.planning.guest_looks import concerns_of_guest
from longshore.planning.hardware import choose_hardware
from longshore.store.tables import utc_now

STEP = "look"  # what the ledger calls the snapshot that is looked into
# Codes of the errors when looking took longer, or more memory, than it may, and when a disk can't be read because the
# machine runs
_LATER_ONLY = ("conversion-limit", DISK_HELD)
_LATER = "It goes on without: what of its guest can't land shows only once the machine is off."


@dataclass(frozen=True, slots=True)
class Choice:
    """The way in which the guest lands, now that its disks were looked into; or as was asked for, when nobody could or
    had to."""

    landed: LandingMode
    hardware: Hardware | None = None  # for a guest that lands as it is
    drivers: BootDrivers = field(default_factory=lambda: BootDrivers(inspected=False))
    system: OperatingSystem | None = None  # what was found; None: a conversion looks for itself
    # What the guest has to be like still, where that was found at an earlier moment: the look's; "": at this one
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Beheld:
    """A snapshot to be looked into; None: the source makes none of the machine as it is now."""

    snapshot: Snapshot | None


@dataclass(frozen=True, slots=True)
class LookFindings:
    """The findings of a look; None: finding out took more than it may, or a disk couldn't be read yet."""

    findings: GuestFindings | None


def snapshot_to_look_into(job: MoveContext, disks: tuple[Disk, ...]) -> Beheld:
    """Take a snapshot of the machine as it is, frozen or not. A source that refuses it now may make one when the
    machine is off, so a refusal is told, and nothing is raised.

    Raise Conflict when its disks aren't those that the migration began with.
    """
    beheld = _snapshot(job, job.source)
    if beheld.snapshot is not None:
        refuse_other_disks(job, disks, beheld.snapshot.disks)
    return beheld


def snapshot_of_landed(job: MoveContext, server: MachinePlace, volumes: list[Volume]) -> Beheld:
    """Take a snapshot of a server that is to be converted. A refusal is told, and nothing is raised.

    Raise Conflict when its volumes aren't those with which it landed: it is made anew with them, and no others.
    """
    beheld = _snapshot(job, server)
    if beheld.snapshot is not None:
        has, landed = {disk.key for disk in beheld.snapshot.disks}, {volume.id for volume in volumes}
        if gone := sorted(landed - has):
            raise Conflict(
                f"{job.record.machine_name} landed with volume {', '.join(gone)}, and has it no longer.",
                advice="Attach it again; all its volumes are converted together.",
            )
        if new := sorted(has - landed):
            raise Conflict(
                f"{job.record.machine_name} has got volume {', '.join(new)} since it landed, and would lose it.",
                advice="Detach it, convert the machine, and attach it again.",
            )
    return beheld


def _snapshot(job: MoveContext, place: MachinePlace) -> Beheld:
    name = job.record.machine_name
    job.phase("inspecting", f"Taking a snapshot of {name}, to look into its disks before it is shut down.")
    try:
        return Beheld(make_snapshot(job, STEP, quiesce=False, of=place))
    except (Conflict, ProviderError) as refusal:
        job.say(f"{name} can't be looked into beforehand: {refusal} {_LATER}", "warning")
        return Beheld(None)


async def look_into_source(job: MoveContext, machine: Machine, ports: list[Port], snapshot: Snapshot) -> GuestFindings:
    """Look into the source's own disks, as the snapshot holds them."""
    keys = [disk.key for disk in machine.disks]
    return await _look(job, machine, ports, lambda exports: [open_disk(job, exports, snapshot, key) for key in keys])


async def look_into_volumes(
    job: MoveContext, machine: Machine, ports: list[Port], volumes: list[Volume]
) -> GuestFindings:
    """Look into the disks that were copied."""
    return await _look(job, machine, ports, partial(open_volumes, job, volumes))


async def try_source(job: MoveContext, machine: Machine, ports: list[Port], snapshot: Snapshot) -> LookFindings:
    """Look into the source's own disks where that can be done before the machine is off.

    The migration goes on without a look where its disks are read too slowly, are too much to look at, or can't be read
    yet. What else fails is raised: it would fail when the machine is off as well.
    """
    return await _if_possible(job, look_into_source(job, machine, ports, snapshot), _LATER_ONLY)


async def try_landed(
    job: MoveContext, machine: Machine, ports: list[Port], volumes: list[Volume], snapshot: Snapshot
) -> LookFindings:
    """Look into a server's disks on the target, as the snapshot holds them, where that can be done while it runs.

    An error counts as with `try_source`; nor does it matter here when the quota has no room for what is made to read
    the disks, since nothing of that is made once the server is off.
    """

    def open_all(exports: ExitStack) -> list[Export]:
        at = job.record.target_id
        return [open_disk(job, exports, snapshot, volume.id, provider_id=at) for volume in volumes]

    return await _if_possible(job, _look(job, machine, ports, open_all), (*_LATER_ONLY, QuotaExceeded.code))


async def check_guest(job: MoveContext, volumes: list[Volume], drivers: BootDrivers, signature: str) -> None:
    """Check that the guest on these volumes is as it was found before, and change nothing.

    Raise ConversionError with the code GUEST_CHANGED when it isn't.
    """
    await asyncio.to_thread(job.phase, "inspecting", "Looking whether the guest is as it was found before.")
    async with opened() as exports:
        uris = [disk.uri for disk in await asyncio.to_thread(open_volumes, job, volumes, exports)]
        directory, keys = job.directory("check"), await asyncio.to_thread(guest_keys, job)
        checking = check_as_found(uris, directory, job.say, drivers=drivers, signature=signature, keys=keys)
        await job.cancellable(asyncio.create_task(checking))


async def _if_possible(job: MoveContext, looking: Awaitable[GuestFindings], allowed: tuple[str, ...]) -> LookFindings:
    """Return what a look finds. An error with one of the `allowed` codes is told, and nothing is found."""
    try:
        return LookFindings(await looking)
    except LongshoreError as error:
        if error.code not in allowed:
            raise
        await asyncio.to_thread(job.say, f"{error} {_LATER}", "warning")
        return LookFindings(None)


async def _look(
    job: MoveContext, machine: Machine, ports: list[Port], open_all: Callable[[ExitStack], list[Export]]
) -> GuestFindings:
    """Look into disks that `open_all` opens. The findings are kept in the migration's record, too, for whoever wants to
    know why it was refused."""
    said = f"Looking into the disks of {machine.name}: what is on them, and whether it can land."
    await asyncio.to_thread(job.begin_phase, "inspecting", said)

    async def once() -> GuestFindings:
        async with opened() as exports:
            disks = await asyncio.to_thread(open_all, exports)
            directory, keys = job.directory("look"), await asyncio.to_thread(guest_keys, job)
            adapters = NewAddresses(adapters_in_guest(machine, ports))
            uris, nics = [e.uri for e in disks], nic_names(machine, ports)
            looking = look_into(uris, directory, job.say, nics=nics, keys=keys, adapters=adapters)
            findings = await job.cancellable(asyncio.create_task(looking))
            for disk in disks:
                disk.check()  # one whose server died looks like one that holds nothing
            return findings

    findings = await job.retry(once)
    found = form(GuestFindings).dump_python(findings, mode="json")
    await asyncio.to_thread(keep_found, job, found, utc_now())
    return findings


def keep_found(job: MoveContext, found: dict[str, Any], looked_at: datetime) -> None:
    """Keep findings as the result of the migration's record, in place of any earlier result. `looked_at`: in UTC
    without a zone."""
    at = looked_at.isoformat(timespec="seconds") + "Z"
    job.store.migrations.update(job.id, result={"guest": {**found, "looked_at": at}})


def judge(job: MoveContext, prepared: Prepared, findings: GuestFindings) -> Choice:
    """Return how the guest lands, and say what there is to be said about it. Raise InvalidInput when it can't land."""
    job.raise_if_cancelled()
    machine, request = prepared.machine, prepared.landing.request
    concerns = concerns_as_asked(machine, findings, request)
    job.tell_concerns(concerns)
    if any(concern.severity is Severity.BLOCKER for concern in concerns):
        raise blocked(concerns)
    hardware = choose_hardware(machine, findings.drivers)[0] if request.landing is LandingMode.AS_IS else None
    landed = LandingMode.AS_IS if hardware else LandingMode.CONVERT
    if request.landing is LandingMode.UNCHANGED:
        landed = request.landing
    return Choice(landed, hardware, findings.drivers, system_found(findings))


def concerns_by_landing(machine: Machine, findings: GuestFindings) -> dict[LandingMode, list[Concern]]:
    """Return the concerns about each way in which the guest may land."""
    landings = (LandingMode.CONVERT, LandingMode.AS_IS, LandingMode.UNCHANGED)
    requests = {landing: MigrationRequest(landing=landing) for landing in landings}
    return {landing: concerns_as_asked(machine, findings, request) for landing, request in requests.items()}


def concerns_as_asked(machine: Machine, findings: GuestFindings, request: MigrationRequest) -> list[Concern]:
    """Return the concerns about the way in which the guest is to land."""
    packages = agent_packages() if request.agents else None
    return concerns_of_guest(machine, findings, request, _parts(findings), packages)


def _parts(findings: GuestFindings) -> WindowsParts | None:
    """Return what this machine, where such a guest would be converted, has for Windows; None for other guests."""
    return windows_parts() if any(system.family == "windows" for system in findings.systems) else None
