"""The files that say how many bytes a second copies may read together: all copies look at them while they run.

One for each limit: of a plan, as its file says, and of each place that a copy belongs to. Whoever changes a limit
writes its file; so does whoever begins a copy, for the places of that copy, where a file isn't as the limit stands.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from longshore.model.plan import PlanLimits
from longshore.processes.durable import replace_file
from longshore.store import Store
from longshore.store.shared import locked


def keep_limits(store: Store, plan_id: str, limits: PlanLimits) -> None:
    """Write the limit of a plan into its file. Running copies follow within a fraction of a second."""
    path = store.state.limits(plan_id)
    store.state.limits_directory.mkdir(mode=0o700, exist_ok=True)
    replace_file(path, [_text(limits.bytes_per_second)])


def share_limits(store: Store, ids: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of these limits, written as the limits stand now. Running copies follow within a fraction of a
    second.

    A limit that nobody has set gets a file as well: a copy is told at its beginning what it belongs to, and looks at no
    other file.
    """
    paths = tuple(store.state.limits(id_) for id_ in ids)
    store.state.limits_directory.mkdir(mode=0o700, exist_ok=True)
    with locked(store.state.limits_directory / "lock"):
        # The limits are read in here, so that whoever writes last knows them
        rates = store.limits.rates(ids)
        for id_, path in zip(ids, paths, strict=True):
            text = _text(rates.get(id_))
            if not path.exists() or path.read_bytes() != text:
                replace_file(path, [text])
    return paths


def _text(bytes_per_second: int | None) -> bytes:
    return b"{}" if bytes_per_second is None else json.dumps({"bytes_per_second": bytes_per_second}).encode()
