"""Whatever a test has made a record go through is among the phases that the catalogue tells of its kind."""

import sqlite3
from contextlib import closing

from longshore.model.phases import phases_of
from longshore.model.request import MigrationType

_TOLD = """
    SELECT json_extract(m.request, '$.type'), e.phase FROM events e JOIN migrations m ON m.id = e.migration_id
    UNION SELECT json_extract(request, '$.type'), phase FROM migrations
"""


def assert_known(store):
    database = store.state.root / "longshore.db"
    with closing(sqlite3.connect(database)) as opened:
        told = set(opened.execute(_TOLD))
    unknown = {(kind, phase) for kind, phase in told if phase not in phases_of(MigrationType(kind or "cold"))}
    assert unknown == set(), unknown
