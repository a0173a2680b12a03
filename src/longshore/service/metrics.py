"""Figures for Prometheus: what is queued, moves and failed, over all projects; and what the API was asked.

They tell nothing of any project. Still they are served only where the operator switches them on, since no token is
asked for.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
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
        migrations = GaugeMetricFamily("longshore_migrations", "Migrations that are on record.", labels=["status"])
        for status in filter(lambda one: one.kept, Status):
            migrations.add_metric([status.value], sum(n for (s, _), n in counts.items() if s == status.value))
        yield migrations
        failed = GaugeMetricFamily("longshore_migrations_failed", "Those that failed, by reason.", labels=["code"])
        for (status_, code), count in counts.items():
            if status_ == Status.FAILED.value:
                failed.add_metric([code or "error"], count)
        yield failed
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
        nodes = GaugeMetricFamily("longshore_nodes", "Machines that serve together, by state.", labels=["state"])
        alive = sum(one.alive for one in found)
        nodes.add_metric(["alive"], alive)
        nodes.add_metric(["away"], len(found) - alive)
        yield nodes
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
        moved = GaugeMetricFamily(
            "longshore_moved_bytes", "What migrations that are done and on record have moved.", labels=["how"]
        )
        for how, count in self._store.figures.moved().items():
            moved.add_metric([how], count)
        yield moved
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
        rpo = GaugeMetricFamily(
            "longshore_rpo_seconds", "How old the verified copies of these machines are.", labels=["of"]
        )
        if ages:
            rpo.add_metric(["worst"], max(ages))
            rpo.add_metric(["median"], median(ages))
        yield rpo

    def _of_the_queue(self) -> Iterator[Metric]:
        crew, records = crew_of(self._store), self._store.queue.records()
        workers = crew.workers if crew.running else []
        yield GaugeMetricFamily("longshore_workers", "Workers that are alive.", len(workers))
        yield GaugeMetricFamily(
            "longshore_workers_capacity", "Migrations that they take at once.", sum(w.capacity for w in workers)
        )
        queue = GaugeMetricFamily(
            "longshore_queue", "Migrations that have not ended, by what they do.", labels=["doing"]
        )
        doing = Counter(doing_of(record) for record in records)
        for name in DOING:
            queue.add_metric([name], doing[name])
        yield queue
        stranded = GaugeMetricFamily(
            "longshore_stranded", "Those of them that no living worker can take, by what is missing.", labels=["lack"]
        )
        lacks = Counter(said.lack for record in records if (said := crew.stranded(record)))
        for lack in MissingCapability:
            stranded.add_metric([lack.value], lacks[lack])
        yield stranded


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


def _of_backups(store: Store) -> Iterator[Metric]:
    found = store.backup_policies.all()
    copies = Counter(_stand(policy) for policy in found if policy.copy_to is not None)
    meaning = "Policies with a second vault, by how the last copy to it ended or stands."
    yield _by_outcome("longshore_backup_copies", meaning, copies)
    proofs = Counter(_outcome(policy) for policy in found if policy.prove is not None)
    meaning = "Policies whose points are proved by a clock, by how the last proof ended or stands."
    yield _by_outcome("longshore_backup_proofs", meaning, proofs)
    took = [trial.seconds["all"] for policy in found if policy.proof for trial in policy.proof.trials if trial.shown_by]
    rto = GaugeMetricFamily(
        "longshore_backup_rto_seconds", "What restores took that last proved points, until they were up.", labels=["of"]
    )
    if took:
        rto.add_metric(["worst"], max(took))
    yield rto


def _by_outcome(name: str, meaning: str, counts: Counter[str]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=["outcome"])
    for outcome in _OUTCOMES:
        family.add_metric([outcome], counts[outcome])
    return family


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
