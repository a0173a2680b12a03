"""How far migrations and their disks are, in figures and words: the same on a terminal and on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.web.words import duration, size

if TYPE_CHECKING:
    from longshore.api.schemas import DiskProgress, Migration


def figures(disk: DiskProgress) -> tuple[int, int, float, float | None]:
    """Bytes done, bytes in all, bytes per second and seconds left, of the phase the copy is in."""
    progress: dict[str, Any] = disk.progress or {}
    verifying = disk.state == "verifying"
    done = progress["verified"] if verifying else progress["done"]
    total = progress["to_verify"] if verifying else progress["total"]
    return int(done), max(int(total), 1), progress["rate"], progress.get("eta")


def pace(rate: float, left: float | None) -> str:
    return f"{size(rate)}/s" + (f", {duration(left)} left" if left is not None else "")


def moves(migration: Migration, disk: DiskProgress) -> bool:
    """Whether the disk is being copied or read back now."""
    return not migration.status.ended and disk.state in ("copying", "verifying") and disk.progress is not None


def waits_for_word(migration: Migration) -> bool:
    """Whether it is a restore in place that was seen up: its user has to say whether that is for good."""
    asked = migration.cancel_requested or migration.cutover_requested
    return migration.request.type.value == "in-place" and migration.phase == "up" and not asked


def standing(migration: Migration) -> list[str]:
    """How long the machine has been off, and what there was to copy again when it was last synchronised."""
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


def status_of(migration: Migration) -> str:
    if migration.interrupted:
        return "interrupted"
    return "stranded" if migration.stranded else migration.status.value
