"""A policy's job: one look at what is due, and at what has ended.

    a run is due:      choose the machines → write down which → queue a backup for each
    a backup ended:    its point, or why there is none; points of its machine that no rule keeps go
    a run has ended:   what the second vault hasn't got yet is copied to it; points there that no rule keeps go
    between runs:      once a day the vaults are pruned of what deleted points and failed backups have left
    a verification is due, or has ended: likewise, for the vault
    a proof is due, or a trial has ended: likewise, for the newest point of each machine, one after another

The policy's record has one job at a time. What it begins has records of its own, so a backup that fails stops no other
one. Each thing is written down before it is queued: a look that is broken off begins anew, and begins nothing twice.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from longshore.errors import Cancelled, Conflict, LongshoreError, NotFound
from longshore.flows.backups.beforehand import backed_up, backup_concerns
from longshore.flows.backups.clocks import mistimed, next_due
from longshore.flows.backups.looking_up import look_up_again
from longshore.flows.backups.proving import begin_proof_if_due, follow_proof
from longshore.flows.backups.pruning_by_policy import prune_if_due
from longshore.flows.backups.retention import thin
from longshore.flows.backups.second_copies import begin_copy_if_due, follow_copy
from longshore.flows.flow import Flow
from longshore.flows.moves.context import MoveContext
from longshore.flows.plans.check import select
from longshore.model.backup_policy import KnownMachine, LastRun, MachineBackup, Stand, Verification
from longshore.model.concern import Severity
from longshore.model.machine import Machine
from longshore.model.request import BackupRequest, MigrationType, VaultRequest
from longshore.model.status import Status
from longshore.model.target import SourceRoom
from longshore.planning import blocked
from longshore.planning.schedules import after_begin, parse_calendar
from longshore.planning.source_quota import BackedUp
from longshore.providers.contract import Source
from longshore.store import BackupPolicyRecord, MigrationRecord, NewMigration, Scope
from longshore.store.tables import with_zone, without_zone

_AGAIN = timedelta(minutes=1)  # after a look that came to nothing
_GONE = "Its record is gone."


class ByPolicy(Flow):
    _failure_step = "failed"

    async def _forward(self) -> None:
        await self._job.step("start", self._begin_look)
        await self._job.step("begin", self._begin_run)
        await self._job.step("queue", self._queue)
        await self._job.step("note", self._note)
        await self._job.step("begin-copy", self._see_to, begin_copy_if_due)
        await self._job.step("copy", self._see_to, follow_copy)
        await self._job.step("prune", self._see_to, prune_if_due)
        await self._job.step("begin-verification", self._begin_verification)
        await self._job.step("verification", self._follow_verification)
        await self._job.step("begin-proof", self._see_to, begin_proof_if_due)
        await self._job.step("proof", self._see_to, follow_proof)
        await self._job.step("go-on", self._go_on)

    def _begin_look(self) -> None:
        job = self._job
        job.raise_if_cancelled()
        policy = self._policy()
        for provider_id in (policy.source_id, policy.vault_id):  # without the others its backups go on
            job.clouds.refuse_taken_back(provider_id)
        self._start()
        if late := mistimed(self._policy(), datetime.now(UTC)):
            self._job.store.backup_policies.come_sooner(self._job.id, **late)

    def _policy(self) -> BackupPolicyRecord:
        """Return the policy. Raise Cancelled when it was deleted."""
        try:
            return self._job.store.backup_policies.get(self._job.id)
        except NotFound:
            raise Cancelled("The policy was deleted.") from None

    # A run

    def _begin_run(self) -> None:
        policy, now = self._policy(), datetime.now(UTC)
        due = not policy.paused and policy.due_at <= without_zone(now)
        if policy.runs or not (due or policy.asked):
            return
        following = after_begin(parse_calendar(policy.schedule), with_zone(policy.due_at), now, policy.id)
        try:
            run = self._choose(policy, now)
        except LongshoreError as error:
            if error.code == Cancelled.code:
                raise
            run = LastRun(now, (), now, str(error), policy.run.known if policy.run else ())
            self._job.say(f"No machine could be chosen: {error}", "error")
        due_at, missed = without_zone(following.due), following.missed
        self._job.store.backup_policies.begin(policy.id, run, asked=False, due_at=due_at, missed=missed)

    def _choose(self, policy: BackupPolicyRecord, now: datetime) -> LastRun:
        """Return a run of the machines to back up now. Raise LongshoreError when the source can't be asked, or no
        machine fits."""
        with self._job.clouds.source(policy.source_id) as source:
            if policy.wanted is not None:
                chosen = [_chosen(machine) for machine in select(source, policy.wanted)]
                if not chosen:
                    raise NotFound("No machine of the source fits the policy's filter.")
                return LastRun(now, tuple(chosen))
            run = policy.run
            named = [self._named(source, word, run.known_as(word) if run else None) for word in policy.machines]
        return LastRun(now, tuple(one for one, _ in named), known=tuple(known for _, known in named if known))

    def _named(
        self, source: Source, word: str, known: KnownMachine | None
    ) -> tuple[MachineBackup, KnownMachine | None]:
        """Return the backup of the machine that a word means, and what is known of that. If there is no such machine,
        or several, that backup alone has failed."""
        try:
            machine = look_up_again(source, word, known)
        except (NotFound, Conflict) as error:
            return self._failed(MachineBackup(word, word, str(uuid.uuid4())), str(error)), known
        if known and (machine.name, machine.ref) != (known.name, known.ref):
            self._job.say(
                f"{word} is {machine.name} ({machine.ref}) now. It was {known.name} ({known.ref}).", "warning"
            )
        told = KnownMachine(word, machine.name, machine.ref, machine.platform, machine.uuid, machine.instance_uuid)
        return _chosen(machine), told

    def _queue(self) -> None:
        policy = self._policy()
        if policy.run is None or not any(one.stand is Stand.CHOSEN for one in policy.run.backups):
            return
        chosen = [one.id for one in policy.run.backups if one.stand is Stand.CHOSEN]
        queued = _by_id(self._job.store.migrations.several(chosen))  # by an earlier run of this step
        backups = [replace(one, stand=Stand.UNDER_WAY) if one.id in queued else one for one in policy.run.backups]
        room, error = self._room(policy)
        ahead: list[BackedUp] = []
        if room is not None:
            going_on = [one for one in backups if one.id in queued and not queued[one.id].status.ended]
            ahead = self._queued_before(policy, going_on)
        for number, one in enumerate(backups):
            if one.stand is Stand.CHOSEN:
                backups[number] = self._failed(one, error) if error else self._queued(policy, one, room, ahead)
        self._job.store.backup_policies.keep(policy.id, replace(policy.run, backups=tuple(backups)))

    def _queued_before(self, policy: BackupPolicyRecord, backups: list[MachineBackup]) -> list[BackedUp]:
        """Return the machines of backups that an earlier run of this step has queued, without those that can't be
        found any more, and volumes that have a machine by now."""
        found: list[BackedUp] = []
        with self._job.clouds.source(policy.source_id) as source:
            for one in backups:
                with suppress(NotFound, Conflict):
                    machine = source.by_reference(one.machine_ref)
                    found.append(backed_up(self._job.store, policy.source_id, machine))
        return found

    def _room(self, policy: BackupPolicyRecord) -> tuple[SourceRoom | None, str | None]:
        """Return the room that the source has, or why the source can't be asked."""
        try:
            with self._job.clouds.source(policy.source_id) as source:
                return source.room(), None
        except LongshoreError as error:
            if error.code == Cancelled.code:
                raise
            return None, str(error)

    def _queued(
        self, policy: BackupPolicyRecord, one: MachineBackup, room: SourceRoom | None, ahead: list[BackedUp]
    ) -> MachineBackup:
        """Queue a backup that was chosen; it has failed if something stands against it.

        `ahead`: those of the run's other machines that are queued before; this one is added if it is queued.
        """
        job = self._job
        request = backup_request(policy)
        try:
            with job.clouds.source(policy.source_id) as source:
                machine = source.by_reference(one.machine_ref)
            concerns = backup_concerns(job.store, policy.source_id, machine, request, room, ahead=ahead)
            if any(concern.severity is Severity.BLOCKER for concern in concerns):
                raise blocked(concerns)
            self._add(NewMigration.of_machine(machine, policy.source_id, policy.vault_id, request, id=one.id))
        except LongshoreError as error:
            if error.code == Cancelled.code:
                raise
            return self._failed(one, str(error))
        ahead.append(backed_up(job.store, policy.source_id, machine))
        return replace(one, stand=Stand.UNDER_WAY)

    def _note(self) -> None:
        """Note what has become of the run's backups. Where one has made a point, its machine's old points
        are thinned."""
        policy = self._policy()
        if policy.run is None or not policy.runs:
            return
        records = _by_id(self._job.store.migrations.several([one.id for one in policy.run.backups]))
        run = policy.run
        for number, one in enumerate(run.backups):
            if one.stand is Stand.UNDER_WAY:
                noted = self._noted(policy, one, records.get(one.id))
                run = replace(run, backups=(*run.backups[:number], noted, *run.backups[number + 1 :]))
        if all(one.stand.ended for one in run.backups):
            run = replace(run, ended_at=datetime.now(UTC))
            good = sum(one.stand is Stand.DONE for one in run.backups)
            self._job.say(f"A run has ended: {good} of {len(run.backups)} machine(s) were backed up.")
        self._job.store.backup_policies.keep(policy.id, run)

    def _noted(self, policy: BackupPolicyRecord, one: MachineBackup, record: MigrationRecord | None) -> MachineBackup:
        if record is None:
            return self._failed(one, _GONE)
        if not record.status.ended:
            return one
        if record.status is not Status.DONE or record.result is None:
            return self._failed(one, record.error or "It was cancelled.")
        point = str(record.result["point"])

        def note(deleted: tuple[str, ...]) -> None:
            nonlocal one
            one = replace(one, deleted=deleted)
            self._keep(one)

        try:
            deleted = thin(self._job.store, self._job.clouds, policy, policy.vault_id, one.deleted, note, point)
        except LongshoreError as error:
            if error.code == Cancelled.code:
                raise
            self._job.say(f"Old points of {one.machine_name} stay for now: {error}", "warning")
            return replace(one, stand=Stand.DONE, point=point, error=f"Old points stay for now: {error}")
        if deleted:
            self._job.say(f"No rule keeps these points of {one.machine_name}; they are deleted: {', '.join(deleted)}.")
        return replace(one, stand=Stand.DONE, point=point, deleted=deleted)

    def _keep(self, one: MachineBackup) -> None:
        """Keep how far one backup of the run has come, and the others as they are."""
        policy = self._policy()
        assert policy.run is not None
        backups = tuple(one if each.id == one.id else each for each in policy.run.backups)
        self._job.store.backup_policies.keep(policy.id, replace(policy.run, backups=backups))

    def _failed(self, one: MachineBackup, why: str) -> MachineBackup:
        self._job.say(f"The backup of {one.machine_name} failed: {why}", "error")
        return replace(one, stand=Stand.FAILED, error=why)

    def _see_to(self, part: Callable[[MoveContext, BackupPolicyRecord], None]) -> None:
        """Do a part of the look that has a module of its own, by what the policy is now."""
        part(self._job, self._policy())

    # Verification of the vault

    def _begin_verification(self) -> None:
        policy, now = self._policy(), datetime.now(UTC)
        due = policy.verify_due_at
        if policy.verifies or policy.paused or due is None or without_zone(now) < due or policy.verify is None:
            return
        suspect = policy.verification.suspect if policy.verification else ()
        following = next_due(policy.verify, policy.id, "verify", now)
        begun = Verification(str(uuid.uuid4()), now, suspect=suspect)
        self._job.store.backup_policies.begin(policy.id, begun, verify_due_at=following)

    def _follow_verification(self) -> None:
        policy = self._policy()
        if policy.verification is None or policy.verification.stand.ended:
            return
        store, verification = self._job.store, policy.verification
        found = store.migrations.several([verification.id])
        if verification.stand is Stand.CHOSEN:
            verification = replace(verification, stand=Stand.UNDER_WAY)
            try:
                if not found:
                    self._add(self._verification_of(policy, verification.id))
            except LongshoreError as error:  # somebody has begun one already
                verification = replace(verification, stand=Stand.FAILED, error=str(error))
        elif not found:
            verification = replace(verification, stand=Stand.FAILED, error=_GONE)
        elif found[0].status.ended:
            verification = _verified(verification, found[0])
        if verification.stand is Stand.FAILED:
            self._job.say(f"The verification of the vault failed: {verification.error}", "error")
        store.backup_policies.keep(policy.id, verification)

    def _verification_of(self, policy: BackupPolicyRecord, id_: str) -> NewMigration:
        vault = self._job.store.providers.get(policy.vault_id)
        request = VaultRequest(MigrationType.VERIFICATION, of=policy.id)
        return NewMigration.of_provider(vault, request, id=id_)

    # The end of a look

    def _add(self, new: NewMigration) -> None:
        """Queue a record in the policy's project. Raise Conflict where another one stands in its way."""
        own = self._job.store.migrations.scoped(Scope(self._job.record.project_id))
        own.add_together([new])

    def _go_on(self) -> None:
        job = self._job
        job.store.backup_policies.go_on(job.id, job.job_id)

    def _fail(self, error: LongshoreError) -> None:
        job = self._job
        if error.code == Cancelled.code:
            job.store.backup_policies.remove(job.id)
            job.store.migrations.end_job(
                job.id, job.job_id, status=Status.CANCELLED, phase="cancelled", error=str(error), error_code=error.code
            )
            return
        job.say(str(error), "error")
        job.store.backup_policies.go_on(job.id, job.job_id, error=str(error), again=_AGAIN)


def backup_request(policy: BackupPolicyRecord) -> BackupRequest:
    """Return the request by which a policy backs up each of its machines."""
    return BackupRequest(of=policy.id, before=policy.before, after=policy.after)


def _chosen(machine: Machine) -> MachineBackup:
    return MachineBackup(machine.name, machine.ref, str(uuid.uuid4()))


def _verified(verification: Verification, record: MigrationRecord) -> Verification:
    if record.result is None:  # it couldn't be read at all, or was cancelled
        return replace(verification, stand=Stand.FAILED, error=record.error)
    suspect = tuple(dict.fromkeys(fault["point"] for fault in record.result["faults"]))
    stand = Stand.FAILED if suspect else Stand.DONE
    return replace(verification, stand=stand, error=record.error, suspect=suspect)


def _by_id(records: list[MigrationRecord]) -> dict[str, MigrationRecord]:
    return {record.id: record for record in records}
