"""A machine made of a replica's point: to try that (a test), or in the place of the machine (a failover).

    the point, and what the target has → a volume of each of its snapshots → network, ports
      → of a failover a snapshot of each, for the way back
      → look into them, unless it is known what is on them → snapshot the volumes → convert → boot → check
      → clean up, or stay

The source is asked nothing, so it may be gone; and the replica's own volumes are never touched, so its syncs go on
beside. The point stays as long as volumes are there that were made of it.

What a failover has made isn't handed over when it is up: it can be undone, until its replica is told to commit it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from longshore.errors import Cancelled, Conflict, LongshoreError
from longshore.flows.clouds import Clouds
from longshore.flows.facts import gather, gather_for_plan
from longshore.flows.flow import Flow
from longshore.flows.moves.look import Choice
from longshore.flows.moves.migration import CopyTotals, figures_of, result_of
from longshore.flows.moves.target_side import Prepared
from longshore.flows.replicas.known import Known, what_is_known
from longshore.flows.replicas.looking import OfPoint
from longshore.flows.replicas.points import find_lost, newest
from longshore.flows.replicas.way_back import is_of_way_back, keep_way_back, way_back_snapshots
from longshore.flows.undo import undo
from longshore.guests.report import GUEST_CHANGED
from longshore.model.concern import Severity
from longshore.model.forms import form
from longshore.model.job import JobKind
from longshore.model.machine import Machine
from longshore.model.replica import OF_RUN, PointState
from longshore.model.request import BootProof, MigrationRequest, MigrationType
from longshore.model.target import Port, Volume
from longshore.planning import Preflight, blocked, land
from longshore.providers.contract import Target
from longshore.store import EventRecord, PointRecord, ThingKind
from longshore.store.jobs import NEVER
from longshore.store.tables import utc_now, with_zone

# What each phase is called among the parts of the time that it took
_PARTS = {
    "preparing": "prepare",
    "making-volumes": "clone",
    "snapshot": "copy",  # of a backup's point: it lies elsewhere
    "copying": "copy",
    "inspecting": "look",
    "safeguarding": "convert",
    "converting": "convert",
    "booting": "boot",
    "checking": "check",
}


class PointLanding(OfPoint):
    async def _forward(self) -> dict[str, Any]:
        prepared, volumes, ports = await self._begin()
        if self._job.request.type is MigrationType.FAILOVER:
            await self._job.step("way-back", keep_way_back, self._job, volumes)
        known = await self._job.step("known", self._what_is_known, prepared, ports)
        choice = known.choice or await self._look_into_copies(prepared, volumes, ports)
        server, report, proof = await self._land(prepared, volumes, ports, choice)
        return result_of(prepared, server, ports, figures_of(CopyTotals(), ()), report, proof)

    async def _make_ready(
        self, prepared: Prepared, volumes: list[Volume], ports: list[Port], choice: Choice, *, again: str = ""
    ) -> tuple[Choice, dict[str, Any]]:
        """Make the guest ready. Where what was known of it doesn't hold any more, it is looked into after all.

        Raise ConversionError; InvalidInput when that look shows that it can't land.
        """
        try:
            return await super()._make_ready(prepared, volumes, ports, choice)
        except LongshoreError as error:
            if error.code != GUEST_CHANGED:
                raise
        await self._job.step("look-due", self._job.store.looks.make_due, self._job.record.of)
        choice = await self._look_into_copies(prepared, volumes, ports, again="-again")
        return await super()._make_ready(prepared, volumes, ports, choice, again="-again")

    def _safeguard(self, volumes: list[Volume]) -> list[str]:
        """Return the snapshots for the way back, if all are there, since nothing was written since; else
        make others."""
        kept = way_back_snapshots(self._job.store.ledger.entries(self._job.id))
        if all(volume.id in kept for volume in volumes):
            return [kept[volume.id] for volume in volumes]
        return super()._safeguard(volumes)

    def _what_is_known(self, prepared: Prepared, ports: list[Port]) -> Known:
        return what_is_known(self._job, self._point, prepared, ports)

    def _prepare(self) -> Prepared:
        job, point = self._job, self._point
        job.raise_if_cancelled()
        moment = f"{point.moment:%Y-%m-%d %H:%M:%S}"
        job.phase("preparing", f"Looking at point {point.number}, of {moment} UTC, and at what the target has.")
        machine = form(Machine).validate_python(point.machine["machine"])
        with job.clouds.target(job.record.target_id) as target:
            self._refuse_lost(target, point)
            facts = gather(target, machine, job.request, None, converts_here=True)
        return self._prepared(machine, *land(machine, job.request, facts))

    def _refuse_lost(self, target: Target, point: PointRecord) -> None:
        """Raise Conflict when somebody has deleted at the target what the point is made of."""
        store = self._job.store
        find_lost(store, target, point.replica_id, [point])
        if store.points.get(point.replica_id, point.number).state is not PointState.LOST:
            return
        before = [one for one in store.points.usable(point.replica_id) if one.moment < point.moment]
        older = newest(before, point.moment)
        advice = "The replica has no older point."
        if older is not None:
            moment = f"{older.moment:%Y-%m-%d %H:%M:%S} UTC"
            advice = f"The newest older one is point {older.number}, of {moment}: say --point {older.number}."
        said = f"Point {point.number} can't be used: the target has no snapshot of it any more."
        raise Conflict(said, advice=advice, code="point-lost")

    def _hand_over(self, result: dict[str, Any]) -> None:
        job, request = self._job, self._job.request
        self._prove(result.get("proof") or "")
        gone = {ThingKind.VOLUME_SNAPSHOT, ThingKind.AGENT_PROBE}
        parts = parts_of(job.store.events.of(job.id, limit=10_000), utc_now())
        of_failover = request.type is MigrationType.FAILOVER
        if not of_failover:
            if request.clean_up_after is not None or job.store.groups.waits_for_run(job.id):
                self._stay({**result, "point": request.point, "seconds": parts}, gone)
                return
            if request.keep:
                job.say(f"The server stays until you clean it up: longshore migration cleanup {job.id}.")
            else:
                gone = set(ThingKind) - {ThingKind.RELAY}
        job.phase("cleaning-up", "Removing what was made on the way.")
        job.say_each(undo(job.store, job.clouds, job.id, lambda e: e.kind in gone and not is_of_way_back(e)), "warning")
        if of_failover:  # it can be committed or undone once it is done, which comes next
            again = f"longshore replica undo {request.of}"
            job.say(f"It runs in the machine's place. For good: longshore replica commit {request.of}; back: {again}.")
        self._done({**result, "point": request.point, "seconds": parts})

    def _prove(self, proof: str) -> None:
        """Note that the point is proved, unless nothing had to show that the guest is up: that says nothing of the
        point."""
        job = self._job
        up_at = job.store.migrations.get(job.id).target_up_at
        if proof != BootProof.NONE and up_at is not None:
            job.store.points.prove(job.record.of, job.request.point or 0, with_zone(up_at), proof)

    def _stay(self, result: dict[str, Any], gone: set[ThingKind]) -> None:
        """Keep the server for the time that was asked for, or until its group's test has ended."""
        job, after = self._job, self._job.request.clean_up_after
        up_at = job.store.migrations.get(job.id).target_up_at
        due = up_at + timedelta(seconds=after) if up_at is not None and after is not None else NEVER
        self._remove_made(gone)
        until = f"until {due:%Y-%m-%d %H:%M:%S} UTC" if due < NEVER else "until the test of its group has ended"
        job.say(f"The server stays {until}. To remove it sooner: longshore migration cleanup {job.id}.", phase="up")
        found = job.store.migrations.get(job.id).result or {}  # in the guest
        told = {**found, **result}
        # Who waits for it goes by its phase, and reads the result then: both are written at once
        job.end(next_kind=JobKind.CLEAN_UP, due_at=due, phase="up", result=told)

    def _roll_back(self, error: LongshoreError) -> None:
        request = self._job.request
        if request.type is MigrationType.FAILOVER and error.code != Cancelled.code:
            self._job.store.replicas.update(self._job.record.of, failover_error=str(error))
        super()._roll_back(error)

    def _take_back(self) -> list[str]:
        left = super()._take_back()
        if self._job.request.type is MigrationType.FAILOVER:
            self._job.store.replicas.came_to_nothing(self._job.record.of, self._job.id)
        return left


class CleaningUp(Flow):
    """The end of a test whose server was to stay for a while: its time has come, or somebody wants it to end now."""

    async def _forward(self) -> None:
        await self._job.step("clean-up", self._clean_up)

    def _fail(self, error: LongshoreError) -> None:
        """Raise the error. The test itself has succeeded: what is left of it is in the ledger, for a
        further clean-up."""
        self._job.ignore_cancel()
        raise error

    def _clean_up(self) -> None:
        """Remove all that was made for the test, cancelled or not: it has been seen up, and so it is done."""
        job = self._job
        job.ignore_cancel()
        job.phase("cleaning-up", "Removing what was made for the test.")
        self._remove_made()
        self._done({})


def parts_of(events: Sequence[EventRecord], now: datetime) -> dict[str, float]:
    """Return the seconds that each part has taken, and all of them, by what was said when. `now`: in UTC without a
    zone."""
    begun = [(event.phase, event.at) for event in events if event.phase in _PARTS]
    edges = [(phase, at) for n, (phase, at) in enumerate(begun) if not n or begun[n - 1][0] != phase]
    parts: dict[str, float] = {}
    for number, (phase, at) in enumerate(edges):
        end = edges[number + 1][1] if number + 1 < len(edges) else now
        parts[_PARTS[phase]] = parts.get(_PARTS[phase], 0.0) + (end - at).total_seconds()
    parts["all"] = (now - edges[0][1]).total_seconds() if edges else 0.0
    return {name: round(seconds, 1) for name, seconds in parts.items()}


def refuse_landings(clouds: Clouds, target_id: str, wanted: Sequence[tuple[Machine, MigrationRequest]]) -> None:
    """Find out of these machines, seen together and before any of them is shut down, what a plan's check finds out.

    Raise InvalidInput with all that stands against them.
    """
    whole = Preflight()
    with clouds.target(target_id) as target:
        facts = gather_for_plan(target, wanted, None, converts_here=True)
    concerns = [*whole.of_machines(wanted, facts), *whole.of_all(None, None)]
    if any(concern.severity is Severity.BLOCKER for concern in concerns):
        raise blocked(concerns)


def landing_of(wished: Mapping[str, Any]) -> MigrationRequest:
    """Return what a planned failover asks for its server. `wished`: as the replica's record keeps it."""
    return form(MigrationRequest).validate_python({name: value for name, value in wished.items() if name != OF_RUN})
