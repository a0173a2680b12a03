"""The phases that a migration's record goes through: what each is, and which a kind of work has, in their usual order.

A phase that nothing asks for is left out: without a playbook there is no hook, and a guest that lands as it is isn't
converted. What is looked into beforehand if possible is looked into late where it isn't.
"""

from longshore.model.request import MigrationType

MEANINGS = {
    "queued": "It waits for its turn.",
    "preparing": "What is asked for is looked at on both sides, and checked once more.",
    "hook-before": "The playbook that was asked for runs: before anything is made, or before a backup's snapshot.",
    "making-volumes": "Its volumes are made on the target.",
    "protecting": "A snapshot is taken where the machine came from: it can go back to that.",
    "seeding": "The volumes are written from a point in a vault, so that less has to be copied.",
    "inspecting": "The disks are looked into: which system is on them, and what it needs.",
    "syncing": "What has changed since the last copy is copied while the machine runs; at first all of it.",
    "waiting": "Nothing is under way: the next sync, the cutover or a wish is waited for.",
    "shutting-down": "The machine is shut down, and waited for until it is seen off.",
    "last-sync": "The machine is off, and what it has written last is copied.",
    "snapshot": "One snapshot of all disks is taken, or what else gives one moment of them.",
    "copying": "The disks are copied, all at once, and read back as was asked for.",
    "finishing": "What was copied becomes the user's.",
    "safeguarding": "The volumes are snapshotted, before the guest is changed.",
    "converting": "The guest is made ready for its new hardware.",
    "removing": "The server goes, to be made anew on other hardware; or what was left behind is removed.",
    "booting": "The server is made, or the machine powered on.",
    "checking": "The guest is waited for, until something shows that it is up.",
    "hook-after": "The playbook that was asked for runs: once the guest was seen up, or after a backup's snapshot.",
    "handing-over": "All that it made is the user's, and the rollback points are removed.",
    "cleaning-up": "What was made on the way is removed.",
    "up": "It is up, and stays until its time is over or somebody says what becomes of it.",
    "deploying": "A proxy's disk is uploaded to a source's datastore, and the machine is made.",
    "undoing": "What has taken the machine's place goes, and the machine is as it was.",
    "undone": "What had taken the machine's place is gone.",
    "committing": "What has taken the machine's place is made for good.",
    "landing": "The servers of a tier are made, booted and seen up.",
    "gate": "Between two tiers a pause goes by, or a command runs.",
    "stopping": "No further tier begins; what is under way comes to its end.",
    "stopped": "Not all of its machines were seen up.",
    "choosing": "It is seen which points the other vault hasn't got.",
    "verifying": "All that the points of a vault name is read.",
    "resources": "A tenant's resources are read, and written to files, compared or made.",
    "examining": "What stands against a plan is looked for, in both clouds.",
    "pruning": "What no point of a vault names is removed.",
    "done": "All was done that was asked for.",
    "rolling-back": "It has failed or was cancelled, and all that it made is taken back.",
    "rolled-back": "All that it made was taken back, but for what its error names.",
    "cancelled": "It goes on no longer; what it has done stays.",
    "parked": "It can't go on now, keeps what it has, and is tried again. Only in events.",
    "stranded": "No worker can take it. Only in events.",
}

LANDING = ("safeguarding", "converting", "booting", "checking")  # after the last byte, until it is seen up
_READY = ("queued", "preparing", "hook-before", "making-volumes")
_LANDED = (*LANDING, "hook-after")
_OF_POINT = ("queued", "preparing", "hook-before", "making-volumes", "snapshot", "copying", "inspecting", *_LANDED)
_OF_GROUP = ("queued", "preparing", "shutting-down", "landing", "gate", "up", "stopping", "stopped", "done")
_OF_TENANT = ("queued", "resources", "cancelled", "done")
_ORDERS: dict[MigrationType, tuple[str, ...]] = {
    MigrationType.DRY_RUN: (*_OF_POINT, "cleaning-up", "done"),
    MigrationType.COLD: (
        *(*_READY, "inspecting", "shutting-down", "snapshot", "copying"),
        *(*_LANDED, "handing-over", "done"),
    ),
    MigrationType.WARM: (
        *(*_READY, "syncing", "inspecting", "waiting", "shutting-down", "last-sync"),
        *(*_LANDED, "handing-over", "done"),
    ),
    MigrationType.CONVERSION: (
        *("queued", "preparing", "inspecting", "shutting-down", "safeguarding", "converting"),
        *("removing", "booting", "checking", "handing-over", "done"),
    ),
    MigrationType.VOLUME: ("queued", "preparing", "making-volumes", "snapshot", "copying", "finishing", "done"),
    MigrationType.INSPECTION: ("queued", "preparing", "snapshot", "inspecting", "done"),
    MigrationType.REPLICA: (
        *("queued", "preparing", "making-volumes", "seeding", "waiting", "syncing", "inspecting", "shutting-down"),
        *("last-sync", *LANDING, "handing-over", "done"),  # where it ends as a migration
        *("undoing", "committing", "removing", "cancelled"),
    ),
    MigrationType.TEST: (*_OF_POINT, "cleaning-up", "up", "done"),
    MigrationType.FAILOVER: (*_OF_POINT, "cleaning-up", "done"),
    MigrationType.LOOK: ("queued", "preparing", "making-volumes", "inspecting", "done"),
    MigrationType.GROUP_TEST: _OF_GROUP,
    MigrationType.GROUP_FAILOVER: _OF_GROUP,
    MigrationType.BACKUP: ("queued", "preparing", "hook-before", "snapshot", "hook-after", "copying", "done"),
    MigrationType.BACKUP_POLICY: ("queued", "waiting", "cancelled"),
    MigrationType.VERIFICATION: ("queued", "verifying", "done"),
    MigrationType.PRUNE: ("queued", "pruning", "done"),
    MigrationType.PLAN_CHECK: ("queued", "examining", "cancelled", "done"),
    MigrationType.PROXY: ("queued", "deploying", "done"),
    MigrationType.TENANT_EXPORT: _OF_TENANT,
    MigrationType.TENANT_DIFF: _OF_TENANT,
    MigrationType.TENANT_IMPORT: _OF_TENANT,
    MigrationType.VAULT_COPY: ("queued", "choosing", "copying", "done"),
    MigrationType.IN_PLACE: (
        *("queued", "preparing", "hook-before", "making-volumes", "copying", "shutting-down", *_LANDED),
        *("cleaning-up", "up", "committing", "undoing", "undone", "done"),
    ),
    MigrationType.FAILBACK: (
        *("queued", "preparing", "protecting", "making-volumes", "syncing", "copying", "inspecting", "shutting-down"),
        *("last-sync", *_LANDED, "cleaning-up", "done"),
    ),
}
_OF_FURTHER_TRIES = {MigrationType.COLD: ("waiting", "syncing", "last-sync")}
OF_ANY = ("rolling-back", "rolled-back", "removing", "parked", "stranded")


def of_kind(kind: MigrationType) -> tuple[str, ...]:
    """Return the phases of a kind in their usual order, without those that any kind may come to."""
    return _ORDERS[kind]


def phases_of(kind: MigrationType) -> tuple[str, ...]:
    """Return all phases that it may have; last come those of another try with what was copied, and those that any kind
    may come to."""
    return tuple(dict.fromkeys((*_ORDERS[kind], *_OF_FURTHER_TRIES.get(kind, ()), *OF_ANY)))
