"""Starting of what was asked for and is queued: somebody is there to take it up."""

import logging
from collections.abc import Mapping, Sequence

from longshore.api.schemas import Migration
from longshore.engine import embedded
from longshore.model.concern import Concern
from longshore.model.request import MigrationType
from longshore.service.migrations_shown import shown
from longshore.store import MigrationRecord, NewMigration, Store

_log = logging.getLogger("longshore.service")


def added(
    store: Store, new: Sequence[NewMigration], said: Mapping[str, Sequence[Concern]] | None = None
) -> list[MigrationRecord]:
    """Add all of these or none, with events for what is `said` of each, by its id, and have them begun."""
    records = store.migrations.add_together(new)
    _note_asked_for(records)
    for id_, concerns in (said or {}).items():
        for concern in concerns:
            store.events.say(id_, None, str(concern), "warning")
    embedded.ensure_running(store.state)
    return records


def begun(store: Store, new: NewMigration, said: Sequence[Concern] = ()) -> Migration:
    """Add one likewise, and return it as it goes over the wire."""
    added(store, [new], {new.id: said})
    return shown(store, store.migrations.several([new.id]))[0]


def going_on(store: Store, records: Sequence[MigrationRecord]) -> list[Migration]:
    """Have an engine at work on what was changed of these, and return them as they go over the wire."""
    embedded.ensure_running(store.state)
    return shown(store, records)


def _note_asked_for(records: Sequence[MigrationRecord]) -> None:
    """Log that these migrations are asked for.

    That joins the request that is being answered with what workers log of these migrations later.
    """
    from structlog.contextvars import bound_contextvars  # which brings all of rich along: most commands only look

    for record in records:
        with bound_contextvars(migration_id=record.id):
            if (kind := record.type) in (MigrationType.COLD, MigrationType.WARM):
                _log.info("%s is to be migrated", record.machine_name)
            else:
                _log.info("%s of %s is asked for", kind, record.machine_name)
