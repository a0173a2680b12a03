"""The course that all kinds of migration have in common: their stations on both sides, and the way back."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from longshore.errors import Cancelled, LongshoreError
from longshore.flows.facts import gather
from longshore.flows.flow import Flow
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.conversion import GuestChange, addresses_to_write
from longshore.flows.moves.copying import Copied, DiskCopy
from longshore.flows.moves.downtime import downtime_of
from longshore.flows.moves.hooks import hook_facts, run_playbook
from longshore.flows.moves.look import Choice, check_guest, judge, look_into_volumes
from longshore.flows.moves.proving import check, find_answering
from longshore.flows.moves.source_side import (
    KEPT_OFF,
    LEFT_OFF,
    Off,
    check_files,
    power_on_again,
    with_tags,
    without_texts,
)
from longshore.flows.moves.target_side import (
    Prepared,
    boot,
    make_isolated_networks,
    make_ports,
    make_volume,
    safeguard,
)
from longshore.flows.undo import LASTING, undo
from longshore.guests.confined import ensure_confinement
from longshore.model.concern import Concern
from longshore.model.forms import form
from longshore.model.guest import GuestFindings
from longshore.model.job import JobKind
from longshore.model.machine import Disk, Machine, PowerState, Snapshot
from longshore.model.request import LandingMode, MigrationType, PowerAfter
from longshore.model.status import Status
from longshore.model.target import Owner, Port, Server, Volume
from longshore.planning import Landing, blocked, land
from longshore.planning.new_addresses import changes_guest, with_chosen_adapters
from longshore.store import EntryState, LedgerRecord, ThingKind

AT_SOURCE = (ThingKind.SOURCE_SNAPSHOT, ThingKind.CHANGE_TRACKING)


class Migration(Flow):
    # Whether the volumes are to be had again as they were before the guest was booted: it writes to them
    goes_back = False
    _lands_now = False  # it has begun, or the guest can't land in the way that was asked for

    def _end_unknown(self) -> None:
        job = self._job
        record = job.store.migrations.get(job.id)
        if record.target_up_at is None or record.status is Status.ROLLING_BACK:
            super()._end_unknown()
            return
        # Its users may have worked with it since: too late to take it from them
        if job.request.after is not None:
            job.say(f"Whether the playbook {job.request.after} has run isn't known.", "warning")
        self._hand_over({"server_id": record.server_id, "ports": []})

    # Before the source is touched

    async def _begin(self) -> tuple[Prepared, list[Volume], list[Port]]:
        """Do first what can fail without touching the source, and return what was prepared and made on the target."""
        prepared, volumes = await self._begin_volumes()
        isolated: dict[str, str] = {}
        if self._job.request.isolated:
            isolated = await self._job.step("networks", make_isolated_networks, self._job, prepared)
        ports = await self._job.step("ports", make_ports, self._job, prepared, isolated)
        return prepared, volumes, ports

    async def _begin_volumes(self) -> tuple[Prepared, list[Volume]]:
        await self._job.step("start", self._start)
        prepared = await self._job.step("prepare", self._prepare)
        if self._job.request.before is not None:
            facts = await asyncio.to_thread(hook_facts, self._job, prepared.machine, "before")
            await self._job.step("hook-before", run_playbook, self._job, self._job.request.before, facts)
        volumes = await self._side_by_side(
            [self._job.step(f"volume-{disk.key}", self._make_volume, prepared, disk) for disk in prepared.machine.disks]
        )
        return prepared, volumes

    def _make_volume(self, prepared: Prepared, disk: Disk) -> Volume:
        return make_volume(self._job, prepared, disk)

    def _prepare(self) -> Prepared:
        job = self._job
        job.begin_phase("preparing", f"Looking at {job.record.machine_name} and at what the target has.")
        with job.clouds.source(job.record.source_id) as source:
            machine = with_tags(job, source, without_texts(job, source.by_reference(job.record.machine_ref)))
            room = source.room()
        with job.clouds.target(job.record.target_id) as target:
            facts = gather(target, machine, job.request, room, converts_here=True)
        prepared = self._prepared(machine, *land(machine, job.request, facts))
        with job.clouds.source(job.record.source_id) as source:
            check_files(job, source, machine.ref)
            source.make_ready(Owner(job.id, "read"), machine.ref)
        return prepared

    def _prepared(self, machine: Machine, landing: Landing | None, concerns: list[Concern]) -> Prepared:
        """Return the landing, and say what there is to be said about it. Raise InvalidInput when the machine can't
        land."""
        job = self._job
        job.tell_concerns(concerns)
        if landing is None:
            raise blocked(concerns)
        if changes_guest(landing.request):
            ensure_confinement()  # while nothing is made yet, and the machine runs
        job.store.disks.keep(job.id, machine.disks)
        job.store.migrations.update(job.id, source_power=machine.power.value)
        return Prepared(with_chosen_adapters(machine, job.request), landing)

    # Copying

    async def _copy(
        self, name: str, disks: tuple[Disk, ...], snapshot: Snapshot, volumes: list[Volume]
    ) -> list[Copied]:
        """Copy all of all disks at once, each in a step of its own. Every step ends before any error goes on."""
        job = self._job
        job.begin_together()
        copies = [
            DiskCopy(job=job, disk=disk, snapshot=snapshot, volume=volume, name=name, verify=job.request.verify)
            for disk, volume in zip(disks, volumes, strict=True)
        ]
        return await self._side_by_side([job.step(f"{name}-{copy.disk.key}", copy.run) for copy in copies])

    # On the target alone

    async def _look_into_copies(
        self, prepared: Prepared, volumes: list[Volume], ports: list[Port], *, name: str = "look", again: str = ""
    ) -> Choice:
        """Look into the copied disks, unless the guest lands as it is on hardware that it knows already. Return how it
        lands.

        `again`: as in `_make_ready`. Raise InvalidInput when it can't land.
        """
        if not changes_guest(prepared.landing.request):
            return Choice(LandingMode.UNCHANGED)
        job, machine = self._job, prepared.machine
        findings = await job.step(f"{name}{again}", look_into_volumes, job, machine, ports, volumes)
        return await self._judge(prepared, findings, again)

    async def _judge(self, prepared: Prepared, findings: GuestFindings, again: str = "") -> Choice:
        try:
            return await self._job.step(f"judge{again}", judge, self._job, prepared, findings)
        except LongshoreError:
            self._lands_now = True
            raise

    def _other_landing(self, error: LongshoreError) -> LandingMode | None:
        """Return the way of landing that is tried after this error. None: no other one was named, or the error isn't of
        the landing."""
        if not self._lands_now or error.code == Cancelled.code or self._job.parks_for(error):
            return None
        return self._job.request.landing_else

    async def _land(
        self,
        prepared: Prepared,
        volumes: list[Volume],
        ports: list[Port],
        choice: Choice,
        off: Off | None = None,
    ) -> tuple[Server, dict[str, Any], str]:
        """Make the guest ready, boot it and see it up. Return the server, what was changed in the guest, and what
        showed it up.

        `off`: the machine must have been off since then, or nothing of this counts.
        """
        job, machine = self._job, prepared.machine
        self._lands_now = True
        choice, report = await self._make_ready(prepared, volumes, ports, choice)
        hardware, landed = choice.hardware, choice.landed
        others = await job.step("answering", find_answering, job, ports)
        server = await job.step("boot", boot, job, prepared, volumes, ports, hardware, off)
        proof = await job.step("check", check, job, prepared, server, ports, others, off)
        if job.request.after is not None:
            facts = await asyncio.to_thread(hook_facts, job, machine, "after", server, ports)
            await job.step("hook-after", run_playbook, job, job.request.after, facts)
        return server, {**report, "landed": landed.value, "hardware": asdict(hardware) if hardware else None}, proof

    async def _make_ready(
        self, prepared: Prepared, volumes: list[Volume], ports: list[Port], choice: Choice, *, again: str = ""
    ) -> tuple[Choice, dict[str, Any]]:
        """Change the guest as far as its new hardware needs that. Return how it lands, and what was changed.

        `again`: what steps are called by that are taken a second time. Raise ConversionError.
        """
        job, machine, hardware = self._job, prepared.machine, choice.hardware
        drivers, signature = choice.drivers, choice.signature
        new, unchanged = addresses_to_write(job, prepared, ports), choice.landed is LandingMode.UNCHANGED
        converts = choice.landed is LandingMode.CONVERT
        # With a signature nothing is known for certain of the loader, if it has one
        small = hardware is not None and (hardware.finish or (signature and drivers.fallback_loader is not None))
        finishes = bool(new or small)
        snapshots: list[str] = []
        if converts or finishes:
            snapshots = await job.step(f"safeguard{again}", self._safeguard, volumes)
        elif self.goes_back:
            await job.step(f"safeguard{again}", self._safeguard_unchanged, volumes)
        change, report = GuestChange(job, machine, ports, volumes, snapshots, new), dict[str, Any]()
        if converts:
            report = await job.step(f"convert{again}", change.convert, choice.system)
        elif finishes:
            report = await job.step(f"convert{again}", change.finish, drivers, signature, addresses_only=unchanged)
        elif signature:
            await job.step(f"check-guest{again}", check_guest, job, volumes, drivers, signature)
        return choice, report

    def _safeguard(self, volumes: list[Volume]) -> list[str]:
        """Make a way back for each volume before the guest is changed. Return the ids of the snapshots."""
        return safeguard(self._job, volumes)

    def _safeguard_unchanged(self, volumes: list[Volume]) -> list[str]:
        """Make the same way back before a guest is booted in which nothing was changed.

        A cloud that takes no snapshots may still have the machine: nothing but a boot that fails would need them.
        """
        job = self._job
        try:
            return self._safeguard(volumes)
        except LongshoreError as error:
            if error.code == Cancelled.code:
                raise
            job.say(f"If it doesn't boot, a further try has to compare all of its disks: {error}", "warning")
            state = job.store.migrations.get(job.id).state or {}
            job.store.migrations.update(job.id, state={**state, "bases": None})
            return []

    # The end

    def _hand_over(self, result: dict[str, Any]) -> None:
        """Hand the server and what it is made of over to the user, remove what was made on the way, and end the job."""
        job = self._job
        for kind in LASTING:
            job.settle(kind, EntryState.HANDED_OVER)
        job.phase("handing-over", "Removing the rollback points.")
        self._remove_made()
        self._leave_as_asked(result)
        self._done(result)

    def _leave_as_asked(self, result: dict[str, Any]) -> None:
        """Stop the server again where it is to be off, and add the downtime to the result."""
        job = self._job
        record = job.store.migrations.get(job.id)
        before = job.request.power is PowerAfter.AS_BEFORE and record.source_power == PowerState.OFF.value
        if (before or job.request.power is PowerAfter.OFF) and record.server_id:
            self._stop_again(record.server_id)
        if record.source_off_at and record.target_up_at:
            result["downtime_seconds"] = downtime_of(record).seconds

    def _stop_again(self, server_id: str) -> None:
        try:
            with self._job.clouds.target(self._job.record.target_id) as target:
                target.stop_server(server_id)
        except LongshoreError as error:
            self._job.say(f"The server was to be left off, and is on: {error}", "warning")
        else:
            self._job.say("The server is stopped again.")

    def _followed_by(self) -> JobKind | None:
        asked = self._job.request
        marks = asked.mark_source.each() or asked.mark_source_later.each()
        return JobKind.MARK if marks and asked.type in (MigrationType.COLD, MigrationType.WARM) else None

    def _take_back(self) -> list[str]:
        """Take back what was done on both sides. Return a sentence for each thing that isn't as it was before."""
        job = self._job
        record = job.store.migrations.get(job.id)
        left = undo(job.store, job.clouds, job.id, _must_go if job.request.keep else None)
        stop_what_is_left(job)
        if job.request.keep:
            left.extend(self._leave_target())
        if record.source_power == PowerState.ON.value and record.shutdown_requested_at:
            left.extend(power_on_again(job))
        return left

    def _leave_target(self) -> list[str]:
        """Keep what was made on the target, to be looked at, with its server off. Return a sentence if the server may
        be on."""
        job = self._job
        failures = []
        gone = (*AT_SOURCE, ThingKind.AGENT_PROBE, ThingKind.RELAY)
        kept = [e for e in job.store.ledger.entries(job.id) if e.state is EntryState.MADE and e.kind not in gone]
        for entry in kept:
            note = "kept, as asked"
            if entry.kind is ThingKind.SERVER and entry.ref:
                try:
                    with job.clouds.target(job.record.target_id) as target:
                        target.stop_server(entry.ref)
                except LongshoreError as error:
                    job.store.ledger.settle(entry.id, EntryState.LEFT, note=str(error))
                    failures.append(f"The server on the target could not be stopped: {error}")
                    continue
                note = KEPT_OFF
            job.store.ledger.settle(entry.id, EntryState.LEFT, note=note)
        named = ", ".join(f"{entry.kind} {entry.ref}" for entry in kept)
        if kept:
            job.say(f"Kept on the target: {named}. Remove it with: longshore migration cleanup {job.id}.", "warning")
        return failures


def stop_what_is_left(job: MoveContext) -> None:
    """Stop a server that couldn't be removed: it must not run beside the machine, whoever powers that on."""
    for entry in job.store.ledger.entries(job.id):
        if entry.kind is not ThingKind.SERVER or entry.state is not EntryState.LEFT or not entry.ref:
            continue
        try:
            with job.clouds.target(job.record.target_id) as target:
                target.stop_server(entry.ref)
        except LongshoreError as error:
            job.say(f"Nor could the server be stopped: {error}", "error")
        else:
            job.store.ledger.settle(entry.id, EntryState.LEFT, note=LEFT_OFF)


def _must_go(entry: LedgerRecord) -> bool:
    """Tell whether a thing goes although the target is to be kept.

    That is what is at the source, what only asked the guest's agent, and what may be there without our knowing its id:
    a server among that would run beside the machine that is powered on again.
    """
    unheard_of = entry.state is EntryState.INTENDED and entry.kind is not ThingKind.RELAY
    return entry.kind in (*AT_SOURCE, ThingKind.AGENT_PROBE) or unheard_of


def result_of(  # noqa: PLR0917
    prepared: Prepared,
    server: Server,
    ports: list[Port],
    figures: dict[str, Any],
    report: dict[str, Any],
    proof: str,
) -> dict[str, Any]:
    """Return a migration's result, for its record. `figures`: those of `figures_of`."""
    return {
        "server_id": server.id,
        # What a later stop has to know, when the source may be gone
        "machine": form(Machine).dump_python(prepared.machine, mode="json"),
        "flavor": {"id": prepared.landing.flavor_id, "name": prepared.landing.flavor_name},
        "cpu_topology": prepared.landing.cpu_topology,
        "tpm": prepared.landing.tpm,
        "ports": [{"id": p.id, "mac": p.mac, "addresses": list(p.addresses)} for p in ports],
        **figures,
        "conversion": report,
        "proof": proof,
    }


@dataclass(frozen=True, slots=True)
class CopyTotals:
    """The totals of all rounds of copying so far. Bytes, seconds; the rate is that of the first round's disks."""

    read: int = 0
    written: int = 0
    zeroed: int = 0
    verified: int = 0
    seconds: float = 0.0  # of each round as long as its slowest disk took
    rate: int | None = None

    def plus(self, copies: Sequence[Copied]) -> "CopyTotals":
        """Return the totals with one round more: the copies of all disks."""
        seconds = max((c.seconds for c in copies), default=0.0)
        rate = round(sum(c.read for c in copies) / seconds) if seconds else None
        return CopyTotals(
            self.read + sum(c.read for c in copies),
            self.written + sum(c.written for c in copies),
            self.zeroed + sum(c.zeroed for c in copies),
            self.verified + sum(c.verified for c in copies),
            self.seconds + seconds,
            rate if self == CopyTotals() else self.rate,
        )


def figures_of(totals: CopyTotals, last: Sequence[Copied]) -> dict[str, Any]:
    """Return the figures of a migration's result, in bytes unless the name says otherwise. `last`: copies of the last
    round."""
    return {
        "bytes_read": totals.read,
        "bytes_written": totals.written,
        "bytes_zeroed": totals.zeroed,
        "bytes_verified": totals.verified,
        "copy_seconds": round(totals.seconds, 1),
        "rate": totals.rate,
        "digests": {c.disk_key: c.root_digest for c in last},
    }
