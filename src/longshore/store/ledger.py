"""The ledger: every thing made on either side, written down before it exists.

An entry's owner (`<migration>/<step>`) is also in the metadata of the thing itself, so whatever happened between
writing the entry and learning the thing's id, it can be found again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from longshore.model.target import Owner
from longshore.store.database import in_portions, through_outages
from longshore.store.part import ScopedPart
from longshore.store.rows import filled
from longshore.store.tables import LedgerRow, MigrationRow


class ThingKind(StrEnum):
    SOURCE_SNAPSHOT = "source-snapshot"
    HOME_SNAPSHOT = "home-snapshot"  # of a machine that is written back to: to take that back is to revert to it
    HOME_PORT = "home-port"  # of a server that another one takes the place of: to take that back is to give it back
    MACHINE = "machine"  # made where a machine came from that is gone, to be written back to
    CHANGE_TRACKING = "change-tracking"  # switched on at the source, to be switched off again
    SOURCE_MARK = "source-mark"  # of a machine that has moved; what `ref` says is what takes it away again
    NETWORK = "network"  # one that leads nowhere, for a dry run
    VOLUME = "volume"
    VOLUME_SNAPSHOT = "volume-snapshot"
    PORT = "port"
    FLOATING_ADDRESS = "floating-address"
    LED_ADDRESS = "led-address"  # the user's floating address: to take that back is to have it lead nowhere again
    SERVER = "server"
    AGENT_PROBE = "agent-probe"  # an image that Nova froze the guest for, and its snapshots: only its agent's answer
    FROZEN = "frozen-application"  # by a playbook, for a backup's snapshot: to take that back is to run another one
    VAULT_WRITER = "vault-writer"  # that a backup is under way, in the vault, so that what it adds isn't pruned
    RELAY = "relay-server"  # with all that belongs to it; several migrations may use it
    PROXY = "proxy"  # made at a source; its name is the parent
    PROXY_DISKS = "proxy-disks"  # of a snapshot at the source, attached to a proxy or exported; `ref` says how it ends


class EntryState(StrEnum):
    INTENDED = "intended"  # may or may not exist
    MADE = "made"
    HANDED_OVER = "handed-over"  # it belongs to the user now
    REMOVED = "removed"
    LEFT = "left"  # it should be gone, but removing it failed; the note says why

    @property
    def settled(self) -> bool:
        """Tell whether nothing of it is ours any more: it is gone, or the user's."""
        return self in (EntryState.REMOVED, EntryState.HANDED_OVER)


SETTLED = tuple(state.value for state in EntryState if state.settled)  # as the database has them


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    id: int
    migration_id: str
    provider_id: str
    kind: ThingKind
    step: str
    parent: str | None
    ref: str | None
    state: EntryState
    note: str | None

    @property
    def owner(self) -> Owner:
        return Owner(self.migration_id, self.step)


@through_outages
class Ledger(ScopedPart):
    def intend(self, owner: Owner, provider_id: str, kind: ThingKind, parent: str | None = None) -> LedgerRecord:
        """Write down that a thing is about to be made. The same owner again answers the entry that is there; where the
        thing is gone, it is about to be made once more."""
        with self._database.session() as session:
            row = session.scalar(
                select(LedgerRow).where(LedgerRow.migration_id == owner.workflow, LedgerRow.step == owner.step)
            )
            if row is None:
                row = LedgerRow(
                    migration_id=owner.workflow,
                    step=owner.step,
                    provider_id=provider_id,
                    kind=kind.value,
                    parent=parent,
                )
                session.add(row)
                session.flush()
            elif row.state == EntryState.REMOVED.value:
                row.state, row.ref, row.note = EntryState.INTENDED.value, None, None
                row.parent = parent or row.parent
            return filled(LedgerRecord, row)

    def settle(self, entry_id: int, state: EntryState, *, ref: str | None = None, note: str | None = None) -> None:
        with self._database.session() as session:
            new = {"state": state.value, "note": note} | ({} if ref is None else {"ref": ref})
            session.execute(update(LedgerRow).where(LedgerRow.id == entry_id).values(new))

    def settle_kind(self, migration_id: str, kind: ThingKind, state: EntryState) -> None:
        """Set the state of all that a migration has made of a kind and not removed."""
        with self._database.session() as session:
            own = LedgerRow.migration_id == migration_id, LedgerRow.kind == kind.value
            there = update(LedgerRow).where(*own, LedgerRow.state != EntryState.REMOVED.value)
            session.execute(there.values(state=state.value, note=None))

    def entries(self, migration_id: str) -> list[LedgerRecord]:
        """Return the entries of a migration, in the order they were written."""
        return self.entries_of([migration_id])[migration_id]

    def entries_of(self, migration_ids: Sequence[str]) -> dict[str, list[LedgerRecord]]:
        """Return the entries of each of these migrations, in the order they were written."""
        found: dict[str, list[LedgerRecord]] = {migration_id: [] for migration_id in migration_ids}
        with self._database.session() as session:
            for ids in in_portions(migration_ids):
                query = select(LedgerRow).where(LedgerRow.migration_id.in_(ids)).order_by(LedgerRow.id)
                if not self._scope.everything:
                    mine = select(MigrationRow.id).where(MigrationRow.project_id == self._scope.project_id)
                    query = query.where(LedgerRow.migration_id.in_(mine))
                for row in session.scalars(query):
                    found[row.migration_id].append(filled(LedgerRecord, row))
        return found

    def handed_over(self, provider_id: str, kind: ThingKind) -> list[LedgerRecord]:
        """Return the entries of a kind of thing that was made at a provider for its user, the newest first."""
        with self._database.session() as session:
            query = select(LedgerRow).where(
                LedgerRow.provider_id == provider_id,
                LedgerRow.kind == kind.value,
                LedgerRow.state == EntryState.HANDED_OVER.value,
            )
            return [filled(LedgerRecord, row) for row in session.scalars(query.order_by(LedgerRow.id.desc()))]

    def unsettled(self, provider_id: str, kind: ThingKind) -> list[LedgerRecord]:
        """Return the entries of a kind of thing that may exist at a provider, whichever migration it was made for."""
        with self._database.session() as session:
            query = select(LedgerRow).where(
                LedgerRow.provider_id == provider_id,
                LedgerRow.kind == kind.value,
                LedgerRow.state.not_in(SETTLED),
            )
            return [filled(LedgerRecord, row) for row in session.scalars(query.order_by(LedgerRow.id))]


def forget_removed(session: Session, migration_id: str, kind: ThingKind, keep: int) -> None:
    """Delete the entries of things of a kind that were removed, but for the newest `keep`."""
    own = LedgerRow.migration_id == migration_id, LedgerRow.kind == kind.value
    gone = select(LedgerRow.id).where(*own, LedgerRow.state == EntryState.REMOVED.value)
    old = session.scalars(gone.order_by(LedgerRow.id.desc()).offset(keep)).all()
    if old:
        session.execute(delete(LedgerRow).where(LedgerRow.id.in_(old[:1000])))
