"""Figures of replicas for Prometheus, over all projects."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from statistics import median

from prometheus_client.core import GaugeMetricFamily, Metric

from longshore.flows.replicas.standing import conditions_of
from longshore.model.replica import Stage
from longshore.planning.conditions import CODES
from longshore.store import Store

_LEFT_OUT = ("machine-off", "rpo-warning")  # which takes more than one look at all of them


def metrics_of(store: Store) -> Iterator[Metric]:
    now, found = datetime.now(UTC), store.protection.all()
    stages = Counter(one.stage for one in found)
    replicas = GaugeMetricFamily("longshore_replicas", "Replicas, by where they are in their life.", labels=["stage"])
    for stage in Stage:
        replicas.add_metric([stage.value], stages[stage])
    yield replicas
    codes = Counter(condition.code for one in found for condition in conditions_of(one, now))
    conditions = GaugeMetricFamily(
        "longshore_replica_conditions", "Replicas of which this is to be said.", labels=["condition"]
    )
    for code in CODES:
        if code not in _LEFT_OUT:
            conditions.add_metric([code], codes[code])
    yield conditions
    shares = [(now - one.newest).total_seconds() / one.rpo for one in found if one.newest and one.rpo]
    yield _of("longshore_replica_rpo_ratio", "How old newest points are, as a share of the RPO asked for.", shares)
    took = [(one.usable_at - one.newest).total_seconds() for one in found if one.newest and one.usable_at]
    yield _of("longshore_replica_sync_seconds", "What the syncs took that made the newest points.", took)
    rto = store.protection.recoveries()
    yield _of("longshore_replica_rto_seconds", "What machines made of points took until they were seen up.", rto)


def _of(name: str, meaning: str, values: Sequence[float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=["of"])
    if values:
        family.add_metric(["worst"], max(values))
        family.add_metric(["median"], median(values))
    return family
