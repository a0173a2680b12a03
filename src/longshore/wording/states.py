"""The names and looks of states on pages: a word, and a kind of look that never stands alone."""

from typing import NamedTuple

from longshore.api.backup_policies import BackupPolicy
from longshore.api.groups import Group, GroupMember
from longshore.api.replicas import Replica
from longshore.api.schemas import ListedMigration, Migration
from longshore.model.backup_policy import Stand
from longshore.model.concern import Severity
from longshore.model.group import GateState, TierState
from longshore.model.replica import IN_PLACE, Stage
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.wording.progress import status_of
from longshore.wording.texts import _, marked


class Shown(NamedTuple):
    said: str
    kind: str  # of ui.status: good, bad, warning, working, waiting, plain

    def of(self, count: int) -> str:
        """So many are in it."""
        return _("%(count)s %(state)s") % {"count": count, "state": _(self.said)}


_KINDS = {
    "done": "good",
    "failed": "bad",
    "cancelled": "plain",
    "queued": "plain",
    "planned": "plain",
    "running": "working",
    "rolling-back": "warning",
    "parked": "warning",
    "interrupted": "bad",
    "stranded": "bad",
    "rehearsed": "good",
}
_WAITS = {
    "waits-for-cutover": Shown(marked("waits for cutover"), "waiting"),
    "waits-with-copy": Shown(marked("waits with its copy"), "waiting"),
    "waits-for-decision": Shown(marked("waits for a decision"), "waiting"),
}
# What templates translate where they show it, for the catalogues: states of migrations, of replicas, of concerns
WORDS = (
    *(marked("done"), marked("failed"), marked("cancelled"), marked("queued"), marked("planned"), marked("running")),
    *(marked("rolling-back"), marked("parked"), marked("interrupted"), marked("stranded"), marked("rehearsed")),
    *(marked("seeding"), marked("protected"), marked("failing-over"), marked("failed-over"), marked("failing-back")),
    *(marked("failed-back"), marked("migrating"), marked("adopted")),
    *(marked("blocker"), marked("warning"), marked("information")),
    *(marked("chosen"), marked("under way"), marked("paused"), marked("not run yet")),
    *(marked("waiting"), marked("shutting-down"), marked("shut-down"), marked("landing"), marked("at-gate")),
    *(marked("not-passed"), marked("not-reached")),
    *(marked("up"), marked("stopped"), marked("not-begun"), marked("passed"), marked("committed")),
)
# What templates translate, too: types of jobs
TYPES = (
    *(marked("dry-run"), marked("cold"), marked("warm"), marked("conversion"), marked("volume")),
    *(marked("inspection"), marked("replica"), marked("test-failover"), marked("failover"), marked("look")),
    *(
        marked("group-test"),
        marked("group-failover"),
        marked("backup"),
        marked("backup-policy"),
        marked("verification"),
    ),
    *(marked("prune"), marked("vault-copy"), marked("in-place"), marked("failback"), marked("plan-check")),
    marked("proxy"),
    *(marked("tenant-export"), marked("tenant-diff"), marked("tenant-import")),
)


def of_status(status: str) -> Shown:
    return _WAITS.get(status) or Shown(status, _KINDS.get(status, "plain"))


def of_migration(migration: ListedMigration) -> Shown:
    return of_status(status_of(migration))


def may_cut_over(migration: Migration) -> bool:
    warm = migration.type is MigrationType.WARM and not migration.status.ended
    return warm and not migration.cutover_requested and migration.source_off_at is None


def may_cancel(migration: ListedMigration) -> bool:
    own = migration.type is not MigrationType.REPLICA
    return own and not migration.status.ended and not migration.cancel_requested


def may_resume(migration: ListedMigration) -> bool:
    return not migration.status.ended and (migration.interrupted or migration.status is Status.PARKED)


_CONDITIONS = {"no-point": "warning", "rpo-breached": "bad", "rpo-warning": "warning", "suspect": "bad"}
_CONDITIONS |= dict.fromkeys(
    ("sync-fails", "drifted", "quota-short", "away", "error", "cannot-land", "test-failed", "failover-failed"), "bad"
)
_CONDITIONS |= dict.fromkeys(("machine-off", "unproven", "adopted"), "info")


def of_condition(code: str) -> str:
    """Return the kind of ui.alert that shows a condition."""
    return _CONDITIONS.get(code, "warning")


def of_replica(replica: Replica | GroupMember) -> Shown:
    bad = any(of_condition(one.code) == "bad" for one in replica.conditions)
    kinds = {"seeding": "working", "protected": "good", "failed-over": "waiting", "failed-back": "waiting"}
    kinds |= dict.fromkeys(("failing-over", "failing-back", "migrating"), "working")
    if bad and replica.stage is Stage.PROTECTED:
        return Shown(marked("protected, with problems"), "bad")
    return Shown(replica.stage.value, "bad" if bad else kinds.get(replica.stage.value, "plain"))


def of_group(group: Group) -> Shown:
    """Return the state that matters first to somebody who needs the group now."""
    there = [one for one in group.members if one.stage in IN_PLACE]
    if group.run and not group.run.status.ended:
        return Shown(marked("under way"), "working")
    if there and len(there) == len(group.members):
        done = all(one.stage is Stage.COMMITTED for one in there)
        return Shown(marked("committed"), "plain") if done else Shown(marked("failed-over"), "waiting")
    if there:
        return Shown(marked("failed over in part"), "bad")
    if not group.members or any(one.unready for one in group.members):
        return Shown(marked("not ready"), "bad")
    if any(of_condition(one.code) == "bad" for member in group.members for one in member.conditions):
        return Shown(marked("ready, with faults"), "warning")
    return Shown(marked("ready"), "good")


_TIERS = {TierState.SHUTTING_DOWN: "working", TierState.LANDING: "working", TierState.AT_GATE: "waiting"}
_TIERS |= {TierState.UP: "good", TierState.STOPPED: "bad"}
_GATES = {GateState.PASSED: "good", GateState.NOT_PASSED: "bad"}


def of_tier(state: TierState) -> Shown:
    return Shown(state.value, _TIERS.get(state, "plain"))


def of_gate(state: GateState) -> Shown:
    return Shown(state.value, _GATES.get(state, "plain"))


_STANDS = {Stand.CHOSEN: "plain", Stand.UNDER_WAY: "working", Stand.DONE: "good", Stand.FAILED: "bad"}


def of_stand(stand: Stand) -> Shown:
    return Shown(stand.value, _STANDS[stand])


def of_policy(policy: BackupPolicy) -> Shown:
    """Return what the policy's last run came to, or that one is under way."""
    run = policy.run
    if policy.error or (run and (run.error or any(one.state is Stand.FAILED for one in run.backups))):
        return of_stand(Stand.FAILED)
    if run:
        return of_stand(Stand.DONE if run.ended_at else Stand.UNDER_WAY)
    return Shown("not run yet", "plain")


_SEVERITIES = {Severity.BLOCKER: "bad", Severity.WARNING: "warning", Severity.INFORMATION: "plain"}


def of_severity(severity: Severity) -> Shown:
    return Shown(severity.value, _SEVERITIES[severity])
