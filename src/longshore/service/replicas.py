"""Replicas: made, shown, changed, synchronised, tried, failed over to, deleted."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Response

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
from longshore.model.request import MigrationRequest, MigrationType
from longshore.service.concerns_shown import shown_concern
from longshore.service.held import asked_hold
from longshore.service.landings import landing_request, new_landing, stays_for, usable_point
from longshore.service.migrations_shown import note_asked_for, shown
from longshore.service.new_replicas import NEVER, first_time, new_replica, protection_of, tests_of, weigh_new_replica
from longshore.service.parts import TheCaller, TheClouds, TheStore, judged_router
from longshore.service.replicas_shown import point_shown, points_shown, provider_names, replica_shown
from longshore.store import MigrationRecord, ReplicaRecord, Store
from longshore.store.passing_over import readable

router = judged_router("/v1")
Number = Annotated[int, Path(ge=1, le=LAST_POINT)]


@router.post("/replicas", status_code=202)
def create(body: NewReplica, store: TheStore, clouds: TheClouds, caller: TheCaller) -> Replica:
    """Copy a machine from now on, again and again, to points on the target. What can be known beforehand is checked
    now; the first sync copies all of it.
    """
    new, said = new_replica(store, clouds, caller, body)
    (record,) = store.migrations.add_together([new])
    note_asked_for([record])
    for concern in said:
        store.events.say(record.id, None, str(concern), "warning")
    return begun(store, store.replicas.get(record.id))


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
def replica(replica: str, store: TheStore) -> Replica:
    """Show a replica, by its id, the beginning of that, or the name of its machine."""
    return _shown(store, store.replicas.get(replica))


@router.patch("/replicas/{replica}")
def change(replica: str, body: Change, store: TheStore) -> Replica:
    """Give a replica another schedule, retention, RPO or clock of tests, from now on. What isn't named stays. An RPO
    can't be taken away.
    """
    was = store.replicas.get(replica)
    rpo = body.rpo or (f"{was.rpo}s" if was.rpo else None)
    audit = None if body.audit == NEVER else body.audit or was.audit
    new = protection_of(body.schedule or was.schedule, body.retention or was.retention, rpo, audit)
    due = was.due_at if body.schedule is None else first_time(new, was.id)
    fields = {"schedule": new.schedule, "retention": new.retention, "rpo": new.rpo, "due_at": due}
    if body.prove is not None:
        fields |= tests_of(body.prove, was.id)
    if body.audit is not None:
        fields |= {"audit": new.audit, "audit_due_at": next_audit(new.audit, was.id, datetime.now(UTC))}
    return begun(store, store.replicas.change(was.id, **fields))


@router.post("/replicas/{replica}/sync", status_code=202)
def sync(replica: str, store: TheStore) -> Replica:
    """Begin another sync at once, also while the replica is paused; when one is under way, right after it."""
    found = store.replicas.get(replica)
    return begun(store, store.replicas.wish(found.id, Wish.SYNC))


@router.post("/replicas/{replica}/audit", status_code=202)
def audit(replica: str, store: TheStore) -> Replica:
    """Begin a sync at once, also while the replica is paused, for which everything is read on both sides and compared:
    what the source hid is found and copied, and the points that may lack it are called suspect.
    """
    found = store.replicas.get(replica)
    return begun(store, store.replicas.wish(found.id, Wish.AUDIT))


@router.post("/replicas/{replica}/pause")
def pause(replica: str, store: TheStore, body: Pause | None = None) -> Replica:
    """Pause a replica: no sync begins by itself until then, or until it is resumed. One that is under way comes to its
    end.
    """
    found = store.replicas.get(replica)
    until = body.until if body else None
    return begun(store, store.replicas.change(found.id, paused=True, paused_until=until))


@router.post("/replicas/{replica}/resume")
def resume(replica: str, store: TheStore) -> Replica:
    """Resume a replica: syncs go on by the schedule. What was missed meanwhile is made up for by one, at once."""
    found = store.replicas.get(replica)
    return begun(store, store.replicas.change(found.id, paused=False, paused_until=None))


@router.delete("/replicas/{replica}", status_code=202)
def delete(replica: str, store: TheStore, clouds: TheClouds) -> Replica:
    """Delete a replica: its points and volumes and all else that was made for it; the machine stays as it is.

    Raises Conflict while something was made of its points that is still there.
    """
    found = store.replicas.get(replica)
    if found.stage is Stage.MIGRATING:
        raise Conflict(f"The replica of {found.machine_name} is being migrated.", advice="Wait for its end.")
    if found.stage in (Stage.FAILING_OVER, Stage.FAILED_OVER, Stage.FAILING_BACK, Stage.FAILED_BACK):
        raise Conflict(
            f"The replica of {found.machine_name} is {found.stage}.",
            advice=f"Undo that or commit it first: longshore replica undo {found.id}.",
        )
    if found.failover_id is not None:
        note_gone(store, clouds, found.failover_id)
    users = [user for point in store.points.all(found.id) for user in point.users]
    if users:
        raise Conflict(
            f"The replica of {found.machine_name} has points that {', '.join(users)} stand(s) on: their volumes hold "
            "only what differs from the points' snapshots.",
            advice="Remove those first, with their volumes.",
        )
    store.migrations.request_cancel(found.id)
    store.groups.leave(found.id)
    return begun(store, store.replicas.get(found.id))


# Points


@router.get("/replicas/{replica}/points")
def points(replica: str, store: TheStore) -> list[Point]:
    """List the points that are there, oldest first, each with all the reasons why it stays."""
    found = store.replicas.get(replica)
    return points_shown(store, found)


@router.get("/replicas/{replica}/points/{number}")
def point(replica: str, number: Number, store: TheStore) -> Point:
    """Show a point, with its machine as it was then, and its disks."""
    found = store.replicas.get(replica)
    return point_shown(store, found, number)


@router.post("/replicas/{replica}/points/{number}/hold")
def hold(replica: str, number: Number, body: NewHold, store: TheStore) -> Point:
    """Hold a point: it stays until then, or until it is released."""
    found = store.replicas.get(replica)
    store.points.hold(found.id, number, asked_hold(body))
    return point_shown(store, found, number)


@router.post("/replicas/{replica}/points/{number}/release")
def release(replica: str, number: Number, body: NewHold, store: TheStore) -> Point:
    """End the hold of this name on a point; whether it stays is up to the retention again."""
    found = store.replicas.get(replica)
    store.points.release(found.id, number, body.name)
    return point_shown(store, found, number)


@router.delete("/replicas/{replica}/points/{number}", status_code=204)
def delete_point(replica: str, number: Number, store: TheStore, clouds: TheClouds) -> None:
    """Delete a point. Raises Conflict for the newest usable one, one that is held and one that is in use."""
    found = store.replicas.get(replica)
    wanted = store.points.get(found.id, number)
    usable = store.points.usable(found.id)
    now = datetime.now(UTC)
    last = newest(usable, now)
    held = [one.name for one in wanted.holds if one.counts(now)]
    if last is not None and last.number == number:
        raise Conflict(f"Point {number} is the newest usable one.", advice="Make another one first.")
    if held:
        raise Conflict(f"Point {number} is held ({', '.join(held)}).", advice="Release it first.")
    if wanted.users:
        raise Conflict(f"Point {number} is in use by {', '.join(wanted.users)}.", advice="Remove that first.")
    if said := remove_points(store, clouds, found.id, [number]):
        raise Conflict(" ".join(said))
    if any(one.number == number for one in store.points.usable(found.id)):
        raise Conflict(f"Point {number} has just come into use, or is held now.", advice="Look at it again.")


# Machines made of points


@router.post("/replicas/{replica}/test", status_code=202)
def test(replica: str, body: NewTest, store: TheStore) -> Migration:
    """Test a replica: a machine is made of a point, booted and checked beside whatever else goes on, and removed again
    or kept.
    """
    found = store.replicas.get(replica)
    if body.keep and body.clean_up_after is not None:
        raise InvalidInput("It is kept until it is cleaned up, or for a time.", advice="Choose one.")
    wanted = usable_point(store, found, body.point)
    request = landing_request(store, found, body, MigrationType.TEST, wanted.number)
    stays = stays_for(body.clean_up_after)
    request = replace(request, isolated=body.isolated, keep=body.keep, clean_up_after=stays)
    return _landed(store, found, request)


@router.post("/replicas/{replica}/failover", status_code=202)
def failover(replica: str, body: NewFailover, store: TheStore) -> Replica:
    """Fail a replica over: a machine made of a point takes the place of the machine, whose syncs stop. The source isn't
    asked, unless the failover is planned: then the machine is shut down, and what it has written last is in the point.
    """
    found = store.replicas.get(replica)
    if body.planned:
        if body.point is not None:
            raise InvalidInput("A planned failover makes its own point.", advice="Leave the point out, or --planned.")
        if found.stage is Stage.ADOPTED:
            raise Conflict("Its source isn't known, so nothing can be shut down there.", advice="Leave --planned out.")
        if not store.points.usable(found.id):
            raise Conflict("There is no point yet.", advice="Wait for the first sync.")
        request = landing_request(store, found, body, MigrationType.FAILOVER, None)
        wished = request.to_json()
        return begun(store, store.replicas.wish(found.id, Wish.FAILOVER, wished))
    wanted = usable_point(store, found, body.point)
    _landed(store, found, landing_request(store, found, body, MigrationType.FAILOVER, wanted.number))
    return begun(store, store.replicas.get(found.id))


@router.post("/replicas/{replica}/undo", status_code=202)
def undo(replica: str, store: TheStore) -> Replica:
    """Undo a failover: its server is removed; the machine runs again if it was shut down for it, and syncs go on. Or
    undo a failback: the machine is off, and as it was before, and the server runs again.

    What has been written since is lost.
    """
    found = store.replicas.get(replica)
    under_way = {Stage.FAILING_OVER: found.failover_id, Stage.FAILING_BACK: found.failback_id}.get(found.stage)
    if under_way is not None:
        store.migrations.request_cancel(under_way)
        return begun(store, found)
    return begun(store, store.replicas.wish(found.id, Wish.UNDO))


@router.post("/replicas/{replica}/commit", status_code=202)
def commit(replica: str, store: TheStore) -> Replica:
    """Commit a failover: its server is yours for good; it can't be undone any more. Points stay until they are deleted.
    Or commit a failback: the machine is what counts, its server goes if it isn't yours, and syncs go on.
    """
    found = store.replicas.get(replica)
    return begun(store, store.replicas.wish(found.id, Wish.COMMIT))


@router.post("/replicas/{replica}/migrate", status_code=202)
def migrate(replica: str, store: TheStore) -> Replica:
    """Cut a replica over as a warm migration: the machine is shut down, its last changes are copied, and its server
    gets the replica's own volumes. Then all points go, and it is a replica no longer. Where that fails, the machine
    runs again, and the replica is as before. Raises Conflict while something stands on one of its points.
    """
    found = store.replicas.get(replica)
    return begun(store, store.replicas.wish(found.id, Wish.MIGRATE))


# Parts


def _landed(store: Store, found: ReplicaRecord, request: MigrationRequest) -> Migration:
    (made,) = store.migrations.add_together([new_landing(store, found, request)])
    note_asked_for([made])
    embedded.ensure_running(store.state)
    return shown(store, [made])[0]


def begun(store: Store, found: ReplicaRecord) -> Replica:
    """Have an engine at work, and return the replica as it is shown."""
    embedded.ensure_running(store.state)
    return _shown(store, found)


def _shown(store: Store, found: ReplicaRecord) -> Replica:
    return replica_shown(store, found, store.migrations.get(found.id), provider_names(store))


def _is_there(store: Store, record: MigrationRecord | None) -> bool:
    if record is None or not record.status.ended:
        return record is not None
    gone: set[Any] = {"removed", "handed-over"}
    return any(entry.state.value not in gone for entry in store.ledger.entries(record.id))
