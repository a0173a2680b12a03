"""Cold migration: the machine is shut down, copied, made ready for its new hardware and booted on the target.

    prepare → volumes, ports → shut down → snapshot → copy and verify → drop the snapshot
      → snapshot the volumes → convert → boot → check → hand over

What can fail without touching the source comes first. From "shut down" on the source is off; until the target has been
seen up, any failure and any cancel takes everything back and powers the source on again, if it was on.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

from longshore.errors import Conflict, LongshoreError
from longshore.flows.bootcheck import wait_until_up
from longshore.flows.conversion import converter
from longshore.flows.copying import Copied, copier
from longshore.flows.facts import gather
from longshore.flows.journey import Journey
from longshore.flows.steps import step
from longshore.flows.undo import undo
from longshore.model.concern import Severity
from longshore.model.machine import Disk, Machine, PowerState, Snapshot
from longshore.model.request import LandingMode
from longshore.model.target import Port, PortRequest, Server, ServerRequest, Volume, VolumeRequest
from longshore.planning import Landing, blocked, land
from longshore.store import EntryState, Kind, Status
from longshore.store.tables import utc_now

LAST_CHANCE = 10.0  # seconds, at least, in which a guest that was asked to shut down may still do so
POWER_OFF_AFTER_REQUEST = 60.0  # seconds a machine may take to be seen off once its power was cut


@dataclass(frozen=True, slots=True)
class Prepared:
    machine: Machine  # as it was before anything was done to it
    landing: Landing


class ColdMigration:
    """One run. Every public effect is in a step; between steps it only decides."""

    def __init__(self, journey: Journey) -> None:
        self._j = journey

    async def run(self) -> None:
        try:
            result = await self._forward()
        except LongshoreError as error:
            await step("roll-back", type(None), partial(self._roll_back, error))
        else:  # the target is up: whatever fails from here on, nothing of it is taken back
            await step("hand-over", type(None), partial(self._hand_over, result))

    async def _forward(self) -> dict[str, Any]:
        """Until the target is seen up. What came of it, for the record."""
        await step("start", type(None), self._start)
        prepared = await step("prepare", Prepared, self._prepare)
        volumes = await self._each(prepared, "volume", Volume, self._make_volume)
        ports = await step("ports", list[Port], lambda: self._make_ports(prepared))
        await step("shut-down", type(None), lambda: self._shut_down(prepared))
        snapshot = await step("snapshot", Snapshot, self._take_snapshot)
        copies = await self._copy(prepared, snapshot, volumes)
        await step("drop-snapshot", type(None), lambda: self._drop_snapshot(snapshot))
        report: dict[str, Any] = {}
        if self._j.request.landing is LandingMode.CONVERT:
            snapshots = await step("safeguard", list[str], lambda: self._safeguard(volumes))
            report = await step("convert", dict[str, Any], converter(self._j, prepared.machine, volumes, snapshots))
        server = await step("boot", Server, lambda: self._boot(prepared, volumes, ports))
        await step("check", type(None), lambda: self._check(server))
        return _result(server, ports, copies, report)

    # Before the source is touched

    def _start(self) -> None:
        self._j.store.migrations.update(self._j.id, status=Status.RUNNING)
        self._j.store.migrations.stamp(self._j.id, "started_at")

    def _prepare(self) -> Prepared:
        j = self._j
        j.go_on()
        j.phase("preparing", f"Looking at {j.record.machine_name} and at what the target has.")
        with j.clouds.source(j.record.source_id) as source:
            machine = source.machine(j.record.machine_ref)
        with j.clouds.target(j.record.target_id) as target:
            landing, concerns = land(machine, j.request, gather(target, machine, j.request))
        for concern in concerns:
            if concern.severity is not Severity.BLOCKER:
                j.say(str(concern), "warning" if concern.severity is Severity.WARNING else "information")
        if landing is None:
            raise blocked(concerns)
        j.store.migrations.set_disks(j.id, machine.disks)
        j.store.migrations.update(j.id, source_power=machine.power.value)
        return Prepared(machine, landing)

    def _make_volume(self, prepared: Prepared, disk: Disk) -> Volume:
        j = self._j
        if disk.position == 0:
            j.phase("making-volumes", f"Making {len(prepared.machine.disks)} volume(s) on the target.")
        with j.clouds.target(j.record.target_id) as target:
            volume = j.make(
                Kind.VOLUME,
                f"volume-{disk.key}",
                lambda owner: target.create_volume(self._volume_request(prepared, disk), owner),
                provider_id=j.record.target_id,
                ref=lambda v: v.id,
            )
        j.store.migrations.update_disk(j.id, disk.key, volume_id=volume.id)
        return volume

    def _volume_request(self, prepared: Prepared, disk: Disk) -> VolumeRequest:
        types = {d.disk_key: d.volume_type for d in prepared.landing.disks}
        return VolumeRequest(
            name=f"{self._server_name(prepared)}-{disk.position}",
            size=disk.size,
            volume_type=types[disk.key],
            bootable=disk.position == 0,
            availability_zone=self._j.request.availability_zone,
        )

    def _make_ports(self, prepared: Prepared) -> list[Port]:
        j = self._j
        ports = []
        with j.clouds.target(j.record.target_id) as target:
            for number, nic in enumerate(prepared.landing.nics):
                request = PortRequest(
                    name=f"{self._server_name(prepared)}-{number}",
                    network_id=nic.network_id,
                    mac=nic.mac,
                    fixed_addresses=nic.addresses,
                    security_groups=j.request.security_groups,
                )
                ports.append(
                    j.make(
                        Kind.PORT,
                        f"port-{nic.nic_key}",
                        lambda owner, request=request: target.create_port(request, owner),  # type: ignore[misc]
                        provider_id=j.record.target_id,
                        ref=lambda p: p.id,
                    )
                )
        return ports

    # With the source off

    def _shut_down(self, prepared: Prepared) -> None:
        j = self._j
        j.go_on()
        ref, name = j.record.machine_ref, j.record.machine_name
        with j.clouds.source(j.record.source_id) as source:
            running = source.power_state(ref) is PowerState.ON
            j.phase("shutting-down", f"Shutting {name} down." if running else f"{name} isn't running.")
            if running:
                j.store.migrations.stamp(j.id, "shutdown_requested_at")
                try:
                    source.shut_down(ref)
                    down = self._wait_off(source.wait_powered_off, j.request.shutdown_timeout)
                except Conflict as nobody_answers:
                    if not j.request.force_power_off:
                        raise Conflict(
                            nobody_answers.message,
                            advice="Shut it down yourself and start again, or allow a power cut: --force-power-off.",
                        ) from None
                    down = False
                if not down:
                    if not j.request.force_power_off:
                        raise Conflict(
                            f"{name} didn't shut down within {j.request.shutdown_timeout:.0f} s.",
                            advice="Allow it more time (--shutdown-timeout) or a power cut (--force-power-off).",
                        )
                    j.say(f"{name} doesn't shut down by itself: its power is cut.", "warning")
                    source.power_off(ref)
            # Whatever was asked and answered: nothing is copied before the machine is seen off.
            if not source.wait_powered_off(ref, POWER_OFF_AFTER_REQUEST):
                raise Conflict(
                    f"{name} isn't off ({source.power_state(ref).value}).", advice="Power it off and try again."
                )
        j.store.migrations.stamp(j.id, "source_off_at")
        j.say(f"{name} is seen powered off.")

    def _wait_off(self, wait: Any, timeout: float) -> bool:
        """In short turns, so that a cancel is heard."""
        waited = 0.0
        while waited < timeout:
            self._j.go_on()
            turn = min(2.0, timeout - waited)
            if wait(self._j.record.machine_ref, turn):
                return True
            waited += turn
        return False

    def _take_snapshot(self) -> Snapshot:
        j = self._j
        j.phase("snapshot", "Taking one snapshot of all disks.")
        with j.clouds.source(j.record.source_id) as source:
            return j.make(
                Kind.SOURCE_SNAPSHOT,
                "snapshot",
                lambda owner: source.snapshot(j.record.machine_ref, f"longshore-{j.id[:8]}", owner, quiesce=False),
                provider_id=j.record.source_id,
                parent=j.record.machine_ref,
                ref=lambda s: s.ref,
            )

    async def _copy(self, prepared: Prepared, snapshot: Snapshot, volumes: list[Volume]) -> list[Copied]:
        await step("copying", type(None), lambda: self._j.phase("copying", f"Copying {len(volumes)} disk(s) at once."))
        pairs = zip(prepared.machine.disks, volumes, strict=True)
        return await self._all_or_first_error(
            [step(f"copy-{disk.key}", Copied, copier(self._j, disk, snapshot, volume)) for disk, volume in pairs]
        )

    def _drop_snapshot(self, snapshot: Snapshot) -> None:
        j = self._j
        with j.clouds.source(j.record.source_id) as source:
            source.remove_snapshot(j.record.machine_ref, snapshot.ref)
        j.settle(Kind.SOURCE_SNAPSHOT, EntryState.REMOVED)

    def _safeguard(self, volumes: list[Volume]) -> list[str]:
        """A way back for each volume before the guest is changed."""
        j = self._j
        j.phase("safeguarding", "Taking snapshots of the volumes before the guest is changed.")
        with j.clouds.target(j.record.target_id) as target:
            return [
                j.make(
                    Kind.VOLUME_SNAPSHOT,
                    f"safeguard-{volume.id}",
                    lambda owner, volume=volume: target.snapshot_volume(volume.id, owner),  # type: ignore[misc]
                    provider_id=j.record.target_id,
                    ref=lambda s: s.id,
                ).id
                for volume in volumes
            ]

    def _boot(self, prepared: Prepared, volumes: list[Volume], ports: list[Port]) -> Server:
        j = self._j
        j.phase("booting", f"Making the server on flavor {prepared.landing.flavor_name}.")
        request = ServerRequest(
            name=self._server_name(prepared),
            flavor_id=prepared.landing.flavor_id,
            volume_ids=tuple(v.id for v in volumes),
            port_ids=tuple(p.id for p in ports),
            availability_zone=j.request.availability_zone,
            key_name=j.request.key_name,
            metadata={"longshore:source": f"{j.record.machine_ref}"},
        )
        with j.clouds.target(j.record.target_id) as target:
            for disk, volume in zip(prepared.machine.disks, volumes, strict=True):
                target.finish_volume(volume.id, self._volume_request(prepared, disk))
            server = j.make(
                Kind.SERVER,
                "server",
                lambda owner: target.create_server(request, owner),
                provider_id=j.record.target_id,
                ref=lambda s: s.id,
            )
        j.store.migrations.update(j.id, server_id=server.id)
        return server

    def _check(self, server: Server) -> None:
        j = self._j
        j.phase("checking", "Waiting for the guest to show on its console that it is up.")
        with j.clouds.target(j.record.target_id) as target:
            console = wait_until_up(
                lambda: target.console(server.id),
                mark=j.request.boot_mark,
                timeout=j.request.boot_timeout,
                going_on=j.go_on,
            )
        directory = j.store.state.migration(j.id)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (directory / "console.log").write_text(console)
        j.store.migrations.stamp(j.id, "target_up_at")
        j.say("The guest is up on the target.")

    def _hand_over(self, result: dict[str, Any]) -> None:
        j = self._j
        for kind in (Kind.VOLUME, Kind.PORT, Kind.SERVER):
            j.settle(kind, EntryState.HANDED_OVER)
        j.phase("handing-over", "Removing the rollback points.")
        for sentence in undo(j.store, j.clouds, j.id):
            j.say(sentence, "warning")
        record = j.store.migrations.get(j.id)
        if record.source_off_at and record.target_up_at:
            result["downtime_seconds"] = (record.target_up_at - record.source_off_at).total_seconds()
        j.store.migrations.stamp(j.id, "finished_at")
        j.store.migrations.update(j.id, status=Status.DONE, phase="done", result=result)
        j.say("Done.")

    # Taking it back

    def _roll_back(self, error: LongshoreError) -> None:
        j = self._j
        record = j.store.migrations.get(j.id)
        cancelled = error.code == "cancelled"
        j.store.migrations.update(j.id, status=Status.ROLLING_BACK)
        j.phase("rolling-back", "Taking back everything that was made.")
        if not cancelled:
            j.say(str(error), "error")
        left = undo(j.store, j.clouds, j.id)
        if record.source_power == PowerState.ON.value and record.shutdown_requested_at:
            left.extend(self._power_source_on())
        for sentence in left:
            j.say(sentence, "error")
        text = " ".join([str(error), *left])
        j.store.migrations.stamp(j.id, "finished_at")
        j.store.migrations.update(
            j.id,
            status=Status.CANCELLED if cancelled else Status.FAILED,
            phase="rolled-back",
            error=text,
            error_code=error.code,
        )

    def _power_source_on(self) -> list[str]:
        j = self._j
        entries = j.store.ledger.entries(j.id)
        if any(e.kind is Kind.SERVER and e.state is EntryState.LEFT for e in entries):
            return [
                f"{j.record.machine_name} stays powered off: the server on the target, with the same MACs and "
                "addresses, may still run."
            ]
        try:
            with j.clouds.source(j.record.source_id) as source:
                # A guest that was asked to shut down may still be on its way: powering it on now would come too early.
                if not source.wait_powered_off(j.record.machine_ref, self._may_still_shut_down()):
                    return []
                source.power_on(j.record.machine_ref)
        except LongshoreError as error:
            return [f"{j.record.machine_name} could not be powered on again: {error}"]
        j.say(f"{j.record.machine_name} is powered on again.")
        return []

    def _may_still_shut_down(self) -> float:
        """Seconds: as long as the user thinks that its shutdown may take, counted from when it was asked to."""
        asked = self._j.store.migrations.get(self._j.id).shutdown_requested_at
        gone = (utc_now() - asked).total_seconds() if asked else 0.0
        return max(self._j.request.shutdown_timeout - gone, LAST_CHANCE)

    # Small things

    def _server_name(self, prepared: Prepared) -> str:
        return self._j.request.server_name or prepared.machine.name

    async def _each(self, prepared: Prepared, name: str, result: type[Any], work: Any) -> list[Any]:
        """One step per disk, side by side."""
        return await self._all_or_first_error(
            [
                step(f"{name}-{disk.key}", result, lambda disk=disk: work(prepared, disk))  # type: ignore[misc]
                for disk in prepared.machine.disks
            ]
        )

    async def _all_or_first_error(self, steps: list[Any]) -> list[Any]:
        """Every step ends before any error goes on: nothing is taken back under a step that still runs."""
        outcomes = await asyncio.gather(*steps, return_exceptions=True)
        errors = [o for o in outcomes if isinstance(o, BaseException)]
        for error in sorted(errors, key=lambda e: isinstance(e, LongshoreError) and e.code == "cancelled"):
            raise error
        return outcomes


def _result(server: Server, ports: list[Port], copies: list[Copied], report: dict[str, Any]) -> dict[str, Any]:
    """Bytes unless the name says otherwise; the rate is that of all disks together."""
    seconds = max((c.seconds for c in copies), default=0.0)
    read = sum(c.read for c in copies)
    return {
        "server_id": server.id,
        "ports": [{"id": p.id, "mac": p.mac, "addresses": list(p.addresses)} for p in ports],
        "bytes_read": read,
        "bytes_written": sum(c.written for c in copies),
        "bytes_zeroed": sum(c.zeroed for c in copies),
        "bytes_verified": sum(c.verified for c in copies),
        "copy_seconds": round(seconds, 1),
        "rate": round(read / seconds) if seconds else None,
        "digests": {c.disk_key: c.root_digest for c in copies},
        "conversion": report,
    }
