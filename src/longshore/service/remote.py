"""Requests that callers from elsewhere may not make of a server: anything on its own disk, of its own storage or its
own time.

Each kind of provider declares which settings are safe. What it gains later is refused until somebody has thought about
it there.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from longshore.errors import InvalidInput
from longshore.providers.declared import LABELS, ProviderType
from longshore.providers.grounds import Grounds
from longshore.providers.registry import provider_type
from longshore.service.caller import Caller

_LONGEST_WORD = 1000  # characters of a setting


def provider_settings(kind: str, settings: Mapping[str, Any], grounds: Grounds) -> dict[str, Any]:
    """Return the settings of a caller from elsewhere, with what the operator provides for them. Raises InvalidInput."""
    known = provider_type(kind)
    usual = _usual(known)
    said = {
        name: value
        for name, value in settings.items()
        if name not in usual or value not in (usual[name], None, "", [], {})
    }
    for name, value in said.items():
        if not _is_safe(known, name):
            raise InvalidInput(
                f'A server doesn\'t take "{name}" from its callers.', advice="The operator of the server sets it."
            )
        _refuse_unwieldy(name, value)
    return known.on_server(said, grounds)


def _refuse_unwieldy(name: str, value: Any) -> None:
    """Raise InvalidInput for what is too long to be meant."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    if len(parts) > _LONGEST_WORD or any(len(str(part)) > _LONGEST_WORD for part in parts):
        raise InvalidInput(f'The setting "{name}" is too long.', advice=f"{_LONGEST_WORD} characters are enough.")


def asked_of(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a provider's settings that are its owner's, not the operator's."""
    known = provider_type(kind)
    return {name: value for name, value in settings.items() if _is_safe(known, name)}


def _is_safe(known: ProviderType, name: str) -> bool:
    return name in known.safe or name == LABELS.name


def _usual(known: ProviderType) -> dict[str, Any]:
    """Return the default of each setting that has one; clients may send it all the same."""
    told = fields(known.settings())
    made = {field.name: field.default_factory() for field in told if field.default_factory is not MISSING}
    return made | {field.name: field.default for field in told if field.default is not MISSING}


def refuse_unsafe(caller: Caller, options: Mapping[str, Any]) -> None:
    """Raise InvalidInput for a caller from elsewhere, and playbooks among the options of a migration, or those that a
    plan gives its machines."""
    for name in ("before", "after"):
        if caller.remote and options.get(name):
            raise InvalidInput(
                f'A server runs no playbooks ("{name}") for its callers: they would run as the server itself.',
                advice="Run the playbook yourself, or use Longshore without a server.",
                code="not-on-a-server",
            )


def refuse_unsafe_plan(caller: Caller, plan: Mapping[str, Any]) -> None:
    """Raise InvalidInput likewise for a plan, as its file has it."""
    refuse_unsafe(caller, plan.get("defaults") or {})
    for machine in plan.get("machines") or ():
        if isinstance(machine, Mapping):
            refuse_unsafe(caller, machine)
