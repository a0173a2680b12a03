"""The tables. Times are UTC without a zone, as SQLite keeps them; sizes are bytes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, overload

from sqlalchemy import JSON, BigInteger, ColumnElement, DateTime, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates

from longshore.model.request import MigrationType
from longshore.store.clock import TheMoment


def utc_now() -> datetime:
    return without_zone(datetime.now(UTC))


def without_zone(moment: datetime) -> datetime:
    """Return a moment as tables have it, in UTC without a zone. `moment` has its zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


@overload
def with_zone(moment: datetime) -> datetime: ...
@overload
def with_zone(moment: datetime | None) -> datetime | None: ...
def with_zone(moment: datetime | None) -> datetime | None:
    """Return a moment that tables have with its zone, UTC. None stays None."""
    return moment.replace(tzinfo=UTC) if moment is not None else None


def in_column(value: Any) -> Any:
    """Return a value as it goes into a column. PostgreSQL keeps no NUL in a text, and a guest may well print one."""
    if isinstance(value, StrEnum):
        return value.value
    return value.replace("\0", "�") if isinstance(value, str) else value


def type_of(request: Mapping[str, Any]) -> str:
    """Return the type of migration that a request, as the database has it, asks for."""
    return MigrationType(request.get("type", MigrationType.COLD)).value


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {
        dict[str, Any]: JSON,
        list[dict[str, Any]]: JSON,
        datetime: DateTime,
        str: String(255),
    }


class ProviderRow(Base):
    __tablename__ = "providers"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    name: Mapped[str]
    unique_name: Mapped[str] = mapped_column(unique=True)  # PROJECT/NAME
    kind: Mapped[str]
    settings: Mapped[dict[str, Any]]  # never a secret
    last_check: Mapped[dict[str, Any] | None]  # when it was asked last, and what was found or why it wasn't
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ShareRow(Base):
    """A project that may use another project's provider; "*": every project."""

    __tablename__ = "provider_shares"

    provider_id: Mapped[str] = mapped_column(ForeignKey("providers.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(primary_key=True)


class SecretRow(Base):
    """An encrypted value. What it belongs to is authenticated with it, so rows can't be swapped."""

    __tablename__ = "secrets"

    provider_id: Mapped[str] = mapped_column(ForeignKey("providers.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ProviderLedgerRow(Base):
    """One thing that was made outside for a provider itself. Its provider may not be kept yet, so it refers to none."""

    __tablename__ = "provider_ledger"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    provider_id: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    user_id: Mapped[str] = mapped_column(default="")
    ref: Mapped[str | None]
    keeper_id: Mapped[str | None]
    key_id: Mapped[str | None]
    written_at: Mapped[datetime] = mapped_column(default=utc_now)


class PlanRow(Base):
    """A plan, made into migrations that carry its id."""

    __tablename__ = "plans"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    name: Mapped[str]
    unique_name: Mapped[str] = mapped_column(unique=True)  # PROJECT/NAME
    content: Mapped[dict[str, Any]]  # the plan as its file has it
    revision: Mapped[int] = mapped_column(default=1)  # one more with each change
    draft: Mapped[str | None]  # the word of one that was proposed, and neither kept nor started yet
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)


class PlanCheckPartRow(Base):
    """Findings of a plan's check on some machines, or on all of them together."""

    __tablename__ = "plan_check_parts"

    check_id: Mapped[str] = mapped_column(ForeignKey("migrations.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # from 1 on
    concerns: Mapped[list[dict[str, Any]]]  # as they go over the wire


class PlanFlavorRow(Base):
    """A flavor that was made, or is about to be, for a plan. The plan may not be kept yet, so it refers to none."""

    __tablename__ = "plan_flavors"

    id: Mapped[str] = mapped_column(primary_key=True)  # the flavor's own
    plan_id: Mapped[str] = mapped_column(index=True)
    provider_id: Mapped[str]
    name: Mapped[str]
    written_at: Mapped[datetime] = mapped_column(default=utc_now)


class MigrationRow(Base):
    __tablename__ = "migrations"
    __table_args__ = (
        Index("ix_migrations_status", "status"),
        # Lists, of one project and of all: a page is read, not all that there is
        Index("ix_migrations_type", "type", "project_id"),
        Index("ix_migrations_age", "created_at", "id"),
        Index("ix_migrations_project_age", "project_id", "created_at", "id"),
        # Of each machine all tries are looked for
        Index("ix_migrations_machine", "source_id", "machine_ref"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(default="")
    type: Mapped[str]  # as its request says it, by which lists choose
    machine_name: Mapped[str]
    machine_ref: Mapped[str]
    source_id: Mapped[str] = mapped_column(ForeignKey("providers.id"))
    target_id: Mapped[str] = mapped_column(ForeignKey("providers.id"))
    request: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(default="queued")
    phase: Mapped[str] = mapped_column(default="queued")
    error: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    conversion_attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    source_power: Mapped[str | None]  # how the machine was found, so that a roll-back can restore it
    shutdown_requested_at: Mapped[datetime | None]
    source_off_at: Mapped[datetime | None]  # the source was first seen powered off: the downtime begins
    target_up_at: Mapped[datetime | None]  # the target's check passed: the downtime ends
    source_on_at: Mapped[datetime | None]  # it was taken back, and the source is powered on again: it ends then
    server_id: Mapped[str | None]
    cutover_requested: Mapped[bool] = mapped_column(default=False)
    syncs: Mapped[list[dict[str, Any]] | None]  # what each copy of the running machine came to, oldest first
    plan_id: Mapped[str | None] = mapped_column(index=True)
    wave: Mapped[int] = mapped_column(default=0)  # those of a plan with a lower number go first
    places: Mapped[dict[str, Any] | None]  # where the machine was when it was asked for: {"path", "host", "datastores"}
    result: Mapped[dict[str, Any] | None]
    state: Mapped[dict[str, Any] | None]  # what the next job of a warm migration needs to know
    touched_at: Mapped[float] = mapped_column(default=TheMoment(), onupdate=TheMoment())

    @hybrid_property
    def of(self) -> str:
        """Return the id of the record that it works for, as its request says it; empty: for none."""
        return self.request.get("of") or ""

    @of.inplace.expression
    @classmethod
    def _of(cls) -> ColumnElement[str]:
        told: ColumnElement[str] = cls.request["of"].as_string()
        return told

    @validates("request")
    def _take_type(self, _column: str, request: dict[str, Any]) -> dict[str, Any]:
        self.type = type_of(request)
        return request


class JobRow(Base):
    """One durable piece of work with an end: a place in the queue. What outlives it is in the record it works for."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_queue", "status", "worker_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)  # its workflow's, too
    record_id: Mapped[str] = mapped_column(index=True)  # of the migration that it works for
    kind: Mapped[str]
    project_id: Mapped[str] = mapped_column(default="")
    source_id: Mapped[str]
    target_id: Mapped[str]
    machine_ref: Mapped[str]
    plan_id: Mapped[str | None]
    wave: Mapped[int] = mapped_column(default=0)
    host: Mapped[str] = mapped_column(default="")  # where the machine was when it was asked for
    datastores: Mapped[list[str]] = mapped_column(JSON)
    # Its place in the queue: when its record was asked for, or its own moment, so that those that come again and again
    # take turns
    asked_at: Mapped[datetime] = mapped_column(default=utc_now)  # its place in the queue, which may be to come
    status: Mapped[str] = mapped_column(default="queued")  # queued, running, parked; then done, failed, cancelled
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    due_at: Mapped[datetime | None]  # not before; None: at once
    # When `due_at` was chosen, in seconds since 1970 by the clock of the process that chose it
    chosen_at: Mapped[float] = mapped_column(default=0.0)
    taken_at: Mapped[datetime | None]  # last, by a worker
    ended_at: Mapped[datetime | None]
    parked: Mapped[int] = mapped_column(default=0)  # times, one soon after the other
    reason: Mapped[str | None] = mapped_column(Text)  # why it is parked
    worker_id: Mapped[str | None]  # who has it, or had it when it ended
    flow_version: Mapped[str | None]  # of the order of steps it was begun with


class ReplicaRow(Base):
    """The row of a replica, beside the migration that is its record."""

    __tablename__ = "replicas"

    id: Mapped[str] = mapped_column(ForeignKey("migrations.id", ondelete="CASCADE"), primary_key=True)
    schedule: Mapped[str]
    retention: Mapped[str]
    rpo: Mapped[int | None] = mapped_column(BigInteger)  # seconds
    stage: Mapped[str] = mapped_column(default="seeding")
    wish: Mapped[str | None]
    wished: Mapped[dict[str, Any] | None]  # with a planned failover: what its server is to be, as a request
    paused: Mapped[bool] = mapped_column(default=False)
    paused_until: Mapped[datetime | None]  # None: until it is resumed
    due_at: Mapped[datetime | None]  # of the next sync, by the schedule
    missed: Mapped[int] = mapped_column(default=0)  # times of the schedule
    failures: Mapped[int] = mapped_column(default=0)  # syncs in a row
    error: Mapped[str | None] = mapped_column(Text)  # of the last sync
    error_code: Mapped[str | None]
    failover_error: Mapped[str | None] = mapped_column(Text)  # why the last failover failed, if it did
    failover_id: Mapped[str | None]  # the migration that lands, or has landed, in the machine's place
    failback_id: Mapped[str | None]  # the migration that takes that back to the machine, or has
    prove: Mapped[str | None]  # the schedule of its tests
    prove_due_at: Mapped[datetime | None]  # of the next one
    audit: Mapped[str | None]  # its schedule
    audit_due_at: Mapped[datetime | None]  # the next sync from then on reads everything
    audited_at: Mapped[datetime | None]  # the moment of the last sync that has
    audited_point: Mapped[int | None]  # which it has made
    audits: Mapped[list[dict[str, Any]] | None]  # the last ones, oldest first
    seed: Mapped[dict[str, Any] | None]  # the point in a vault that its volumes are written from first


class LookRow(Base):
    """Findings on the disks of a replica's points, as of the newest look at one of them."""

    __tablename__ = "looks"

    replica_id: Mapped[str] = mapped_column(ForeignKey("replicas.id", ondelete="CASCADE"), primary_key=True)
    due_at: Mapped[datetime | None]  # of the next one; None: at once
    point: Mapped[int | None]  # its number; None: none was looked into yet
    looked_at: Mapped[datetime | None]
    machine: Mapped[dict[str, Any] | None]  # as it was then
    findings: Mapped[dict[str, Any] | None]
    cannot_land: Mapped[str | None] = mapped_column(Text)  # why, in sentences; None: it can
    error: Mapped[str | None] = mapped_column(Text)  # why the last look came to nothing


class BackupPolicyRow(Base):
    """The row of a backup policy, beside the migration that is its record, which says the source and the vault."""

    __tablename__ = "backup_policies"

    id: Mapped[str] = mapped_column(ForeignKey("migrations.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str]
    name: Mapped[str]
    unique_name: Mapped[str] = mapped_column(unique=True)  # PROJECT/NAME
    machines: Mapped[list[str]] = mapped_column(JSON)  # names or references
    wanted: Mapped[dict[str, Any] | None]  # a filter of machines, where they aren't named
    schedule: Mapped[str]
    retention: Mapped[str]
    verify: Mapped[str | None]  # the schedule on which its vault is verified
    copy_to: Mapped[str | None]  # the id of the vault that its points are copied to
    prove: Mapped[str | None]  # the schedule on which its points are proved
    prove_on: Mapped[str | None]  # the id of the cloud where they are
    prove_networks: Mapped[dict[str, Any] | None]  # those of the cloud that are copied, by networks of the machines
    before: Mapped[str | None] = mapped_column(Text)  # the path of a playbook, run before each snapshot
    after: Mapped[str | None] = mapped_column(Text)  # and of one run after it
    due_at: Mapped[datetime]  # of the next run
    verify_due_at: Mapped[datetime | None]
    prove_due_at: Mapped[datetime | None]
    missed: Mapped[int] = mapped_column(default=0)  # times of the schedule, for which the last run made up
    paused: Mapped[bool] = mapped_column(default=False)
    asked: Mapped[bool] = mapped_column(default=False)  # somebody wants a run now
    run: Mapped[dict[str, Any] | None]  # the last one, or the one under way
    verification: Mapped[dict[str, Any] | None]  # likewise
    copy: Mapped[dict[str, Any] | None]  # likewise
    proof: Mapped[dict[str, Any] | None]  # likewise
    error: Mapped[str | None] = mapped_column(Text)  # why the last look at it came to nothing
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class GroupRow(Base):
    """Replicas that are tried, and fail over, together."""

    __tablename__ = "replica_groups"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    name: Mapped[str]
    unique_name: Mapped[str] = mapped_column(unique=True)  # PROJECT/NAME
    gates: Mapped[dict[str, Any]]  # by the number of the tier that they are after
    run_id: Mapped[str | None]  # the migration that is its last test or failover
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class GroupMemberRow(Base):
    __tablename__ = "group_members"

    replica_id: Mapped[str] = mapped_column(ForeignKey("replicas.id", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("replica_groups.id", ondelete="CASCADE"), index=True)
    tier: Mapped[int]
    landing_id: Mapped[str | None] = mapped_column(index=True)  # its machine's migration in that run


class PointRow(Base):
    """One moment of a replica."""

    __tablename__ = "points"

    replica_id: Mapped[str] = mapped_column(ForeignKey("replicas.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(default="making")
    moment: Mapped[datetime]  # when the source's snapshot was asked for
    usable_at: Mapped[datetime | None]
    consistency: Mapped[str | None]
    changed: Mapped[int | None] = mapped_column(BigInteger)  # bytes; None: the source couldn't say
    written: Mapped[int | None] = mapped_column(BigInteger)  # bytes
    disks: Mapped[list[dict[str, Any]] | None]
    machine: Mapped[dict[str, Any] | None]  # as it was then
    holds: Mapped[list[dict[str, Any]] | None]
    proved_at: Mapped[datetime | None]
    proof: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)  # why it couldn't be removed yet
    # It may lack what the source hid, or what its volume has lost
    suspect: Mapped[bool] = mapped_column(default=False)


class TextRow(Base):
    """An encrypted text of a plan or a migration, which goes with it."""

    __tablename__ = "texts"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class WorkerRow(Base):
    """A process that has migrations at work. Its row is its lease: whoever removes it may take what the worker had."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    flow_version: Mapped[str]
    capacity: Mapped[int]  # migrations at once
    labels: Mapped[list[str]] = mapped_column(JSON)
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    # Seconds since 1970 by the database's own clock; None: as long as it holds the lock of its state directory
    lease_until: Mapped[float | None]
    lease_seconds: Mapped[float] = mapped_column(default=0.0)  # that a sign of life counts


class NodeRow(Base):
    """One of the machines that serve together, as its server has last said that it stands."""

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str]
    host: Mapped[str]
    version: Mapped[str]  # of the release that its server runs
    started_at: Mapped[datetime]
    seen_at: Mapped[float]  # seconds since 1970 by the database's own clock
    database: Mapped[str]
    database_since: Mapped[datetime]
    has_address: Mapped[bool]  # the virtual one
    address_since: Mapped[datetime]  # since when it has it, or hasn't
    certificates: Mapped[dict[str, Any]]  # by who shows it, when it ends


class TurnRow(Base):
    """The last turn that a project had in the queue, by a number that grows over all projects."""

    __tablename__ = "turns"

    project_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


class LimitRow(Base):
    """The limit of a place, whatever plans say. Its id is made of the place, see longshore.model.limit."""

    __tablename__ = "limits"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]  # whose jobs it counts; "*": all projects'
    of: Mapped[str]
    provider_id: Mapped[str | None] = mapped_column(ForeignKey("providers.id", ondelete="CASCADE"))
    plan_id: Mapped[str | None] = mapped_column(ForeignKey("plans.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(default="")  # of the host or datastore at the provider
    at_once: Mapped[int | None] = mapped_column(BigInteger)  # jobs
    bytes_per_second: Mapped[int | None] = mapped_column(BigInteger)


class ChannelRow(Base):
    """A channel, by which people are told of what can't wait, and how that has gone."""

    __tablename__ = "channels"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]  # of which it tells; "*": of all
    name: Mapped[str]
    unique_name: Mapped[str] = mapped_column(unique=True)  # PROJECT/NAME
    kind: Mapped[str]
    occasions: Mapped[list[str]] = mapped_column(JSON)
    waits_after: Mapped[float]  # seconds
    quiet: Mapped[str | None]
    digest: Mapped[float]  # seconds that what is to be told is collected
    mail: Mapped[dict[str, Any] | None]  # its server and addresses
    secrets: Mapped[dict[str, Any]]  # the marks of its texts: address, key, password
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    failures: Mapped[int] = mapped_column(default=0)  # tries in a row
    error: Mapped[str | None] = mapped_column(Text)  # of the last one
    retry_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]  # last
    lost: Mapped[int] = mapped_column(default=0)  # messages that were given up
    claim: Mapped[str | None]  # of the process that is telling
    claimed_until: Mapped[float | None]  # by the database's clock, in seconds since 1970


class StandingRow(Base):
    """One thing that stands and that a channel has to do with: so it is told once."""

    __tablename__ = "channel_standings"

    channel_id: Mapped[str] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    told: Mapped[bool] = mapped_column(default=False)
    over: Mapped[dict[str, Any] | None]  # what is told when it is over


class WallLinkRow(Base):
    """A link that shows a project's overview to whoever has it, until it ends."""

    __tablename__ = "wall_links"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    name: Mapped[str]
    unique_name: Mapped[str] = mapped_column(unique=True)  # PROJECT/NAME
    digest: Mapped[str] = mapped_column(unique=True)  # of what is secret in the link
    user_id: Mapped[str]  # who made it
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    ends_at: Mapped[datetime]


class MessageRow(Base):
    """One message that a channel's receiver hasn't taken yet."""

    __tablename__ = "channel_messages"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    channel_id: Mapped[str] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), index=True)
    body: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(default=utc_now)
    delivery_id: Mapped[str | None]  # with which others it is sent; None: it wasn't tried yet


class InstallationRow(Base):
    """The name of the installation, in one row. The shared state directory carries it, too."""

    __tablename__ = "installation"

    id: Mapped[str] = mapped_column(primary_key=True)


class DiskRow(Base):
    """The copy of one disk, and how far it is."""

    __tablename__ = "migration_disks"

    migration_id: Mapped[str] = mapped_column(ForeignKey("migrations.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    label: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(default="waiting")  # waiting, copying, verifying, done
    progress: Mapped[dict[str, Any] | None]
    volume_id: Mapped[str | None]
    root_digest: Mapped[str | None]
    touched_at: Mapped[float] = mapped_column(default=TheMoment(), onupdate=TheMoment())


class EventRow(Base):
    __tablename__ = "events"
    __table_args__ = (Index("ix_events_migration", "migration_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    migration_id: Mapped[str] = mapped_column(ForeignKey("migrations.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(default=utc_now)
    level: Mapped[str]  # information, warning, error
    phase: Mapped[str]
    text: Mapped[str] = mapped_column(Text)


class LedgerRow(Base):
    """One thing outside. Written before the thing exists; never deleted while the thing may be there."""

    __tablename__ = "ledger"
    __table_args__ = (Index("ix_ledger_migration", "migration_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    migration_id: Mapped[str] = mapped_column(ForeignKey("migrations.id"))
    provider_id: Mapped[str] = mapped_column(ForeignKey("providers.id"))
    kind: Mapped[str]
    step: Mapped[str]  # with the migration's id: the owner that the thing itself carries
    parent: Mapped[str | None]  # what it hangs on, where removing it needs that (a snapshot's machine)
    ref: Mapped[str | None]  # the provider's id, once known
    state: Mapped[str] = mapped_column(default="intended")
    note: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)


class WebSessionRow(Base):
    """The session of somebody who has logged in to the pages. Who that is, and with which tokens, is sealed."""

    __tablename__ = "web_sessions"

    id: Mapped[str] = mapped_column(primary_key=True)  # a digest of what the browser has
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    used_at: Mapped[datetime]
    ends_at: Mapped[datetime]
