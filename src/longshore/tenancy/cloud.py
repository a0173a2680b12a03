"""One cloud as the engine sees it: everything of a kind listed once, ids turned into references and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

from openstack import exceptions as sdk

from longshore.errors import LoginRefused, LongshoreError, NotFound, ProviderError
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.named import told_apart
from longshore.tenancy.kind import AUTH, Field, ResourceKind, Scope, Whose, whose
from longshore.tenancy.kinds import BY_NAME
from longshore.tenancy.login import CloudLogin
from longshore.tenancy.operations import WORKERS, Operations
from longshore.tenancy.registry import OPERATIONS

T = TypeVar("T")
Progress = Callable[[int, int, str], None]  # things done, things in all, and what is being done


def _hides(value: Any, there: Any) -> bool:
    """Tell whether something that is there became nothing."""
    if isinstance(value, list) and isinstance(there, list):
        return any(map(_hides, value, there))
    if isinstance(value, Mapping) and isinstance(there, Mapping) and "name" not in value:
        return any(map(_hides, value.values(), there.values()))
    return value is None and there is not None


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, Mapping):
        yield from _leaves(list(value.values()))
    else:
        yield value


def _asked(doing: str, ask: Callable[[], T]) -> T | LongshoreError:
    """Return the answer, or why there is none. Raises LoginRefused."""
    try:
        with explained(doing):
            return ask()
    except LoginRefused:
        raise
    except NotFound as error:  # the list itself isn't there, which is something else than one resource that is gone
        return ProviderError(error.message)
    except LongshoreError as error:
        return error


def _answered(kept: T | LongshoreError) -> T:
    """Return an answer that was kept; why there is none is raised, so that a silent service isn't asked again."""
    if isinstance(kept, LongshoreError):
        raise kept
    return kept


class Cloud(CloudLogin):
    """The cloud that one is logged in to. What was listed is kept: a Cloud is made for one export, diff or import."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._operations = {name: OPERATIONS[name](self, kind) for name, kind in BY_NAME.items()}
        self._listed: dict[str, dict[str, Any] | LongshoreError] = {}
        self._named: dict[str, dict[str, list[Any]]] = {}
        self._names: dict[str, dict[str, str]] = {}  # where files have another name for something: by kind and id
        self._locks = {name: Lock() for name in BY_NAME}
        self._extensions: frozenset[str] | LongshoreError | None = None
        self._services: dict[str, str | LongshoreError | None] = {}
        self._services_lock = Lock()
        self._projects: dict[str, tuple[str | None, str | None]] = {}
        self.left_out: set[tuple[str, str]] = set()  # own resources that no file has, by kind and id

    def operations(self, kind: ResourceKind) -> Operations:
        return self._operations[kind.name]

    # What is there

    def missing(self, kind: ResourceKind) -> str | None:
        """Return why nothing of this kind can be had or made here, as the end of a sentence; None when it can."""
        if kind.admin and not self.is_admin:
            return "since only an administrator may see and make them"
        if kind.extension and kind.extension not in self.extensions:
            return "since this cloud's network service doesn't have them"
        return self._closed(kind) if kind.optional else None

    def _closed(self, kind: ResourceKind) -> str | None:
        """Return why the kind's service, which not every cloud has and not everybody may use, can't be used here."""
        service = kind.service
        with self._services_lock:
            if service not in self._services:
                named = service.replace("_", "-")
                self._services[service] = _asked(f"look for the {named} service", lambda: self._knock(kind, named))
            return _answered(self._services[service])

    def _knock(self, kind: ResourceKind, named: str) -> str | None:
        if not self.connection.has_service(named):
            return f"since this cloud has no {named} service"
        try:
            self.operations(kind).knock()
        except sdk.ForbiddenException:
            return f"since this user lacks the role for the {named} service ({named}_member, usually)"
        return None

    @property
    def extensions(self) -> frozenset[str]:
        if self._extensions is None:
            self._extensions = _asked("list network extensions", self._list_extensions)
        return _answered(self._extensions)

    def _list_extensions(self) -> frozenset[str]:
        answer = self.connection.network.get("/extensions")
        sdk.raise_from_response(answer)
        return frozenset(each["alias"] for each in answer.json()["extensions"])

    def by_id(self, kind: ResourceKind) -> dict[str, Any]:
        """Return all of a kind that one may see. Asked for once, from whatever thread comes first."""
        with self._locks[kind.name]:
            if kind.name not in self._listed:
                absent = kind.extension and kind.extension not in self.extensions
                if absent or (kind.optional and self._closed(kind)):
                    self._listed[kind.name] = {}
                else:
                    identity, listing = self.operations(kind).identity, self.operations(kind).listing
                    self._listed[kind.name] = _asked(
                        f"list {kind.plural.replace('_', ' ')}", lambda: {identity(raw): raw for raw in listing()}
                    )
            return _answered(self._listed[kind.name])

    def all(self, kind: ResourceKind) -> list[Any]:
        return list(self.by_id(kind).values())

    def own(self, kind: ResourceKind) -> list[Any]:
        """Return those of them that one exports and may change."""
        if self.missing(kind):
            return []
        mine = self.operations(kind).own
        return [raw for raw in self.all(kind) if mine(raw)]

    def look(self, kinds: Sequence[ResourceKind], progress: Progress) -> dict[str, LongshoreError]:
        """List these kinds side by side. Return why some can't be listed, by their names. Raises LoginRefused."""
        for kind in kinds:
            with suppress(LongshoreError), explained(f"find the service {kind.service}"):
                if not self.missing(kind):
                    getattr(self.connection, kind.service)  # made at first use, which isn't safe from several threads
        unlisted = {}
        with ThreadPoolExecutor(WORKERS) as pool:
            found = pool.map(lambda kind: _asked(f"list {kind.plural}", lambda: self.own(kind)), kinds)
            for done, (kind, answer) in enumerate(zip(kinds, found, strict=True), 1):
                progress(done, len(kinds), f"listed {kind.plural}")
                if isinstance(answer, LongshoreError):
                    unlisted[kind.name] = answer
        return unlisted

    # From ids to references

    def params(self, kind: ResourceKind, raw: Any, lost: dict[str, str] | None = None) -> dict[str, Any]:
        """Return a resource of the cloud in a file's form. Fields that name what can't be named in a file go to `lost`,
        with why not as the end of a sentence; what is left of them names nothing that isn't there."""
        operations = self.operations(kind)
        params: dict[str, Any] = {}
        for f in kind.fields:
            there = self.called(kind, raw) if f.name == "name" and kind.named else operations.value(raw, f)
            value = self._referring(f, f.name, there, params)
            if f.refs and _hides(value, there):
                if lost is not None:
                    lost[f.name] = self._why_lost(f, there)
                named = isinstance(value, list) and f.name in f.refs
                value = [each for each in value if each is not None] if named else None
            if f.parts and isinstance(value, Mapping):
                value = {name: each for name, each in value.items() if name not in f.names_of_cloud}
            if f.extra and (value is None or value == f.default):
                continue
            params[f.name] = f.order(value) if isinstance(value, list) else value
        return params

    def _referring(self, f: Field, key: str, value: Any, params: Mapping[str, Any]) -> Any:
        if key in f.refs:
            kind = f.refs[key]
            kind = kind if isinstance(kind, str) else kind(params)
            if isinstance(value, list):
                return [self.reference(kind, each) for each in value]
            return self.reference(kind, value)
        if isinstance(value, list):
            return [self._referring(f, "", each, params) for each in value]
        if isinstance(value, Mapping) and f.refs:
            named = {name.removesuffix("_ref") + "_id": name for name in f.refs}
            renamed = {named.get(name, str(name)): each for name, each in value.items()}
            return {name: self._referring(f, name, each, params) for name, each in renamed.items()}
        return value

    def _why_lost(self, f: Field, there: Any) -> str:
        """Return why what a field names isn't in files, as the end of a sentence."""
        ids = set(_leaves(there))
        if ids & {identity for _, identity in self.left_out}:
            return "is left out, too"
        kinds = [name for kind in f.refs.values() if isinstance(kind, str) for name in kind.split(" or ")]
        if any(ids & set(self._seen(BY_NAME[name])) for name in kinds):
            return "belongs to a server or a service, and isn't carried"
        return "can't be seen"

    def called(self, kind: ResourceKind, raw: Any) -> str:
        """Return what files call a resource: by its name, or where it has none, or others of its owner have the same,
        by that and the beginning of its id. "" for one of a kind without names."""
        return self._told_apart(kind).get(self.operations(kind).identity(raw), getattr(raw, "name", None) or "")

    def _told_apart(self, kind: ResourceKind) -> dict[str, str]:
        """Return other names by id, where files have another name for something than the cloud."""
        if kind.name not in self._names:
            self._names[kind.name] = self._other_names(kind)
        return self._names[kind.name]

    def _other_names(self, kind: ResourceKind) -> dict[str, str]:
        operations = self.operations(kind)
        alike: dict[tuple[Any, ...], list[Any]] = {}
        for raw in self.all(kind) if kind.named and kind.scope is not Scope.USER else ():
            owner = operations.project_of(raw) if kind.scope is Scope.PROJECT else None
            # References to subnets have their network with them, and those to users their domain
            within = [getattr(raw, part, None) for part in ("domain_id", *(["network_id"] * (kind.name == "subnet")))]
            alike.setdefault((owner, *within, raw.name), []).append(raw)
        taken = {raw.name for same in alike.values() for raw in same}
        names = {}
        for same in alike.values():
            for raw in same if len(same) > 1 or not same[0].name else ():
                identity = operations.identity(raw)
                names[identity] = told_apart(raw.name, identity, taken)
                taken.add(names[identity])
        return names

    def reference(self, kinds: str, identity: str | None) -> dict[str, Any] | None:
        """Return {name, project_name, domain_name} of a resource; None when it can't be seen, or is left out itself."""
        if identity is None:
            return None
        if kinds == "user" and identity == self.user_id:
            return {"domain_name": AUTH, "name": AUTH, "project_name": None}
        for name in kinds.split(" or "):
            kind = BY_NAME[name]
            raw = self._seen(kind).get(identity)
            if raw is not None and (name, identity) not in self.left_out:
                project, domain = self._owner(kind, raw)
                if project == AUTH and not self.operations(kind).own(raw):
                    return None  # as the ports of servers
                return {"domain_name": domain, "name": self.called(kind, raw), "project_name": project}
        return None

    def _owner(self, kind: ResourceKind, raw: Any) -> tuple[str | None, str | None]:
        if kind.name in ("project", "user"):
            return None, self._domain_name(raw.domain_id)
        if kind.scope is not Scope.PROJECT:
            return None, None
        project_id = self.operations(kind).project_of(raw)
        if project_id == self.project_id:
            return AUTH, AUTH
        named = self._project_names(project_id)
        if named[0] is not None:
            return named
        # Others have something of this name, too, and let in somebody else by it, or can't be told from it
        of = self.operations(kind).project_of
        owners = {of(each) for each in self.by_name(kind)[self.called(kind, raw)]} - {self.project_id}
        return (project_id, None) if kind.guards or len(owners) > 1 else named

    def _domain_name(self, domain_id: str | None) -> str | None:
        if domain_id == self.project_domain[0]:
            return self.project_domain[1]
        return next((d.name for d in self.all(BY_NAME["domain"]) if d.id == domain_id), None)

    def _project_names(self, project_id: str) -> tuple[str | None, str | None]:
        if project_id not in self._projects:
            try:
                project = self.connection.identity.get_project(project_id)
                self._projects[project_id] = (project.name, self._domain_name(project.domain_id))
            except (sdk.ForbiddenException, sdk.NotFoundException):
                self._projects[project_id] = (None, None)  # a plain member isn't told the names of other projects
        return self._projects[project_id]

    # From references to ids

    def find(self, kinds: str, reference: Mapping[str, Any]) -> list[Any]:
        """Return the resources that a reference may mean: none, one or, if it says too little, several."""
        for name in kinds.split(" or "):
            found = self._find(BY_NAME[name], reference)
            if found:
                return found
        return []

    def _find(self, kind: ResourceKind, reference: Mapping[str, Any]) -> list[Any]:
        found = self.by_name(kind).get(reference["name"], [])
        project, domain = reference.get("project_name"), reference.get("domain_name")
        if kind.name in ("project", "user"):
            wanted = self.project_domain[1] if domain == AUTH else domain
            return [raw for raw in found if wanted is None or self._domain_name(raw.domain_id) in (None, wanted)]
        if kind.scope is not Scope.PROJECT:
            return found
        of = self.operations(kind).project_of
        mine = [raw for raw in found if of(raw) == self.project_id]
        others = [raw for raw in found if of(raw) != self.project_id]
        if whose(reference) is Whose.OWN:
            return mine
        if whose(reference) is Whose.UNSAID:
            return mine or ([] if kind.guards else others)
        known = [raw for raw in others if self._is_project(of(raw), project, domain)]
        # Where nobody says, or can see, which project it is, the resource's own name has to do
        unknown = [raw for raw in others if project is None or self._project_names(of(raw))[0] is None]
        return known or ([] if kind.guards else unknown)

    def _is_project(self, project_id: str, named: str | None, domain: str | None) -> bool:
        """Tell whether it is the project that is called so, or has that id."""
        if named in (None, project_id):
            return named is not None
        name, of_domain = self._project_names(project_id)
        wanted = self.project_domain[1] if domain == AUTH else domain
        return name == named and (wanted is None or of_domain in (None, wanted))

    def by_name(self, kind: ResourceKind) -> dict[str, list[Any]]:
        """Return all of a kind, by what references call them."""
        listed, names = self.all(kind), self._told_apart(kind)
        with self._locks[kind.name]:
            if kind.name not in self._named:
                named: dict[str, list[Any]] = {}
                for raw in listed:
                    for name in {raw.name or "", names.get(self.operations(kind).identity(raw), raw.name or "")}:
                        named.setdefault(name, []).append(raw)
                self._named[kind.name] = named
            return self._named[kind.name]

    def _seen(self, kind: ResourceKind) -> dict[str, Any]:
        """Return all of a kind by id; of one that can't be listed nothing is seen."""
        found = _asked(f"list {kind.plural}", lambda: self.by_id(kind))
        return {} if isinstance(found, LongshoreError) else found
