"""Workflows by their names: whoever goes on with what a dead worker has left finds them by nothing else."""

from dbos._registrations import get_dbos_func_name

from longshore.flows.workflows import FLOWS
from longshore.model.job import JobKind

# Renaming one strands jobs that were begun under the same order of steps
NAMES = {
    JobKind.COLD: "cold-migration",
    JobKind.BEGIN: "warm-begin",
    JobKind.SYNC: "warm-sync",
    JobKind.CUTOVER: "warm-sync",  # what a sync becomes while its workflow runs
    JobKind.DRY_RUN: "dry-run",
    JobKind.CONVERSION: "late-conversion",
    JobKind.MARK: "mark",
    JobKind.VOLUME: "volume-move",
    JobKind.INSPECTION: "inspection",
    JobKind.REPLICA: "replica",
    JobKind.LANDING: "landing",
    JobKind.LOOK: "look",
    JobKind.CLEAN_UP: "clean-up",
    JobKind.GROUP: "group",
    JobKind.FAILBACK: "failback",
    JobKind.RETURN: "return",
    JobKind.BACKUP: "backup",
    JobKind.BACKUP_POLICY: "backup-policy",
    JobKind.VERIFICATION: "verification",
    JobKind.PRUNE: "prune",
    JobKind.VAULT_COPY: "vault-copy",
    JobKind.IN_PLACE: "in-place",
    JobKind.DECISION: "decision",
    JobKind.PLAN_CHECK: "plan-check",
    JobKind.PROXY: "proxy",
    JobKind.TENANT: "tenant",
}


def test_each_kind_of_job_has_a_workflow_whose_name_stays():
    assert {kind: get_dbos_func_name(FLOWS.of(kind)) for kind in JobKind} == NAMES
    assert get_dbos_func_name(FLOWS.end_unknown) == "end-unknown"


def test_no_workflow_takes_anothers_name():
    """DBOS says nothing when a name is registered once more: the later one would run the jobs of both."""
    assert len({id(FLOWS.of(kind)) for kind in JobKind}) == len(set(NAMES.values()))
