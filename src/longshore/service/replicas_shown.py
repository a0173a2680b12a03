"""Replicas and points as they go over the wire: with figures and conditions, which are worked out when asked for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from longshore.api.replicas import Condition, Figures, Hold, Point, Replica, Seed
from longshore.flows.replicas.moments import expected
from longshore.flows.replicas.points import newest
from longshore.model.forms import form
from longshore.model.point import Arrival
from longshore.model.replica import SYNCED, PointDisk, PointState
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.status import Status
from longshore.planning.conditions import ReplicaFacts, conditions
from longshore.planning.protection_figures import WINDOWS, look_back_over_windows, rpo_now
from longshore.planning.retention import KeptByRule, decide, parse_retention
from longshore.service.shapes import Names, shaped
from longshore.store import MigrationRecord, PointRecord, ReplicaRecord, Store
from longshore.store.adoption import was_adopted
from longshore.store.tables import with_zone, without_zone

_NO_OBJECTIVE = timedelta(days=36525)


def replica_shown(
    store: Store, found: ReplicaRecord, record: MigrationRecord, providers: Names, *, figures: bool = True
) -> Replica:
    """Return a replica as it goes over the wire.

    Without `figures` what a sync takes goes by those of the last day.
    """
    now = datetime.now(UTC)
    usable = store.points.usable(found.id)
    arrivals = store.points.arrivals(found.id, now - (max(WINDOWS) if figures else min(WINDOWS)))
    last = newest(usable, now)
    rpo = timedelta(seconds=found.rpo) if found.rpo else None
    age = rpo_now([point.point.arrival for point in usable if not point.suspect], now)
    takes = expected(arrivals, now)
    made = store.migrations.made_of(record.id)
    look = store.looks.get(found.id)
    standing = ReplicaFacts(
        stage=found.stage,
        paused=found.rests(without_zone(now)),
        paused_until=found.paused_until,
        rpo=rpo,
        rpo_now=age,
        expected=takes,
        failures=found.failures,
        error=found.error,
        error_code=found.error_code,
        consistency=last.consistency if last else None,
        proved=any(point.proved_at for point in usable),
        test_error=_test_error(made),
        failover_error=found.failover_error,
        suspect=sum(point.suspect for point in usable),
        cannot_land=look.cannot_land if look else None,
        look_error=look.error if look else None,
    )
    return shaped(
        Replica,
        found,
        record,
        source="unknown" if was_adopted(found.stage, record) else providers[record.source_id],
        target=providers[record.target_id],
        request=form(MigrationRequest).validate_python(record.request),
        paused=standing.paused,
        due_at=found.due_at if found.stage in SYNCED else None,
        error=found.error or record.error,
        error_code=found.error_code or record.error_code,
        failover=found.failover_id,
        failback=found.failback_id,
        rpo_now=_seconds(age),
        next_takes=_seconds(takes),
        audits=list(found.audits),
        seed=Seed(vault=providers[found.seed.vault_id], point=found.seed.point) if found.seed else None,
        points=len(usable),
        newest=last.moment if last else None,
        figures=_figures(arrivals, rpo, record, now) if figures else [],
        conditions=[shaped(Condition, one) for one in conditions(standing)],
        looked_at=look.looked_at if look else None,
        looked_point=look.point if look else None,
        tests=_last_parts(made),
        proved_at=max((point.proved_at for point in usable if point.proved_at), default=None),
        syncs=list(record.syncs),
    )


def points_shown(store: Store, found: ReplicaRecord) -> list[Point]:
    points = store.points.all(found.id)
    usable = [point.point for point in points if point.state is PointState.USABLE]
    kept = {one.point.id: one for one in decide(usable, parse_retention(found.retention), datetime.now(UTC)).kept}
    return [_point(point, kept.get(str(point.number))) for point in points]


def point_shown(store: Store, found: ReplicaRecord, number: int) -> Point:
    """Return one point with its machine. Raises NotFound."""
    point = store.points.get(found.id, number)
    listed = next((one for one in points_shown(store, found) if one.number == number), None)
    shown = listed or _point(point, None)
    return shown.model_copy(update={"machine": point.machine.get("machine")})


def _point(point: PointRecord, kept: KeptByRule | None) -> Point:
    return shaped(
        Point,
        point,
        state=point.state.value,
        consistency=point.consistency.value if point.consistency else None,
        bytes_changed=point.changed,
        bytes_written=point.written,
        kept=list(kept.reasons) if kept else [],
        holds=[Hold(name=hold.name, until=hold.until) for hold in point.holds],
        users=list(point.users),
        disks=form(list[PointDisk]).dump_python(list(point.disks), mode="json"),
        machine=None,
    )


def _figures(arrivals: list[Arrival], rpo: timedelta | None, record: MigrationRecord, now: datetime) -> list[Figures]:
    since = with_zone(record.created_at)
    spans = look_back_over_windows(arrivals, rpo or _NO_OBJECTIVE, since, now)
    return [
        Figures(
            hours=round(window.total_seconds() / 3600),
            length=span.length.total_seconds(),
            worst=_seconds(span.worst),
            without=span.without.total_seconds(),
            kept=span.share if rpo else None,
        )
        for window, span in spans.items()
    ]


def _test_error(made: Sequence[MigrationRecord]) -> str | None:
    """Return why the last test that was seen to its end failed, if it did."""
    kinds = (Status.DONE, Status.FAILED)
    ended = [one for one in made if one.type is MigrationType.TEST and one.status in kinds]
    return ended[-1].error if ended and ended[-1].status is Status.FAILED else None


def _last_parts(made: Sequence[MigrationRecord]) -> dict[str, float] | None:
    """Return how many seconds each part took when the last machine was made of one of the replica's points.

    None: none was made yet.
    """
    done = [one for one in made if one.result and "seconds" in one.result]
    return done[-1].result["seconds"] if done and done[-1].result else None


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else round(length.total_seconds(), 1)
