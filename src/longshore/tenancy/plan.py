"""The plan of an import, found out by comparing the files with the cloud. Nothing is changed here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from longshore.errors import NotFound
from longshore.providers.openstack.faults import explained
from longshore.tenancy.cloud import Cloud
from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import AUTH, Field, ResourceKind, Scope, Whose, whose
from longshore.tenancy.kinds import BY_NAME
from longshore.tenancy.validate import references


class Verdict(StrEnum):
    MAKE = "make"
    CHANGE = "change"
    LEAVE = "leave"  # it is there already as the files say, or they say nothing about it
    CONFLICT = "conflict"  # it can't become what the files say
    SKIP = "skip"  # nobody may make it here


@dataclass(slots=True, eq=False)
class Action:
    """An action on one resource of the files: what is to become of it."""

    resource: Resource
    what: Verdict = Verdict.MAKE
    said: str = ""  # why, or what is different
    raw: Any = None  # as the cloud has it
    identity: str | None = None  # its id, once there is one
    values: dict[str, Any] = field(default_factory=dict)  # to be sent; an Action stands for an id that isn't known yet
    late: dict[str, Any] = field(default_factory=dict)  # to be sent when what belongs to it is there
    needs: set[Action] = field(default_factory=set)  # what has to be made before
    parent: Action | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    actions: list[Action]
    strays: list[tuple[str, str]]  # kind and name of what belongs to a resource of the files, which don't have it
    notes: list[str]
    kinds: tuple[ResourceKind, ...]

    def of(self, what: Verdict) -> list[Action]:
        return [action for action in self.actions if action.what is what]


class _Unresolved(Exception):
    """A reference leads nowhere; its text is why."""


class _NotThere(_Unresolved):
    """The cloud has nothing that a reference could mean."""


class _LeftOut(Exception):
    """The refusal of a resource that would let in more without what can't be had here; its text says what that is."""


_DEEPEST = 50  # resources that need each other in a row; clouds have some six

# Belonging to a resource, and so worth a word when the files don't have them
_TOLD_AS_STRAYS = ("security group rule", "router interface")


class Planner:
    """Plans the import of resources that were found valid; the cloud has been looked at."""

    def __init__(self, cloud: Cloud, resources: Sequence[Resource]) -> None:
        self._cloud = cloud
        self._resources = resources
        self._named: dict[tuple[str, str], list[Resource]] = defaultdict(list)
        for resource in resources:
            if resource.kind.named:
                self._named[resource.kind.name, resource.params["name"]].append(resource)
        self._actions: dict[Resource, Action] = {}
        self._open: set[Resource] = set()
        self._live: dict[str, dict[tuple[Any, ...], list[Any]]] = {}
        self._left_out: dict[tuple[str, str, str], int] = defaultdict(int)  # by kind, field and reason

    def plan(self, kinds: tuple[ResourceKind, ...]) -> Plan:
        actions = [self._action(resource) for resource in self._resources]
        notes = [
            f"{plural}: {name} of {count} left out, {why}." for (plural, name, why), count in self._left_out.items()
        ]
        return Plan(actions, list(self._strays(kinds)), notes, kinds)

    def _action(self, resource: Resource) -> Action:
        if resource in self._actions:
            return self._actions[resource]
        if len(self._open) > _DEEPEST:
            raise _Unresolved(f"more than {_DEEPEST} resources need each other in a row")
        if resource in self._open:
            raise _Unresolved(f"it and {resource.kind.name} {resource.name} need each other")
        self._open.add(resource)
        action = Action(resource)
        try:
            self._decide(action)
        except _Unresolved as why:
            action.what, action.said = Verdict.CONFLICT, f"{str(why)[0].upper()}{str(why)[1:]}."
        except _LeftOut as why:
            action.what, action.said = Verdict.SKIP, f"Left out: {why}."
            action.needs.clear()
        self._open.discard(resource)
        self._actions[resource] = action
        return action

    def _decide(self, action: Action) -> None:
        kind = action.resource.kind
        reason = self._cloud.missing(kind)
        if reason:
            action.what, action.said = Verdict.SKIP, f"Left out, {reason}."
            return
        operations = self._cloud.operations(kind)
        if reason := operations.barred(action.resource):
            action.what, action.said = Verdict.SKIP, f"Left out: {reason}."
            return
        values = self._values(action)
        key = operations.wanted_key(values) if not _waits(values, kind) else None
        there = self._by_key(kind).get(key, []) if key is not None else []
        if len(there) > 1 and kind.named:  # others are the same whichever is meant
            raise _Unresolved(f"{len(there)} {kind.plural.replace('_', ' ')} there are called {action.resource.name}")
        if there:
            try:
                with explained(f"read {kind.name} {action.resource.name}"):
                    self._compare(action, there[0], values)
            except NotFound:
                raise _Unresolved("it was deleted there while it was compared: import again to make it") from None
            return
        if reason := operations.unmakeable(action.resource):
            raise _LeftOut(reason)
        if key is not None and (obstacle := operations.obstacle(values, action.resource)):
            raise _Unresolved(obstacle)
        for f in kind.fields:
            if f.attribute in values:
                (action.late if f.late else action.values)[f.attribute] = values[f.attribute]

    def _compare(self, action: Action, raw: Any, values: Mapping[str, Any]) -> None:
        kind = action.resource.kind
        operations = self._cloud.operations(kind)
        action.raw, action.identity = raw, operations.identity(raw)
        different, fixed = [], []
        for f in kind.fields:
            if not f.compare or f.attribute in kind.key or f.attribute not in values:
                continue
            live, wanted = operations.value(raw, f), values[f.attribute]
            if operations.same(raw, f, wanted, live):
                continue
            if operations.changeable(raw, f):
                different.append(f"{f.name}: {' → '.join(self._shown_apart(action, f, live, wanted))}")
                (action.late if f.late else action.values)[f.attribute] = wanted
            else:
                there, here = self._shown_apart(action, f, live, wanted)
                fixed.append(f"{f.name} is {there} there and {here} in the files")
        if reason := operations.another(raw, action.resource):
            fixed.append(reason)
        if fixed:
            action.values, action.late = {}, {}
            action.what, action.said = Verdict.CONFLICT, f"The one there is another: {', '.join(fixed)}."
        elif different or operations.incomplete(raw):
            action.what, action.said = Verdict.CHANGE, "; ".join(different) or "its bytes are missing"
        else:
            action.what = Verdict.LEAVE
            action.needs.clear()

    def _shown_apart(self, action: Action, f: Field, live: Any, wanted: Any) -> tuple[str, str]:
        """Return what is there and what is wanted, of mappings only where they differ."""
        if f.refs:  # as the files have them: ids mean little to people
            return _shown(live), _shown(action.resource.params.get(f.name))
        live, wanted = f.one(live), f.one(wanted)
        if isinstance(live, Mapping) and isinstance(wanted, Mapping):
            other = [name for name, value in wanted.items() if value is not None and live.get(name) != value]
            live, wanted = ({name: each.get(name) for name in other} for each in (live, wanted))
        return _shown(live), _shown(wanted)

    # References

    def _values(self, action: Action) -> dict[str, Any]:
        values: dict[str, Any] = {}
        params = action.resource.params
        for f in action.resource.kind.fields:
            value = params.get(f.name)
            if not f.sent or f.name not in params or f.silent(value) or not self._settable(action, f, value):
                continue
            if f.parts:
                value = self._without_parts(action, f, value)
            try:
                values[f.attribute] = found = self._resolved(action, f, f.name, value)
                if f.lets_in and value and not found:  # nobody is here of those who are named: the list stays as it is
                    del values[f.attribute]
            except _NotThere as why:
                if not _names_others(action.resource, f):
                    raise
                if f.required or action.resource.kind.limits(f):
                    raise _LeftOut(str(why)) from None
                self._left_out[action.resource.kind.plural, f.name, f"since {why}"] += 1
        if action.resource.kind.scope is Scope.USER:
            values.setdefault("user_id", self._cloud.user_id)
        return values

    def _settable(self, action: Action, f: Field, value: Any) -> bool:
        """Tell whether this user can set it here; what is lost otherwise is told. Raises _LeftOut where it limits."""
        kind = action.resource.kind
        why = self._cloud.operations(kind).unsettable(f, value, action.resource.params)
        if why and f.says_something(value):
            if kind.limits(f) and value not in f.opens:
                raise _LeftOut(f"without its {f.name} it would let in more, which can't be set here, {why}")
            self._left_out[kind.plural, f.name, why] += 1
        return why is None

    def _without_parts(self, action: Action, f: Field, value: Any) -> Any:
        """Return a mapping, or a list of some, without what can't be set here."""
        if isinstance(value, list):
            return [self._without_parts(action, f, each) for each in value]
        lost = {part.name for part in f.parts if not self._settable(action, part, value.get(part.name))}
        return {name: each for name, each in value.items() if name not in lost}

    def _resolved(self, action: Action, f: Field, key: str, value: Any) -> Any:
        if key in f.refs and value is not None:
            kind = f.refs[key]
            kinds = kind if isinstance(kind, str) else kind(action.resource.params)
            if isinstance(value, list):
                return list(self._resolved_of(action, f, kinds, value))
            return self._resolve(action, f, kinds, value)
        if isinstance(value, list):
            return [self._resolved(action, f, "", each) for each in value]
        if isinstance(value, Mapping) and f.refs:
            inner = {name: self._resolved(action, f, name, each) for name, each in value.items() if each is not None}
            return {f"{n.removesuffix('_ref')}_id" if n in f.refs else n: each for n, each in inner.items()}
        return dict(value) if isinstance(value, Mapping) else value

    def _resolved_of(self, action: Action, f: Field, kinds: str, refs: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
        for ref in refs:
            try:
                yield self._resolve(action, f, kinds, ref)
            except _NotThere as why:
                if not f.lets_in:
                    raise
                self._left_out[action.resource.kind.plural, f.name, f"since {why}"] += 1

    def _resolve(self, action: Action, f: Field, kinds: str, ref: Mapping[str, Any]) -> Any:
        if kinds == "user" and self._cloud.is_own_user(ref):
            return self._cloud.user_id
        within = action.resource.params.get("network_ref") if kinds == "subnet" else None
        for name in kinds.split(" or "):
            resource = self._in_files(BY_NAME[name], ref, within)
            if resource is None:
                continue
            other = self._action(resource)
            if f.name == action.resource.kind.parent:
                action.parent = other
            if other.what is Verdict.CONFLICT:
                raise _Unresolved(f"it needs {name} {resource.name}, which is a conflict itself")
            if other.identity:
                return other.identity
            if other.what is not Verdict.SKIP:
                action.needs.add(other)
                return other
            try:
                return self._on_target(action.resource.kind, kinds, ref, within)
            except _NotThere:
                raise _LeftOut(f"it needs {name} {resource.name}, which is left out") from None
        return self._on_target(action.resource.kind, kinds, ref, within)

    def _in_files(
        self, kind: ResourceKind, ref: Mapping[str, Any], within: Mapping[str, Any] | None
    ) -> Resource | None:
        """Find a resource in the files; None for what isn't the exporter's own."""
        if kind.scope is Scope.PROJECT and whose(ref) is Whose.ANOTHERS:
            return None
        if within and whose(within) is Whose.ANOTHERS:
            return None
        found = self._named.get((kind.name, ref["name"]), [])
        if within:
            found = [each for each in found if each.params["network_ref"].get("name") == within.get("name")]
        if "domain_ref" in kind.by_name and ref.get("domain_name"):
            own = self._cloud.project_domain[1]
            domain = own if ref["domain_name"] == AUTH else ref["domain_name"]
            found = [e for e in found if e.params["domain_ref"]["name"] in (domain, AUTH if domain == own else domain)]
        if len(found) > 1:
            raise _Unresolved(f"{len(found)} {kind.plural.replace('_', ' ')} of the files are called {ref['name']}")
        return found[0] if found else None

    def _on_target(self, of: ResourceKind, kinds: str, ref: Mapping[str, Any], within: Mapping[str, Any] | None) -> str:
        found = self._cloud.find(kinds, ref)
        kind = BY_NAME[kinds.split(" or ", maxsplit=1)[0]]
        if len(found) != 1 and kind.scope is Scope.PROJECT and whose(ref) is Whose.ANOTHERS and not of.named:
            raise _LeftOut(self._unknown(kind, ref, len(found)))
        if within:
            networks = {raw.id for raw in self._cloud.find("network", within)}
            found = [raw for raw in found if raw.network_id in networks]
        if len(found) > 1:
            raise _Unresolved(f"{len(found)} {kind.plural.replace('_', ' ')} there are called {ref['name']}")
        if not found:
            raise _NotThere(
                f"it needs the {kind.name} {ref['name']}, which is neither there nor among what is imported"
            )
        return self._cloud.operations(kind).identity(found[0])

    def _unknown(self, kind: ResourceKind, ref: Mapping[str, Any], count: int) -> str:
        owner = f"project {ref['project_name']}" if ref.get("project_name") else "another project"
        named = f"the {kind.name} {ref['name']} of {owner}, which"
        there = self._cloud.by_name(kind).get(ref["name"])
        if count > 1:
            return f"it names {named} {count} there may be: say which project's it is (project_name)"
        if not there:
            return f"it names {named} can't be seen here"
        return f"it names {named} nothing here is known to be: say whose it is (project_name), %auth% if it is your own"

    # What is there

    def _by_key(self, kind: ResourceKind) -> dict[tuple[Any, ...], list[Any]]:
        if kind.name not in self._live:
            keyed: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
            operations = self._cloud.operations(kind)
            for raw in self._cloud.own(kind):
                for key in operations.keys(raw):
                    keyed[key].append(raw)
            self._live[kind.name] = keyed
        return self._live[kind.name]

    def _strays(self, kinds: Iterable[ResourceKind]) -> Iterator[tuple[str, str]]:
        there = {action.identity for action in self._actions.values() if action.identity}
        for kind in kinds:
            parent = kind.by_name.get(kind.parent or "")
            if kind.name not in _TOLD_AS_STRAYS or parent is None or self._cloud.missing(kind):
                continue
            operations = self._cloud.operations(kind)
            for raw in self._cloud.own(kind):
                if operations.value(raw, parent) in there and operations.identity(raw) not in there:
                    yield kind.name, Resource(kind, self._cloud.params(kind, raw)).name


def _names_others(resource: Resource, f: Field) -> bool:
    """Tell whether a field names something of another project, as exports write it, or who may use the resource."""
    named = ((kinds, ref) for each, kinds, ref in references(resource) if each is f)
    return f.lets_in or any(
        whose(ref) is Whose.ANOTHERS and all(BY_NAME[kind].scope is Scope.PROJECT for kind in kinds.split(" or "))
        for kinds, ref in named
    )


def _waits(values: Mapping[str, Any], kind: ResourceKind) -> bool:
    """Tell whether it belongs to something that isn't there yet, so that it can't be there either."""
    names = {"fixed_ips" if name == "subnets" else name for name in kind.key}
    return any(_holds_action(values.get(name)) for name in names)


def _holds_action(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_action, value.values()))
    if isinstance(value, list):
        return any(map(_holds_action, value))
    return isinstance(value, Action)


_WIDEST = 100  # characters of a value in a table


def _shown(value: Any) -> str:
    """Return a value short enough for a table; what is cut off is said."""
    whole = _told(value)
    more = len(whole) - _WIDEST
    return whole if more <= 0 else f"{whole[:_WIDEST]}… and {more} more characters"


def _told(value: Any) -> str:
    if isinstance(value, Mapping) and "name" in value:
        value = value["name"]
    if isinstance(value, list):
        return f"[{', '.join(map(_told, value))}]"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_told(each)}" for key, each in value.items())
    return "nothing" if value is None or value == "" else str(value)
