"""The kinds of the identity service, all for administrators, in OS-Migrate's words where it has them."""

from longshore.tenancy.forms import at_least, boolean, list_of, mapping, record, reference, short, text
from longshore.tenancy.kind import Field, ResourceKind, Scope, ref
from longshore.tenancy.normal import by_text

_NAME = Field("name", short(64), required=True)
_LONG_NAME = Field("name", short(255), required=True)  # of users and roles
_DESCRIPTION = Field("description", text, update=True, dispensable=True)
_ENABLED = Field("is_enabled", boolean, update=True)

# What a quota may limit, by service
COMPUTE_LIMITS = ("instances", "cores", "ram", "key_pairs", "metadata_items", "server_groups", "server_group_members")
STORAGE_LIMITS = ("volumes", "snapshots", "gigabytes", "backups", "backup_gigabytes", "groups", "per_volume_gigabytes")
NETWORK_LIMITS = (
    "networks",
    "subnets",
    "ports",
    "routers",
    "floating_ips",
    "security_groups",
    "security_group_rules",
    "rbac_policies",
    "subnet_pools",
)


def _limits(name: str, known: tuple[str, ...]) -> Field:
    return Field(name, record(**dict.fromkeys(known, at_least(-1))), update=True)  # -1: no limit


DOMAIN = ResourceKind(
    "domain",
    "domains",
    "openstack.identity.Domain",
    "identity",
    (_NAME, _DESCRIPTION, _ENABLED),
    scope=Scope.CLOUD,
    admin=True,
)

ROLE = ResourceKind(
    "role",
    "roles",
    "openstack.identity.Role",
    "identity",
    (_LONG_NAME, _DESCRIPTION),
    scope=Scope.CLOUD,
    admin=True,
)

PROJECT = ResourceKind(
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
    info=("domain_id", "id", "parent_id"),
    not_carried=("options", "tags"),
    key=("domain_id", "name"),
    scope=Scope.CLOUD,
    admin=True,
)

USER = ResourceKind(
    "user",
    "users",
    "openstack.user.User",
    "identity",
    (
        _LONG_NAME,
        _DESCRIPTION,
        Field("email", text, update=True, dispensable=True),
        _ENABLED,
        Field("options", mapping, update=True, extra=True, default={}),  # above all which second factor is asked for
        ref("default_project_ref", "project", update=True, dispensable=True),
        ref("domain_ref", "domain", required=True),
    ),
    info=("default_project_id", "domain_id", "id"),
    not_carried=("federated",),
    key=("domain_id", "name"),
    scope=Scope.CLOUD,
    admin=True,
)

GROUP = ResourceKind(
    "group",
    "groups",
    "openstack.identity.Group",
    "identity",
    (
        _NAME,
        _DESCRIPTION,
        ref("domain_ref", "domain", required=True),
        Field(
            "user_refs",
            list_of(reference),
            sdk="users",
            refs={"user_refs": "user"},
            lets_in=True,
            update=True,
            default=[],
            order=by_text,
            dispensable=True,
        ),
    ),
    info=("domain_id", "id"),
    key=("domain_id", "name"),
    scope=Scope.CLOUD,
    admin=True,
)

ROLE_ASSIGNMENT = ResourceKind(
    "role assignment",
    "user_project_role_assignments",
    "openstack.identity.UserProjectRoleAssignment",
    "identity",
    (
        ref("project_ref", "project", required=True),
        ref("role_ref", "role", required=True),
        ref("user_ref", "user", required=True),
    ),
    key=("project_id", "role_id", "user_id"),
    scope=Scope.CLOUD,
    admin=True,
)

ROLE_GRANT = ResourceKind(
    "role grant",
    "role_grants",
    "openstack.identity.RoleGrant",
    "identity",
    (
        ref("role_ref", "role", required=True),
        ref("user_ref", "user"),
        ref("group_ref", "group"),
        ref("project_ref", "project"),
        ref("domain_ref", "domain"),
        # By the projects below; the domain or project itself isn't meant then
        Field("is_inherited", boolean, order=bool),
    ),
    key=("user_id", "group_id", "project_id", "domain_id", "role_id", "is_inherited"),
    told=("user_ref", "group_ref", "role_ref", "project_ref", "domain_ref"),
    either=(("user_ref", "group_ref"), ("project_ref", "domain_ref")),
    scope=Scope.CLOUD,
    admin=True,
)

QUOTA = ResourceKind(
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
    key=("project_id",),
    scope=Scope.CLOUD,
    admin=True,
)

KINDS = (DOMAIN, ROLE, PROJECT, USER, GROUP, ROLE_ASSIGNMENT, ROLE_GRANT, QUOTA)
