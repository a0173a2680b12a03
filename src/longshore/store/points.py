"""Points of replicas: which there are, what they are made of, and who stands on them.

A point's row is written before its source's snapshot is asked for. It is usable from the transaction on in which the
record hears of the sync that made it; nobody makes a machine of one that isn't, or removes one of which a machine is
being made, or was and is still there.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session

from longshore.errors import Conflict, NotFound
from longshore.model.forms import form
from longshore.model.point import Arrival, Consistency, Hold, Point
from longshore.model.replica import PointDisk, PointState, Stage, Wish
from longshore.model.request import MADE_OF_POINTS, OF_POINTS, MigrationType
from longshore.model.status import UNFINISHED, Status
from longshore.store.database import through_outages
from longshore.store.ledger import EntryState, ThingKind, forget_removed
from longshore.store.part import StorePart
from longshore.store.rows import filled, in_json
from longshore.store.syncs import keep_sync
from longshore.store.tables import LedgerRow, MigrationRow, PointRow, ReplicaRow, with_zone, without_zone

_ENTRIES_KEPT = 50  # of snapshots that are gone
_AUDITS_KEPT = 20
_CALLED = {MigrationType.TEST.value: "test"}  # by people, where they say it otherwise


@dataclass(frozen=True, slots=True)
class PointRecord:
    """A point of a replica, as it is kept. Moments are in UTC, and say so. Sizes are in bytes."""

    replica_id: str
    number: int
    state: PointState
    moment: datetime
    usable_at: datetime | None
    consistency: Consistency | None
    changed: int | None  # None: the source couldn't say
    written: int | None
    disks: tuple[PointDisk, ...]
    machine: dict[str, Any]  # as it was then; empty for one that is gone
    holds: tuple[Hold, ...]
    users: tuple[str, ...]  # as people call them
    proved_at: datetime | None
    proof: str | None
    note: str | None  # why it couldn't be removed yet
    suspect: bool = False

    @property
    def point(self) -> Point:
        """Return the point of a record that is usable, or was."""
        return Point(
            str(self.number),
            Arrival(self.moment, self.usable_at or self.moment),
            self.consistency or Consistency.CRASH,
            suspect=self.suspect,
            proved=self.proved_at is not None,
            holds=self.holds,
            users=self.users,
        )


@dataclass(frozen=True, slots=True)
class Audited:
    """A sync that has read everything; the first of all is one, too."""

    next_at: datetime | None  # of the next one, in UTC without a zone
    is_good: bool = True  # nothing was found
    found: dict[str, Any] | None = None  # to be shown; None: there was nothing yet to compare with


@through_outages
class Points(StorePart):
    """Points of replicas. Whoever asks has found the replica among those that they may see."""

    def all(self, replica_id: str) -> list[PointRecord]:
        """Return the points of a replica that are there, or were begun; newest last."""
        with self._database.session() as session:
            query = select(PointRow).where(PointRow.replica_id == replica_id, PointRow.state != PointState.GONE.value)
            rows = session.scalars(query.order_by(PointRow.number)).all()
            users = _users(session, replica_id)
            return [_record(row, users.get(row.number, {})) for row in rows]

    def usable(self, replica_id: str) -> list[PointRecord]:
        """Return the usable points of a replica, newest last."""
        return [point for point in self.all(replica_id) if point.state is PointState.USABLE]

    def get(self, replica_id: str, number: int) -> PointRecord:
        """Return a point of a replica. Raises NotFound."""
        with self._database.session() as session:
            row = _there(session, replica_id, number)
            return _record(row, _users(session, replica_id).get(number, {}))

    def arrivals(self, replica_id: str, since: datetime) -> list[Arrival]:
        """Return when each point has come since a moment, whether it is still there or not, and the last one before;
        oldest first. Suspect points are left out, for the past, too.

        `since` is in UTC, and says so.
        """
        with self._database.session() as session:
            own = PointRow.replica_id == replica_id, PointRow.usable_at.is_not(None), PointRow.suspect.is_(False)
            before = select(func.max(PointRow.usable_at)).where(*own, PointRow.usable_at < without_zone(since))
            first = session.scalar(before) or without_zone(since)
            query = select(PointRow.moment, PointRow.usable_at).where(*own, PointRow.usable_at >= first)
            rows = session.execute(query.order_by(PointRow.number))
            return [Arrival(with_zone(moment), with_zone(usable_at)) for moment, usable_at in rows if usable_at]

    # Making one

    def begin(self, replica_id: str, number: int, moment: datetime, *, goes_on: bool) -> datetime:
        """Begin a point of this moment, and return its moment with its zone.

        `goes_on`: what an earlier run has asked for is there, and its moment counts.
        """
        with self._database.session() as session:
            row = session.get(PointRow, (replica_id, number))
            if row is None:
                row = PointRow(replica_id=replica_id, number=number, moment=without_zone(moment))
                session.add(row)
            elif not goes_on:
                row.moment = without_zone(moment)
            return with_zone(row.moment)

    def complete(
        self,
        replica_id: str,
        number: int,
        *,
        usable_at: datetime,
        consistency: Consistency,
        disks: Sequence[PointDisk],
        machine: dict[str, Any],
        sync: dict[str, Any],
        state: dict[str, Any],
        audit: Audited | None = None,
    ) -> None:
        """Make a point usable, and keep what the next sync goes by with it. Called again, it changes nothing more of
        the point.

        `audit`: all was read for it.
        """
        with self._database.session() as session:
            row = session.get_one(PointRow, (replica_id, number))
            if row.state == PointState.MAKING.value:
                row.state, row.usable_at = PointState.USABLE.value, without_zone(usable_at)
                row.consistency = consistency.value
                row.changed, row.written = sync["bytes_changed"], sync["bytes_written"]
                row.disks = in_json(list(disks))
                row.machine = machine
                if audit is not None:
                    _keep_audit(session, row, audit)
            keep_sync(session, replica_id, sync, state)
            own = update(ReplicaRow).where(ReplicaRow.id == replica_id)
            session.execute(own.values(failures=0, error=None, error_code=None))
            seeded = own.where(ReplicaRow.stage == Stage.SEEDING.value)
            session.execute(seeded.values(stage=Stage.PROTECTED.value))

    def forget_change_ids(self, replica_id: str) -> None:
        """Forget the change ids of a replica's machine: something other than its guest is about to write its disks."""
        with self._database.session() as session:
            for row in session.scalars(select(PointRow).where(PointRow.replica_id == replica_id)):
                row.disks = [{**disk, "change_id": None} for disk in row.disks or []] or None

    def discard(self, replica_id: str, number: int) -> None:
        """Delete a point whose making was begun and came to nothing."""
        with self._database.session() as session:
            own = PointRow.replica_id == replica_id, PointRow.number == number
            session.execute(delete(PointRow).where(*own, PointRow.state == PointState.MAKING.value))

    # Removing

    def claim(self, replica_id: str, numbers: Collection[int]) -> list[int]:
        """Claim those of these points that nobody uses or holds: no machine is made of them from now on.

        Returns all of these that are claimed now, those of earlier calls included.
        """
        with self._database.alone() as session:
            used, now = _users(session, replica_id, OF_POINTS), datetime.now(UTC)
            own = PointRow.replica_id == replica_id, PointRow.number.in_(numbers)
            claimed = []
            for row in session.scalars(select(PointRow).where(*own).order_by(PointRow.number)):
                held = any(hold.counts(now) for hold in _holds(row))
                there = row.state in (PointState.USABLE.value, PointState.LOST.value)
                if there and row.number not in used and not held:
                    row.state = PointState.REMOVING.value
                if row.state == PointState.REMOVING.value:
                    claimed.append(row.number)
            return claimed

    def removed(self, replica_id: str, number: int) -> None:
        """Mark a point as gone. Only when it came stays on record, for figures of the past."""
        gone = {"disks": None, "machine": None, "holds": None, "note": None, "proof": None}
        with self._database.session() as session:
            own = update(PointRow).where(PointRow.replica_id == replica_id, PointRow.number == number)
            session.execute(own.values(state=PointState.GONE.value, **gone))
            forget_removed(session, replica_id, ThingKind.VOLUME_SNAPSHOT, _ENTRIES_KEPT)

    def all_removed(self, replica_id: str) -> None:
        """Mark all points of a replica as gone, with their replica."""
        with self._database.session() as session:
            own = update(PointRow).where(PointRow.replica_id == replica_id)
            session.execute(own.values(state=PointState.GONE.value))

    def lost(self, replica_id: str, number: int, note: str) -> bool:
        """Mark a point of which no machine can be made any more; the note says why.

        Tells whether it was usable until now.
        """
        with self._database.session() as session:
            own = update(PointRow).where(PointRow.replica_id == replica_id, PointRow.number == number)
            usable = own.where(PointRow.state == PointState.USABLE.value)
            found = session.execute(usable.values(state=PointState.LOST.value, note=note))
            return bool(found.rowcount)  # type: ignore[attr-defined]

    def stays(self, replica_id: str, number: int, note: str) -> bool:
        """Note why a point couldn't be removed, and tell whether that was noted before."""
        with self._database.session() as session:
            row = session.get_one(PointRow, (replica_id, number))
            known, row.note = row.note == note, note
            return known

    def forget(self, replica_id: str, before: datetime) -> None:
        """Delete points that are gone and came before this moment, but for the last that came before it.

        `before` is in UTC, and says so.
        """
        with self._database.session() as session:
            old = PointRow.replica_id == replica_id, PointRow.usable_at < without_zone(before)
            last = session.scalar(select(func.max(PointRow.number)).where(*old))
            gone = delete(PointRow).where(*old, PointRow.state == PointState.GONE.value)
            session.execute(gone.where(PointRow.number < (last or 0)))

    # Notes on one point

    def hold(self, replica_id: str, number: int, hold: Hold) -> PointRecord:
        """Hold a point.

        A hold of the same name is replaced. Raises NotFound, Conflict for a point that isn't usable.
        """
        return self._change_holds(replica_id, number, hold.name, hold)

    def release(self, replica_id: str, number: int, name: str) -> PointRecord:
        """End the hold of this name on a point. Raises NotFound."""
        return self._change_holds(replica_id, number, name, None)

    def _change_holds(self, replica_id: str, number: int, name: str, new: Hold | None) -> PointRecord:
        with self._database.alone() as session:
            row = _there(session, replica_id, number)
            if row.state != PointState.USABLE.value:
                raise _unusable(number, row.state)
            holds = _holds(row)
            others = [hold for hold in holds if hold.name != name]
            if new is None and len(others) == len(holds) and not self._database.may_be_done:
                raise NotFound(f"Nothing called {name} holds point {number}.")
            held = [*others, *([new] if new else [])]
            row.holds = in_json(held)
            return _record(row, _users(session, replica_id).get(number, {}))

    def prove(self, replica_id: str, number: int, at: datetime, proof: str) -> None:
        """Note that a machine made of a point was seen up, and how."""
        with self._database.session() as session:
            own = update(PointRow).where(PointRow.replica_id == replica_id, PointRow.number == number)
            session.execute(own.values(proved_at=without_zone(at), proof=proof))


def _there(session: Session, replica_id: str, number: int) -> PointRow:
    """Return a point that is there, or was begun. Raises NotFound."""
    row = session.get(PointRow, (replica_id, number))
    if row is None or row.state == PointState.GONE.value:
        raise NotFound(f"The replica has no point {number}.", advice=f"See: longshore replica point list {replica_id}.")
    return row


def _keep_audit(session: Session, point: PointRow, audit: Audited) -> None:
    """Keep the result of an audit with the point that it has made.

    After one that isn't good, the points since the audit before are suspect: changes that were hidden from their syncs
    may be missing from them, even where the difference is gone by now.
    """
    replica = session.get_one(ReplicaRow, point.replica_id)
    before = replica.audited_point or 0
    if not audit.is_good:
        between = PointRow.number > before, PointRow.number < point.number
        made = PointRow.state != PointState.MAKING.value
        own = update(PointRow).where(PointRow.replica_id == point.replica_id, *between, made)
        session.execute(own.values(suspect=True))
    replica.audited_at, replica.audited_point, replica.audit_due_at = point.moment, point.number, audit.next_at
    if audit.found is not None:
        found = {**audit.found, "point": point.number, "since": before}
        replica.audits = [*(replica.audits or ()), found][-_AUDITS_KEPT:]


def occupy_point(session: Session, migration: MigrationRow) -> None:
    """Claim the point that a migration's request names, to make a machine of it. No other transaction of that kind runs
    beside.

    Raises Conflict when that can't be.
    """
    number = migration.request["point"]
    replica = session.get_one(ReplicaRow, migration.of)
    row = session.get(PointRow, (migration.of, number))
    if row is None or row.state != PointState.USABLE.value:
        raise _unusable(number, row.state if row else PointState.GONE.value)
    if replica.stage == Stage.MIGRATING.value:
        raise Conflict("The replica is being migrated, and its points go with it.")
    if migration.type == MigrationType.FAILOVER.value:
        if replica.stage not in (Stage.PROTECTED.value, Stage.ADOPTED.value):
            raise Conflict(f"The replica is {replica.stage}: it can't fail over now.")
        if replica.wish == Wish.FAILOVER.value:
            raise Conflict("A failover of this replica is under way.", advice="Wait for its end.")
        replica.stage, replica.failover_id = Stage.FAILING_OVER.value, migration.id


def refuse_users(session: Session | None, replica_id: str) -> None:
    """Raise Conflict when something stands on one of the replica's points."""
    assert session is not None
    if users := [user for found in _users(session, replica_id).values() for user in found.values()]:
        raise Conflict(
            f"{', '.join(users)} stand(s) on the replica's points, which would go.",
            advice="Remove that first, with its volumes.",
        )


def refuse_to_forget_users(session: Session, migration: MigrationRow) -> None:
    """Raise Conflict when what a migration has made of a point is still there, and so is the point."""
    if migration.type not in OF_POINTS:
        return
    number, users = migration.request["point"], _users(session, migration.of, OF_POINTS)
    if migration.id in users.get(number, {}):
        raise Conflict(
            f"What migration {migration.id} has made stands on point {number} of replica {migration.of}.",
            advice="It is forgotten with the replica.",
        )


def _unusable(number: int, state: str) -> Conflict:
    return Conflict(f"Point {number} isn't usable: it is {state}.", advice="Choose another one.")


def _users(session: Session, replica_id: str, kinds: Sequence[str] = MADE_OF_POINTS) -> dict[int, dict[str, str]]:
    """Return what stands on each point, as people call it, by migration: what is being made of it, and what was made of
    it and still has its volumes.

    A look into a point is nobody's: it keeps the point, and is ended by whoever wants it gone.
    """
    volumes = exists().where(
        LedgerRow.migration_id == MigrationRow.id,
        LedgerRow.kind == ThingKind.VOLUME.value,
        LedgerRow.state != EntryState.REMOVED.value,
    )
    query = select(MigrationRow).where(
        MigrationRow.type.in_(kinds),
        MigrationRow.of == replica_id,
        MigrationRow.status.in_(UNFINISHED) | volumes,
    )
    found: dict[int, dict[str, str]] = {}
    for row in session.scalars(query):
        kind = _CALLED.get(row.type, row.type)
        ended = Status(row.status).ended and row.server_id is not None
        name = f"server {row.server_id} of {kind} {row.id}" if ended else f"{kind} {row.id}"
        found.setdefault(row.request["point"], {})[row.id] = name
    return found


def _holds(row: PointRow) -> list[Hold]:
    return form(list[Hold]).validate_python(row.holds or [])


def _record(row: PointRow, users: Mapping[str, str]) -> PointRecord:
    return filled(
        PointRecord,
        row,
        moment=with_zone(row.moment),
        usable_at=with_zone(row.usable_at),
        users=tuple(users.values()),
        proved_at=with_zone(row.proved_at),
    )
