"""What an operator sets for `longshore worker` and whoever else opens the same database: a file and the environment.

The file is TOML, /etc/longshore/longshore.toml unless another is named; each setting may also come from the environment
as LONGSHORE_ and its name in capitals, which goes before the file. The database's password is in `database_url`: it is
taken from these two places alone, never from a command line, and `SecretStr` keeps it out of what is printed.
"""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from longshore.errors import InvalidInput

FILE = Path("/etc/longshore/longshore.toml")
PREFIX = "LONGSHORE_"


class Configuration(BaseSettings):
    """Times in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid")

    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL for any number of workers: postgresql+psycopg://USER:PASSWORD@HOST/DATABASE. Without "
        "it SQLite in the state directory, for one process at a time.",
    )
    state: Path | None = Field(
        None, description="The state directory. All workers of one database need the same one, on shared storage."
    )
    at_once: int = Field(8, ge=1, le=200, description="Migrations that one worker has at work at once.")
    labels: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="What this worker can reach: it takes migrations of providers that ask for these labels, and those "
        "of providers that ask for none. A comma between them in the environment, a list in the file.",
    )
    lease_ttl: float = Field(
        20.0,
        ge=2,
        le=600,
        description="After so long without a sign of life a worker counts as dead, and ends by itself before that. "
        "The database may be away for about as long without a worker having to start again.",
    )
    lease_beat: float = Field(4.0, gt=0, description="Between two signs of life; at most a third of lease_ttl.")
    drain_for: float = Field(
        60.0, ge=0, description="What a worker that is asked to end gives its migrations to end by themselves."
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not value.get_secret_value().startswith("postgresql+psycopg://"):
            raise ValueError("it has to begin with postgresql+psycopg://")
        return value

    @field_validator("lease_beat")
    @classmethod
    def _often_enough(cls, value: float, info: Any) -> float:
        if "lease_ttl" in info.data and value * 3 > info.data["lease_ttl"]:
            raise ValueError("it has to be at most a third of lease_ttl")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = init_settings.init_kwargs.pop("file", None)  # type: ignore[attr-defined]
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file))


def read_configuration(file: Path | None = None) -> Configuration:
    """From this file, or the usual one if it is there, and the environment. Raises InvalidInput."""
    if file is not None and not file.is_file():
        raise InvalidInput(f"There is no configuration file {file}.")
    chosen = file or (FILE if os.access(FILE, os.R_OK) else None)
    try:
        return Configuration(file=chosen)  # type: ignore[call-arg]
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]  # never the input: it may hold a password
        name = ".".join(str(part) for part in fault["loc"])
        raise InvalidInput(
            f"The setting {name} is wrong: {fault['msg']}.", advice=f"It is set in {chosen or 'the environment'}."
        ) from None
    except ValueError as error:  # not TOML at all
        raise InvalidInput(f"The configuration file {chosen} can't be read: {error}.") from None
