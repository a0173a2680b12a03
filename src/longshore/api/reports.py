"""Reports about a migration, and about all of a plan's, as they go over the wire."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from longshore.api.schemas import LedgerEntry, Migration, Moment, Strict


@dataclass(frozen=True, slots=True)
class ReportedDisk:
    label: str
    size: int  # bytes
    state: str
    volume_id: str | None
    root_digest: str | None  # BLAKE3, of the last copy, before the guest was changed


@dataclass(frozen=True, slots=True)
class ReportedEvent:
    at: datetime
    level: str
    phase: str
    text: str


@dataclass(frozen=True, slots=True)
class Copying:
    """Numbers of bytes, over all disks and all syncs together."""

    read: int
    written: int
    zeroed: int
    verified: int  # read back from the target and compared
    seconds: float
    rate: int | None  # bytes per second, of the first copy


@dataclass(frozen=True, slots=True)
class Left:
    """Something that was made and could not be removed."""

    kind: str
    ref: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """Report about a migration. Times are moments in UTC, durations seconds; what hasn't happened is null."""

    id: str
    machine: str
    machine_ref: str
    source: str
    target: str
    plan: str | None
    wave: int | None
    type: str
    landing: str | None  # None: it isn't about a machine
    verify: str | None  # how much is read back from the target and compared
    status: str
    phase: str
    error: str | None
    created_at: datetime
    started_at: datetime | None
    source_off_at: datetime | None
    target_up_at: datetime | None
    finished_at: datetime | None
    seconds: float | None  # from start to end, or until now
    downtime_seconds: float | None  # so far, while it lasts
    downtime_note: str | None  # why there was none though the machine was off, or what the figure leaves out
    server_id: str | None
    proof: str | None  # what showed that the guest was up on the target; none: it was taken for up
    ports: list[dict[str, Any]]
    disks: list[ReportedDisk]
    syncs: list[dict[str, Any]]
    copied: Copying | None
    conversion: dict[str, Any] | None
    accepted: list[str]  # codes of the blockers that the user accepted
    concerns: list[str]  # what was said before anything was made, and of what the disks hold
    left: list[Left]
    events: list[ReportedEvent] = field(repr=False)
    # What was found on its disks before anything on them was changed, and when
    guest: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    id: str
    status: str
    error: str | None


@dataclass(frozen=True, slots=True)
class ReportedMachine:
    machine: str
    wave: int
    report: Report | None  # of its latest migration; None: not started
    earlier: list[Attempt]  # oldest first


@dataclass(frozen=True, slots=True)
class PlanReport:
    name: str
    description: str
    source: str
    target: str
    states: dict[str, int]  # how many machines are planned, running, done, …
    started_at: datetime | None
    finished_at: datetime | None  # null while one is under way
    seconds: float | None
    bytes_read: int
    bytes_verified: int
    longest_downtime_seconds: float | None
    machines: list[ReportedMachine]


class Bundle(Strict):
    """All that is on record of a migration. No settings of providers, passwords or texts for the guest are in it; names
    of machines, networks and hosts are."""

    version: str  # of the release
    flow_version: str
    made_at: Moment
    source_kind: str
    target_kind: str
    migration: Migration
    report: Report  # with its events
    ledger: list[LedgerEntry]
