"""The context that the steps of one migration share, beyond that of any job: its clouds and what it was asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from longshore.engine.job_context import JobContext
from longshore.engine.limits import share_limits
from longshore.errors import (
    FAULT,
    InvalidInput,
    LongshoreError,
    NotFound,
    NotSharedAnyMore,
    Occupied,
    QuotaExceeded,
    Unreachable,
)
from longshore.flows.clouds import Clouds
from longshore.model.concern import Concern, Severity
from longshore.model.job import JobKind
from longshore.model.limit import counting, id_of, places_at_work
from longshore.model.machine import Disk
from longshore.model.request import (
    BackupRequest,
    CopyRequest,
    MigrationRequest,
    MigrationType,
    Request,
    WhenStuck,
    request_from_json,
)
from longshore.model.status import Status
from longshore.model.target import Owner
from longshore.store import EntryState, LedgerRecord, ThingKind

_OF_THE_MOMENT = (FAULT, Occupied.code, "file-locked")  # codes of errors that most often pass before long


class _Thing(Protocol):
    """A thing of a target, which has an id there."""

    @property
    def id(self) -> str: ...


M = TypeVar("M", bound=_Thing)


@dataclass(frozen=True, slots=True)
class MachinePlace:
    """The place of a machine: its provider and its reference there."""

    provider_id: str
    machine_ref: str


def made_machine(entries: Sequence[LedgerRecord]) -> LedgerRecord | None:
    """Return the entry of the machine that a failback has made, or is about to, because the one that it came from is
    gone.

    None: it has made none.
    """
    return next((e for e in entries if e.kind is ThingKind.MACHINE and e.state is not EntryState.REMOVED), None)


@dataclass
class MoveContext(JobContext):
    clouds: Clouds = field(kw_only=True)
    kind: JobKind = JobKind.COLD
    _asked: Request | None = None

    @property
    def asked(self) -> Request:
        """Return what the job was asked for."""
        if self._asked is None:
            self._asked = request_from_json(self.record.request)
        return self._asked

    @property
    def copy_request(self) -> CopyRequest:
        """Return what the job was asked for, of one that copies disks of machines."""
        assert isinstance(self.asked, CopyRequest)
        return self.asked

    @property
    def request(self) -> MigrationRequest:
        """Return what the job was asked for, of one that works on a machine, a volume, or a point of one."""
        assert isinstance(self.asked, MigrationRequest)
        return self.asked

    @property
    def home(self) -> MachinePlace:
        """Return where a failback writes to: the machine that it has made, if it makes one, else the replica's own."""
        made = made_machine(self.store.ledger.entries(self.id))
        ref = made.ref if made is not None else None
        return MachinePlace(self.record.target_id, ref or self.store.migrations.get(self.record.of).machine_ref)

    @property
    def source(self) -> MachinePlace:
        return MachinePlace(self.record.source_id, self.record.machine_ref)

    @property
    def replaced(self) -> MachinePlace:
        """Return the machine whose place the new server takes: it has to be off, and runs again if that comes to
        nothing."""
        ref = self.asked.replaces if isinstance(self.asked, MigrationRequest) else None
        return self.source if ref is None else MachinePlace(self.record.target_id, ref)

    def ignore_cancel(self) -> None:
        """Ignore cancels from here on, and open also what the project may not use any more, to put back what was done
        there."""
        super().ignore_cancel()
        self.clouds = self.clouds.to_put_back()

    def make_at_target(self, kind: ThingKind, step: str, make: Callable[[Owner], M], parent: str | None = None) -> M:
        """Make one thing at the target, as `make` does."""
        at = self.record.target_id
        return self.make(kind, step, make, provider_id=at, parent=parent, ref=lambda thing: thing.id)

    def tell_concerns(self, concerns: Sequence[Concern]) -> None:
        """Say what there is to be said about what is done, but for what stands against it."""
        for concern in concerns:
            if concern.severity is not Severity.BLOCKER:
                self.say(str(concern), concern.severity.value)

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled as any job does, but not while the source of what is done is marked: a cancel came too late
        then."""
        if self.kind is not JobKind.MARK:
            super().raise_if_cancelled()

    def parks_for(self, error: LongshoreError) -> bool:
        """Tell whether the job is to wait, keeping all it has, until the cause of this error has gone.

        It isn't where the user would rather have it taken back. Nor is a mere look, or a sync of a replica that has a
        point: these are asked for anew. Whoever waits for an answer hears of the error.
        """
        if self.kind.awaited:
            return False
        asked = self.asked
        wanted = not isinstance(asked, CopyRequest) or (
            asked.when_stuck is WhenStuck.PARK and asked.type is not MigrationType.INSPECTION
        )
        if error.code == NotSharedAnyMore.code:
            return wanted and super().parks_for(error)  # what comes again and again, too: nothing of it may be tried
        if asked.type is MigrationType.REPLICA and self.record.syncs:
            return False  # a later sync does as well, and the source's snapshot doesn't grow meanwhile
        if error.code in _OF_THE_MOMENT and not self._is_copying_first(asked.type):
            return False  # it was waited for, or comes again by itself
        if asked.type is MigrationType.BACKUP_POLICY:
            return False  # it says what is wrong, and looks again
        if asked.type is MigrationType.LOOK and error.code != Unreachable.code:
            return False  # its replica tells that there is no room, and tomorrow there may be
        if isinstance(asked, BackupRequest) and asked.of and error.code == QuotaExceeded.code:
            # Nobody waits for it at night, and while one is parked its policy's next run doesn't begin
            wanted = wanted and self._others_give_room(asked.of)
        return wanted and super().parks_for(error)

    def _is_copying_first(self, asked: MigrationType) -> bool:
        """Tell whether giving up would have it begin anew, while no machine was stopped for it."""
        begins = asked in (MigrationType.COLD, MigrationType.WARM, MigrationType.REPLICA) and not self.record.syncs
        return begins and self.store.migrations.get(self.id).shutdown_requested_at is None

    def _others_give_room(self, policy_id: str) -> bool:
        """Tell whether further backups of the policy's run are under way, of which snapshots may go when they end."""
        try:
            run = self.store.backup_policies.get(policy_id).run
        except NotFound:
            return False
        others = [one.id for one in run.backups if one.id != self.id] if run else []
        return any(
            not one.status.ended and one.status is not Status.PARKED for one in self.store.migrations.several(others)
        )

    def text(self, mark: str) -> str:
        """Return the text that a mark stands for, in this migration or the one that it goes back to. Raise InvalidInput
        where there is none."""
        try:
            return self.store.migrations.text(self.id, mark)
        except InvalidInput:
            if not self.record.of:
                raise
            return self.store.migrations.text(self.record.of, mark)

    def limit_groups(self, disk: Disk, vault_id: str | None = None) -> tuple[Path, ...]:
        """Return the files of the limits that this disk's copy shares with others: its plan's, and those of all its
        places.

        `vault_id`: of the vault that it is copied from; None: from the source.
        """
        record = self.record
        path = self.store.state.limits(record.plan_id) if record.plan_id else None
        places = places_at_work(
            project_id=record.project_id,
            source_id=vault_id or record.source_id,
            target_id=record.target_id,
            plan_id=record.plan_id,
            host=record.places.get("host", "") if vault_id is None else "",
            datastores=[disk.storage] if vault_id is None else [],
        )
        counted = [id_of(*one) for place in places for one in counting(place, record.project_id)]
        shared = share_limits(self.store, counted)
        return (path, *shared) if path and path.exists() else shared
