"""The playbook that thaws what a backup has frozen: run after its snapshot, or by whoever takes the backup back.

What it has to know is kept in a file before anything is frozen. The source may be away by then, and isn't asked.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from longshore.errors import HookError
from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.hooks import run_playbook
from longshore.processes.durable import replace_file
from longshore.store import LedgerRecord, Store

_FILE = "thaw.json"  # in the backup's directory
LONGEST = 600.0  # seconds that it may take: it can't be cancelled


def keep_thaw(job: MoveContext, playbook: str, facts: Mapping[str, Any]) -> None:
    """Keep on disk, durably, what `thaw` needs."""
    directory = job.store.state.migration(job.id)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(directory / _FILE, [json.dumps({"playbook": playbook, "facts": facts}, default=str).encode()])


def thaw(store: Store, clouds: Clouds, entry: LedgerRecord) -> None:
    """Run the playbook that thaws what the entry says may be frozen. Raise HookError when it fails or takes too long.

    Call it in a thread: it has an event loop of its own.
    """
    try:
        kept = json.loads((store.state.migration(entry.migration_id) / _FILE).read_bytes())
    except (OSError, ValueError):
        raise HookError("What the playbook that thaws it has to know is gone.", advice="Thaw it by hand.") from None
    job = MoveContext(store, entry.migration_id, clouds=clouds)
    work = run_playbook(job, kept["playbook"], kept["facts"], whatever=True)
    try:
        asyncio.run(asyncio.wait_for(work, LONGEST))
    except TimeoutError:
        raise HookError(f"The playbook {kept['playbook']} didn't end within {LONGEST:.0f} s.") from None
