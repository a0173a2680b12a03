"""Groups of replicas: which there are, who is in which tier, and the run that tries them or fails them over.

A run is a migration (its record, its events, its end); its machines' are landings of their own, which wait at the queue
until their tier begins. Whatever becomes of one of those, the run is told, and looks.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from longshore.errors import Conflict, NotFound
from longshore.model.forms import form
from longshore.model.group import Gate, Tier
from longshore.model.job import JobKind
from longshore.model.status import UNFINISHED, Status
from longshore.store.database import through_outages
from longshore.store.jobs import end_job, enqueue, hasten, new_job
from longshore.store.part import NamedPart
from longshore.store.rows import filled, in_json, readable
from longshore.store.tables import GroupMemberRow, GroupRow, MigrationRow, ReplicaRow


@dataclass(frozen=True, slots=True)
class GroupMember:
    replica_id: str
    machine_name: str
    tier: int
    landing_id: str | None  # its machine's migration in the group's last run


@dataclass(frozen=True, slots=True)
class GroupRecord:
    id: str
    project_id: str
    name: str
    gates: dict[int, Gate]  # by the tier that they are after
    members: tuple[GroupMember, ...]  # in the order of their tiers
    run_id: str | None  # the migration that is its last test or failover
    created_at: datetime

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """Return the tiers in the order in which they begin."""
        numbers = dict.fromkeys(member.tier for member in self.members)
        return tuple(
            Tier(
                number,
                tuple(member.replica_id for member in self.members if member.tier == number),
                self.gates.get(number, Gate()),
            )
            for number in numbers
        )


@dataclass(frozen=True, slots=True)
class GroupRun:
    """The run of a group, for the migration that is added as its record."""

    group_id: str
    landings: Mapping[str, str]  # by replica the migration that is added for it, or was there already


@through_outages
class Groups(NamedPart[GroupRow]):
    _rows = GroupRow

    def all(self) -> list[GroupRecord]:
        """Return the groups that the scope sees, by name. One that can't be read is logged and left out."""
        with self._database.session() as session:
            return readable(session.scalars(self._listed()), lambda row: _record(session, row), "group of replicas")

    def get(self, name_or_id: str) -> GroupRecord:
        """Return a group. Raises NotFound, or Conflict when several others are called so."""
        with self._database.session() as session:
            return _record(session, self._find(session, name_or_id))

    def of_run(self, run_id: str) -> GroupRecord:
        """Return the group whose last run this is. Raises NotFound when it is gone."""
        with self._database.session() as session:
            row = session.scalar(select(GroupRow).where(GroupRow.run_id == run_id))
            if row is None:
                raise NotFound("The group is gone.")
            return _record(session, row)

    def add(self, name: str, members: Mapping[str, int], gates: Mapping[int, Gate]) -> GroupRecord:
        """Add a group.

        `members`: the tier of each replica, by its id. Raises Conflict when the name, or a replica, is taken.
        """
        with self._database.alone() as session:
            if (there := self._made_before(session, name)) is not None:
                return _record(session, there)
            unique = self._unique(session, name)
            row = GroupRow(id=str(uuid.uuid4()), project_id=self._scope.project_id, name=name, unique_name=unique)
            row.gates = in_json(dict(gates))
            session.add(row)
            session.flush()
            _put_members(session, row, members)
            return _record(session, row)

    def change(self, group_id: str, members: Mapping[str, int | None], gates: Mapping[int, Gate | None]) -> GroupRecord:
        """Put the replicas that are named into these tiers, or take them out (None); the others stay, and so with
        gates.

        Raises Conflict while the group is tried or fails over, when a replica is in another group, or none would be
        left.
        """
        with self._database.alone() as session:
            row = session.get_one(GroupRow, group_id)
            _refuse_busy(session, row)
            _put_members(session, row, members)
            before = form(dict[int, Gate]).validate_python(row.gates)
            row.gates = in_json({number: gate for number, gate in {**before, **gates}.items() if gate is not None})
            session.flush()
            return _record(session, row)

    def remove(self, group_id: str) -> None:
        """Remove a group, if it is there; its replicas stay. Raises Conflict while it is tried or fails over."""
        with self._database.alone() as session:
            row = session.get(GroupRow, group_id)
            if row is None:
                return
            _refuse_busy(session, row)
            session.delete(row)

    def leave(self, replica_id: str) -> None:
        """Take a replica out of its group, if it is in one."""
        with self._database.session() as session:
            row = session.get(GroupMemberRow, replica_id)
            if row is not None:
                session.delete(row)

    def waits_for_run(self, landing_id: str) -> bool:
        """Tell whether a machine is made for a run that hasn't ended, which says when the machine's time is over."""
        with self._database.session() as session:
            run = (
                select(MigrationRow.id)
                .join(GroupRow, GroupRow.run_id == MigrationRow.id)
                .join(GroupMemberRow, GroupMemberRow.group_id == GroupRow.id)
                .where(GroupMemberRow.landing_id == landing_id, MigrationRow.status.in_(UNFINISHED))
            )
            return session.scalar(run) is not None

    def go_on(
        self, run_id: str, job_id: str, *, due_at: datetime, state: dict[str, Any], stops: bool, phase: str | None
    ) -> None:
        """End a look of a group's run, and queue the next one. `stops`: the run knows already that it is to stop.

        `phase`: None for the one that it is in. Called again, it does nothing.
        """
        next_id = str(uuid.uuid4())
        with self._database.alone() as session:
            if not end_job(session, job_id, Status.DONE):
                return
            row = session.get_one(MigrationRow, run_id)
            row.state, row.status, row.phase = state, Status.RUNNING.value, phase or row.phase
            at_once = row.cancel_requested and not stops
            enqueue(session, [new_job(row, JobKind.GROUP, id_=next_id, due_at=None if at_once else due_at)])


def begin_run(session: Session, migration: MigrationRow, run: GroupRun) -> None:
    """Make a migration the run of its group. Raises Conflict while another one is under way."""
    group = session.get_one(GroupRow, run.group_id)
    _refuse_busy(session, group)
    group.run_id = migration.id
    for row in session.scalars(select(GroupMemberRow).where(GroupMemberRow.group_id == group.id)):
        row.landing_id = run.landings.get(row.replica_id)


def note_landing(session: Session, replica_id: str, landing_id: str) -> None:
    """Note the migration of a replica's planned failover with its group, where it waits for its tier."""
    own = update(GroupMemberRow).where(GroupMemberRow.replica_id == replica_id)
    session.execute(own.values(landing_id=landing_id))


def tell_run(session: Session, record_id: str) -> None:
    """Have a group's run look at once, if there is one.

    The record is that of its replica, or of a machine made of one, of which something has become.
    """
    of_it = (GroupMemberRow.landing_id == record_id) | (GroupMemberRow.replica_id == record_id)
    query = select(GroupRow.run_id).join(GroupMemberRow, GroupMemberRow.group_id == GroupRow.id).where(of_it)
    run_id = session.scalar(query)
    if run_id is not None:
        hasten(session, run_id)


def _refuse_busy(session: Session, group: GroupRow) -> None:
    run = session.get(MigrationRow, group.run_id) if group.run_id else None
    if run is not None and not Status(run.status).ended:
        what = run.type.removeprefix("group-")
        raise Conflict(
            f"A {what} of group {group.name} is under way ({run.id}).",
            advice=f"Wait for its end, or stop it: longshore replica group undo {group.name}.",
        )


def _put_members(session: Session, group: GroupRow, members: Mapping[str, int | None]) -> None:
    for replica_id, tier in members.items():
        row = session.get(GroupMemberRow, replica_id)
        if row is not None and row.group_id != group.id:
            if tier is None:
                continue
            other = session.get_one(GroupRow, row.group_id)
            name = session.get_one(MigrationRow, replica_id).machine_name
            said = f"The replica of {name} is in group {other.name}."
            raise Conflict(said, advice="Take it out of that first.", field="members")
        if tier is None:
            if row is not None:
                session.delete(row)
        elif row is None:
            session.add(GroupMemberRow(replica_id=replica_id, group_id=group.id, tier=tier))
        else:
            row.tier = tier
    session.flush()
    if session.scalar(select(GroupMemberRow.replica_id).where(GroupMemberRow.group_id == group.id).limit(1)) is None:
        said = f"Group {group.name} would have no replica."
        raise Conflict(said, advice="Leave one in it, or delete the group.", field="members")


def _record(session: Session, row: GroupRow) -> GroupRecord:
    query = (
        select(GroupMemberRow, MigrationRow.machine_name)
        .join(ReplicaRow, ReplicaRow.id == GroupMemberRow.replica_id)
        .join(MigrationRow, MigrationRow.id == ReplicaRow.id)
        .where(GroupMemberRow.group_id == row.id)
        .order_by(GroupMemberRow.tier, MigrationRow.machine_name, MigrationRow.id)
    )
    members = [filled(GroupMember, one, machine_name=name) for one, name in session.execute(query)]
    return filled(GroupRecord, row, members=tuple(members))
