"""Starting of what was asked for and is queued: somebody is there to take it up."""

from longshore.api.schemas import Migration
from longshore.engine import embedded
from longshore.service.beforehand import Beforehand
from longshore.service.migrations_shown import note_asked_for, shown
from longshore.store import MigrationRecord, Store


def begun_as_looked_at(store: Store, looked: Beforehand) -> Migration:
    """Begin what was looked at. Raises LongshoreError when something stands against it."""
    looked.refuse_blocked()
    [record] = store.migrations.add_together([looked.new()])
    for concern in looked.said:
        store.events.say(record.id, None, str(concern), "warning")
    return begun(store, record)


def begun(store: Store, record: MigrationRecord) -> Migration:
    note_asked_for([record])
    embedded.ensure_running(store.state)
    return shown(store, [store.migrations.get(record.id)])[0]
