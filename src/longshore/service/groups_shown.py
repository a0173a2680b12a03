"""Groups of replicas as they go over the wire: their machines in their order, and where their runs stand. However many
members there are, each kind of thing is looked for once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from longshore.api.groups import Gate, Group, GroupMember, GroupRun, GroupTier
from longshore.api.replicas import Condition
from longshore.errors import Conflict
from longshore.flows.replicas.conducting import RunState
from longshore.flows.replicas.standing import conditions_of
from longshore.model.forms import form
from longshore.model.replica import IN_PLACE, Stage, Wish
from longshore.planning.group_runs import tier_standings
from longshore.service.shapes import shaped
from longshore.store import GroupMember as MemberRecord
from longshore.store import GroupRecord, MigrationRecord, ReplicaRecord, Store
from longshore.store.protection import Protected


@dataclass(frozen=True, slots=True)
class _Looked:
    """Records that were found for groups, by ids."""

    replicas: Mapping[str, ReplicaRecord]
    protected: Mapping[str, Protected]
    records: Mapping[str, MigrationRecord]  # of replicas, of runs, and of the machines of those
    now: datetime


def groups_shown(store: Store, found: Sequence[GroupRecord]) -> list[Group]:
    members = [member for group in found for member in group.members]
    ids = [member.replica_id for member in members]
    runs = [*(member.landing_id for member in members), *(group.run_id for group in found)]
    records = store.migrations.several([*ids, *(id_ for id_ in runs if id_)])
    looked = _Looked(
        store.replicas.several(ids),
        store.protection.of(ids),
        {record.id: record for record in records},
        datetime.now(UTC),
    )
    return [_group(group, looked) for group in found]


def group_shown(store: Store, found: GroupRecord) -> Group:
    return groups_shown(store, [found])[0]


def run_of(store: Store, found: GroupRecord) -> MigrationRecord | None:
    """Return the record of a group's last run, if there is one."""
    runs = store.migrations.several([found.run_id]) if found.run_id else []
    return runs[0] if runs else None


def objection_of(replica: ReplicaRecord) -> Conflict | None:
    """Return what stands against a failover of the replica as it is; whether it has a point is asked elsewhere."""
    if replica.stage not in (Stage.PROTECTED, Stage.ADOPTED):
        return Conflict(f"The replica of {replica.machine_name} is {replica.stage}: it can't fail over now.")
    if replica.wish not in (None, Wish.SYNC, Wish.AUDIT):
        return Conflict(f"A {replica.wish} of {replica.machine_name} is under way.", advice="Wait for its end.")
    return None


def _group(found: GroupRecord, looked: _Looked) -> Group:
    run = looked.records.get(found.run_id or "")
    return shaped(
        Group,
        found,
        members=[_member(member, looked) for member in found.members if member.replica_id in looked.replicas],
        gates={number: Gate(pause=gate.pause, command=list(gate.command)) for number, gate in found.gates.items()},
        run=_run(run, found, looked) if run else None,
    )


def _member(member: MemberRecord, looked: _Looked) -> GroupMember:
    replica, protected = looked.replicas[member.replica_id], looked.protected.get(member.replica_id)
    landing = looked.records.get(member.landing_id or "")
    newest = protected.newest if protected else None
    reason = landing.error or (landing.job.reason if landing.job else None) if landing else replica.error
    return shaped(
        GroupMember,
        member,
        replica,
        replica=member.replica_id,
        newest=newest,
        rpo_now=round((looked.now - newest).total_seconds(), 1) if newest and newest <= looked.now else None,
        conditions=[shaped(Condition, one) for one in (conditions_of(protected, looked.now) if protected else [])],
        unready=_unready(replica, protected),
        networks=looked.records[member.replica_id].request.get("networks", {}),
        migration=landing.id if landing else None,
        status=landing.status if landing else None,
        phase=landing.phase if landing else None,
        up_at=landing.target_up_at if landing else None,
        error=reason,
    )


def _unready(replica: ReplicaRecord, protected: Protected | None) -> str | None:
    if replica.stage in IN_PLACE:
        return None
    if objection := objection_of(replica):
        return objection.message
    if protected is None or (protected.newest is None and not protected.suspect):
        return f"The replica of {replica.machine_name} has no usable point yet."
    return None


def _run(run: MigrationRecord, found: GroupRecord, looked: _Looked) -> GroupRun:
    state = form(RunState).validate_python(run.state) if run.state else None
    under_way = state is not None and state.why is None
    return shaped(
        GroupRun,
        run,
        error=run.error or (state.why if state else None),
        tiers=_tiers_of(state, found, looked) if state else _tiers_left(run),
        pause_until=state.progress.pause_until if state and under_way else None,
        remove_at=state.remove_at if state and under_way else None,
    )


def _tiers_of(state: RunState, found: GroupRecord, looked: _Looked) -> list[GroupTier]:
    """Return the tiers of a run that is under way."""
    landings = {member.replica_id: looked.records.get(member.landing_id or "") for member in found.members}
    up = {replica for replica, landing in landings.items() if landing and landing.target_up_at}
    stops = state.why is not None
    passed = state.remove_at is not None and not stops
    standings = tier_standings(state.tiers, state.progress, up, passed=passed, stops=stops)
    return [
        GroupTier(tier=tier.number, state=one.state, gate=one.gate)
        for tier, one in zip(state.tiers, standings, strict=True)
    ]


def _tiers_left(run: MigrationRecord) -> list[GroupTier]:
    """Return the tiers of a run that has ended, as it has kept them."""
    kept = (run.result or {}).get("tiers", ())
    return [GroupTier(tier=one["tier"], state=one["state"], gate=one["gate"]) for one in kept if "state" in one]
