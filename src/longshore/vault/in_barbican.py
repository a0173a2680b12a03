"""Pass phrases of a vault's keys that nobody knows, since a cloud's key manager keeps them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

# By a secret's id. Raises NotFound, AccessDenied, Unreachable, ProviderError
OpenSecret = Callable[[str], str]

MEMBER = "barbican"  # of a key's object, beside what the pass phrase has wrapped


@dataclass(frozen=True, slots=True)
class InBarbican:
    """The place of a pass phrase in Barbican, where whoever is to open the vault finds it."""

    secret: str  # its id
    auth_url: str  # of the Keystone before that Barbican; this, the region and the project are for people
    region: str
    project: str  # its id

    @property
    def told(self) -> dict[str, Any]:
        return {MEMBER: asdict(self)}

    @classmethod
    def of(cls, key: Mapping[str, Any]) -> "InBarbican | None":
        """Read the place from a key's object. None: its pass phrase is somebody's own, or in nothing that is known
        here."""
        told = key.get(MEMBER)
        if not isinstance(told, Mapping) or not isinstance(told.get("secret"), str):
            return None
        return cls(**{field.name: str(told.get(field.name, "")) for field in fields(cls)})
