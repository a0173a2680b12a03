"""The run of a group: one look after another at its machines, each a short job that begins what comes next.

    [shut down the machines, from the last tier to the first, each with its last sync]
      → the first tier's servers → all of them seen up → its gate → the next tier's servers → …
      → a test: they stay for a while, and are removed

Its machines' servers are made by landings of their own, whose first jobs wait until their tier begins. So the run holds
nobody's place while it waits; it is told when something becomes of one of them. What it has to know is in its record,
and each thing that it asks for may be asked for again: a look that is broken off begins anew.

When a machine fails, a gate does, or somebody stops it, no tier begins any more. Of a failover stays what is up; what
was only prepared is taken back, and machines that were shut down for it run again. Of a test nothing stays.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from longshore.errors import Cancelled, Conflict, LongshoreError
from longshore.flows.flow import Flow
from longshore.flows.moves.syncing import SyncState
from longshore.flows.replicas.gate import run_command
from longshore.flows.replicas.landing import landing_of, refuse_landings
from longshore.model.durations import duration
from longshore.model.forms import form
from longshore.model.group import Tier
from longshore.model.job import JobKind
from longshore.model.machine import Machine
from longshore.model.replica import IN_PLACE, OF_RUN, Wish
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.status import Status
from longshore.planning.group_runs import Do, MachineStanding, Next, RunProgress, SeenMachine, next_of, tier_standings
from longshore.store import GroupMember, MigrationRecord
from longshore.store.jobs import NEVER
from longshore.store.tables import without_zone

_LOOK = timedelta(seconds=15)  # between two looks at most, where nobody tells
_STOPPED = "group-stopped"


@dataclass(frozen=True, slots=True)
class RunState:
    """The state that one look leaves to the next."""

    tiers: tuple[Tier, ...]
    wishes: dict[str, dict[str, Any]] = field(default_factory=dict)  # by replica, of a planned failover: its request
    stays: float = 0.0  # seconds, of a test once all are up
    progress: RunProgress = field(default_factory=RunProgress)
    remove_at: datetime | None = None  # of a test: all were up, and go then
    why: str | None = None  # it stops
    code: str | None = None

    def kept(self) -> dict[str, Any]:
        """Return the state as JSON, for the record."""
        return form(RunState).dump_python(self, mode="json")  # type: ignore[no-any-return]


class Conducting(Flow):
    _failure_step = "stop"

    async def _forward(self) -> None:
        state = await self._job.step("state", self._load)
        following = await self._job.step("next", self._decide, state)
        if following.do is Do.COMMAND:
            await self._job.step("command", self._command, state, following.tier)
        await self._job.step("do", self._do, state, following)

    def _load(self) -> RunState:
        self._start()
        return form(RunState).validate_python(self._job.store.migrations.get(self._job.id).state)

    def _decide(self, state: RunState) -> Next:
        job = self._job
        if state.why is None and job.store.migrations.cancel_requested(job.id):
            return Next(Do.STOP)
        if state.why is not None or state.remove_at is not None:
            return Next(Do.END)
        return next_of(state.tiers, state.progress, self._seen(state), datetime.now(UTC))

    async def _command(self, state: RunState, number: int) -> None:
        tier, group = state.tiers[number], self._job.record.machine_name
        self._job.phase("gate", f"{_named(tier)} is up. Its command runs: {tier.gate.command[0]}.")
        machines = [self._machine(member) for member in self._members() if member.replica_id in tier.replicas]
        told = {"group": group, "tier": tier.number, "run": self._job.id, "machines": machines}
        await run_command(self._job, tier, told)

    def _machine(self, member: GroupMember) -> dict[str, Any]:
        """Return what a gate's command is told of a machine, and the run's figures say of it."""
        record = self._landing(member)
        result = (record.result if record else None) or {}
        return {
            "name": member.machine_name,
            "replica": member.replica_id,
            "migration": member.landing_id,
            "server": record.server_id if record else None,
            "addresses": [address for port in result.get("ports", ()) for address in port["addresses"]],
        }

    # What is done

    def _do(self, state: RunState, following: Next) -> None:
        number, progress = following.tier, state.progress
        match following.do:
            case Do.STOP:
                said = f"{_named(state.tiers[number])} can't be got up. {following.why}"
                self._stop(Conflict(said, code=_STOPPED) if following.why else Cancelled("The run was stopped."))
            case Do.SHUT_DOWN:
                self._shut_down(state, number)
                self._go_on(replace(state, progress=replace(progress, shuts_down=number)), at_once=True)
            case Do.LAND:
                self._land_tier(state, number)
                self._go_on(replace(state, progress=RunProgress(lands=number)), at_once=True)
            case Do.PAUSE:
                until = datetime.now(UTC) + timedelta(seconds=state.tiers[number].gate.pause)
                pause = duration(state.tiers[number].gate.pause)
                self._job.say(f"{_named(state.tiers[number])} is up. The next one waits for {pause}.", phase="gate")
                self._go_on(replace(state, progress=replace(progress, pause_until=until)), phase="gate")
            case Do.COMMAND:
                self._go_on(replace(state, progress=replace(progress, passed=True)), at_once=True)
            case Do.END:
                self._end(state)
            case _:
                self._go_on(state)

    def _shut_down(self, state: RunState, number: int) -> None:
        """Have the machines of a tier shut down, each with its last sync; a second run asks for none twice.

        Raise Conflict where something else is wanted of a replica, and InvalidInput, before the first tier, where any
        machine of any tier can't land.
        """
        store, tier = self._job.store, state.tiers[number]
        if state.progress.shuts_down == len(state.tiers):
            self._job.phase("preparing", "Looking whether all machines can land, before any is shut down.")
            self._refuse_landings(state)
        self._job.phase(
            "shutting-down", f"Shutting down {_named(tier, small=True)}: what its machines write last goes along."
        )
        seen = self._seen(state)
        for replica_id in tier.replicas:
            if seen[replica_id].standing is MachineStanding.IDLE:
                store.replicas.wish(replica_id, Wish.FAILOVER, {**state.wishes[replica_id], OF_RUN: self._job.id})

    def _refuse_landings(self, state: RunState) -> None:
        """Raise InvalidInput when any machine that is still to be shut down can't land."""
        store, wanted = self._job.store, defaultdict[str, list[tuple[Machine, MigrationRequest]]](list)
        seen = self._seen(state)
        for replica_id in (one for tier in state.tiers for one in tier.replicas):
            record = store.migrations.get(replica_id)
            if seen[replica_id].standing is MachineStanding.IDLE and record.state is not None:
                machine = form(SyncState).validate_python(record.state).prepared.machine
                wanted[record.target_id].append((machine, landing_of(state.wishes[replica_id])))
        for target_id, machines in wanted.items():
            refuse_landings(self._job.clouds, target_id, machines)

    def _land_tier(self, state: RunState, number: int) -> None:
        tier = state.tiers[number]
        self._job.phase("landing", f"Making the servers of {_named(tier, small=True)}.")
        for member in self._members():
            if member.replica_id in tier.replicas and member.landing_id is not None:
                self._job.store.jobs.hasten(member.landing_id)

    def _fail(self, error: LongshoreError) -> None:
        self._stop(error)

    def _stop(self, error: LongshoreError) -> None:
        """Begin no further tier. The run ends when all that is under way has come to an end."""
        job = self._job
        state = self._load()
        if state.why is None:
            cancelled = error.code == Cancelled.code
            job.phase("stopping", str(error) if cancelled else f"{error} No further tier begins.")
            state = replace(state, why=str(error), code=error.code)
        self._end(state)

    def _end(self, state: RunState) -> None:
        job = self._job
        tests = job.record.type is MigrationType.GROUP_TEST
        if tests and state.why is None and state.remove_at is None:
            state = replace(state, remove_at=datetime.now(UTC) + timedelta(seconds=state.stays))
            job.say(f"All machines are up; they are removed at {state.remove_at:%Y-%m-%d %H:%M:%S} UTC.", phase="up")
        if state.why is None and state.remove_at is not None and datetime.now(UTC) < state.remove_at:
            self._go_on(state, phase="up")
            return
        open_ones = [self._settle(state, member, tests=tests) for member in self._members()]
        if any(open_ones):
            self._go_on(state)
            return
        figures = {"tiers": self._figures(state)}
        if state.why is None:
            undo = "" if tests else f" For good: longshore replica group commit {job.record.machine_name}; back: undo."
            job.say(f"All machines were seen up.{undo}", phase="done")
            job.end(status=Status.DONE, phase="done", result=figures)
            return
        status = Status.CANCELLED if state.code == Cancelled.code else Status.FAILED
        job.say(self._left(state, tests=tests), phase="stopped")
        job.end(
            status=status,
            phase="stopped",
            error=state.why,
            error_code=state.code,
            result=figures,
        )

    def _settle(self, state: RunState, member: GroupMember, *, tests: bool) -> bool:
        """Take back what was only prepared for this machine, and all of a test. Tell whether something of it is still
        under way."""
        store = self._job.store
        standing = self._standing(state, member).standing
        record = self._landing(member)
        if standing is MachineStanding.WAITING and record is not None:
            store.migrations.request_cancel(record.id)
            return True
        if tests and record is not None and not record.status.ended:
            if record.job is not None and record.job.kind is JobKind.CLEAN_UP:
                store.jobs.hasten(record.id)
            elif not record.cancel_requested:
                store.migrations.request_cancel(record.id)
            return True
        return standing is MachineStanding.UNDER_WAY

    def _left(self, state: RunState, *, tests: bool) -> str:
        if tests:
            return "The test has ended; what was made for it is removed."
        names = [seen.name for seen in self._seen(state).values() if seen.standing is MachineStanding.UP]
        group = self._job.record.machine_name
        if not names:
            return "The failover has ended; none of its servers runs."
        return (
            f"The failover has ended. What is up stays: {', '.join(names)}. To go on: longshore replica group failover "
            f"{group}; to take that back: longshore replica group undo {group}."
        )

    def _go_on(self, state: RunState, *, at_once: bool = False, phase: str | None = None) -> None:
        """Queue the next look. `phase`: what the run is in from now on, written with what is known of it."""
        job, now = self._job, datetime.now(UTC)
        until = state.progress.pause_until if state.remove_at is None else state.remove_at
        due = now if at_once else now + _LOOK
        if state.why is None and until is not None and now < until:
            due = until if state.remove_at is not None else min(due, until)
        stops = state.why is not None
        job.store.groups.go_on(
            job.id, job.job_id, due_at=without_zone(due), state=state.kept(), stops=stops, phase=phase
        )

    # What is seen

    def _members(self) -> tuple[GroupMember, ...]:
        return self._job.store.groups.of_run(self._job.id).members

    def _landing(self, member: GroupMember) -> MigrationRecord | None:
        found = self._job.store.migrations.several([member.landing_id]) if member.landing_id else []
        return found[0] if found else None

    def _seen(self, state: RunState) -> dict[str, SeenMachine]:
        gone = {
            replica: SeenMachine(replica, MachineStanding.FAILED, "Its replica is gone.")
            for t in state.tiers
            for replica in t.replicas
        }
        return gone | {member.replica_id: self._standing(state, member) for member in self._members()}

    def _standing(self, state: RunState, member: GroupMember) -> SeenMachine:
        store, name = self._job.store, member.machine_name
        replica, record = store.replicas.get(member.replica_id), self._landing(member)
        if record is None:
            if replica.wish is Wish.FAILOVER:
                return SeenMachine(name, MachineStanding.UNDER_WAY)
            if not _is_asked(state, member):
                return SeenMachine(name, MachineStanding.IDLE)
            return SeenMachine(name, MachineStanding.FAILED, replica.error or "Its failover was undone.")
        if record.status in (Status.FAILED, Status.CANCELLED):
            return SeenMachine(name, MachineStanding.FAILED, record.error or "")
        if record.status is Status.DONE:
            up = record.type is MigrationType.TEST or replica.stage in IN_PLACE
            return (
                SeenMachine(name, MachineStanding.UP)
                if up
                else SeenMachine(name, MachineStanding.FAILED, "Its failover was undone.")
            )
        if record.job is not None and record.job.kind is JobKind.CLEAN_UP:
            return SeenMachine(name, MachineStanding.UP)
        waits = record.job is not None and record.job.due_at == NEVER and not record.cancel_requested
        return SeenMachine(name, MachineStanding.WAITING if waits else MachineStanding.UNDER_WAY)

    def _figures(self, state: RunState) -> list[dict[str, Any]]:
        """Return how far each tier has come. Of each machine they say how many seconds passed from the wish for the
        failover or test until it was seen up."""
        begun, landings = self._job.record.created_at, {m.replica_id: self._landing(m) for m in self._members()}
        up = {replica for replica, record in landings.items() if record and record.target_up_at}
        standings = tier_standings(state.tiers, state.progress, up, passed=state.why is None, stops=True)
        figures = []
        for tier, standing in zip(state.tiers, standings, strict=True):
            machines = []
            for member in self._members():
                record = landings.get(member.replica_id) if member.replica_id in tier.replicas else None
                if record is not None:
                    took = (record.target_up_at - begun).total_seconds() if record.target_up_at else None
                    machines.append({**self._machine(member), "seconds": round(took, 1) if took is not None else None})
            figures.append({"tier": tier.number, "state": standing.state, "gate": standing.gate, "machines": machines})
        return figures


def _is_asked(state: RunState, member: GroupMember) -> bool:
    """Tell whether the machine was told to shut down, in a planned failover."""
    number = next((n for n, tier in enumerate(state.tiers) if member.replica_id in tier.replicas), -1)
    down = state.progress.shuts_down
    return state.progress.lands >= 0 or (down is not None and number >= down)


def _named(tier: Tier, *, small: bool = False) -> str:
    return f"{'tier' if small else 'Tier'} {tier.number}"
