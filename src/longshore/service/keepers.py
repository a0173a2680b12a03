"""Providers whose key manager keeps what opens other providers: which they may be, and what needn't be kept then."""

from collections.abc import Mapping
from typing import Any

from longshore.errors import InvalidInput
from longshore.flows.kept_secrets import keeper
from longshore.providers.registry import keeper_in, provider_type, unneeded_secrets
from longshore.store import Store


def with_keeper(store: Store, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with the id of the provider that they name as the keeper of the key.

    Raises NotFound, AccessDenied for another project's, InvalidInput.
    """
    named = keeper_in(kind, settings)
    if named is None:
        return settings
    return {**settings, provider_type(kind).kept_by: keeper(store, store.scope.project_id, str(named)).id}


def refuse_unneeded(kind: str, settings: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Raise InvalidInput for secrets that would open nothing."""
    if found := sorted(unneeded_secrets(kind, settings) & given.keys()):
        words = ", ".join(name.replace("_", " ") for name in found)
        raise InvalidInput(
            f"With {provider_type(kind).kept_by} it is opened by a secret there, not by the {words}.",
            advice="Name one of them.",
        )
