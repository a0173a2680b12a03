"""The console of the server that a migration has made: asked of the target, and kept nowhere."""

import re
from typing import Annotated

from fastapi import Query

from longshore.api.schemas import ServerConsole
from longshore.errors import NotFound
from longshore.service.parts import TheClouds, TheStore, judged_router

router = judged_router("/v1")
# What a terminal acts on and doesn't show: colours, places, titles. A guest may print anything
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNSEEN = re.compile(r"[^\t\n\x20-\x7e\xa0-\U0010ffff]")


@router.get("/migrations/{migration}/console")
def console(
    migration: str,
    store: TheStore,
    clouds: TheClouds,
    lines: Annotated[int, Query(ge=1, le=1000, description="At most, the last ones.")] = 200,
) -> ServerConsole:
    """Return the end of what a migration's server has printed until now, as plain text. 404 before it is made, and when
    it is gone.
    """
    record = store.migrations.get(migration)
    if record.server_id is None:
        raise NotFound(f"Migration {record.id} has no server (yet).")
    with clouds.target(record.target_id) as target:
        said = plain(target.console(record.server_id)).splitlines()
        off = target.server(record.server_id).is_off
    return ServerConsole(server_id=record.server_id, text="\n".join(said[-lines:]), off=off)


def plain(console: str) -> str:
    """Return what a terminal would have shown of a console's output, line by line, without characters for it alone."""
    return _UNSEEN.sub("", _SEQUENCE.sub("", console.replace("\r\n", "\n").replace("\r", "\n")))
