"""The declaration of a kind of resource: declared, not programmed. One engine reads, checks, compares and makes all of
them.

A resource has three forms. In a *file* it is `params`, where other resources are references {name, project_name,
domain_name}. In the *cloud* it is what openstacksdk gives. In between are *values*: params with every reference
replaced by an id, which is what is compared and sent. Field names are openstacksdk's and so OS-Migrate's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from longshore.tenancy import forms

# A kind's name, several joined by " or ", or what finds it out from the resource's params
KindOf = str | Callable[[Mapping[str, Any]], str]

OWN = "longshore/"  # where the files lie that OS-Migrate doesn't look at
# What OS-Migrate knows; it refuses directories with anything else
_OF_OS_MIGRATE = (
    *("projects", "users", "user_project_role_assignments", "keypairs", "flavors", "networks", "subnets", "images"),
    *("security_groups", "security_group_rules", "routers", "router_interfaces", "workloads", "detached_volumes"),
)
AUTH = "%auth%"  # in a reference: the project, domain or user that one is logged in as


class Scope(StrEnum):
    """The scope of a resource: what is exported, and how a name is looked up."""

    PROJECT = "project"  # of the project one is logged in to
    USER = "user"  # of a user, as key pairs are
    CLOUD = "cloud"  # of the whole cloud: for administrators


class Whose(StrEnum):
    """The owner that a reference names for something of a project."""

    OWN = "own"  # to the project that is exported, and so to the one that is imported into
    ANOTHERS = "another's"  # never to that one, whatever it is called on the target
    UNSAID = "unsaid"  # nothing, as only people write it


def whose(reference: Mapping[str, Any]) -> Whose:
    """Tell whose something is: an export calls its own project %auth%, and another whose name can't be seen null."""
    if "project_name" not in reference:
        return Whose.UNSAID
    return Whose.OWN if reference["project_name"] == AUTH else Whose.ANOTHERS


def _as_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of `params`."""

    name: str
    form: forms.Form
    required: bool = False
    update: bool = False  # the API can change it on what is there already; a difference is a conflict otherwise
    # Without it the resource lets in nothing and nobody more. Where any other field can't be carried, the resource is
    # left out with it: a rule without its remote group would let in everybody
    dispensable: bool = False
    admin: bool = False  # only an administrator may set it: left out for others
    admin_values: tuple[Any, ...] = ()  # the same of these values only
    network_owner: bool = False  # only the owner of its network may set it, or an administrator
    extension: str | None = None  # the extension of the network API that knows it: left out where there isn't one
    of_cloud: bool = False  # it names something of the cloud that it is from, and nothing elsewhere: not carried
    of_key_manager: bool = False  # it names a container of the cloud's key manager: to be replaced by the target's own
    lets_in: bool = False  # it names who may use the resource: those who aren't there are left out
    opens: tuple[Any, ...] = ()  # values without which it lets in less
    parts: tuple[Field, ...] = ()  # of a mapping, or of mappings in a list: entries to which any of the above applies
    extra: bool = False  # unknown to OS-Migrate: only written where it differs from `default`
    default: Any = None  # what it is where nobody says anything
    extra_parts: tuple[str, ...] = ()  # of a mapping: entries unknown to OS-Migrate
    null: bool = False  # null says something ("none"); elsewhere it says nothing
    quiet: bool = False  # empty says nothing, as null does
    late: bool = False  # set when everything that belongs to the resource is there
    whole: bool = False  # late, and only if nothing of that failed: without some of it more would be let through
    compare: bool = True
    sent: bool = True  # part of the request that makes the resource
    sdk: str | None = None  # openstacksdk's name, when it isn't the field's
    inner: frozenset[str] | None = None  # of resources within it: their `params` that are known, others aren't followed
    refs: Mapping[str, KindOf] = field(default_factory=dict)  # keys in it that are references, and the kind of each
    order: Callable[[Any], Any] = _as_is  # what makes two equal values equal beyond their form: sorted, as text …

    @property
    def attribute(self) -> str:
        return self.sdk or self.name

    def one(self, value: Any) -> Any:
        """Bring a value, as files or the cloud have it, to the form in which two that mean the same are equal."""
        return self.order(forms.one(self.form, value))

    @property
    def names_of_cloud(self) -> frozenset[str]:
        """Return those of a mapping's entries that aren't carried."""
        return frozenset(part.name for part in self.parts if part.of_cloud)

    def says_something(self, value: Any) -> bool:
        """Tell whether something is lost where this value can't be set."""
        return value != self.default and value not in (None, "", [], {})

    def silent(self, value: Any) -> bool:
        """Tell whether this value says nothing."""
        return (value is None and not self.null) or (self.quiet and not value and value is not False)


def ref(name: str, kind: str, *, sdk: str | None = None, **how: Any) -> Field:
    """Return a field that names one other resource: network_ref, which openstacksdk calls network_id."""
    return Field(name, forms.reference, sdk=sdk or f"{name.removesuffix('_ref')}_id", refs={name: kind}, **how)


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """One kind of resource."""

    name: str  # as in a sentence: "security group"
    plural: str  # as in --only and the file's name: "security_groups"
    type_name: str  # as in files: "openstack.network.SecurityGroup"
    service: str  # openstacksdk's name of the service: "network"
    fields: tuple[Field, ...]
    either: tuple[tuple[str, ...], ...] = ()  # of each of these fields, there has to be exactly one
    how: Mapping[str, forms.Form] | None = None  # what `_migration_params` may say, and what of it is followed
    info: tuple[str, ...] = ("id",)  # what is told of the original; nobody reads it again
    key: tuple[str, ...] = ("name",)  # the fields that say which resource it is, by openstacksdk's names
    parent: str | None = None  # the field that names what it belongs to
    after: tuple[str, ...] = ()  # kinds to be made before it, though it doesn't name them
    in_turn: str | None = None  # a number: those of one parent are made in its order, as each moves the others
    told: tuple[str, ...] = ()  # the fields that tell people which one it is, where it has no name; else the key's
    scope: Scope = Scope.PROJECT
    admin: bool = False  # only an administrator may make it
    extension: str | None = None  # the extension of the network API that it needs
    quota: str | None = None  # the quota it counts against
    find_only: bool = False  # only named by others, never exported or made
    # What openstacksdk tells of it and isn't carried: an export says where it says something
    not_carried: tuple[str, ...] = ()
    # What of this isn't carried and lets in less: what has some of it is left out. Each value that lets in all is named
    guarded_by: Mapping[str, Any] = field(default_factory=dict)
    guards: bool = False  # it says who is let in: another project's is only taken where it is known whose it is
    by_name: dict[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {f.name: f for f in self.fields})

    @property
    def file(self) -> str:
        """Return the kind's file: kinds of our own lie one level down, where OS-Migrate's validation doesn't look."""
        return f"{self.plural}.yml" if self.plural in _OF_OS_MIGRATE else f"{OWN}{self.plural}.yml"

    @property
    def telling(self) -> tuple[str, ...]:
        """Return the fields that tell people which one it is, where it has no name."""
        if self.told or "name" in self.key:
            return self.told or tuple(self.by_name)
        named = {f.attribute: f.name for f in self.fields}
        return tuple(named[name] for name in self.key) or tuple(self.by_name)

    @property
    def optional(self) -> bool:
        """Tell whether there are clouds without its service."""
        return self.service == "load_balancer"

    def limits(self, field: Field) -> bool:
        """Tell whether the resource may let in more without this field."""
        return field.name in self.by_name and not field.dispensable

    @property
    def named(self) -> bool:
        """Tell whether others name it; where a name may be missing, nobody does."""
        return "name" in self.by_name and self.by_name["name"].required
