"""Operations of kinds of the block storage service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import Field
from longshore.tenancy.normal import said
from longshore.tenancy.operations import Operations

_ENCRYPTION = ("provider", "cipher", "key_size", "control_location")
_APART = ("access", "encryption", "extra_specs")  # set by requests of their own


class VolumeTypes(Operations):
    def listing(self) -> Iterable[Any]:
        found: Iterable[Any] = self.proxy.types(**({"is_public": "None"} if self.cloud.is_admin else {}))
        return [each for each in found if each.name != "__DEFAULT__"]  # every cloud has its own

    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "encryption":
            there = self.proxy.get_type_encryption(raw.id)
            return {name: getattr(there, name) for name in _ENCRYPTION} if there.provider else None
        if field.name == "access_refs":
            if raw.is_public:
                return []
            return sorted(each["project_id"] for each in self.proxy.get_type_access(raw.id))
        value = super().value(raw, field)
        return value or {} if field.name == "extra_specs" else value

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        made = self.proxy.create_type(**{k: v for k, v in values.items() if k not in _APART})
        if values.get("encryption"):  # first: a type that should be encrypted and isn't must not be used
            self._encrypt(made.id, values["encryption"])
        if values.get("extra_specs"):
            self.proxy.update_type_extra_specs(made.id, **said(values["extra_specs"]))
        for project in values.get("access") or ():
            self.proxy.add_type_access(made.id, project)
        return str(made.id)

    def changeable(self, raw: Any, field: Field) -> bool:
        """Encryption can be added, as long as no volume is of the type; another way of it is another type."""
        return self.value(raw, field) is None if field.name == "encryption" else super().changeable(raw, field)

    def _encrypt(self, type_id: str, how: Mapping[str, Any]) -> None:
        self.proxy.create_type_encryption(type_id, **{name: each for name, each in how.items() if each is not None})

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        if "encryption" in values:
            self._encrypt(raw.id, values["encryption"])
        body = {k: v for k, v in values.items() if k not in _APART}
        if body:
            self.proxy.update_type(raw.id, **body)
        if "extra_specs" in values:
            # What the files don't say stays, as it doesn't count as a difference
            self.proxy.update_type_extra_specs(raw.id, **said(values["extra_specs"]))
        if "access" in values:
            allowed = {each["project_id"] for each in self.proxy.get_type_access(raw.id)}
            for project in sorted(set(values["access"]) - allowed):
                self.proxy.add_type_access(raw.id, project)
            for project in sorted(allowed - set(values["access"])):
                self.proxy.remove_type_access(raw.id, project)
