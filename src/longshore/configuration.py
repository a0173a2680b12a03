"""The settings of an operator, for `longshore worker`, `longshore server` and whoever else opens the same database.

The file is TOML, /etc/longshore/longshore.toml unless another is named; each setting may also come from the environment
as LONGSHORE_ and its name in capitals (LONGSHORE_SECTION__NAME), which goes before the file. Passwords are taken from
these two places alone, never from a command line, and `SecretStr` keeps them out of what is printed.
"""

import os
import re
from ipaddress import IPv4Address, ip_address, ip_network
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from longshore.errors import InvalidInput
from longshore.model.shape_faults import in_words

FILE = Path("/etc/longshore/longshore.toml")
PREFIX = "LONGSHORE_"
# Of ours, and of the clouds' command line; others' may be for the database's library (PGPASSWORD) or for playbooks
_SECRET = re.compile(
    rf"({PREFIX}|OS_).*(PASSWORD|SECRET|TOKEN|PASSCODE)|{PREFIX}(DATABASE_URL|SERVER|SERVER__KEYSTONE)$", re.IGNORECASE
)
_IN_A_PATH = r"^[A-Za-z0-9._-]+$"
KEYSTONE_ANSWERS_WITHIN = 15  # seconds without a byte of its answer; whoever came with the token waits meanwhile
SecretsIn = Literal["auto", "barbican", "database"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Keystone(_Section):
    """The service user by which the server asks Keystone about tokens, and keeps secrets in Barbican."""

    auth_url: str = Field(description="Keystone's address, as https://cloud:5000/v3.")
    username: str = Field("longshore", description="The service user.")
    password: SecretStr | None = Field(default=None, description="Its password. A file is better: `password_file`.")
    password_file: Path | None = Field(default=None, description="File that holds its password, and nothing else.")
    project_name: str = Field("service", description="Its project.")
    user_domain_name: str = Field("Default", description="The domain of the user.")
    project_domain_name: str = Field("Default", description="The domain of the project.")
    region: str | None = Field(default=None, description="Region of the catalogue.")
    interface: str = Field("internal", description="By which of their endpoints Keystone and Barbican are asked.")
    public_url: str | None = Field(default=None, description="Where callers get tokens, if that is another address.")
    cacert: Path | None = Field(default=None, description="PEM file with the authorities to trust, and no others.")
    cache_seconds: int = Field(
        300, ge=1, le=3600, description="How long a validated token is taken for valid, at most, once it is revoked."
    )

    @property
    def public_v3(self) -> str:
        """Return the address where callers' browsers find its API."""
        return f"{(self.public_url or self.auth_url).rstrip('/').removesuffix('/v3')}/v3"

    def secret(self) -> str:
        """Return the password. Raises InvalidInput."""
        if self.password is not None:
            return self.password.get_secret_value()
        if self.password_file is None:
            raise InvalidInput("The server's service user has no password.", advice="Set keystone.password_file.")
        try:
            return self.password_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it isn't text"
            raise InvalidInput(f"The password file {self.password_file} can't be read: {reason}.") from None

    def handed(self) -> dict[str, Any]:
        """Return the settings as plain data with the password in clear, for a process of ours. Raises InvalidInput."""
        return {**self.model_dump(mode="json", exclude={"password_file"}), "password": self.secret()}

    def login(self) -> dict[str, str]:
        """Return the log-in as keystoneauth's v3.Password takes it, but for the address. Raises InvalidInput."""
        return {
            "username": self.username,
            "password": self.secret(),
            "project_name": self.project_name,
            "user_domain_name": self.user_domain_name,
            "project_domain_name": self.project_domain_name,
        }

    def options(self) -> dict[str, Any]:
        """Return the settings as keystonemiddleware wants them."""
        wanted: dict[str, Any] = {
            "auth_type": "password",
            "auth_url": self.auth_url,
            **self.login(),
            "region_name": self.region,
            "interface": self.interface,
            "www_authenticate_uri": self.public_url or self.auth_url,
            "cafile": str(self.cacert) if self.cacert else None,
            "token_cache_time": self.cache_seconds,
            "http_connect_timeout": KEYSTONE_ANSWERS_WITHIN,
            "service_token_roles_required": True,
        }
        return {name: value for name, value in wanted.items() if value is not None}


class ConfiguredCloud(_Section):
    """An OpenStack that callers may name as provider. Its storage is reached with the server's own rights: list only
    clouds that you trust, since they say which volumes are whose."""

    auth_url: str = Field(description="Keystone's address, as callers name it.")
    ceph_conf: Path | None = Field(
        default=None, description="How this machine reaches the cloud's Ceph; default /etc/ceph/ceph.conf."
    )
    ceph_user: str | None = Field(default=None, description="Ceph user; default: the one that Cinder names.")
    cacert: Path | None = Field(default=None, description="PEM file with the authorities to trust, and no others.")
    labels: tuple[str, ...] = Field(
        default=(), description="What a worker has to carry to take migrations from or to it, whatever callers ask for."
    )


class QuotaSettings(_Section):
    """The most that each project may have. A user's own command has no such limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    migrations: int = Field(default=5000, ge=1, description="Migrations that haven't ended.")
    plans: int = Field(default=200, ge=1, description="Plans.")
    providers: int = Field(default=40, ge=1, description="Providers.")
    limits: int = Field(default=100, ge=1, description="Limits that it sets for places.")
    channels: int = Field(default=20, ge=1, description="Channels by which people are told.")
    plan_machines: int = Field(default=5000, ge=1, description="Machines and volumes of one plan.")
    plan_bytes: int = Field(default=4 << 20, ge=1024, description="Size of one plan as JSON, in bytes.")


class SingleSignOnSettings(_Section):
    """A way to log in to the pages by an identity provider, as Keystone has it (WebSSO). Keystone's `trusted_dashboard`
    has to name the page that it comes back to: the server's address and `/ui/login/sso`."""

    name: str = Field(min_length=1, max_length=100, description="What the log-in page calls it.")
    protocol: str = Field(pattern=_IN_A_PATH, description="Keystone's federation protocol, as `openid` or `saml2`.")
    identity_provider: str | None = Field(
        default=None,
        pattern=_IN_A_PATH,
        description="The provider's id at Keystone, where it has several of the protocol.",
    )


class WebSettings(_Section):
    """The server's pages for browsers, below `/ui/`."""

    enabled: bool = Field(default=True, description="Serve them beside the API.")
    idle: float = Field(default=3600, ge=60, le=86400, description="Seconds without use after which one is logged out.")
    longest: float = Field(
        default=43200,
        ge=300,
        le=604800,
        description="Seconds for which one is logged in at most; Keystone's token may end sooner.",
    )
    sso: list[SingleSignOnSettings] = []


class NodeSettings(_Section):
    """The place of this machine among three that serve together. `longshore node prepare` writes it. The machine's
    server then says how the machine stands, which `longshore node list` shows."""

    name: str = Field(min_length=1, max_length=100, description="What it is called.")
    address: IPv4Address = Field(description="Its own address, at which all of its services listen.")
    virtual: IPv4Address = Field(description="The address that callers use, which one of the machines has.")
    authority: Path = Field(description="PEM file with the authority of the machines' certificates.")


class ServiceSettings(_Section):
    """`longshore server`: the service on the network."""

    listen: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=9797, ge=1, le=65535, description="Port to listen on.")
    certificate: Path | None = Field(
        default=None, description="PEM file with the certificate to show: the server speaks TLS."
    )
    private_key: Path | None = Field(default=None, description="PEM file with its key.")
    public_url: str | None = Field(
        default=None,
        description="The address that others reach it by, when a proxy stands before it: https://cloud:9797.",
    )
    plain_http: bool = Field(
        default=False,
        description="Listen beyond loopback without TLS: tokens and passwords cross the network in clear, unless what "
        "stands before the server sees to it that they don't.",
    )
    trusted_proxies: list[str] = Field(
        default=["127.0.0.1", "::1"],
        description="Addresses or networks (CIDR) of proxies before the server: of them it is believed, by "
        "`X-Forwarded-For` and `X-Forwarded-Proto`, who asks and over what. The audit names that address.",
    )
    policy_file: Path | None = Field(
        default=None, description="Rules that differ from those in `longshore server policy`."
    )
    metrics: bool = Field(
        default=False, description="Serve figures for Prometheus at `/metrics`, to anybody who reaches the server."
    )
    body_limit: int = Field(default=6 << 20, ge=1024, description="Largest body of a request, in bytes.")
    secrets: SecretsIn = Field(
        default="auto",
        description="Where credentials of new providers are kept: in Barbican, as secrets of the service user, or "
        "encrypted in the database. `auto`: in Barbican when the cloud's catalogue has one.",
    )
    vddk_libdir: Path | None = Field(
        default=None, description="Where VMware's disk library (VDDK) is unpacked, for the vCenters of callers."
    )
    relay_image: Path | None = Field(
        default=None,
        description="The relay's image (`longshore relay-image build`), of which callers may have proxies made at "
        "their vCenters. Workers on other machines need it at the same path.",
    )
    files_directories: list[Path] = Field(
        default=[],
        description="Directories below which callers may have machines read from files, each by whoever may add a "
        "provider: what is there is everybody's. Without any, only files behind HTTPS are read for them.",
    )
    vault_endpoints: list[str] = Field(
        default=[],
        description="S3 servers in whose buckets callers may have vaults, as https://s3.example.org; each with keys of "
        "its own. Without any, only vaults that the operator shares.",
    )
    reach_allowed: list[str] = Field(
        default=[],
        description="Networks (CIDR) to which it is connected for callers though they are loopback, link-local or "
        "among `reach_refused`.",
    )
    reach_refused: list[str] = Field(
        default=[],
        description="Networks (CIDR) to which it isn't connected for callers, besides loopback, link-local and the "
        "like: those of the operator's own that no cloud of a caller's is in.",
    )
    keystone: Keystone
    clouds: list[ConfiguredCloud] = []
    quotas: QuotaSettings = QuotaSettings()
    web: WebSettings = WebSettings()
    node: NodeSettings | None = None

    @field_validator("vault_endpoints")
    @classmethod
    def _servers(cls, value: list[str]) -> list[str]:
        for each in value:
            parts = urlsplit(each)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
                raise ValueError("one of them is no S3 server: write https://HOST or https://HOST:PORT")
        return value

    @field_validator("trusted_proxies", "reach_allowed", "reach_refused")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        try:
            return [str(ip_network(each)) for each in value]
        except ValueError:
            raise ValueError("one of them is neither an address nor a network, as 192.0.2.0/24 is") from None

    @model_validator(mode="after")
    def _in_clear_on_loopback_alone(self) -> Self:
        if self.certificate is None and not self.plain_http and not _is_loopback(self.listen):
            raise ValueError(
                f"on {self.listen} tokens and passwords would come in clear: set certificate and private_key, or "
                "plain_http = true if a proxy on the same machine or network takes care of that"
            )
        return self

    @model_validator(mode="after")
    def _a_node_has_a_certificate(self) -> Self:
        if self.node is not None and (self.certificate is None or self.private_key is None):
            raise ValueError("a node has a certificate of its own: set certificate and private_key")
        return self

    @property
    def url(self) -> str:
        """Return where the server is reached."""
        host = f"[{self.listen}]" if ":" in self.listen else self.listen
        return self.public_url or f"{'https' if self.certificate else 'http'}://{host}:{self.port}"


def _is_loopback(listen: str) -> bool:
    try:
        return ip_address(listen).is_loopback
    except ValueError:
        return listen == "localhost"


class Configuration(BaseSettings):
    """The settings at the top of the file. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid")

    url: str | None = Field(
        default=None,
        description="Of a server: commands ask it, with the credentials of OS_CLOUD or the OS_* variables, instead of "
        "doing everything themselves. `catalog`: the server that the cloud's catalogue names.",
    )
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
        description="What this worker can reach: it takes migrations of providers that ask for some of these labels "
        "and no other, or for none. A comma between them in the environment, a list in the file.",
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
        60.0,
        ge=0,
        description="What a worker or an engine that is asked to end gives its migrations to end by themselves.",
    )

    alert_command: list[str] = Field(
        [],
        description="A program and its arguments, run on all that channels tell, of every project. It gets JSON on its "
        "standard input, and has to end with status 0, or else it is run again later. `longshore channel list` has it.",
    )

    virtio_win: Path | None = Field(
        None,
        description="virtio-win, the drivers for Windows guests: its ISO, or a directory with what is in that. "
        "Default: `VIRTIO_WIN` in the environment, else what is in /usr/share/virtio-win.",
    )
    virt_tools: Path | None = Field(
        None,
        description="Directory with rhsrvany.exe or pvvxsvc.exe, which install the drivers when a Windows guest first "
        "boots. Default: `VIRT_TOOLS_DATA_DIR` in the environment, else /usr/share/virt-tools.",
    )

    packages: Path | None = Field(
        None,
        description="Directory with packages of agents that converted guests can be given (`agents`), a directory for "
        "each system and agent: debian-12/qemu-guest-agent, el-9/cloud-init, windows/qemu-guest-agent. Whoever "
        "converts has to be able to read it.",
    )

    converter: Path | None = Field(
        None,
        description="Directory of the converter, in which all work on guests is done, as `longshore converter build` "
        "makes it. Default: /var/lib/longshore-converter.",
    )

    server: ServiceSettings | None = None

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

    def name_converter_parts(self) -> None:
        """Name the converter's parts in this process' environment, which those who convert inherit: so virt-v2v has
        always been told.

        They may be started in another directory, so the names become absolute.
        """
        for variable, path in (
            ("VIRTIO_WIN", self.virtio_win),
            ("VIRT_TOOLS_DATA_DIR", self.virt_tools),
            ("LONGSHORE_CONVERTER", self.converter),
            ("LONGSHORE_PACKAGES", self.packages),
        ):
            named = path or os.environ.get(variable)
            if named:
                os.environ[variable] = str(Path(named).absolute())

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


def read_configuration(file: Path | None = None, **given: Any) -> Configuration:
    """Read the configuration: what is given, else the environment, else this file, or the usual one if it is there.
    Raises InvalidInput."""
    if file is not None:
        try:
            file.open("rb").close()
        except FileNotFoundError:
            raise InvalidInput(f"There is no configuration file {file}.") from None
        except OSError as error:
            raise InvalidInput(f"The configuration file {file} can't be read: {error.strerror}.") from None
    chosen = file or (FILE if os.access(FILE, os.R_OK) else None)
    given["file"] = chosen  # which settings_customise_sources takes out again
    try:
        return Configuration(**given)
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]  # never the input: it may hold a password
        raise InvalidInput(
            f"The setting {'.'.join(map(str, fault['loc']))} is wrong: {in_words(fault)}.",
            advice=f"See {_places(chosen, fault['loc'])}.",
        ) from None
    except SettingsError as error:  # no more than its text says which
        (_, name, *_) = str(error).split('"')
        raise InvalidInput(f"{PREFIX}{name.upper()} in the environment can't be read: it isn't JSON.") from None
    except ValueError as error:  # not TOML at all
        reason = "it isn't text" if isinstance(error, UnicodeDecodeError) else error
        raise InvalidInput(f"The configuration file {chosen} can't be read: {reason}.") from None


def _places(file: Path | None, location: tuple[int | str, ...]) -> str:
    """Return where a setting may have been said. One of a list has no variable of its own."""
    names = takewhile(lambda part: isinstance(part, str), location)
    variable = f"{PREFIX}{'__'.join(map(str, names)).upper()} in the environment"
    return variable if file is None else f"{file}, and {variable}"


def forget_secrets() -> None:
    """Take what may be secret out of the environment, once the configuration was read: children would inherit it."""
    for name in filter(_SECRET.match, list(os.environ)):
        del os.environ[name]
