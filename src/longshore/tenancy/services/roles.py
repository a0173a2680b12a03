"""Operations of who may do what: groups of users, and the two forms of a role that somebody has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import Field
from longshore.tenancy.operations import Operations, asked_of_each

_INHERITED = "OS-INHERIT:inherited_to"


class Groups(Operations):
    """Members whom the files don't have stay members: nothing on a target is taken away."""

    def listing(self) -> Iterable[Any]:
        _ = self.proxy  # made at first use, in one thread
        found = asked_of_each(self.proxy.group_users, self.proxy.groups())
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

    def own(self, raw: Any) -> bool:
        return "system" not in raw.scope

    def info(self, raw: Any) -> dict[str, Any]:
        return {"id": None}


def _is_plain(assignment: Any) -> bool:
    return bool(assignment.user and assignment.scope.get("project") and _INHERITED not in assignment.scope)


def _identity(values: Mapping[str, Any]) -> str:
    return "/".join(f"{name}={values[name]}" for name in sorted(values) if values[name])
