"""Reports of replicas: how well they protect, by their records alone."""

from datetime import UTC, datetime

from longshore.api.replica_reports import Arrived, Landed, ReplicaReport
from longshore.planning.protection_figures import WINDOWS
from longshore.service.parts import TheStore, judged_router
from longshore.service.replicas_shown import points_shown, provider_names, replica_shown
from longshore.store import MigrationRecord

router = judged_router("/v1")
_LANDINGS = 50  # the last ones


@router.get("/replicas/{replica}/report")
def report(replica: str, store: TheStore) -> ReplicaReport:
    """Report how old a replica's points are and were, what syncs took, which machines were made of points and how long
    that took.
    """
    found = store.replicas.get(replica)
    now = datetime.now(UTC)
    arrivals = store.points.arrivals(found.id, now - max(WINDOWS))
    return ReplicaReport(
        made_at=now,
        replica=replica_shown(store, found, store.migrations.get(found.id), provider_names(store)),
        points=points_shown(store, found),
        arrivals=[Arrived(moment=one.moment, usable_at=one.usable_at) for one in arrivals],
        landings=[_landed(one) for one in store.migrations.made_of(found.id)[-_LANDINGS:]],
    )


def _landed(record: MigrationRecord) -> Landed:
    result = record.result or {}
    return Landed(
        id=record.id,
        type=record.type,
        status=record.status.value,
        point=record.request["point"],
        asked_at=record.created_at,
        seconds=result.get("seconds"),
        proof=result.get("proof"),
        error=record.error,
    )
