"""Operations of kinds of the identity service, and of the two forms of a role that somebody has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from openstack import exceptions as sdk
from openstack.identity.v3.domain import Domain
from openstack.identity.v3.group import Group
from openstack.identity.v3.project import Project
from openstack.identity.v3.role import Role
from openstack.identity.v3.user import User

from longshore.errors import ProviderError
from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import Field
from longshore.tenancy.kinds.identity import COMPUTE_LIMITS, NETWORK_LIMITS, STORAGE_LIMITS
from longshore.tenancy.operations import Operations, asked_of_each

_INHERITED = "OS-INHERIT:inherited_to"
_LISTED_AS = {"domain": Domain, "group": Group, "project": Project, "role": Role, "user": User}


def _whole_list(proxy: Any, listed: Any, path: str) -> Iterator[Any]:
    """Yield all of a list of Keystone's, which has pages since 2025 that openstacksdk doesn't follow. `listed`: its
    class for one of them. Raises ProviderError where Keystone keeps some back without saying where they are."""
    asked, count = "", 0
    while True:
        answer = proxy.get(f"{path}{asked}")
        sdk.raise_from_response(answer)
        page = answer.json()
        found = page[listed.resources_key]
        count += len(found)
        yield from (listed.existing(**each) for each in found)
        further = (page.get("links") or {}).get("next")
        if not further and not page.get("truncated"):
            return
        if not found or not further or asked == (asked := f"?{urlsplit(further).query}"):
            raise ProviderError(
                f"Keystone lists only {count} {listed.resources_key} and keeps back the others.",
                advice="Ask its operator to raise the limit of its lists (list_limit).",
            )


class IdentityOperations(Operations):
    """A plain member may list none of these; what is known from the login then has to do."""

    def listing(self) -> Iterable[Any]:
        try:
            return list(_whole_list(self.proxy, _LISTED_AS[self.kind.name], f"/{self.plural}"))
        except sdk.ForbiddenException:
            return self.known()

    def known(self) -> list[Any]:
        return []


class Domains(IdentityOperations):
    def known(self) -> list[Any]:
        id_, name = self.cloud.project_domain
        return [SimpleNamespace(id=id_, name=name)]


class Projects(IdentityOperations):
    def known(self) -> list[Any]:
        domain_id, _ = self.cloud.project_domain
        return [SimpleNamespace(id=self.cloud.project_id, name=self.cloud.project_name, domain_id=domain_id)]


class Users(IdentityOperations):
    """Passwords can't be read from any cloud: a user who is made here gets a new one, if there is a place for it."""

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        body = dict(values)
        if self.cloud.passwords:
            body["password"] = self.cloud.passwords.new(wanted.params["domain_ref"]["name"], wanted.name)
        return super().create(body, wanted)


class Quotas(Operations):
    """The limits of a project, over all services. There always are some: they are only ever changed."""

    def listing(self) -> Iterable[Any]:
        connection = self.cloud.connection
        _ = connection.compute, connection.block_storage, connection.network  # made at first use, in one thread
        found = asked_of_each(self._of_project, self.cloud.all(self.cloud.kind("project")))
        return [quota for _, quotas in found for quota in quotas]

    def _of_project(self, project: Any) -> Iterable[Any]:
        """Yield its quotas. Nova answers 400 for a project that has been deleted, the others what they like."""
        try:
            yield self._of(project)
        except sdk.BadRequestException:
            self.cloud.connection.identity.get_project(project.id)  # raises NotFoundException
            raise

    def _of(self, project: Any) -> Any:
        connection = self.cloud.connection
        compute = connection.compute.get_quota_set(project.id)
        storage = connection.block_storage.get_quota_set(project.id)
        network = connection.network.get_quota(project.id)
        return SimpleNamespace(
            id=project.id,
            project_id=project.id,
            compute={name: getattr(compute, name) for name in COMPUTE_LIMITS},
            storage={name: getattr(storage, name) for name in STORAGE_LIMITS},
            network={name: value for name in NETWORK_LIMITS if (value := getattr(network, name, None)) is not None},
        )

    def own(self, raw: Any) -> bool:
        return True

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        for name, service, put in (
            ("compute", "compute", "update_quota_set"),
            ("storage", "block_storage", "update_quota_set"),
            ("network", "network", "update_quota"),
        ):
            limits = {limit: value for limit, value in values.get(name, {}).items() if value is not None}
            if limits:
                getattr(getattr(self.cloud.connection, service), put)(raw.id, **limits)

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        """Set the quotas of a project that is made in the same import."""
        self.update(SimpleNamespace(id=values["project_id"]), values)
        return str(values["project_id"])


class Groups(Operations):
    """Members whom the files don't have stay members: nothing on a target is taken away."""

    def listing(self) -> Iterable[Any]:
        proxy = self.proxy  # made at first use, in one thread
        found = asked_of_each(
            lambda group: _whole_list(proxy, User, f"/groups/{group.id}/users"),
            _whole_list(proxy, Group, "/groups"),
        )
        self._members = {group.id: [user.id for user in users] for group, users in found}
        return [group for group, _ in found]

    def value(self, raw: Any, field: Field) -> Any:
        return sorted(self._members[raw.id]) if field.name == "user_refs" else super().value(raw, field)

    def same(self, raw: Any, field: Field, wanted: Any, live: Any) -> bool:
        if field.name == "user_refs":
            return all(user in live for user in wanted)
        return super().same(raw, field, wanted, live)

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        made = self.proxy.create_group(**{k: v for k, v in values.items() if k != "users"})
        for user in values.get("users") or ():
            self.proxy.add_user_to_group(user, made.id)
        return str(made.id)

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        body = {k: v for k, v in values.items() if k != "users"}
        if body:
            self.proxy.update_group(raw.id, **body)
        for user in values.get("users") or ():
            if user not in self._members[raw.id]:
                self.proxy.add_user_to_group(user, raw.id)


class _Assigned(Operations):
    """Operations of what has no id: who, what and where together are one."""

    def value(self, raw: Any, field: Field) -> Any:
        parts = {"user_ref": raw.user, "group_ref": raw.group, "role_ref": raw.role}
        parts |= {"project_ref": raw.scope.get("project"), "domain_ref": raw.scope.get("domain")}
        if field.name == "is_inherited":
            return _INHERITED in raw.scope
        return (parts[field.name] or {}).get("id")

    def identity(self, raw: Any) -> str:
        return _identity({f.attribute: self.value(raw, f) for f in self.kind.fields})

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        where = "project" if values.get("project_id") else "domain"
        who = "user" if values.get("user_id") else "group"
        getattr(self.proxy, f"assign_{where}_role_to_{who}")(
            values[f"{where}_id"],
            values[f"{who}_id"],
            values["role_id"],
            inherited=bool(values.get("is_inherited")),
        )
        return _identity(values)


class RoleAssignments(_Assigned):
    """Operations of roles of users in projects, as OS-Migrate has them."""

    def listing(self) -> Iterable[Any]:
        return [each for each in self.proxy.role_assignments() if _is_plain(each)]

    def info(self, raw: Any) -> dict[str, Any]:
        # OS-Migrate asks every resource for an id
        ids = {"project_id": raw.scope["project"]["id"], "role_id": raw.role["id"], "user_id": raw.user["id"]}
        return {"id": None} | ids


class RoleGrants(_Assigned):
    """All others. One that projects below inherit isn't one in the project itself, so it is none of OS-Migrate's."""

    def listing(self) -> Iterable[Any]:
        return [each for each in self.proxy.role_assignments() if not _is_plain(each)]

    def hidden(self, raw: Any) -> str | None:
        if "system" not in raw.scope:
            return None
        who, of = ("user", raw.user) if raw.user else ("group", raw.group)
        names = [self._name("role", raw.role["id"]), self._name(who, of["id"])]
        return f"role_grants: {names[0]} of {who} {names[1]} on the whole system is left out: it isn't carried."

    def _name(self, kind: str, identity: str) -> str:
        found = self.cloud.by_id(self.cloud.kind(kind)).get(identity)
        return found.name if found else identity

    def info(self, raw: Any) -> dict[str, Any]:
        return {"id": None}


def _is_plain(assignment: Any) -> bool:
    return bool(assignment.user and assignment.scope.get("project") and _INHERITED not in assignment.scope)


def _identity(values: Mapping[str, Any]) -> str:
    return "/".join(f"{name}={values[name]}" for name in sorted(values) if values[name])
