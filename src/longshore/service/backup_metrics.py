"""Figures of backups' proofs for Prometheus, over all projects."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from longshore.store import BackupPolicyRecord, Store

_OUTCOMES = ("good", "failed", "none")


def metrics_of_backups(store: Store) -> Iterator[Metric]:
    found = store.backup_policies.all()
    outcomes = Counter(_outcome(policy) for policy in found if policy.prove is not None)
    proofs = GaugeMetricFamily(
        "longshore_backup_proofs",
        "Policies whose points are proved by a clock, by how the last proof ended or stands.",
        labels=["outcome"],
    )
    for outcome in _OUTCOMES:
        proofs.add_metric([outcome], outcomes[outcome])
    yield proofs
    took = [trial.seconds["all"] for policy in found if policy.proof for trial in policy.proof.trials if trial.shown_by]
    rto = GaugeMetricFamily(
        "longshore_backup_rto_seconds", "What restores took that last proved points, until they were up.", labels=["of"]
    )
    if took:
        rto.add_metric(["worst"], max(took))
    yield rto


def _outcome(policy: BackupPolicyRecord) -> str:
    """One under way counts as failed as soon as a machine of it has."""
    if policy.proof is None or (policy.proves and not policy.proof.failed):
        return "none"
    return "failed" if policy.proof.failed else "good"
