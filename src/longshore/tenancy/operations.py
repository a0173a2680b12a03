"""Questions of the engine to a cloud, the same for every kind; kinds whose API is special override what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openstack import exceptions as sdk

from longshore.tenancy.documents import Resource
from longshore.tenancy.forms import anything
from longshore.tenancy.kind import Field, ResourceKind, Scope, Whose, whose
from longshore.tenancy.login import CloudLogin
from longshore.tenancy.normal import still

WORKERS = 8  # requests under way at once; more only queue up in the services


class Operations:
    """`raw` is always openstacksdk's own object for a resource; `values` are by openstacksdk's names, with ids."""

    wider: Any = None  # openstacksdk's class with what it doesn't know of these, where that is something

    def __init__(self, cloud: CloudLogin, kind: ResourceKind) -> None:
        self.cloud = cloud
        self.kind = kind

    @property
    def proxy(self) -> Any:
        return getattr(self.cloud.connection, self.kind.service)

    @property
    def plural(self) -> str:
        """Return openstacksdk's word for several of these, and `single` its word for one."""
        return self.kind.plural

    @property
    def single(self) -> str:
        return self.kind.name.replace(" ", "_")

    # What is there

    def knock(self) -> None:
        """Ask little of an optional service, to see whether this user may use it at all. Raises ForbiddenException."""
        next(iter(self.listing()), None)

    def listing(self) -> Iterable[Any]:
        """List all that may be named in a reference; of projects and users that one may see."""
        asked_for = self.asked_for()
        found: Iterable[Any] = (
            self.wider.list(self.proxy, **asked_for) if self.wider else getattr(self.proxy, self.plural)(**asked_for)
        )
        return found

    def asked_for(self) -> dict[str, Any]:
        """Return what narrows, or widens, the list that the cloud is asked for."""
        return {}

    def own(self, raw: Any) -> bool:
        """Tell whether it belongs to what is exported, and so may be changed."""
        return self.kind.scope is not Scope.PROJECT or self.project_of(raw) == self.cloud.project_id

    def project_of(self, raw: Any) -> str:
        """Return the id of the project that a resource of a project belongs to."""
        return str(raw.project_id)

    def value(self, raw: Any, field: Field) -> Any:
        """Return a field's value as the cloud has it: plain data, with ids."""
        return plain(getattr(raw, field.attribute))

    def key_value(self, raw: Any, name: str) -> Any:
        """Return one part of what says which resource it is, by openstacksdk's name."""
        field = next((f for f in self.kind.fields if f.attribute == name), Field(name, anything))
        return field.one(self.value(raw, field))

    def key(self, raw: Any) -> tuple[Any, ...]:
        """Return what tells it from others of its kind, to be compared with `wanted_key`."""
        return tuple(still(self.key_value(raw, name)) for name in self.kind.key)

    def keys(self, raw: Any) -> list[tuple[Any, ...]]:
        """Return such keys by each name that files may have for it: see Cloud.called."""
        key = self.key(raw)
        if "name" not in self.kind.key:
            return [key]
        name = self.cloud.called(self.kind, raw)
        if name == raw.name:
            return [key]
        return [key, tuple(name if part == "name" else value for part, value in zip(self.kind.key, key, strict=True))]

    def wanted_key(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the key of a resource in a file, whose references are ids already."""
        fields = {f.attribute: f for f in self.kind.fields}
        return tuple(still(fields[name].one(values.get(name))) for name in self.kind.key)

    def identity(self, raw: Any) -> str:
        return str(raw.id)

    def info(self, raw: Any) -> dict[str, Any]:
        return {name: plain(getattr(raw, name, None)) for name in sorted(self.kind.info)}

    def file(self, params: Mapping[str, Any]) -> str:
        """Return the file that it is written to."""
        return self.kind.file

    def files(self) -> Iterable[str]:
        """Return all files that an export may write these to."""
        return (self.kind.file,)

    def not_carried(self, raw: Any) -> list[str]:
        """Return what it has that isn't carried, by openstacksdk's names."""
        return [name for name in self.kind.not_carried if getattr(raw, name, None)]

    def hidden(self, raw: Any) -> str | None:
        """Return why one of the own resources isn't exported, as a sentence; "" when there's nothing to be said about
        it."""
        for guard, lets_in in self.kind.guarded_by.items():
            if getattr(raw, guard, None) not in (None, lets_in):
                called = self.cloud.called(self.kind, raw)
                return f"{self.kind.plural}: {called} is left out: its {guard} keeps others out, which isn't carried."
        return None

    # Comparing it

    def changeable(self, raw: Any, field: Field) -> bool:
        """Tell whether the API can change this field of what is there."""
        return field.update

    def same(self, raw: Any, field: Field, wanted: Any, live: Any) -> bool:
        """Tell whether the cloud has what is wanted. Of a mapping, only what is said counts."""
        wanted, live = field.one(wanted), field.one(live)
        if isinstance(wanted, Mapping) and isinstance(live, Mapping):
            return all(live.get(name) == value for name, value in wanted.items() if value is not None)
        return bool(wanted == live)

    def another(self, raw: Any, wanted: Resource) -> str | None:
        """Return why one of its name isn't the one that is wanted, beyond what its fields say; as the end of a
        sentence."""
        return None

    def incomplete(self, raw: Any) -> bool:
        """Tell whether `complete` has something to do, though all fields are as they should be."""
        return False

    def barred(self, wanted: Resource) -> str | None:
        """Return why this user can't make it here, whatever is there, as the middle of a sentence."""
        return None

    def unmakeable(self, wanted: Resource) -> str | None:
        """Return why this user can't make it where it isn't there yet, as the middle of a sentence."""
        return None

    def unsettable(self, field: Field, value: Any, params: Mapping[str, Any]) -> str | None:
        """Return why this value of a field can't be set here by this user, as the end of a sentence."""
        if field.of_cloud:
            return "since it only means something in the cloud that it is from"
        if field.extension and field.extension not in self.cloud.extensions:
            return f"since this cloud's network service doesn't know it (the extension {field.extension})"
        if (field.admin or value in field.admin_values) and not self.cloud.is_admin:
            return "since only an administrator may set it"
        if field.network_owner and not self.cloud.is_admin and not self._on_own_network(params):
            return "since only the network's owner may set it"
        known = self.choices(field)
        absent = [each for each in value if each not in known] if known is not None and isinstance(value, list) else []
        if known is not None and isinstance(value, str) and value not in known:
            absent = [value]
        return f"since this cloud has no {', '.join(map(str, absent))}" if absent else None

    def choices(self, field: Field) -> frozenset[str] | None:
        """Return the names of the cloud's own that a field may have; None where it may have any."""
        return None

    def _on_own_network(self, params: Mapping[str, Any]) -> bool:
        ref = params.get("network_ref")
        if not isinstance(ref, Mapping) or whose(ref) is Whose.OWN:
            return True
        return all(raw.project_id == self.cloud.project_id for raw in self.cloud.find("network", ref))

    def obstacle(self, values: Mapping[str, Any], wanted: Resource) -> str | None:
        """Return what would prevent making it, beyond one of the same name, as the end of a sentence."""
        return None

    # Changing it

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        """Make it, and answer its id."""
        body = {name: value for name, value in values.items() if name != "tags"}
        raw = getattr(self.proxy, f"create_{self.single}")(**body)
        if values.get("tags"):
            self.tag(raw, values["tags"])
        self.made(raw)
        return self.identity(raw)

    def made(self, raw: Any) -> None:
        """Remember of what was made just now what others will want to know."""

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        """Change these fields of what is there."""
        body = {name: value for name, value in values.items() if name != "tags"}
        if body:
            getattr(self.proxy, f"update_{self.single}")(raw, **body)
        if "tags" in values:
            self.tag(raw, values["tags"])

    def complete(self, raw: Any, wanted: Resource) -> None:
        """Do what is left to be done to a resource that was changed."""

    def finish(self, identity: str, values: Mapping[str, Any]) -> None:
        """Set what had to wait until everything that belongs to it is there."""
        getattr(self.proxy, f"update_{self.single}")(identity, **values)

    def tag(self, raw: Any, tags: Iterable[str]) -> None:
        """Set tags where this user may: what needs the resource isn't to wait for them."""
        try:
            self.set_tags(raw, tags)
        except sdk.ForbiddenException:
            called = self.cloud.called(self.kind, raw)
            self.cloud.remarks.append(f"{self.kind.plural}: {called} is without its tags, which this user may not set.")

    def set_tags(self, raw: Any, tags: Iterable[str]) -> None:
        self.proxy.set_tags(raw, sorted(tags))


def asked_of_each(ask: Callable[[Any], Iterable[Any]], parents: Iterable[Any]) -> list[tuple[Any, list[Any]]]:
    """Ask for what belongs to each parent, side by side, and return it with its parent. What somebody has deleted since
    it was listed is left out."""

    def asked(parent: Any) -> tuple[Any, list[Any]] | None:
        try:
            return parent, list(ask(parent))
        except sdk.NotFoundException:
            return None

    with ThreadPoolExecutor(WORKERS) as pool:
        return [each for each in pool.map(asked, parents) if each is not None]


def plain(value: Any) -> Any:
    """Return openstacksdk's values as plain mappings and lists, which can be compared and written."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    to_dict = getattr(value, "to_dict", None)
    return plain(to_dict(computed=False)) if to_dict else str(value)
