"""A look into the newest point of a replica, so that what can't land is known long before it has to.

    the point → a volume of each of its snapshots → look into them → judge → remove them → tell the replica

Tests of that point, which a schedule of the replica's begins, are begun here, too.

It runs beside syncs, as a record of its own, and the source is asked nothing. What was found spares a failover its own
look (`known.py`).
"""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from longshore.errors import Cancelled, LongshoreError, NotFound
from longshore.flows.flow import Flow
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.look import concerns_as_asked, look_into_volumes
from longshore.flows.moves.migration import Migration
from longshore.flows.moves.target_side import Prepared, make_volume
from longshore.flows.replicas.moments import next_test
from longshore.flows.undo import undo
from longshore.guests.confined import ensure_confinement
from longshore.model.concern import Severity
from longshore.model.forms import form
from longshore.model.guest import GuestFindings
from longshore.model.machine import Disk, Machine
from longshore.model.request import LandingMode, MigrationType
from longshore.model.target import Port, Volume
from longshore.store import PointRecord, ReplicaRecord
from longshore.store.tables import utc_now, without_zone

EVERY = timedelta(days=1)  # from one look to the next: as often as guests update themselves
_ENDS_WITHIN = 120.0  # seconds for a look that was cancelled to have taken back what it has made
_ASKED_EVERY = 0.25  # seconds


def begin_look_if_due(job: MoveContext, prepared: Prepared) -> None:
    """Begin a look into the newest usable point, if one is due. `prepared`: how the replica's machine lands."""
    if prepared.landing.request.landing is LandingMode.UNCHANGED:
        return
    now = datetime.now(UTC)
    request = replace(job.request, type=MigrationType.LOOK, of=job.id, before=None, after=None)
    asked = request.to_json()
    look = job.store.looks.begin(job.id, without_zone(now), without_zone(now + EVERY), asked)
    if look is None:
        return
    job.say(f"Its newest point is looked into: longshore migration show {look}.")
    for earlier in job.store.looks.ended(job.id):
        try:
            job.store.migrations.remove(earlier)  # what it has found is kept with the replica
        except LongshoreError:  # it has left something behind, or somebody was quicker
            continue


def begin_test_if_due(job: MoveContext, replica: ReplicaRecord) -> None:
    """Begin a test of the newest usable point, if one is due, on networks of its own that lead nowhere.

    It goes on beside whatever comes next. So points stay proved, and how long a failover takes is known.
    """
    now = datetime.now(UTC)
    if replica.prove is None or replica.prove_due_at is None or without_zone(now) < replica.prove_due_at:
        return
    request = replace(job.request, type=MigrationType.TEST, of=replica.id, isolated=True)
    asked = request.to_json()
    following = next_test(replica.prove, replica.id, now)
    assert following is not None
    test = job.store.replicas.begin_test(replica.id, without_zone(now), following, asked)
    if test is not None:
        job.say(f"A test of its newest point begins, as every time: longshore migration show {test}.")


def end_looks(job: MoveContext) -> list[str]:
    """Cancel all looks, and remove what they have made of the replica's points. Return a sentence for each thing that
    stays."""
    looks = job.store.looks
    for look in looks.under_way(job.id):
        try:
            job.store.migrations.request_cancel(look)
        except LongshoreError:  # it has just ended
            continue
    until = time.monotonic() + _ENDS_WITHIN
    while under_way := looks.under_way(job.id):
        if time.monotonic() >= until:
            return [f"The look {one} goes on, though it was cancelled." for one in under_way]
        time.sleep(_ASKED_EVERY)
    return [sentence for ended in looks.leaving(job.id) for sentence in undo(job.store, job.clouds, ended)]


class OfPoint(Migration):
    """A machine, or a look, that is made of a replica's point."""

    @property
    def _point(self) -> PointRecord:
        return self._job.store.points.get(self._job.record.of, self._job.request.point or 0)

    def _make_volume(self, prepared: Prepared, disk: Disk) -> Volume:
        snapshots = {one.key: one.snapshot_id for one in self._point.disks}
        return make_volume(self._job, prepared, disk, snapshots[disk.key])


class PointLook(OfPoint):
    async def _forward(self) -> dict[str, Any]:
        prepared, volumes = await self._begin_volumes()
        machine = prepared.machine
        own = [Port("", nic.mac, nic.addresses, "") for nic in machine.nics]
        findings = await self._job.step("look", look_into_volumes, self._job, machine, own, volumes)
        await self._job.step("tell", self._tell, prepared, findings)
        return {}

    def _prepare(self) -> Prepared:
        job, point = self._job, self._point
        job.begin_phase("preparing", f"Looking at point {point.number}, of {point.moment:%Y-%m-%d %H:%M:%S} UTC.")
        ensure_confinement()
        prepared = form(Prepared).validate_python(point.machine)
        job.store.disks.keep(job.id, prepared.machine.disks)
        return prepared

    def _tell(self, prepared: Prepared, findings: GuestFindings) -> None:
        job, number = self._job, self._job.request.point or 0
        job.raise_if_cancelled()
        concerns = concerns_as_asked(prepared.machine, findings, prepared.landing.request)
        against = " ".join(str(concern) for concern in concerns if concern.severity is Severity.BLOCKER)
        new = job.store.looks.keep(
            job.record.of,
            number,
            utc_now(),
            form(Machine).dump_python(prepared.machine, mode="json"),
            form(GuestFindings).dump_python(findings, mode="json"),
            against or None,
        )
        job.tell_concerns(concerns)
        if against:
            job.say(f"It couldn't land: {against}", "error")
        if against and new:
            self._tell_replica(f"Point {number} couldn't land: {against}", "error")
        elif new:
            self._tell_replica(f"Point {number} could land: nothing stands against it any more.")

    _hand_over = Flow._hand_over  # nothing of it is handed over

    def _roll_back(self, error: LongshoreError) -> None:
        """Roll back, and tell the replica why the look failed, unless somebody has cancelled it."""
        job = self._job
        if error.code != Cancelled.code:
            said = f"What is on the disks of point {job.request.point} couldn't be looked up: {error}"
            if job.store.looks.failed(job.record.of, str(error)):
                self._tell_replica(said, "warning")
        super()._roll_back(error)

    def _tell_replica(self, text: str, level: str = "information") -> None:
        job = self._job
        try:
            job.store.migrations.get(job.record.of)
        except NotFound:
            return
        job.store.events.say(job.record.of, None, text, level)
