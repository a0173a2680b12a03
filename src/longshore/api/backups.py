"""Vaults, the points in them, backups and restores, as they go over the wire. Sizes are bytes."""

from typing import Annotated, Any

from pydantic import Field, SecretStr

from longshore.api.replicas import Hold
from longshore.api.schemas import Moment, Name, Strict
from longshore.model.request import BackupRequest, MigrationRequest

Place = Annotated[str | None, Field(min_length=1, max_length=1000)]


class NewVault(Strict):
    name: Name
    directory: Place = None  # absolute; empty, or not there yet
    url: Place = None  # or s3://bucket/prefix, which has to be free
    endpoint: Place = None  # of the bucket's S3 server; null: Amazon's
    region: Place = None  # of the bucket; null: us-east-1
    access_key: Place = None  # of the bucket: its id
    ca_file: Place = None  # PEM, with the authority of the S3 server's certificate; null: the system's
    secret_key: SecretStr | None = None
    pass_phrase: SecretStr | None = None  # null, and no barbican: it isn't encrypted, for ever
    # the OpenStack provider, by its name or id, in whose key manager what opens it is made and kept
    barbican: Name | None = None
    lock: Annotated[int, Field(ge=1, le=3650)] | None = None  # days for which nobody can delete what is in it


class Vault(Strict):
    """A vault, as its record has it: nothing of the vault itself was read."""

    id: str
    project_id: str = ""  # empty without a server: nothing belongs to a project then
    name: str
    directory: str | None  # null: it is in a bucket, or another project's, which shares it
    url: str | None  # of its bucket: null as well


class NewVaultKey(Strict):
    name: Name  # what it is for
    pass_phrase: SecretStr | None = None  # null, and no barbican: one is made, a recovery key, and said once
    barbican: Name | None = None  # or one is made, and kept in the key manager of this OpenStack provider


class InBarbican(Strict):
    """The secret that is the pass phrase of a key, and whose. Whoever may read it there can open the vault."""

    secret: str  # its id
    auth_url: str
    region: str  # empty: the cloud's only one
    project: str  # its id


class VaultKey(Strict):
    id: str
    name: str  # empty: nobody has said what it is for
    made_at: Moment | None
    opens: bool  # the one by which the vault is opened here
    kept: InBarbican | None  # null: nobody's but whoever knows it


class MadeVaultKey(VaultKey):
    recovery_key: str | None  # kept nowhere: whoever has it opens the vault. null: a pass phrase was given


class VaultCopy(Strict):
    to: str  # the other vault
    in_clear: bool = False  # from an encrypted vault into one that isn't


class VaultLock(Strict):
    """State of a vault's object lock, over all that its points need."""

    days: float  # that it promises
    until: Moment | None  # the earliest end of any object's
    short: int  # objects with less than the promised time left: the next prune renews them


class VaultCheck(Strict):
    """Result of the check of a vault.

    The documents and maps of its points were read; packs were only found to be there.
    """

    vault: Vault
    encrypted: bool
    points: int
    lock: VaultLock | None  # null: anybody who has its keys can delete what is in it
    faults: list[str]  # sentences; none: nothing is wrong
    passed_over: list[str]  # names of objects that are none of the vault's
    keeps_deleted: bool  # the bucket keeps versions of what was removed, so that prunes free nothing


class VaultRecovery(Strict):
    """Points, packs and other objects of a vault that are there again, as they were at first."""

    points: list[str]
    packs: int
    others: list[str]  # names of objects: of keys that had been removed, too


class DeletedPoint(Strict):
    kept_until: Moment | None  # in a vault that locks: it can be had back until then. null: it is gone
    left: list[str] = Field(default_factory=list)  # sentences: what couldn't be removed at the source


class NewBackup(Strict):
    machine: str  # name, inventory path or reference; volume:NAME is a volume that no machine has
    source: str
    vault: str
    request: BackupRequest = Field(default_factory=BackupRequest)


class NewRestore(Strict):
    """Request for a restore: a point becomes a machine, as by a cold migration, or one of its disks a volume."""

    vault: str
    point: str  # its name, the part behind the slash, or its machine's name for the newest one
    target: str
    disk: Annotated[int, Field(ge=1)] | None = None  # only this one, the first is 1: as a volume, without a machine
    request: MigrationRequest = Field(default_factory=MigrationRequest)  # its type: cold, dry-run or in-place


class LastTrial(Strict):
    """A restore of a point as a dry run, by a policy's clock or by hand, while its record is kept."""

    migration: str
    at: Moment
    shown_by: str | None  # what has shown that it is up
    error: str | None  # why it wasn't seen up


class VaultPoint(Strict):
    """One moment of all disks of a machine."""

    name: str
    machine_name: str
    machine_uuid: str  # its instance UUID, else its UUID; empty: it has none
    moment: Moment
    consistency: str
    size: int  # of its disks together
    disks: list[str]  # their keys
    hold: Hold | None  # for which nobody deletes it
    trial: LastTrial | None  # the last one that has ended
    damaged: str | None  # why it can't be read: nothing of it can be restored; null: it can be read


class VaultPointDetails(VaultPoint):
    machine: dict[str, Any]  # as it was then; nothing secret


class PointInVault(VaultPoint):
    policy: str | None  # that has made it, by its name; null: none that there is now
    suspect: bool | None  # a verification has found damage in it; null: no policy judges it
    kept: list[str] | None  # why it stays; none: it goes after the machine's next successful backup; null: as above


class MachineInVault(Strict):
    machine: str  # its name as the newest point has it; empty: that can't be read
    points: int
    oldest: Moment | None  # null: it can't be read
    newest: Moment | None


class VaultUsage(Strict):
    """Quantities of a vault. Those about the whole of it are null for a vault that another project shares."""

    objects: int | None
    stored: int | None  # bytes
    free: int | None  # bytes that there is room for; null: a bucket doesn't say
    per_day: float | None  # bytes that were stored in the last 30 days and are there still; null: it is too young
    full_at: Moment | None  # when its room ends at that pace; null: nobody can say, or it isn't in sight
    verified_at: Moment | None  # the end of the last verification that was asked for here; null: none has ended
    verified_well: bool | None  # that all was as it had been written
    pruned_at: Moment | None  # the end of the last prune that was asked for here
    machines: list[MachineInVault]  # by name


class Prunable(Strict):
    """Result of a prune, if there were one now."""

    points: int
    packs: int  # that are there
    deleted: int  # packs that would be removed
    freed: int  # bytes of these
    condemned: int  # packs that a later prune may remove


class VaultContents(Strict):
    """A page of a vault's points, newest first."""

    encrypted: bool
    of: int  # points that are in it
    total: int  # points that fit what was asked for
    points: list[PointInVault]
