"""The state directory, where one installation keeps what it knows."""

from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_state_path

from longshore.configuration import Configuration, Keystone, SecretsIn
from longshore.errors import InvalidInput
from longshore.model.reach import Reach


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """Everything in it is readable by its owner alone: it holds what machines are called and where they live."""

    root: Path
    shared_database: str | None = field(default=None, repr=False)  # the address of PostgreSQL, with its password
    keystone: Keystone | None = field(default=None, repr=False)  # the server's own user, who opens secrets in Barbican
    secrets: SecretsIn = "auto"  # where new ones go, if there is such a user
    reach: Reach = field(default_factory=Reach)  # where providers of projects may be
    alert_command: tuple[str, ...] = ()  # the operator's, told what channels tell of all projects
    drain_for: float = 60.0  # seconds that what is at work has when an engine is asked to end
    engine_kept: bool = False  # somebody else sees to it that an engine runs where there is work

    @classmethod
    def configured(cls, configuration: Configuration) -> "StateDirectory":
        """Return the directory that the configuration names, else the user's state directory (on Linux
        ~/.local/state/longshore)."""
        root = configuration.state.absolute() if configuration.state else user_state_path("longshore")
        url, server = configuration.database_url, configuration.server
        database = url.get_secret_value() if url else None
        command, drain_for = tuple(configuration.alert_command), configuration.drain_for
        if server is None:
            return cls(root, database, alert_command=command, drain_for=drain_for)
        vouched = [server.keystone.auth_url, *(cloud.auth_url for cloud in server.clouds)]
        if server.keystone.public_url:
            vouched.append(server.keystone.public_url)
        reach = Reach(tuple(server.reach_allowed), tuple(server.reach_refused), tuple(vouched))
        return cls(root, database, server.keystone, server.secrets, reach, command, drain_for)

    def create(self) -> None:
        """Make the directory, unless it is there. Raises InvalidInput where it can't be."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InvalidInput(
                f"The state directory {self.root} can't be made: {error.strerror}.",
                advice="Name another one: --state DIR.",
            ) from None

    @property
    def database_url(self) -> str:
        return self.shared_database or f"sqlite:///{self._database}"

    @property
    def is_begun(self) -> bool:
        """Tell whether anything was ever kept here."""
        return self.shared_database is not None or self._database.exists()

    @property
    def _database(self) -> Path:
        return self.root / "longshore.db"

    @property
    def engine_database(self) -> Path:
        """The workflows' own, unless it is the shared one."""
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

    @property
    def scratch(self) -> Path:
        """Return the directory for what is unpacked of callers' images, which may be large; never in memory, as a
        temporary one may be."""
        return self.root / "scratch"

    @property
    def makers_key_file(self) -> Path:
        """The key that seals which project has made a point of a vault. It is never changed: neither are points."""
        return self.root / "makers.key"

    @property
    def limits_directory(self) -> Path:
        return self.root / "limits"

    def limits(self, id_: str) -> Path:
        """Return the file that the copies of a plan share, or those that a limit counts."""
        return self.limits_directory / f"{id_}.json"

    def migration(self, migration_id: str) -> Path:
        """Manifests, checkpoints and reports of one migration."""
        return self.root / "migrations" / migration_id
