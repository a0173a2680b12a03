"""A point in a vault takes the place of the server that was backed up, in the same cloud.

    point and server looked at → volumes → the point copied and verified, while the server runs
      → server shut down → its ports freed → a new server booted with those ports, seen up
      → for good, or back, as its user says (`longshore.flows.backups.deciding`)

Nova lets nobody have the volume that a server boots from, so nothing is written to the server: it stays as it was, off,
and without its ports while the new one has them. That is the way back. Whatever fails before the new server is seen up
takes that away, gives the ports back and starts the server again, if it ran.
"""

from dataclasses import dataclass, replace
from typing import Any

from longshore.errors import InvalidInput, NotFound
from longshore.flows.clouds import Clouds
from longshore.flows.facts import gather
from longshore.flows.moves.look import Choice
from longshore.flows.moves.migration import CopyTotals, Migration, figures_of, result_of
from longshore.flows.moves.ports_at_home import Home, note_ports, take_ports, without_those_of
from longshore.flows.moves.source_side import (
    Off,
    check_files,
    drop_if_possible,
    require_still_off,
    shut_down,
    take_snapshot,
    without_texts,
)
from longshore.flows.moves.target_side import Prepared
from longshore.model.concern import Concern, Severity
from longshore.model.job import JobKind
from longshore.model.machine import Machine
from longshore.model.request import LandingMode, MigrationRequest
from longshore.model.target import Owner, Port
from longshore.planning import Landing, land
from longshore.planning.in_place_checks import in_place_concerns
from longshore.planning.kinds import accept_blockers
from longshore.store import ThingKind
from longshore.store.jobs import NEVER


@dataclass(frozen=True, slots=True)
class ServerInPlace:
    point: Machine  # as the vault has it
    home: Machine  # the server, as it is
    like: Machine  # what the new one is to be: like the server, with the disks of the point


def find_in_place(clouds: Clouds, vault_id: str, point: str, target_id: str, server: str) -> ServerInPlace:
    """Return the point in the vault, and the server whose place it is to take. Nothing is changed by looking.

    Raise NotFound when there is no such point, or no such server any more; InvalidInput when it never was a server.
    """
    with clouds.source(vault_id) as vault:
        found = vault.by_reference(point)
    refuse_other_than_servers(found)
    with clouds.source(target_id) as cloud:
        try:
            home = cloud.by_reference(server)
        except NotFound:
            home = None
    if home is None or home.ref != server:
        raise NotFound(
            f"The server that {found.name} was when it was backed up ({server}) isn't there.",
            advice="Restore it as a new one: leave --in-place out. Or name the cloud that it was backed up from.",
        )
    nics = tuple(replace(nic, floating_addresses={}) for nic in home.nics)  # which go with their ports
    as_point = {name: getattr(found, name) for name in _OF_THE_POINT}
    return ServerInPlace(found, home, replace(home, **as_point, nics=nics))


def refuse_other_than_servers(machine: Machine) -> None:
    """Raise InvalidInput when the machine wasn't backed up from an OpenStack."""
    if not machine.platform.traits.as_server:
        raise InvalidInput(
            f"{machine.name} wasn't backed up from an OpenStack: only a server's place there can be taken.",
            advice="Leave --in-place out, and it becomes a new server; where both would have its addresses, shut the "
            "machine down before.",
            field="request.type",
        )


# What is read is the point, whatever stands against reading the server
_OF_THE_POINT = (
    *("ref", "disks", "power", "connection", "host", "encrypted", "snapshots"),
    *("consolidation_needed", "change_tracking", "over_ssh", "streamed", "no_way"),
)

# What the server decides in whose place it goes
_DECIDED = (
    *("networks", "subnets", "ports", "adapters", "addresses"),
    *("readdress", "first_boot", "agents", "keep"),
)


def land_in_place(
    clouds: Clouds,
    vault_id: str,
    target_id: str,
    found: ServerInPlace,
    request: MigrationRequest,
    *,
    converts_here: bool,
) -> tuple[Landing | None, list[Concern]]:
    """Return how the point lands in the server's place (None: it can't), and the concerns, as `longshore.planning.land`
    does."""
    words = (nic.network_ref or nic.network for nic in found.like.nics)  # several can have one name
    networks = {word: word for word in words}
    asked = replace(request, landing=LandingMode.UNCHANGED, networks=networks)
    with clouds.source(vault_id) as vault:
        room = vault.room()
    with clouds.target(target_id) as target:
        facts = gather(target, found.like, asked, room, converts_here=converts_here)
    landing, concerns = land(found.like, asked, without_those_of(found.home, facts))
    own = accept_blockers(in_place_concerns(found.home, found.point), request.accept)
    return (None if any(one.severity is Severity.BLOCKER for one in own) else landing), [*concerns, *own]


def refuse_meaningless(request: MigrationRequest) -> None:
    """Raise InvalidInput for an option that a restore in place doesn't take, since the server decides it."""
    said = [name for name in _DECIDED if getattr(request, name)]
    if request.landing is not LandingMode.AUTO:
        said.append("landing")
    if said:
        raise InvalidInput(
            "A restore in place goes to the ports of the server that it replaces, unchanged, and keeps nothing if it "
            "fails.",
            advice=f"Leave {said[0]} out, or restore it as a new server.",
            field=f"request.{said[0]}",
        )


class InPlaceRestore(Migration):
    async def _forward(self) -> dict[str, Any]:
        job = self._job
        prepared, volumes = await self._begin_volumes()
        disks = prepared.machine.disks
        home = await job.step("home", self._look_home, prepared)
        snapshot = await job.step("snapshot", take_snapshot, job, "snapshot", disks, quiesce=False)
        await job.step("copying", job.phase, "copying", f"Copying {len(volumes)} disk(s) at once.")
        copies = await self._copy("copy", disks, snapshot, volumes)
        await job.step("drop-snapshot", drop_if_possible, job, "snapshot", snapshot)
        off = await job.step("shut-down", shut_down, job)
        ports = await job.step("ports", self._take_ports, prepared, home, off)
        choice = Choice(LandingMode.UNCHANGED)
        server, report, proof = await self._land(prepared, volumes, ports, choice, off)
        return result_of(prepared, server, ports, figures_of(CopyTotals().plus(copies), copies), report, proof)

    def _prepare(self) -> Prepared:
        job = self._job
        job.raise_if_cancelled()
        record = job.record
        job.phase("preparing", f"Looking at the point, and at {record.machine_name} as it is.")
        found = find_in_place(
            job.clouds, record.source_id, record.machine_ref, record.target_id, job.replaced.machine_ref
        )
        found = replace(found, like=without_texts(job, found.like))
        landed = land_in_place(job.clouds, record.source_id, record.target_id, found, job.request, converts_here=True)
        prepared = self._prepared(found.like, *landed)
        job.store.migrations.update(job.id, source_power=found.home.power.value)
        with job.clouds.source(record.source_id) as vault:
            check_files(job, vault, record.machine_ref)
            vault.make_ready(Owner(job.id, "read"), record.machine_ref)
        return prepared

    def _look_home(self, prepared: Prepared) -> Home:
        """Return the server and its ports, and write down what they are before anything is done to them."""
        job = self._job
        with job.clouds.source(job.replaced.provider_id) as cloud:
            home = cloud.by_reference(job.replaced.machine_ref)
        return note_ports(job, home, prepared)

    def _take_ports(self, prepared: Prepared, home: Home, off: Off) -> list[Port]:
        require_still_off(self._job, off)
        return take_ports(self._job, prepared, home)

    # The end

    def _hand_over(self, result: dict[str, Any]) -> None:
        """Remove what was made on the way, and wait for the user to decide. The server runs in the other one's place by
        now."""
        job = self._job
        job.phase("cleaning-up", "Removing what was made on the way.")
        gone = (ThingKind.SOURCE_SNAPSHOT, ThingKind.VOLUME_SNAPSHOT, ThingKind.AGENT_PROBE)
        self._remove_made(gone)
        self._leave_as_asked(result)
        found = job.store.migrations.get(job.id).result or {}  # in the guest, and what its ports were
        job.say(
            f"It is in the place of the server that it was. For good: longshore restore commit {job.id}; back: "
            f"longshore restore undo {job.id}.",
            phase="up",
        )
        told = {**found, **result}
        # Who waits for it goes by its phase, and reads the result then: both are written at once
        job.store.migrations.end_job(
            job.id, job.job_id, next_kind=JobKind.DECISION, due_at=NEVER, phase="up", result=told
        )
