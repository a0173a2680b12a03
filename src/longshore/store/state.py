"""Where one installation keeps what it knows: the state directory."""

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path

ENVIRONMENT = "LONGSHORE_STATE"


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """Everything in it is readable by its owner alone: it holds what machines are called and where they live."""

    root: Path

    @classmethod
    def default(cls) -> "StateDirectory":
        """`$LONGSHORE_STATE`, else the user's state directory (on Linux ~/.local/state/longshore)."""
        named = os.environ.get(ENVIRONMENT)
        return cls(Path(named).absolute() if named else user_state_path("longshore"))

    def create(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.root / 'longshore.db'}"

    @property
    def engine_database(self) -> Path:
        return self.root / "engine.db"

    @property
    def engine_lock(self) -> Path:
        return self.root / "engine.lock"

    @property
    def engine_log(self) -> Path:
        return self.root / "engine.log"

    @property
    def key_file(self) -> Path:
        return self.root / "secrets.key"

    def limits(self, plan_id: str) -> Path:
        """What the copies of a plan share."""
        return self.root / "limits" / f"{plan_id}.json"

    def migration(self, migration_id: str) -> Path:
        """Manifests, checkpoints and reports of one migration."""
        return self.root / "migrations" / migration_id
