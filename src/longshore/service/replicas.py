"""Replicas: made, shown, changed, synchronised, tried, failed over to, deleted."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Response

from longshore.api.replica_reports import Arrived, Landed, ReplicaReport
from longshore.api.replicas import (
    LEFT_OUT,
    KeptMigration,
    NewFailover,
    NewHold,
    NewReplica,
    NewTest,
    Pause,
    Point,
    Replica,
)
from longshore.api.replicas import ReplicaChange as Change
from longshore.api.schemas import Migration, PlanConcern
from longshore.engine import embedded
from longshore.errors import Conflict, InvalidInput
from longshore.flows.replicas.failing_over import note_gone
from longshore.flows.replicas.moments import next_audit
from longshore.flows.replicas.points import newest, remove_points
from longshore.model.replica import LAST_POINT, Stage, Wish
from longshore.model.request import MigrationType
from longshore.planning.protection_figures import WINDOWS
from longshore.service.held import asked_hold
from longshore.service.landings import landing_request, new_landing, stays_for, usable_point
from longshore.service.new_replicas import NEVER, first_time, new_replica, protection_of, tests_of, weigh_new_replica
from longshore.service.parts import TheCaller, TheClouds, TheReplica, TheStore, judged_router
from longshore.service.queued import added
from longshore.service.queued import begun as begun_migration
from longshore.service.replicas_shown import point_shown, points_shown, replica_shown
from longshore.service.shapes import provider_names, shaped, shown_concern
from longshore.store import MigrationRecord, ReplicaRecord, Store
from longshore.store.rows import readable

router = judged_router("/v1")
_LANDINGS = 50  # the last ones, of a report
Number = Annotated[int, Path(ge=1, le=LAST_POINT)]


@router.post("/replicas", status_code=202)
def create(body: NewReplica, store: TheStore, clouds: TheClouds, caller: TheCaller) -> Replica:
    """Copy a machine from now on, again and again, to points on the target. What can be known beforehand is checked
    now; the first sync copies all of it.
    """
    new, said = new_replica(store, clouds, caller, body)
    added(store, [new], {new.id: said})
    return _shown(store, store.replicas.get(new.id))


@router.post("/replicas/check")
def check(body: NewReplica, store: TheStore, clouds: TheClouds, caller: TheCaller) -> list[PlanConcern]:
    """Check what stands against protecting a machine so, or might: nothing is made."""
    concerns = weigh_new_replica(store, clouds, caller, body)
    return [shown_concern(concern, body.machine) for concern in concerns]


@router.post("/migrations/{migration}/keep-as-replica", status_code=202)
def keep(migration: str, body: KeptMigration, store: TheStore) -> Replica:
    """Make a replica of a warm migration that waits for its cutover: what it has copied isn't copied again. Raises
    Conflict for any other, and while a copy of it is under way.
    """
    record = store.migrations.get(migration)
    protection = protection_of(body.schedule, body.retention, body.rpo, body.audit)
    audit_due_at = next_audit(protection.audit, record.id, datetime.now(UTC))
    protection = replace(protection, **tests_of(body.prove, record.id), audit_due_at=audit_due_at)
    kept = store.replicas.keep(record.id, protection)
    return begun(store, kept)


@router.get("/replicas")
def replicas(store: TheStore, response: Response, *, figures: bool = True) -> list[Replica]:
    """List the replicas that are there, and those of which something is left; oldest first. Without `figures`, which
    look back over 30 days, many are told quickly, and what a sync takes goes by the last day's. One that can't be read
    is logged and left out, and its id stands in the header X-Longshore-Left-Out.
    """
    known = store.replicas.ids()
    listed = store.replicas.all()
    records = {record.id: record for record in store.migrations.several([one.id for one in listed])}
    there = [one for one in listed if _is_there(store, records.get(one.id))]
    names = provider_names(store)
    told = readable(there, lambda one: replica_shown(store, one, records[one.id], names, figures=figures), "replica")
    read = {one.id for one in listed}.difference(one.id for one in there) | {one.id for one in told}
    if left_out := [id_ for id_ in known if id_ not in read]:
        response.headers[LEFT_OUT] = ",".join(left_out)
    return told


@router.get("/replicas/{replica}")
def replica(replica: TheReplica, store: TheStore) -> Replica:
    """Show a replica, by its id, the beginning of that, or the name of its machine."""
    return _shown(store, replica)


@router.get("/replicas/{replica}/report")
def report(replica: TheReplica, store: TheStore) -> ReplicaReport:
    """Report how old a replica's points are and were, what syncs took, which machines were made of points and how long
    that took.
    """
    now = datetime.now(UTC)
    arrivals = store.points.arrivals(replica.id, now - max(WINDOWS))
    return ReplicaReport(
        made_at=now,
        replica=_shown(store, replica),
        points=points_shown(store, replica),
        arrivals=[shaped(Arrived, one) for one in arrivals],
        landings=[_landing(one) for one in store.migrations.made_of(replica.id)[-_LANDINGS:]],
    )


@router.patch("/replicas/{replica}")
def change(replica: TheReplica, body: Change, store: TheStore) -> Replica:
    """Give a replica another schedule, retention, RPO or clock of tests, from now on. What isn't named stays. An RPO
    can't be taken away.
    """
    rpo = body.rpo or (f"{replica.rpo}s" if replica.rpo else None)
    audit = None if body.audit == NEVER else body.audit or replica.audit
    new = protection_of(body.schedule or replica.schedule, body.retention or replica.retention, rpo, audit)
    due = replica.due_at if body.schedule is None else first_time(new, replica.id)
    fields = {"schedule": new.schedule, "retention": new.retention, "rpo": new.rpo, "due_at": due}
    if body.prove is not None:
        fields |= tests_of(body.prove, replica.id)
    if body.audit is not None:
        fields |= {"audit": new.audit, "audit_due_at": next_audit(new.audit, replica.id, datetime.now(UTC))}
    return begun(store, store.replicas.change(replica.id, **fields))


@router.post("/replicas/{replica}/sync", status_code=202)
def sync(replica: TheReplica, store: TheStore) -> Replica:
    """Begin another sync at once, also while the replica is paused; when one is under way, right after it."""
    return begun(store, store.replicas.wish(replica.id, Wish.SYNC))


@router.post("/replicas/{replica}/audit", status_code=202)
def audit(replica: TheReplica, store: TheStore) -> Replica:
    """Begin a sync at once, also while the replica is paused, for which everything is read on both sides and compared:
    what the source hid is found and copied, and the points that may lack it are called suspect.
    """
    return begun(store, store.replicas.wish(replica.id, Wish.AUDIT))


@router.post("/replicas/{replica}/pause")
def pause(replica: TheReplica, store: TheStore, body: Pause | None = None) -> Replica:
    """Pause a replica: no sync begins by itself until then, or until it is resumed. One that is under way comes to its
    end.
    """
    until = body.until if body else None
    return begun(store, store.replicas.change(replica.id, paused=True, paused_until=until))


@router.post("/replicas/{replica}/resume")
def resume(replica: TheReplica, store: TheStore) -> Replica:
    """Resume a replica: syncs go on by the schedule. What was missed meanwhile is made up for by one, at once."""
    return begun(store, store.replicas.change(replica.id, paused=False, paused_until=None))


@router.delete("/replicas/{replica}", status_code=202)
def delete(replica: TheReplica, store: TheStore, clouds: TheClouds) -> Replica:
    """Delete a replica: its points and volumes and all else that was made for it; the machine stays as it is.

    Raises Conflict while something was made of its points that is still there.
    """
    if replica.stage is Stage.MIGRATING:
        raise Conflict(f"The replica of {replica.machine_name} is being migrated.", advice="Wait for its end.")
    if replica.stage in (Stage.FAILING_OVER, Stage.FAILED_OVER, Stage.FAILING_BACK, Stage.FAILED_BACK):
        raise Conflict(
            f"The replica of {replica.machine_name} is {replica.stage}.",
            advice=f"Undo that or commit it first: longshore replica undo {replica.id}.",
        )
    if replica.failover_id is not None:
        note_gone(store, clouds, replica.failover_id)
    users = [user for point in store.points.all(replica.id) for user in point.users]
    if users:
        raise Conflict(
            f"The replica of {replica.machine_name} has points that {', '.join(users)} stand(s) on: their volumes hold "
            "only what differs from the points' snapshots.",
            advice="Remove those first, with their volumes.",
        )
    store.migrations.request_cancel(replica.id)
    store.groups.leave(replica.id)
    return begun(store, store.replicas.get(replica.id))


# Points


@router.get("/replicas/{replica}/points")
def points(replica: TheReplica, store: TheStore) -> list[Point]:
    """List the points that are there, oldest first, each with all the reasons why it stays."""
    return points_shown(store, replica)


@router.get("/replicas/{replica}/points/{number}")
def point(replica: TheReplica, number: Number, store: TheStore) -> Point:
    """Show a point, with its machine as it was then, and its disks."""
    return point_shown(store, replica, number)


@router.post("/replicas/{replica}/points/{number}/hold")
def hold(replica: TheReplica, number: Number, body: NewHold, store: TheStore) -> Point:
    """Hold a point: it stays until then, or until it is released."""
    store.points.hold(replica.id, number, asked_hold(body))
    return point_shown(store, replica, number)


@router.post("/replicas/{replica}/points/{number}/release")
def release(replica: TheReplica, number: Number, body: NewHold, store: TheStore) -> Point:
    """End the hold of this name on a point; whether it stays is up to the retention again."""
    store.points.release(replica.id, number, body.name)
    return point_shown(store, replica, number)


@router.delete("/replicas/{replica}/points/{number}", status_code=204)
def delete_point(replica: TheReplica, number: Number, store: TheStore, clouds: TheClouds) -> None:
    """Delete a point. Raises Conflict for the newest usable one, one that is held and one that is in use."""
    wanted = store.points.get(replica.id, number)
    usable = store.points.usable(replica.id)
    now = datetime.now(UTC)
    last = newest(usable, now)
    held = [one.name for one in wanted.holds if one.counts(now)]
    if last is not None and last.number == number:
        raise Conflict(f"Point {number} is the newest usable one.", advice="Make another one first.")
    if held:
        raise Conflict(f"Point {number} is held ({', '.join(held)}).", advice="Release it first.")
    if wanted.users:
        raise Conflict(f"Point {number} is in use by {', '.join(wanted.users)}.", advice="Remove that first.")
    if said := remove_points(store, clouds, replica.id, [number]):
        raise Conflict(" ".join(said))
    if any(one.number == number for one in store.points.usable(replica.id)):
        raise Conflict(f"Point {number} has just come into use, or is held now.", advice="Look at it again.")


# Machines made of points


@router.post("/replicas/{replica}/test", status_code=202)
def test(replica: TheReplica, body: NewTest, store: TheStore) -> Migration:
    """Test a replica: a machine is made of a point, booted and checked beside whatever else goes on, and removed again
    or kept.
    """
    if body.keep and body.clean_up_after is not None:
        raise InvalidInput("It is kept until it is cleaned up, or for a time.", advice="Choose one.")
    wanted = usable_point(store, replica, body.point)
    request = landing_request(store, replica, body, MigrationType.TEST, wanted.number)
    stays = stays_for(body.clean_up_after)
    request = replace(request, isolated=body.isolated, keep=body.keep, clean_up_after=stays)
    return begun_migration(store, new_landing(store, replica, request))


@router.post("/replicas/{replica}/failover", status_code=202)
def failover(replica: TheReplica, body: NewFailover, store: TheStore) -> Replica:
    """Fail a replica over: a machine made of a point takes the place of the machine, whose syncs stop. The source isn't
    asked, unless the failover is planned: then the machine is shut down, and what it has written last is in the point.
    """
    if body.planned:
        if body.point is not None:
            raise InvalidInput("A planned failover makes its own point.", advice="Leave the point out, or --planned.")
        if replica.stage is Stage.ADOPTED:
            raise Conflict("Its source isn't known, so nothing can be shut down there.", advice="Leave --planned out.")
        if not store.points.usable(replica.id):
            raise Conflict("There is no point yet.", advice="Wait for the first sync.")
        request = landing_request(store, replica, body, MigrationType.FAILOVER, None)
        wished = request.to_json()
        return begun(store, store.replicas.wish(replica.id, Wish.FAILOVER, wished))
    wanted = usable_point(store, replica, body.point)
    request = landing_request(store, replica, body, MigrationType.FAILOVER, wanted.number)
    added(store, [new_landing(store, replica, request)])
    return _shown(store, store.replicas.get(replica.id))


@router.post("/replicas/{replica}/undo", status_code=202)
def undo(replica: TheReplica, store: TheStore) -> Replica:
    """Undo a failover: its server is removed; the machine runs again if it was shut down for it, and syncs go on. Or
    undo a failback: the machine is off, and as it was before, and the server runs again.

    What has been written since is lost.
    """
    under_way = {Stage.FAILING_OVER: replica.failover_id, Stage.FAILING_BACK: replica.failback_id}.get(replica.stage)
    if under_way is not None:
        store.migrations.request_cancel(under_way)
        return begun(store, replica)
    return begun(store, store.replicas.wish(replica.id, Wish.UNDO))


@router.post("/replicas/{replica}/commit", status_code=202)
def commit(replica: TheReplica, store: TheStore) -> Replica:
    """Commit a failover: its server is yours for good; it can't be undone any more. Points stay until they are deleted.
    Or commit a failback: the machine is what counts, its server goes if it isn't yours, and syncs go on.
    """
    return begun(store, store.replicas.wish(replica.id, Wish.COMMIT))


@router.post("/replicas/{replica}/migrate", status_code=202)
def migrate(replica: TheReplica, store: TheStore) -> Replica:
    """Cut a replica over as a warm migration: the machine is shut down, its last changes are copied, and its server
    gets the replica's own volumes. Then all points go, and it is a replica no longer. Where that fails, the machine
    runs again, and the replica is as before. Raises Conflict while something stands on one of its points.
    """
    return begun(store, store.replicas.wish(replica.id, Wish.MIGRATE))


# Parts


def begun(store: Store, found: ReplicaRecord) -> Replica:
    """Have an engine at work, and return the replica as it is shown."""
    embedded.ensure_running(store.state)
    return _shown(store, found)


def _shown(store: Store, found: ReplicaRecord) -> Replica:
    return replica_shown(store, found, store.migrations.get(found.id), provider_names(store))


def _landing(record: MigrationRecord) -> Landed:
    result = record.result or {}
    return shaped(
        Landed,
        record,
        status=record.status.value,
        point=record.request["point"],
        asked_at=record.created_at,
        seconds=result.get("seconds"),
        proof=result.get("proof"),
    )


def _is_there(store: Store, record: MigrationRecord | None) -> bool:
    if record is None or not record.status.ended:
        return record is not None
    gone: set[Any] = {"removed", "handed-over"}
    return any(entry.state.value not in gone for entry in store.ledger.entries(record.id))
