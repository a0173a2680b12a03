"""Audits: a sync that reads everything, both sides, shows whether a source has told of all that has changed.

What the earlier syncs have made is in the base's digests, and what the source holds now in the new ones. Where these
differ though the source names no change there since the base, it hid one before: from some point since the last audit
on. The sync that finds it has copied it.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from longshore.blocks.manifest import hidden, read_manifest
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.syncing import Round, SyncState
from longshore.flows.moves.syncs import Sync
from longshore.flows.moves.told_changes import read_changes
from longshore.flows.replicas.moments import next_audit
from longshore.model.changes import Changed
from longshore.model.extents import total
from longshore.store import ReplicaRecord
from longshore.store.points import Audited


@dataclass(frozen=True, slots=True)
class Audit:
    """The findings of an audit. Disks are named by their labels."""

    hidden: dict[str, int] = field(default_factory=dict)  # bytes, in whole blocks, that had changed untold
    repaired: dict[str, int] = field(default_factory=dict)  # ranges of the target that were wrong, and are right now
    untold: tuple[str, ...] = ()  # whose source can't tell what changes: their syncs compare all of them anyway

    @property
    def is_good(self) -> bool:
        return not self.hidden and not self.repaired

    def sentences(self) -> list[str]:
        said = [
            f"{label}: {count / (1 << 20):.1f} MiB had changed that the source hasn't told of. They are copied now."
            for label, count in self.hidden.items()
        ]
        said += [
            f"{label}: {count} range(s) of its volume weren't as they were written. They are right now."
            for label, count in self.repaired.items()
        ]
        return said


def audit(job: MoveContext, state: SyncState, copied: Round) -> Audit:
    """Return what a round shows of which all was copied anew or compared. Raise CheckpointError when a manifest can't
    be read."""
    assert state.bases is not None
    directory = job.store.state.migration(job.id)
    found: dict[str, int] = {}
    repaired: dict[str, int] = {}
    untold: list[str] = []
    for disk, copy in zip(state.prepared.machine.disks, copied.copies, strict=True):
        if copy.repaired:
            repaired[disk.label] = copy.repaired
        told = read_changes(job, disk, copied.told[disk.key])
        if not isinstance(told, Changed):
            untold.append(disk.label)
            continue
        before, _ = read_manifest(directory / state.bases[disk.key].manifest)
        after, _ = read_manifest(directory / copy.manifest)
        if extents := hidden(before, after, told.extents):
            found[disk.label] = total(extents)
    return Audit(found, repaired, tuple(untold))


def outcome(replica: ReplicaRecord, sync: Sync, found: Audit | None) -> Audited:
    """Return what the replica's record keeps of an audit, and when the next one is due.

    `found`: None for the first sync, which reads everything since there is nothing yet.
    """
    next_at = next_audit(replica.audit, replica.id, datetime.now(UTC))
    if found is None:
        return Audited(next_at)
    figures = sync.as_record()
    shown = {
        "at": figures["at"],
        "seconds": figures["seconds"],
        "bytes_read": figures["bytes_read"],
        "bytes_verified": figures["bytes_verified"],
        "hidden": found.hidden,
        "repaired": found.repaired,
        "untold": list(found.untold),
    }
    return Audited(next_at, found.is_good, shown)


def verdict(found: Audit, replica: ReplicaRecord, sync: Sync) -> str:
    """Return a sentence that says which points an audit has shown to be right or suspect. `replica`: as
    it was before."""
    number, before = sync.number + 1, replica.audited_point or 0
    if found.is_good:
        return f"All was read and compared for point {number}: nothing was hidden since point {before}."
    if number - before < 2:
        return f"Point {number} is right, and no other was made since point {before}."
    span = f"Points {before + 1} to {number - 1} are" if number - before > 2 else f"Point {number - 1} is"
    return f"{span} suspect. Point {number} is right."
