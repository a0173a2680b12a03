"""A vault: what one says of it. `longshore vault create` makes it and adds it; this is for one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from longshore.errors import AccessDenied
from longshore.model.platform import Side
from longshore.providers.declared import Option, OptionKind, ProviderType
from longshore.providers.vault.platform import PLATFORM

if TYPE_CHECKING:
    from longshore.providers.contract import Provider, Relays
    from longshore.providers.grounds import Grounds

PASS_PHRASE = "pass_phrase"  # noqa: S105 the secret's name

_OPTIONS = (
    Option(
        "directory",
        "where it is: local, or mounted from a file server",
        OptionKind.PATH,
        to_change="where it is now",
        metavar="DIRECTORY",
        required=True,
    ),
    Option(
        PASS_PHRASE,
        "of one that is encrypted",
        OptionKind.SECRET_FILE,
        flag="--pass-phrase-file",
        metavar="FILE",
        called="pass phrase",
    ),
)


def _on_server(_said: dict[str, Any], _grounds: Grounds) -> dict[str, Any]:
    raise AccessDenied("This server keeps no vaults for its callers.", code="path-refused")


def _settings() -> type[Any]:
    from longshore.providers.vault.settings import VaultSettings

    return VaultSettings


def _open(settings: Any, secrets: Mapping[str, str], _side: Side | None, _relays: Relays | None) -> Provider:
    from longshore.providers.vault.source import VaultSource

    return VaultSource(settings, secrets.get(PASS_PHRASE))


VAULT = ProviderType(
    PLATFORM,
    frozenset({"source", "vault"}),
    about="""Add a vault that is there already: a directory with backups.

Its points are machines that can be restored. To make a new one: longshore vault create.""",
    heading="of a vault",
    options=_OPTIONS,
    safe=frozenset(),
    on_server=_on_server,
    where=lambda settings: settings.get("directory"),
    settings=_settings,
    open=_open,
    sent_to=frozenset(),
    tells_which=frozenset({"directory"}),
)
