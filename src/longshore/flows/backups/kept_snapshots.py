"""Snapshots that backups keep at their source, so that the next backup can ask what has changed since.

The ledger says which there are. Who cleans up by the chain of points misses those of points that were deleted, or that
a wrong clock has put out of order.
"""

from longshore.errors import NotFound
from longshore.flows.clouds import Clouds
from longshore.flows.undo import undo
from longshore.model.request import MigrationType
from longshore.store import LedgerRecord, MigrationRecord, Store, ThingKind
from longshore.vault.points import Point


def drop_earlier(store: Store, clouds: Clouds, backup: MigrationRecord) -> list[str]:
    """Remove what the earlier backups of this machine into this vault have kept: its own point is the newest.

    Return a sentence for each snapshot that couldn't be removed; that one is tried again by the next backup.
    """
    entries = store.ledger.unsettled(backup.source_id, ThingKind.SOURCE_SNAPSHOT)
    ids = dict.fromkeys(entry.migration_id for entry in entries if entry.migration_id != backup.id)
    of_machine = backup.project_id, backup.machine_ref, backup.target_id
    earlier = [
        one.id
        for one in store.migrations.several(list(ids))
        if one.type is MigrationType.BACKUP
        and one.status.ended
        and (one.project_id, one.machine_ref, one.target_id) == of_machine
    ]
    return [sentence for id_ in earlier for sentence in undo(store, clouds, id_, _is_kept)]


def drop_of_point(store: Store, clouds: Clouds, vault_id: str, point: Point) -> list[str]:
    """Remove what the backup that has made this point, which is gone, has kept. Return sentences as `drop_earlier`
    does.

    Nothing is removed for a point that was copied into this vault, or that another installation has made.
    """
    id_ = point.content.get("backup") if point.content.get("keeps_snapshot") else None
    if not isinstance(id_, str):
        return []
    try:
        made = store.migrations.get(id_)
    except NotFound:
        return []
    if made.id != id_ or made.target_id != vault_id or made.type is not MigrationType.BACKUP:
        return []
    return undo(store, clouds, made.id, _is_kept)


def _is_kept(entry: LedgerRecord) -> bool:
    return entry.kind is ThingKind.SOURCE_SNAPSHOT
