"""The files that say how many bytes a second copies may read together: all copies look at them while they run.

One for each limit: of a plan, as its file says, and of each place that a copy belongs to. Whoever changes a limit
writes its file; so does whoever begins a copy, for the places of that copy, where a file isn't as the limit stands.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from longshore.model.plan import PlanLimits
from longshore.store import Store


def keep_limits(store: Store, plan_id: str, limits: PlanLimits) -> None:
    """Write the limit of a plan into its file. Running copies follow within a fraction of a second."""
    path = store.state.limits(plan_id)
    store.state.limits_directory.mkdir(mode=0o700, exist_ok=True)
    _replace(path, _text(limits.bytes_per_second))


def share_limits(store: Store, ids: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of these limits, written as the limits stand now. Running copies follow within a fraction of a
    second.

    A limit that nobody has set gets a file as well: a copy is told at its beginning what it belongs to, and looks at no
    other file.
    """
    paths = tuple(store.state.limits(id_) for id_ in ids)
    with _alone(store.state.limits_directory):  # the limits are read in here, so that the last who writes knows them
        rates = store.limits.rates(ids)
        for id_, path in zip(ids, paths, strict=True):
            text = _text(rates.get(id_))
            if not path.exists() or path.read_text() != text:
                _replace(path, text)
    return paths


def _text(bytes_per_second: int | None) -> str:
    return "{}" if bytes_per_second is None else json.dumps({"bytes_per_second": bytes_per_second})


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)  # noqa: PTH105 named for what it does: in one moment


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    directory.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
