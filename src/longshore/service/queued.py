"""Starting of what was asked for and is queued: somebody is there to take it up."""

from collections.abc import Sequence

from longshore.api.schemas import Migration
from longshore.engine import embedded
from longshore.model.concern import Concern
from longshore.service.migrations_shown import note_asked_for, shown
from longshore.store import NewMigration, Store


def begun(store: Store, new: NewMigration, said: Sequence[Concern] = ()) -> Migration:
    """Add it, with events for what is to be said of it, and have it begun."""
    records = store.migrations.add_together([new])
    note_asked_for(records)
    for concern in said:
        store.events.say(new.id, None, str(concern), "warning")
    embedded.ensure_running(store.state)
    return shown(store, store.migrations.several([new.id]))[0]
