"""Starting of what was asked for and is queued: somebody is there to take it up."""

from longshore.api.schemas import Migration
from longshore.engine import embedded
from longshore.service.migrations_shown import note_asked_for, shown
from longshore.store import MigrationRecord, Store


def begun(store: Store, record: MigrationRecord) -> Migration:
    note_asked_for([record])
    embedded.ensure_running(store.state)
    return shown(store, [store.migrations.get(record.id)])[0]
