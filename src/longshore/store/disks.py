"""The state of each disk of a migration: how far its copy is, on which volume, with which digest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from longshore.model.machine import Disk
from longshore.store.database import in_portions, through_outages
from longshore.store.part import StorePart
from longshore.store.rows import filled
from longshore.store.tables import DiskRow


@dataclass(frozen=True, slots=True)
class DiskRecord:
    key: str
    position: int
    label: str
    size: int
    state: str
    progress: dict[str, Any] | None
    volume_id: str | None
    root_digest: str | None


@through_outages
class Disks(StorePart):
    def keep(self, migration_id: str, disks: tuple[Disk, ...]) -> None:
        """Add the disks of a migration; one that is there already stays as it is."""
        with self._database.session() as session:
            for disk in disks:
                if session.get(DiskRow, (migration_id, disk.key)) is None:
                    session.add(new_disk(migration_id, disk))

    def rename(self, migration_id: str, key: str, disk: Disk) -> None:
        """Put another disk in the place of the one with this key.

        What was copied of the one counts as copied of the other from now on.
        """
        with self._database.session() as session:
            own = update(DiskRow).where(DiskRow.migration_id == migration_id, DiskRow.key == key)
            session.execute(own.values(key=disk.key, label=disk.label))

    def update(self, migration_id: str, key: str, **fields: Any) -> None:
        with self._database.session() as session:
            own = update(DiskRow).where(DiskRow.migration_id == migration_id, DiskRow.key == key)
            session.execute(own.values(fields))


def new_disk(migration_id: str, disk: Disk) -> DiskRow:
    return DiskRow(migration_id=migration_id, key=disk.key, position=disk.position, label=disk.label, size=disk.size)


def disks_of(session: Session, migration_ids: Sequence[str]) -> dict[str, list[DiskRecord]]:
    """Return the disks of each of these migrations, in the order that the machine has them."""
    found: dict[str, list[DiskRecord]] = {migration_id: [] for migration_id in migration_ids}
    for ids in in_portions(migration_ids):
        query = select(DiskRow.__table__).where(DiskRow.migration_id.in_(ids)).order_by(DiskRow.position)
        for row in session.execute(query):
            found[row.migration_id].append(filled(DiskRecord, row))
    return found
