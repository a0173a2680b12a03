"""Names for a shell that completes a word: quick rather than complete, and never an error.

Those in the user's own SQLite are read as they are. A server, or a PostgreSQL, takes longer than somebody who has
pressed TAB waits: of those the names last heard are given, and when they aren't fresh, a process that nobody waits for
asks for the next time. They are kept in the user's cache directory, apart for each server, cloud and user.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from longshore.model.secrecy import looks_secret

if TYPE_CHECKING:
    from longshore.client import Client

Names = list[tuple[str, str]]  # each with a few words about it

_MANY = 200  # of a kind; of migrations the newest: nobody looks through more
_FRESH = 20.0  # seconds
_ASKING = 60.0  # seconds that one who asks may take before another may ask
_WAIT = 0.2  # seconds for SQLite
# Fixed words of the schema, tested against it. The library that knows it takes longer to import than a TAB may take.
_QUERIES = {
    "providers": "SELECT name, kind FROM providers ORDER BY name",
    "plans": "SELECT name, '' FROM plans ORDER BY name",
    "migrations": "SELECT id, machine_name || ', ' || status FROM migrations "
    "WHERE type IN ('dry-run', 'cold', 'warm', 'volume') ORDER BY created_at DESC",
    "jobs": "SELECT id, machine_name || ', ' || type || ', ' || status FROM migrations ORDER BY created_at DESC",
}
_ASKED: dict[str, Callable[[Client], Names]] = {
    "providers": lambda client: [(p.name, p.kind) for p in client.providers()],
    "plans": lambda client: [(p.name, p.description) for p in client.plans()],
    "migrations": lambda client: [
        (m.id, f"{m.machine_name}, {m.status.value}") for m in reversed(client.migrations(limit=_MANY))
    ],
    "jobs": lambda client: [
        (m.id, f"{m.machine_name}, {m.type.value}, {m.status.value}") for m in reversed(client.jobs(limit=_MANY))
    ],
}
KINDS = tuple(_QUERIES)


def known_names(kind: str, options: Mapping[str, str]) -> Names:
    """Return the known names. `options`: the global ones that were given (--state, --server, --config), by their
    names."""
    url, database, state = _where(options)
    if not url and not database:
        return _of_file(state / "longshore.db", kind)
    kept = _kept(kind, options)
    try:
        age = time.time() - kept.stat().st_mtime
        names = [(str(name), str(about)) for name, about in json.loads(kept.read_text())]
    except (OSError, ValueError, TypeError):
        age, names = _FRESH, []
    if age >= _FRESH and _is_first_to_ask(kept):
        given = [word for option, value in options.items() for word in (option, value)]
        code = "import sys; from longshore.cli.app import main; sys.exit(main())"
        subprocess.Popen(
            [sys.executable, "-c", code, *given, "complete", "--refresh", kind],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    return names


def refresh(kind: str, options: Mapping[str, str], client: Client) -> None:
    """Ask for the names and keep them. Raises what the client raises."""
    kept = _kept(kind, options)
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = kept.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(written, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump(_ASKED[kind](client), file)
    written.replace(kept)
    kept.with_suffix(".asking").unlink(missing_ok=True)


def _where(options: Mapping[str, str]) -> tuple[str | None, bool, Path]:
    """Return a server's address, whether there is a PostgreSQL, and the state directory."""
    file = options.get("--config")
    if not file and not os.access("/etc/longshore/longshore.toml", os.R_OK):  # what else there may be is quickly read
        url, database, state = (os.environ.get(f"LONGSHORE_{name}") for name in ("URL", "DATABASE_URL", "STATE"))
    else:
        from longshore.configuration import read_configuration

        configuration = read_configuration(Path(file) if file else None)
        url, state = configuration.url, str(configuration.state or "")
        database = "PostgreSQL" if configuration.database_url else None
    given = options.get("--state") or state
    if given:
        return options.get("--server") or url, bool(database), Path(given).absolute()
    from platformdirs import user_state_path

    return options.get("--server") or url, bool(database), user_state_path("longshore")


def _of_file(database: Path, kind: str) -> Names:
    if not database.is_file():
        return []
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=_WAIT)) as connection:
        return connection.execute(_QUERIES[kind]).fetchmany(_MANY)


def _kept(kind: str, options: Mapping[str, str]) -> Path:
    """Return the file of names that are kept: other ones for each server, cloud, project and user. No password goes
    into it, not even as a digest."""
    who = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("OS_", "LONGSHORE_")) and not looks_secret(name)
    }
    who.pop("LONGSHORE_DATABASE_URL", None)
    key = hashlib.sha256(json.dumps([who, dict(options)], sort_keys=True).encode()).hexdigest()[:32]
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home, "longshore", "completion", f"{key}-{kind}.json")


def _is_first_to_ask(kept: Path) -> bool:
    """Tell whether nobody has asked for these a moment ago."""
    mark = kept.with_suffix(".asking")
    mark.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        if time.time() - mark.stat().st_mtime < _ASKING:
            return False
    except FileNotFoundError:
        pass
    mark.touch(0o600)
    return True
