"""Figures for Prometheus: what is queued, moves and failed, over all projects; and what the API was asked.

They tell nothing of any project. Still they are served only where the operator switches them on, since no token is
asked for.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

from fastapi import Request, Response
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longshore.engine.stranded import MissingCapability, crew_of
from longshore.flows.replicas.standing import conditions_of
from longshore.model.backup_policy import Stand
from longshore.model.replica import Stage
from longshore.model.status import Status
from longshore.planning.conditions import CODES
from longshore.service.operation import DOING, doing_of
from longshore.service.parts import judged_router
from longshore.store import BackupPolicyRecord, Store
from longshore.store.tables import utc_now

PATH = "/metrics"
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

router = judged_router()
_LEFT_OUT = ("machine-off", "rpo-warning")  # which takes more than one look at all of them
_OUTCOMES = ("good", "failed", "none")


class _OfTheStore(Collector):
    """Metrics read from the database at each scrape, so that any of several servers tells the same."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        counts = self._store.figures.migrations()
        statuses: Counter[str] = Counter()
        for (status, _), count in counts.items():
            statuses[status] += count
        kept = {status.value: statuses[status.value] for status in Status if status.kept}
        yield _by("status", "longshore_migrations", "Migrations that are on record.", kept)
        failed = {code or "error": count for (status, code), count in counts.items() if status == Status.FAILED.value}
        yield _by("code", "longshore_migrations_failed", "Those that failed, by reason.", failed)
        yield from self._of_the_database()
        yield from self._of_the_nodes()
        yield from self._of_the_queue()
        yield from self._of_the_bytes()
        yield from self._of_the_points()
        yield from _of_replicas(self._store)
        yield from _of_backups(self._store)

    def _of_the_database(self) -> Iterator[Metric]:
        """Yield how much may die before something that was acknowledged is lost."""
        found = self._store.database.redundancy()
        yield GaugeMetricFamily("longshore_database_servers", "Servers that its address names.", found.servers)
        yield GaugeMetricFamily("longshore_database_standbys", "Standbys that follow its primary.", found.standbys)
        yield GaugeMetricFamily(
            "longshore_database_waits", "1: it acknowledges nothing before a standby has it.", float(found.waits)
        )

    def _of_the_nodes(self) -> Iterator[Metric]:
        found, now = self._store.nodes.all(), utc_now()
        alive = sum(one.alive for one in found)
        states = {"alive": alive, "away": len(found) - alive}
        yield _by("state", "longshore_nodes", "Machines that serve together, by state.", states)
        left = GaugeMetricFamily(
            "longshore_certificate_left_seconds",
            "How long the certificate is valid that a machine's service shows.",
            labels=["node", "service"],
        )
        for one in found:
            for service, end in one.certificates.items():
                left.add_metric([one.name, service], (end - now).total_seconds())
        yield left

    def _of_the_bytes(self) -> Iterator[Metric]:
        meaning = "What migrations that are done and on record have moved."
        yield _by("how", "longshore_moved_bytes", meaning, self._store.figures.moved())
        copies = self._store.figures.copies()
        yield GaugeMetricFamily("longshore_copies", "Disks that are being copied or read back.", len(copies))
        rate = sum(float(copy.get("rate") or 0.0) for copy in copies)
        yield GaugeMetricFamily("longshore_copy_rate_bytes", "Bytes per second of all copies together.", rate)
        left = sum(max(int(copy.get("total") or 0) - int(copy.get("done") or 0), 0) for copy in copies)
        yield GaugeMetricFamily("longshore_copy_left_bytes", "What these copies have still to read.", left)

    def _of_the_points(self) -> Iterator[Metric]:
        """Yield the metrics of the RPO: what would be lost if the sources were gone now."""
        now = datetime.now(UTC)
        ages = [(now - point).total_seconds() for point in self._store.figures.points()]
        yield GaugeMetricFamily("longshore_synchronised", "Machines with a verified copy that is kept up.", len(ages))
        yield _of("longshore_rpo_seconds", "How old the verified copies of these machines are.", ages)

    def _of_the_queue(self) -> Iterator[Metric]:
        crew, records = crew_of(self._store), self._store.queue.records()
        workers = crew.workers if crew.running else []
        yield GaugeMetricFamily("longshore_workers", "Workers that are alive.", len(workers))
        yield GaugeMetricFamily(
            "longshore_workers_capacity", "Migrations that they take at once.", sum(w.capacity for w in workers)
        )
        doing = Counter(doing_of(record) for record in records)
        meaning = "Migrations that have not ended, by what they do."
        yield _by("doing", "longshore_queue", meaning, {name: doing[name] for name in DOING})
        lacks = Counter(said.lack for record in records if (said := crew.stranded(record)))
        meaning = "Those of them that no living worker can take, by what is missing."
        yield _by("lack", "longshore_stranded", meaning, {lack.value: lacks[lack] for lack in MissingCapability})


class Metrics:
    """Metrics of one application."""

    def __init__(self, store: Store) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_OfTheStore(store))
        self.requests = Histogram(
            "longshore_request_seconds",
            "How long requests took to be answered.",
            ["method", "status"],
            registry=self.registry,
            buckets=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0),
        )


class Measure:
    """Middleware around all of the application that measures how long requests take."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def seen(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = str(message["status"])
                # To the first byte: a stream of events lasts as long as its reader likes
                method = scope["method"] if scope["method"] in _METHODS else "other"  # each would be a series for good
                self._metrics.requests.labels(method, status).observe(time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, seen)


@router.get(PATH, include_in_schema=False)
def metrics(request: Request) -> Response:
    """Return the metrics in Prometheus' format."""
    of_this: Metrics = request.app.state.metrics
    return Response(generate_latest(of_this.registry), media_type=CONTENT_TYPE_LATEST)


def _of_replicas(store: Store) -> Iterator[Metric]:
    now, found = datetime.now(UTC), store.protection.all()
    stages = Counter(one.stage for one in found)
    meaning = "Replicas, by where they are in their life."
    yield _by("stage", "longshore_replicas", meaning, {stage.value: stages[stage] for stage in Stage})
    codes = Counter(condition.code for one in found for condition in conditions_of(one, now))
    told = {code: codes[code] for code in CODES if code not in _LEFT_OUT}
    yield _by("condition", "longshore_replica_conditions", "Replicas of which this is to be said.", told)
    shares = [(now - one.newest).total_seconds() / one.rpo for one in found if one.newest and one.rpo]
    yield _of("longshore_replica_rpo_ratio", "How old newest points are, as a share of the RPO asked for.", shares)
    took = [(one.usable_at - one.newest).total_seconds() for one in found if one.newest and one.usable_at]
    yield _of("longshore_replica_sync_seconds", "What the syncs took that made the newest points.", took)
    rto = store.protection.recoveries()
    yield _of("longshore_replica_rto_seconds", "What machines made of points took until they were seen up.", rto)


def _by(label: str, name: str, meaning: str, figures: Mapping[str, float]) -> Metric:
    """Return the metric that has a figure for each value of one label."""
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for value, figure in figures.items():
        family.add_metric([value], figure)
    return family


def _of(name: str, meaning: str, values: Sequence[float]) -> Metric:
    return _by("of", name, meaning, {"worst": max(values), "median": median(values)} if values else {})


def _of_backups(store: Store) -> Iterator[Metric]:
    found = store.backup_policies.all()
    copies = Counter(_stand(policy) for policy in found if policy.copy_to is not None)
    meaning = "Policies with a second vault, by how the last copy to it ended or stands."
    yield _by("outcome", "longshore_backup_copies", meaning, {outcome: copies[outcome] for outcome in _OUTCOMES})
    proofs = Counter(_outcome(policy) for policy in found if policy.prove is not None)
    meaning = "Policies whose points are proved by a clock, by how the last proof ended or stands."
    yield _by("outcome", "longshore_backup_proofs", meaning, {outcome: proofs[outcome] for outcome in _OUTCOMES})
    took = [trial.seconds["all"] for policy in found if policy.proof for trial in policy.proof.trials if trial.shown_by]
    meaning = "What restores took that last proved points, until they were up."
    yield _by("of", "longshore_backup_rto_seconds", meaning, {"worst": max(took)} if took else {})


def _stand(policy: BackupPolicyRecord) -> str:
    """Return how a policy's last second copy ended. It is good, too, when only old points there couldn't be deleted."""
    if policy.copy is None or not policy.copy.stand.ended:
        return "none"
    return "failed" if policy.copy.stand is Stand.FAILED else "good"


def _outcome(policy: BackupPolicyRecord) -> str:
    """Return the outcome of a policy's proof. One under way counts as failed as soon as a machine of it has."""
    if policy.proof is None or (policy.proves and not policy.proof.failed):
        return "none"
    return "failed" if policy.proof.failed else "good"
