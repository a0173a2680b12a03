"""Previews: when a schedule comes, and which points rules of retention would keep. Nothing is made or changed."""

from collections.abc import Iterable
from datetime import UTC, datetime

from longshore.api.schedules import Later, LaterPoint, PreviewedPoint, PreviewWanted, SchedulePreview
from longshore.errors import InvalidInput
from longshore.flows.clouds import Clouds
from longshore.model.quantities import parse_duration
from longshore.model.replica import PointState
from longshore.model.retention import Retention
from longshore.model.schedule import Cron, Schedule
from longshore.planning.previews import kept_of, times_ahead
from longshore.planning.retention import Decision, decide, parse_retention, write_retention
from longshore.planning.schedules import is_same_for_all, parse_calendar, parse_schedule
from longshore.service.backup_policies_shown import judged_points
from longshore.service.parts import TheClouds, TheStore, judged_router
from longshore.service.refusals import said_of
from longshore.store import Store

router = judged_router("/v1")
_NEXT = 10
_NOBODY = "preview"  # the record whose place in an interval is taken where there is none yet


@router.post("/schedules/preview")
def preview(body: PreviewWanted, store: TheStore, clouds: TheClouds) -> SchedulePreview:
    """Look ahead: when a schedule comes, what rules would keep in a year or so, and which of the points that a policy
    or a replica has would stay by them now.
    """
    if body.policy is not None and body.replica is not None:
        raise InvalidInput("Say a policy or a replica, not both.")
    now = datetime.now(UTC)
    record_id = _NOBODY
    if body.policy is not None:
        record_id = store.backup_policies.id_of(body.policy)
    elif body.replica is not None:
        record_id = store.replicas.get(body.replica).id
    schedule = _schedule(body)
    rules = None
    if body.retention is not None:
        with said_of("retention"):
            rules = parse_retention(body.retention)
    moments = list(times_ahead(schedule, now, record_id))
    return SchedulePreview(
        next=moments[:_NEXT],
        zone=schedule.zone if isinstance(schedule, Cron) else None,
        exact=record_id != _NOBODY or is_same_for_all(schedule),
        later=_later(moments, rules) if rules is not None and moments else None,
        points=list(_points(store, clouds, body, rules, now)) if rules is not None and record_id != _NOBODY else None,
    )


def _schedule(body: PreviewWanted) -> Schedule:
    rpo = None
    if body.rpo is not None:
        with said_of("rpo"):
            rpo = parse_duration(body.rpo)
    with said_of("schedule"):
        return parse_calendar(body.schedule) if body.policy is not None else parse_schedule(body.schedule, rpo)


def _later(moments: list[datetime], rules: Retention) -> Later:
    kept = kept_of(moments, rules).kept
    shown = [LaterPoint(moment=one.point.moment, reasons=list(one.reasons)) for one in kept]
    return Later(at=moments[-1], runs=len(moments), kept=shown)


def _points(
    store: Store, clouds: Clouds, body: PreviewWanted, rules: Retention, now: datetime
) -> Iterable[PreviewedPoint]:
    if body.policy is not None:
        policy = store.backup_policies.get(body.policy)
        for one in judged_points(store, clouds, policy, write_retention(rules)):
            yield PreviewedPoint(name=one.name, machine_name=one.machine_name, moment=one.moment, reasons=one.reasons)
    elif body.replica is not None:
        replica = store.replicas.get(body.replica)
        name = store.migrations.get(replica.id).machine_name
        points = [point.point for point in store.points.all(replica.id) if point.state is PointState.USABLE]
        reasons = _reasons(decide(points, rules, now))
        for point in sorted(points, key=lambda one: (one.moment, one.id), reverse=True):
            yield PreviewedPoint(name=point.id, machine_name=name, moment=point.moment, reasons=reasons[point.id])


def _reasons(decision: Decision) -> dict[str, list[str]]:
    """Return why each point stays, by its id; none for one that goes."""
    stays = {one.point.id: list(one.reasons) for one in decision.kept}
    return stays | {point.id: [] for point in decision.going}
