"""Figures of backups' second copies and proofs for Prometheus, over all projects."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from longshore.model.backup_policy import Stand
from longshore.store import BackupPolicyRecord, Store

_OUTCOMES = ("good", "failed", "none")


def metrics_of_backups(store: Store) -> Iterator[Metric]:
    found = store.backup_policies.all()
    stands = Counter(_stand(policy) for policy in found if policy.copy_to is not None)
    copies = GaugeMetricFamily(
        "longshore_backup_copies",
        "Policies with a second vault, by how the last copy to it ended or stands.",
        labels=["outcome"],
    )
    for outcome in _OUTCOMES:
        copies.add_metric([outcome], stands[outcome])
    yield copies
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
