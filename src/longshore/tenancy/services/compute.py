"""Operations of kinds of the compute and block storage services."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openstack import resource
from openstack.block_storage.v3.type import Type
from openstack.utils import supports_microversion

from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import AUTH, Field
from longshore.tenancy.normal import said
from longshore.tenancy.operations import WORKERS, Operations

_OF_USERS = "users_keypairs.yml"
_OLD_NAME = re.compile(r"[\w\- ]*", re.A)
_NEW_NAMES = "2.92"  # the first version in which names may have @ and full stops
_OTHERS = "2.10"  # the compute API's first version in which an administrator sees and makes key pairs of others
_SOFT, _RULES = "2.15", "2.64"  # the first versions with policies that may be broken, and with rules of a policy
_ENCRYPTION = ("provider", "cipher", "key_size", "control_location")
_APART = ("access", "encryption", "extra_specs")  # of a volume type: set by requests of their own


class Keypairs(Operations):
    """The own ones. An administrator's export has those of all users, which OS-Migrate keeps in a file of their own.

    Nova's listings never say whose a key pair is: each user's are asked for, and marked with that user.
    """

    def listing(self) -> Iterable[Any]:
        users = {self.cloud.user_id}
        if self._sees_others():
            users |= {user.id for user in self.cloud.all(self.cloud.kind("user"))}
        _ = self.proxy  # made at first use, in one thread
        with ThreadPoolExecutor(WORKERS) as pool:
            return [pair for pairs in pool.map(self._of, sorted(users)) for pair in pairs]

    def _of(self, user: str) -> list[Any]:
        # Naming oneself is for administrators, too
        found = list(self.proxy.keypairs(**({} if user == self.cloud.user_id else {"user_id": user})))
        for pair in found:
            pair.user_id = user
        return found

    def _sees_others(self) -> bool:
        return self.cloud.is_admin and supports_microversion(self.proxy, _OTHERS)

    def barred(self, wanted: Resource) -> str | None:
        """A key pair is somebody's: one of another user must not become one's own."""
        if not _OLD_NAME.fullmatch(wanted.params["name"]) and not supports_microversion(self.proxy, _NEW_NAMES):
            return f"such a name needs API version {_NEW_NAMES} of the compute service, which this cloud doesn't have"
        ref = wanted.params["user_ref"]
        if self.cloud.is_own_user(ref) or self._sees_others():
            return None
        why = f"this cloud's compute service is older than API version {_OTHERS}"
        if not self.cloud.is_admin:
            why = "only an administrator may import key pairs for others"
        return f"it is user {ref['name']}'s, and {why}"

    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "type":
            return raw.type or "ssh"
        return super().value(raw, field)

    def identity(self, raw: Any) -> str:
        return f"{raw.user_id}/{raw.name}"

    def file(self, params: Mapping[str, Any]) -> str:
        return super().file(params) if params["user_ref"]["name"] == AUTH else _OF_USERS

    def files(self) -> Iterable[str]:
        return (*super().files(), _OF_USERS) if self.cloud.is_admin else super().files()

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        body = dict(values)
        if body.get("user_id") == self.cloud.user_id:
            del body["user_id"]  # naming oneself is for administrators, too
        if _OLD_NAME.fullmatch(body["name"]):
            self.proxy.create_keypair(**body)
        else:  # openstacksdk speaks an older version, which refuses these
            self.proxy.post("/os-keypairs", json={"keypair": body}, microversion=_NEW_NAMES, raise_exc=True)
        return f"{values.get('user_id')}/{values['name']}"


class _Offered(Operations):
    """Operations of what a cloud offers to all projects or to some: flavors and volume types."""

    # openstacksdk's words for who may use one, under which name they are told, for one more, and for one fewer
    access: tuple[str, str, str, str]

    def asked_for(self) -> dict[str, Any]:
        return {"is_public": "None"} if self.cloud.is_admin else {}

    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "access_refs":
            return [] if raw.is_public else sorted(self._allowed(raw.id))
        return super().value(raw, field)

    def _allowed(self, identity: str) -> set[str]:
        told, project, *_ = self.access
        return {each[project] for each in getattr(self.proxy, told)(identity)}

    def _allow(self, identity: str, projects: Iterable[str]) -> None:
        *_, allow, forbid = self.access
        wanted, there = set(projects), self._allowed(identity)
        for project in sorted(wanted - there):
            getattr(self.proxy, allow)(identity, project)
        for project in sorted(there - wanted):
            getattr(self.proxy, forbid)(identity, project)


class Flavors(_Offered):
    access = ("get_flavor_access", "tenant_id", "flavor_add_tenant_access", "flavor_remove_tenant_access")

    def asked_for(self) -> dict[str, Any]:
        return {"details": True, **super().asked_for()}

    def value(self, raw: Any, field: Field) -> Any:
        value = super().value(raw, field)
        return value or 0 if field.name == "swap" else value  # some versions answer ""

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        made = self.proxy.create_flavor(**{k: v for k, v in values.items() if k not in ("extra_specs", "access")})
        try:
            if values.get("extra_specs"):
                self.proxy.create_flavor_extra_specs(made, said(values["extra_specs"]))
            if values.get("access"):
                self._allow(made.id, values["access"])
        except Exception:  # without what confines its servers to some hosts, it would be there for everybody
            self.proxy.delete_flavor(made.id)
            raise
        return str(made.id)

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        if "description" in values:
            self.proxy.update_flavor(raw.id, description=values["description"])
        if "extra_specs" in values:
            # What the files don't say stays, as it doesn't count as a difference
            there, wanted = raw.extra_specs or {}, said(values["extra_specs"])
            changed = {name: value for name, value in wanted.items() if there.get(name) != value}
            if changed:
                self.proxy.create_flavor_extra_specs(raw, changed)
        if "access" in values:
            self._allow(raw.id, values["access"])


class _VolumeType(Type):  # type: ignore[misc]  # openstacksdk isn't typed here
    """A volume type with its limits of QoS, of which openstacksdk doesn't know."""

    qos_specs_id = resource.Body("qos_specs_id")


class VolumeTypes(_Offered):
    wider = _VolumeType
    access = ("get_type_access", "project_id", "add_type_access", "remove_type_access")

    def listing(self) -> Iterable[Any]:
        return [each for each in super().listing() if each.name != "__DEFAULT__"]  # every cloud has its own

    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "encryption":
            there = self.proxy.get_type_encryption(raw.id)
            return {name: getattr(there, name) for name in _ENCRYPTION} if there.provider else None
        value = super().value(raw, field)
        return value or {} if field.name == "extra_specs" else value

    def changeable(self, raw: Any, field: Field) -> bool:
        """Encryption can be added, as long as no volume is of the type; another way of it is another type."""
        return self.value(raw, field) is None if field.name == "encryption" else super().changeable(raw, field)

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        """Make a type that nobody may use before all that is said of it is set, above all that it encrypts."""
        public = values.get("is_public", True)
        body = {name: value for name, value in values.items() if name not in _APART}
        made = self.proxy.create_type(**{**body, "is_public": False})
        self._set_apart(made.id, {name: value for name, value in values.items() if value})
        if public:
            self.proxy.update_type(made.id, is_public=True)
        return str(made.id)

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        body = {k: v for k, v in values.items() if k not in _APART}
        access = {k: v for k, v in values.items() if k == "access"}
        self._set_apart(raw.id, {k: v for k, v in values.items() if k != "access"})
        opens = bool(body.get("is_public"))
        if opens:  # only a private type has a list of those who may use it
            self._set_apart(raw.id, access)
        if body:
            self.proxy.update_type(raw.id, **body)
        if not opens:
            self._set_apart(raw.id, access)

    def _set_apart(self, identity: str, values: Mapping[str, Any]) -> None:
        """Set what has requests of its own; first that a type is encrypted, before anybody may use it."""
        if "encryption" in values:
            how = {name: each for name, each in values["encryption"].items() if each is not None}
            self.proxy.create_type_encryption(identity, **how)
        if "extra_specs" in values:
            # What the files don't say stays, as it doesn't count as a difference
            self.proxy.update_type_extra_specs(identity, **said(values["extra_specs"]))
        if "access" in values:
            self._allow(identity, values["access"])


class ServerGroups(Operations):
    """One policy since microversion 2.64, a list of one before that; files have the list, which both understand."""

    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "policies":
            return [raw.policy] if raw.policy else list(raw.policies or [])
        if field.name == "rules":
            return super().value(raw, field) or {}
        return super().value(raw, field)

    def own(self, raw: Any) -> bool:
        return raw.project_id in (None, self.cloud.project_id)

    def barred(self, wanted: Resource) -> str | None:
        soft = wanted.params["policies"][0].startswith("soft-")
        needed = _RULES if wanted.params.get("rules") else _SOFT if soft else None
        if needed is None or supports_microversion(self.proxy, needed):
            return None
        what = "its rules need" if needed == _RULES else "its policy needs"
        return f"{what} API version {needed} of the compute service, which this cloud doesn't have"

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        body = {"name": values["name"], "policy": values["policies"][0]}
        if values.get("rules"):
            body["rules"] = values["rules"]
        return str(self.proxy.create_server_group(**body).id)
