"""Groups of replicas: made, shown, changed, tried, failed over, deleted."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from longshore.api.groups import Group, GroupChange, GroupFailover, GroupTest, NewGate, NewGroup
from longshore.api.schemas import Migration
from longshore.engine import embedded
from longshore.errors import Conflict, InvalidInput
from longshore.flows.replicas.conducting import RunState
from longshore.model import group as model
from longshore.model.quantities import parse_duration
from longshore.model.replica import IN_PLACE, Stage, Wish
from longshore.model.request import GroupRequest, MigrationType
from longshore.planning.group_runs import RunProgress
from longshore.service.caller import Caller
from longshore.service.groups_shown import group_shown, groups_shown, objection_of, run_of
from longshore.service.landings import landing_request, new_landing, stays_for, usable_point
from longshore.service.migrations_shown import shown
from longshore.service.parts import TheCaller, TheGroup, TheStore, judged_router
from longshore.service.queued import added
from longshore.service.refusals import said_of
from longshore.store import GroupMember as MemberRecord
from longshore.store import GroupRecord, NewMigration, ReplicaRecord, Store
from longshore.store import GroupRun as NewRun
from longshore.store.jobs import NEVER

router = judged_router("/v1")
_Tier = TypeVar("_Tier", int, int | None)


@router.post("/replica-groups", status_code=201)
def create(body: NewGroup, store: TheStore, caller: TheCaller) -> Group:
    """Make a group of replicas that are tried, and fail over, together: tier after tier, each once the one before is up
    and its gate is passed. A replica is in one group at most.
    """
    members = _members(store, body.members)
    gates = {number: gate for number, gate in _gates(body.gates, caller).items() if gate is not None}
    _refuse_unused_gates(members.values(), gates)
    return group_shown(store, store.groups.add(body.name, members, gates))


@router.get("/replica-groups")
def groups(store: TheStore) -> list[Group]:
    """List the groups of replicas, by name."""
    return groups_shown(store, store.groups.all())


@router.get("/replica-groups/{group}")
def group(group: TheGroup, store: TheStore) -> Group:
    """Show a group, by name or id: its machines in the order of their tiers, and where its last run stands."""
    return group_shown(store, group)


@router.patch("/replica-groups/{group}")
def change(group: TheGroup, body: GroupChange, store: TheStore, caller: TheCaller) -> Group:
    """Put replicas into a group or into other tiers, take them out, and change gates. Raises Conflict during a run."""
    members = _members(store, body.members)
    gates = _gates(body.gates, caller)
    after = {**{member.replica_id: member.tier for member in group.members}, **members}
    _refuse_unused_gates([tier for tier in after.values() if tier is not None], {**group.gates, **gates})
    return group_shown(store, store.groups.change(group.id, members, gates))


@router.delete("/replica-groups/{group}", status_code=204)
def delete(group: str, store: TheStore) -> None:
    """Delete a group. Its replicas stay. Raises Conflict during a run."""
    store.groups.remove(store.groups.id_of(group))


@router.post("/replica-groups/{group}/test", status_code=202)
def test(group: TheGroup, body: GroupTest, store: TheStore) -> Migration:
    """Test a group: machines are made of points of all its replicas, in order, and removed together. Syncs go on
    beside.
    """
    _refuse_empty(group)
    with said_of("clean_up_after"):
        stays = stays_for(body.clean_up_after) or 0.0
    landings = {}
    for member, replica in _replicas(store, group):
        point = usable_point(store, replica, None, body.at)
        request = landing_request(store, replica, body, MigrationType.TEST, point.number)
        request = replace(request, isolated=body.isolated and not body.networks)
        landings[member.replica_id] = _waiting(new_landing(store, replica, request))
    return _begun(
        store, group, GroupRequest(MigrationType.GROUP_TEST), landings, {}, RunState(group.tiers, stays=stays)
    )


@router.post("/replica-groups/{group}/failover", status_code=202)
def failover(group: TheGroup, body: GroupFailover, store: TheStore) -> Migration:
    """Fail a group over: machines made of points take the place of all its machines, in order. Those that have failed
    over already count as up. Planned, machines are shut down first, the last tier's first. Nothing begins where one of
    them can't.
    """
    _refuse_empty(group)
    there = {m.replica_id: r.failover_id for m, r in _replicas(store, group) if r.stage in IN_PLACE and r.failover_id}
    others = [(m, r) for m, r in _replicas(store, group) if m.replica_id not in there]
    if not others:
        raise Conflict(
            f"All machines of group {group.name} have failed over.",
            advice=f"For good: longshore replica group commit {group.name}; back: longshore replica group undo.",
        )
    for _, replica in others:
        _refuse_unready(replica, planned=body.planned)
    if body.planned:
        if body.at is not None:
            said = "A planned failover makes its own points."
            raise InvalidInput(said, advice="Leave the time out, or --planned.", field="at")
        wishes = {
            m.replica_id: landing_request(store, replica, body, MigrationType.FAILOVER, None).to_json()
            for m, replica in others
        }
        progress = RunProgress(shuts_down=len(group.tiers))
        state = RunState(group.tiers, wishes=wishes, progress=progress)
        return _begun(store, group, GroupRequest(MigrationType.GROUP_FAILOVER), {}, there, state)
    landings = {}
    for member, replica in others:
        point = usable_point(store, replica, None, body.at)
        request = landing_request(store, replica, body, MigrationType.FAILOVER, point.number)
        landings[member.replica_id] = _waiting(new_landing(store, replica, request))
    return _begun(store, group, GroupRequest(MigrationType.GROUP_FAILOVER), landings, there, RunState(group.tiers))


@router.post("/replica-groups/{group}/undo", status_code=202)
def undo(group: TheGroup, store: TheStore) -> Group:
    """Undo a run of a group: stop what is under way, and take back what it has made. Servers go, machines that were
    shut down for them run again, syncs go on. What the servers have written since is lost.
    """
    run = run_of(store, group)
    under_way = run is not None and not run.status.ended
    if run is not None and under_way:
        store.migrations.request_cancel(run.id)
    undone = 0
    for _, replica in _replicas(store, group):
        if replica.stage is Stage.FAILING_OVER and replica.failover_id is not None:
            store.migrations.request_cancel(replica.failover_id)
        elif replica.stage is Stage.FAILED_OVER:
            store.replicas.wish(replica.id, Wish.UNDO)
        else:
            continue
        undone += 1
    if not undone and not under_way:
        raise Conflict(f"Group {group.name} has no test or failover to undo.")
    embedded.ensure_running(store.state)
    return group_shown(store, group)


@router.post("/replica-groups/{group}/commit", status_code=202)
def commit(group: TheGroup, store: TheStore) -> Group:
    """Commit a group: all its failovers' servers are yours for good. Raises Conflict while one of its machines hasn't
    failed over.
    """
    run = run_of(store, group)
    if run is not None and not run.status.ended:
        raise Conflict(f"A run of group {group.name} is under way ({run.id}).", advice="Wait for its end.")
    replicas = [replica for _, replica in _replicas(store, group)]
    if missing := [replica.machine_name for replica in replicas if replica.stage not in IN_PLACE]:
        raise Conflict(
            f"Of group {group.name} {', '.join(missing)} hasn't failed over.",
            advice=f"Go on with it (longshore replica group failover {group.name}), or commit machines one by one.",
        )
    for replica in replicas:
        if replica.stage is Stage.FAILED_OVER:
            store.replicas.wish(replica.id, Wish.COMMIT)
    embedded.ensure_running(store.state)
    return group_shown(store, group)


# Parts


def _refuse_empty(group: GroupRecord) -> None:
    if not group.members:
        raise Conflict(f"Group {group.name} has no replica any more.", advice="Put one in, or delete the group.")


def _members(store: Store, members: Mapping[str, _Tier]) -> dict[str, _Tier]:
    """Return the tiers of members by the replicas' ids. Raises NotFound, Conflict."""
    with said_of("members"):
        return {store.replicas.get(word).id: tier for word, tier in members.items()}


def _gates(gates: Mapping[int, NewGate | None], caller: Caller) -> dict[int, model.Gate | None]:
    """Return the gates by tier, as the model has them. Raises InvalidInput."""
    found = {number: _gate(number, gate) if gate is not None else None for number, gate in gates.items()}
    with said_of("gates"):
        refuse_commands(caller, found.values())
    return found


def refuse_commands(caller: Caller, gates: Iterable[model.Gate | None]) -> None:
    """Raise InvalidInput where a server would run the commands of gates for a caller."""
    if caller.remote and any(gate is not None and gate.command for gate in gates):
        raise InvalidInput(
            "A server runs no commands for its callers: they would run as the server itself.",
            advice="Leave it out, or use Longshore without a server.",
            code="not-on-a-server",
        )


def _gate(number: int, gate: NewGate) -> model.Gate:
    with said_of(f"gates.{number}.pause"):
        pause = parse_duration(gate.pause).total_seconds() if gate.pause is not None else 0.0
    return model.Gate(pause, tuple(gate.command))


def _refuse_unused_gates(tiers: object, gates: Mapping[int, model.Gate | None]) -> None:
    """Raise InvalidInput for a gate after a tier that there isn't."""
    there = set(tiers)  # type: ignore[call-overload]
    if unused := sorted(number for number, gate in gates.items() if gate is not None and number not in there):
        raise InvalidInput(
            f"There is a gate after tier {unused[0]}, and no replica in that.", field=f"gates.{unused[0]}"
        )


def _replicas(store: Store, found: GroupRecord) -> list[tuple[MemberRecord, ReplicaRecord]]:
    there = store.replicas.several([member.replica_id for member in found.members])
    return [(member, there[member.replica_id]) for member in found.members if member.replica_id in there]


def _refuse_unready(replica: ReplicaRecord, *, planned: bool) -> None:
    """Raise Conflict when a replica can't fail over now, or not as planned."""
    if replica.stage is Stage.ADOPTED and planned:
        raise Conflict(
            f"The source of {replica.machine_name} isn't known, so nothing can be shut down there.",
            advice="Leave --planned out.",
        )
    if objection := objection_of(replica):
        raise objection


def _waiting(landing: NewMigration) -> NewMigration:
    """Return a landing that waits until its tier begins."""
    return replace(landing, due_at=NEVER)


def _begun(  # noqa: PLR0917
    store: Store,
    found: GroupRecord,
    request: GroupRequest,
    landings: Mapping[str, NewMigration],
    there: Mapping[str, str],
    state: RunState,
) -> Migration:
    """Add a run and all its landings, or nothing. `there`: by replica the migrations that have landed already."""
    first = store.migrations.get(found.members[0].replica_id)
    run = NewMigration(
        machine_name=found.name,
        machine_ref=f"group:{found.id}",
        source_id=first.source_id,
        target_id=first.target_id,
        request=request.to_json(),
        run=NewRun(found.id, {**there, **{replica: landing.id for replica, landing in landings.items()}}),
        state=state.kept(),
        id=str(uuid.uuid4()),
    )
    return shown(store, added(store, [run, *landings.values()])[:1])[0]
