"""The kinds of the identity service, all for administrators, in OS-Migrate's words where it has them."""

from longshore.tenancy.forms import boolean, integer, record, text
from longshore.tenancy.kind import Field, Kind, Scope, ref
from longshore.tenancy.services.identity import (
    COMPUTE_LIMITS,
    NETWORK_LIMITS,
    STORAGE_LIMITS,
    Domains,
    IdentityOperations,
    Projects,
    Quotas,
    RoleAssignments,
    Users,
)

_NAME = Field("name", text, required=True)
_DESCRIPTION = Field("description", text, update=True)
_ENABLED = Field("is_enabled", boolean, update=True)


def _limits(name: str, known: tuple[str, ...]) -> Field:
    return Field(name, record(**dict.fromkeys(known, integer)), update=True)


DOMAIN = Kind(
    "domain",
    "domains",
    "openstack.identity.Domain",
    "identity",
    (_NAME, _DESCRIPTION, _ENABLED),
    Domains,
    scope=Scope.CLOUD,
    admin=True,
    own_file=True,
)

ROLE = Kind(
    "role",
    "roles",
    "openstack.identity.Role",
    "identity",
    (_NAME, _DESCRIPTION),
    IdentityOperations,
    scope=Scope.CLOUD,
    admin=True,
    own_file=True,
)

PROJECT = Kind(
    "project",
    "projects",
    "openstack.identity.Project",
    "identity",
    (
        _DESCRIPTION,
        Field("is_domain", boolean),
        _ENABLED,
        _NAME,
        ref("domain_ref", "domain", required=True),
        ref("parent_ref", "project or domain"),
    ),
    Projects,
    info=("domain_id", "id", "parent_id"),
    key=("domain_id", "name"),
    scope=Scope.CLOUD,
    admin=True,
)

USER = Kind(
    "user",
    "users",
    "openstack.user.User",
    "identity",
    (
        _NAME,
        _DESCRIPTION,
        Field("email", text, update=True),
        _ENABLED,
        ref("default_project_ref", "project", update=True),
        ref("domain_ref", "domain", required=True),
    ),
    Users,
    info=("default_project_id", "domain_id", "id"),
    key=("domain_id", "name"),
    scope=Scope.CLOUD,
    admin=True,
)

ROLE_ASSIGNMENT = Kind(
    "role assignment",
    "user_project_role_assignments",
    "openstack.identity.UserProjectRoleAssignment",
    "identity",
    (
        ref("project_ref", "project", required=True),
        ref("role_ref", "role", required=True),
        ref("user_ref", "user", required=True),
    ),
    RoleAssignments,
    key=("project_id", "role_id", "user_id"),
    scope=Scope.CLOUD,
    admin=True,
)

QUOTA = Kind(
    "quota",
    "quotas",
    "openstack.Quota",
    "identity",
    (
        ref("project_ref", "project", required=True),
        _limits("compute", COMPUTE_LIMITS),
        _limits("network", NETWORK_LIMITS),
        _limits("storage", STORAGE_LIMITS),
    ),
    Quotas,
    key=("project_id",),
    told=("project_ref",),
    scope=Scope.CLOUD,
    admin=True,
    own_file=True,
)

KINDS = (DOMAIN, ROLE, PROJECT, USER, ROLE_ASSIGNMENT, QUOTA)
