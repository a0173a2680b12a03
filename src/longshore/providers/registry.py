"""The kinds of cloud there are. A new one is a folder beside the others, and an entry here.

What a kind declares is in its folder (`declaration.py`). Vendors' libraries are imported only when a cloud is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from longshore.errors import InvalidInput
from longshore.model.platform import Side
from longshore.providers.declared import ProviderType
from longshore.providers.files.declaration import FILES
from longshore.providers.openstack.declaration import OPENSTACK
from longshore.providers.vault.declaration import VAULT
from longshore.providers.vsphere.declaration import VSPHERE

if TYPE_CHECKING:
    from longshore.model.plan import PlannedType
    from longshore.providers.contract import KeptSecrets, Provider, RelayLedger, Relays

PROVIDERS: tuple[ProviderType, ...] = (VSPHERE, FILES, OPENSTACK, VAULT)


def provider_type(kind: str) -> ProviderType:
    """Return the declaration of a kind. Raises InvalidInput for what is none."""
    for known in PROVIDERS:
        if known.kind == kind:
            return known
    raise InvalidInput(
        f'There is no kind of provider called "{kind}".', advice=f"Known: {', '.join(each.kind for each in PROVIDERS)}."
    )


def kinds_for(side: Side) -> tuple[str, ...]:
    """Return the kinds that can be this side of a migration."""
    return tuple(known.kind for known in PROVIDERS if side in known.sides)


def moves_from(kind: str, settings: Mapping[str, Any]) -> list[PlannedType]:
    """Return how machines of such a provider can be moved away; empty where a restore does that, or none are taken."""
    from longshore.model.plan import PlannedType  # which a command line needn't load

    known = [one for one in PROVIDERS if one.kind == kind and "source" in one.sides and "vault" not in one.sides]
    return [move for one in known for move in get_args(PlannedType) if move != "warm" or _tells_changes(one, settings)]


def _tells_changes(known: ProviderType, settings: Mapping[str, Any]) -> bool:
    """Tell whether machines run there, and what they write can be read without all the rest."""
    return known.kind.traits.runs and not known.reads_whole(settings)


def sides_of(kind: str) -> list[Side]:
    """Return what a kind can be of a migration, sorted; nothing, where it is none that there is."""
    return sorted(side for known in PROVIDERS if known.kind == kind for side in known.sides)


def connect(
    kind: str,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    side: Side | None = None,
    relays: Relays | None = None,
    *,
    kept: KeptSecrets | None = None,
) -> Provider:
    """Make a cloud's client, for one side of a migration if it has two; without, it only logs in.

    `relays` are those through which volumes are opened, `kept` are secrets in a key manager, where the settings say so.
    Nothing is asked of the cloud yet.
    Raises InvalidInput, pydantic's ValidationError for settings of another shape, KeyError for a missing secret.
    """
    known = provider_type(kind)
    return known.open(_formed(known, settings), secrets, side, relays, kept)


def refuse_missing_library(kind: str, settings: Mapping[str, Any]) -> None:
    """Raise InvalidInput when the settings name a library for reading disks that isn't on this machine."""
    provider_type(kind).refuse_missing_library(settings)


def asks_relays(kind: str, settings: Mapping[str, Any]) -> bool:
    """Tell whether volumes of this provider are reached through relays."""
    return provider_type(kind).asks_relays(settings)


def keeper_in(kind: str, settings: Mapping[str, Any]) -> str | None:
    """Return the id of the provider whose key manager keeps secrets of this one; None: there is none."""
    known = provider_type(kind)
    return (settings.get(known.kept_by) or None) if known.kept_by else None


def unneeded_secrets(kind: str, settings: Mapping[str, Any]) -> frozenset[str]:
    """Return the secrets that open nothing by these settings."""
    return provider_type(kind).unneeded(settings)


def open_relays(kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str], ledger: RelayLedger) -> Relays:
    """Open the relays of a provider that asks for them. Nothing is asked of the cloud yet."""
    known = provider_type(kind)
    assert known.open_relays is not None
    return known.open_relays(_formed(known, settings), secrets, ledger)


def _formed(known: ProviderType, settings: Mapping[str, Any]) -> Any:
    from longshore.model.forms import form  # not for whoever only asks what there is

    return form(known.settings()).validate_python(dict(settings))
