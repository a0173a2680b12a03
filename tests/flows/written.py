"""Records as a reader could have seen them at each moment, though nobody looked."""

import json
import sqlite3
from contextlib import closing, contextmanager


def written_in_phase(store, phase):
    """Return, for each time that a record was written in this phase, from now on: {"result": …, "state": …}."""
    return _written(
        store,
        f"CREATE TRIGGER watch AFTER UPDATE ON migrations WHEN NEW.phase = '{phase}' "
        "BEGIN INSERT INTO seen VALUES (NEW.result, NEW.state); END",
    )


def written_at_stage(store, stage, by):
    """The same of the migration that has brought a replica to this stage, as it was when that was written.

    `by`: the column that names it.
    """
    return _written(
        store,
        f"CREATE TRIGGER watch AFTER UPDATE OF stage ON replicas WHEN NEW.stage = '{stage}' "
        f"BEGIN INSERT INTO seen SELECT result, state FROM migrations WHERE id = NEW.{by}; END",
    )


@contextmanager
def _written(store, trigger):
    database, seen = store.state.root / "longshore.db", []
    with closing(sqlite3.connect(database)) as told, told:
        told.execute("CREATE TABLE seen (result TEXT, state TEXT)")
        told.execute(trigger)
    yield seen
    with closing(sqlite3.connect(database)) as told, told:
        for row in told.execute("SELECT result, state FROM seen"):
            seen.append(
                {name: json.loads(text or "null") or {} for name, text in zip(("result", "state"), row, strict=True)}
            )
        told.execute("DROP TRIGGER watch")
        told.execute("DROP TABLE seen")
