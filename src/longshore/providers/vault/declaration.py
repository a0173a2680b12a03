"""A vault: what one says of it. `longshore vault create` makes it and adds it; this is for one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from longshore.errors import AccessDenied, InvalidInput
from longshore.model.platform import Side
from longshore.providers.declared import Option, OptionKind, ProviderType
from longshore.providers.vault.platform import PLATFORM

if TYPE_CHECKING:
    from longshore.providers.contract import KeptSecrets, Provider, Relays
    from longshore.providers.grounds import Grounds

PASS_PHRASE = "pass_phrase"  # noqa: S105 the secret's name
BARBICAN = "barbican"
SECRET_KEY = "secret_key"  # noqa: S105 as well
STRETCHED = "stretched_pass_phrase"  # nobody says it: to make it of one takes a fifth of a second

_OPTIONS = (
    Option(
        "directory",
        "where it is: local, or mounted from a file server",
        OptionKind.PATH,
        to_change="where it is now",
        metavar="DIRECTORY",
    ),
    Option(
        "url",
        "or the bucket that it is in: s3://BUCKET/PREFIX",
        to_change="the bucket and prefix where a vault is now",
        metavar="URL",
        only_if_said=True,
    ),
    Option(
        "endpoint",
        "of the bucket's S3 server, as https://HOST:PORT; without, Amazon's",
        metavar="URL",
        only_if_said=True,
    ),
    Option("region", "of the bucket; without, us-east-1", only_if_said=True),
    Option("access_key", "of the bucket: its id", metavar="ID", only_if_said=True),
    Option(
        "ca_file",
        "PEM file with the authority of the S3 server's certificate, where the system doesn't trust it",
        OptionKind.PATH,
        metavar="FILE",
        only_if_said=True,
    ),
    Option(
        SECRET_KEY,
        "the secret key that belongs to the access key",
        OptionKind.SECRET_FILE,
        flag="--secret-key-file",
        metavar="FILE",
        called="secret key",
    ),
    Option(
        PASS_PHRASE,
        "of one that is encrypted",
        OptionKind.SECRET_FILE,
        flag="--pass-phrase-file",
        metavar="FILE",
        called="pass phrase",
    ),
    Option(
        BARBICAN,
        "or the OpenStack provider in whose key manager (Barbican) is what opens it",
        to_change="opened by a secret in the Barbican of this OpenStack provider; empty: by its pass phrase",
        metavar="PROVIDER",
        only_if_said=True,
    ),
)


def _on_server(said: dict[str, Any], grounds: Grounds) -> dict[str, Any]:
    """Allow buckets of the S3 servers that the operator names, and no others: callers would say where it connects."""
    if not grounds.vault_endpoints:
        raise AccessDenied(
            "This server keeps no vaults for its callers.",
            advice="Its operator names S3 servers for them (vault_endpoints), or shares a vault.",
            code="path-refused",
        )
    if str(said.get("endpoint", "")).rstrip("/") not in grounds.vault_endpoints:
        raise AccessDenied(
            "This server keeps vaults in buckets of the S3 servers that its operator names.",
            advice=f"Name one of these as endpoint: {', '.join(grounds.vault_endpoints)}.",
            code="path-refused",
        )
    return said


def _settings() -> type[Any]:
    from longshore.providers.vault.settings import VaultSettings

    return VaultSettings


def _open(
    settings: Any, secrets: Mapping[str, str], _side: Side | None, _relays: Relays | None, kept: KeptSecrets | None
) -> Provider:
    from longshore.providers.vault.source import VaultSource

    return VaultSource(settings, secrets.get(PASS_PHRASE), secrets.get(SECRET_KEY), kept, secrets.get(STRETCHED))


def _derived(cloud: Any) -> dict[str, str]:
    stretched = cloud.stretched()
    return {STRETCHED: stretched} if stretched else {}


def refuse_incomplete(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """Raise InvalidInput when the secrets don't fit the settings."""
    if settings.get("url") and not secrets.get(SECRET_KEY, "").strip():
        raise InvalidInput(
            "The bucket's secret key is missing.", advice="Name a file that holds it: --secret-key-file."
        )
    if settings.get("directory") and SECRET_KEY in secrets:
        raise InvalidInput("A directory has no secret key.")


VAULT = ProviderType(
    PLATFORM,
    frozenset({"source", "vault"}),
    about="""Add a vault that is there already: a directory or a bucket with backups.

Its points are machines that can be restored. To make a new one: longshore vault create.""",
    examples=("longshore provider add vault offsite --directory /mnt/backups/offsite --pass-phrase-file phrase.txt",),
    heading="of a vault",
    options=_OPTIONS,
    safe=frozenset({"url", "endpoint", "region", "access_key", BARBICAN}),
    on_server=_on_server,
    where=lambda settings: settings.get("directory") or settings.get("url"),
    settings=_settings,
    open=_open,
    sent_to=frozenset({"endpoint", "ca_file"}),
    tells_which=frozenset({"directory", "url", "endpoint"}),
    refuse_incomplete=refuse_incomplete,
    kept_by=BARBICAN,
    unneeded=lambda settings: frozenset({PASS_PHRASE, STRETCHED} if settings.get(BARBICAN) else ()),
    derived=_derived,
)
