"""The kinds of job: each job is one durable piece of work with an end."""

from enum import StrEnum


class JobKind(StrEnum):
    COLD = "cold"
    DRY_RUN = "dry-run"
    CONVERSION = "conversion"
    VOLUME = "volume"
    INSPECTION = "inspection"
    REPLICA = "replica"  # one sync of a replica, or what else is wanted of it
    LANDING = "landing"  # a machine made of a replica's point
    LOOK = "look"  # into the disks of a replica's point
    CLEAN_UP = "clean-up"  # of a test whose server was to stay for a while
    GROUP = "group"  # one look at a group of replicas that fails over, or is tried
    FAILBACK = "failback"  # the way back of one
    RETURN = "return"  # likewise, to a new server
    IN_PLACE = "in-place"  # a restore in the place of a server
    DECISION = "decision"  # which waits for a word, and then makes that for good or takes it back
    BACKUP = "backup"  # of a machine, to a point in a vault
    BACKUP_POLICY = "backup-policy"  # one look at a policy: what is due begins, what has ended is noted
    VERIFICATION = "verification"  # of a vault
    PRUNE = "prune"
    VAULT_COPY = "vault-copy"  # of a vault's points, into another one
    PLAN_CHECK = "plan-check"  # of what stands against a plan
    PROXY = "proxy"  # made at a source
    TENANT = "tenant"  # of a tenant's resources, between a cloud and files
    MARK = "mark"  # of the source of a migration that is done
    BEGIN = "begin"  # of a warm migration: what can fail before anything is copied
    SYNC = "sync"  # one copy of a machine that runs; where its moment has come, the cutover follows in the same job
    CUTOVER = "cutover"  # a sync that has begun to cut over

    @property
    def begins_anew(self) -> bool:
        """Say whether a worker of any flow version can begin it anew: its record and the ledger have all it needs."""
        return self.value in BEGIN_ANEW

    @property
    def moves_blocks(self) -> bool:
        """Say whether it reads or writes disks, or begins others that do."""
        return self not in _LEAVE_DISKS_ALONE

    @property
    def awaited(self) -> bool:
        """Say whether somebody waits for its answer: it isn't queued behind what moves machines, which takes hours."""
        return self.value in AWAITED


AWAITED = (JobKind.PLAN_CHECK.value, JobKind.TENANT.value, JobKind.PROXY.value)  # as the database has them
_LEAVE_DISKS_ALONE = (
    *AWAITED,
    JobKind.CLEAN_UP,
    JobKind.DECISION,
    JobKind.VERIFICATION,
    JobKind.PRUNE,
    JobKind.VAULT_COPY,
    JobKind.MARK,
)
BEGIN_ANEW = tuple(  # as the database has them
    kind.value
    for kind in (
        JobKind.SYNC,
        JobKind.REPLICA,
        JobKind.CLEAN_UP,
        JobKind.DECISION,
        JobKind.MARK,
        JobKind.GROUP,
        JobKind.BACKUP_POLICY,
        JobKind.PLAN_CHECK,
        JobKind.TENANT,
    )
)
