"""The progress of migrations and their disks, in figures and words: the same on a terminal and on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from longshore.model.copy_progress import MOVING, CopyFigures, figures_of
from longshore.model.durations import duration
from longshore.model.status import Status
from longshore.wording.figures import size

if TYPE_CHECKING:
    from longshore.api.schemas import DiskProgress, ListedMigration, Migration


class MigrationState(Protocol):
    """The state of a migration, from whichever record tells it."""

    @property
    def status(self) -> Status: ...
    @property
    def interrupted(self) -> bool: ...
    @property
    def stranded(self) -> str | None: ...


def figures(disk: DiskProgress) -> CopyFigures:
    return figures_of(disk.state, disk.progress)


def pace(rate: float, left: float | None) -> str:
    return f"{size(rate)}/s" + (f", {duration(left)} left" if left is not None else "")


def moves(migration: MigrationState, disk: DiskProgress) -> bool:
    """Tell whether the disk is being copied or read back now."""
    at_work = not migration.status.ended and migration.status is not Status.PARKED
    return at_work and disk.state in MOVING and disk.progress is not None


def moving(migration: ListedMigration) -> list[DiskProgress]:
    """Return those of its disks that are being copied or read back now."""
    return [disk for disk in migration.disks if moves(migration, disk)]


def standing(migration: Migration) -> list[str]:
    """Return how long the machine has been off, and what there was to copy again when it was last synchronised."""
    told = []
    off = migration.downtime_seconds
    if off is not None:
        told.append(f"down for {duration(off)}")
    if migration.syncs and off is None:
        last = migration.syncs[-1]
        changed = last["bytes_changed"]
        what = "everything" if last["number"] == 0 else "compared" if changed is None else f"{size(changed)} changed"
        told.append(f"last sync: {what}, {duration(last['seconds'])}")
    return told


def status_of(migration: MigrationState) -> str:
    if migration.interrupted:
        return "interrupted"
    return "stranded" if migration.stranded else migration.status.value
