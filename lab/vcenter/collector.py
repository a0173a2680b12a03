"""The property collector: what objects say of themselves, once, in pages, or whenever something changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pyVmomi import vmodl

from .managed import ApiFault, Call, ManagedObject, invalid_argument, soap_method
from .soap import to_xml

PC = vmodl.query.PropertyCollector
LONGEST_WAIT = 600.0
"""Seconds that a WaitForUpdates without a limit of its own waits at most."""

Selected = tuple[ManagedObject, list[str]]


class _Traversal:
    """The objects that one filter specification reaches, each once, with the property paths asked of it."""

    def __init__(self, objects: dict[str, ManagedObject], spec: Any, strict: bool) -> None:
        self.objects = objects
        self.spec = spec
        self.strict = strict
        self.seen: set[str] = set()

    def selected(self) -> Iterator[Selected]:
        for start in self.spec.objectSet:
            if start.obj._moId not in self.objects and self.strict:
                raise ApiFault(vmodl.fault.ManagedObjectNotFound(obj=start.obj), "The object has already been deleted.")
            named = {s.name: s for s in start.selectSet if isinstance(s, PC.TraversalSpec) and s.name}
            yield from self._visit(start.obj, bool(start.skip), start.selectSet, named)

    def _visit(self, ref: Any, skip: bool, selections: list[Any], named: dict[str, Any]) -> Iterator[Selected]:
        target = self.objects.get(ref._moId)
        if target is None:  # gone while we walked
            return
        if not skip and ref._moId not in self.seen:
            self.seen.add(ref._moId)
            for wanted in self.spec.propSet:
                if isinstance(ref, wanted.type):
                    yield target, [p.name for p in ref._GetPropertyList()] if wanted.all else list(wanted.pathSet)
        for selection in selections or []:
            step = selection if isinstance(selection, PC.TraversalSpec) else named.get(selection.name)
            if step is None or not isinstance(ref, step.type):
                continue
            inner = {**named, **{s.name: s for s in step.selectSet if isinstance(s, PC.TraversalSpec) and s.name}}
            if step.name:
                inner[step.name] = step
            value = target.get(step.path)
            for found in value if isinstance(value, list) else [value] if value else []:
                yield from self._visit(found, bool(step.skip), step.selectSet, inner)


def property_values(target: ManagedObject, paths: list[str]) -> dict[str, Any]:
    """The values set at these paths. Raises InvalidProperty for a path that the type has not."""
    values = {}
    for path in paths:
        try:
            value = target.get(path)
        except (KeyError, AttributeError):
            raise ApiFault(vmodl.query.InvalidProperty(name=path), f"The property {path} does not exist.") from None
        if value is not None and not (isinstance(value, list) and not value):
            values[path] = value
    return values


class Filter(ManagedObject):
    vim_type = PC.Filter
    prefix = "filter"

    def __init__(self, state: _SessionState, context: Any, spec: Any, partial: bool) -> None:
        super().__init__(context, spec=spec, partialUpdates=partial)
        self.state = state
        self.spec = spec
        self.sent: dict[str, tuple[Any, int, dict[str, str]]] = {}
        """Object id -> its reference, its stamp when last compared, and what the client knows: path -> XML."""

    @soap_method("DestroyPropertyFilter")
    def destroy(self, call: Call) -> None:
        self.state.filters.remove(self)
        self.drop()

    def updates(self, limit: int) -> tuple[list[Any], bool]:
        """What the client does not know yet: at most `limit` objects, and whether there is more."""
        updates: list[Any] = []
        present: set[str] = set()
        for target, paths in _Traversal(self.context.objects, self.spec, strict=False).selected():
            present.add(target.moid)
            known = self.sent.get(target.moid)
            if known and known[1] == target.stamp and not target.volatile:
                continue
            if len(updates) >= limit:
                return updates, True
            values = property_values(target, paths)
            xml = {path: to_xml(value) for path, value in values.items()}
            old = known[2] if known else {}
            changes = [PC.Change(name=p, op="assign", val=values[p]) for p in xml if old.get(p) != xml[p]]
            changes += [PC.Change(name=p, op="assign") for p in old if p not in xml]
            self.sent[target.moid] = (target.ref, target.stamp, xml)
            if changes or known is None:
                kind = "modify" if known else "enter"
                updates.append(PC.ObjectUpdate(kind=kind, obj=target.ref, changeSet=changes))
        for moid in [m for m in self.sent if m not in present]:
            updates.append(PC.ObjectUpdate(kind="leave", obj=self.sent.pop(moid)[0]))
        return updates, False


@dataclass
class _SessionState:
    """What one session has running in a collector. Two sessions never see each other's filters."""

    filters: list[Filter] = field(default_factory=list)
    pages: dict[str, tuple[list[Any], int]] = field(default_factory=dict)
    version: int = 0
    cancelled: bool = False


class PropertyCollector(ManagedObject):
    vim_type = PC
    prefix = "propertyCollector-session"

    def __init__(self, context: Any, moid: str | None = None) -> None:
        super().__init__(context, moid, filter=[])
        self._states: dict[str, _SessionState] = {}

    def _state(self, call: Call) -> _SessionState:
        with self.context.changed:
            for cookie in [c for c in self._states if self.context.sessions.of(c) is None]:
                for left in self._states.pop(cookie).filters:
                    left.drop()
            return self._states.setdefault(call.cookie, _SessionState())

    # -- once
    @soap_method("RetrieveProperties")
    def retrieve(self, call: Call) -> list[Any]:
        with self.context.changed:
            return [
                PC.ObjectContent(
                    obj=target.ref,
                    propSet=[vmodl.DynamicProperty(name=p, val=v) for p, v in property_values(target, paths).items()],
                )
                for spec in call["specSet"]
                for target, paths in _Traversal(self.context.objects, spec, strict=True).selected()
            ]

    @soap_method("RetrievePropertiesEx")
    def retrieve_page(self, call: Call) -> Any:
        rows = self.retrieve(call)
        options = call["options"]
        return self._page(self._state(call), rows, (options and options.maxObjects) or len(rows))

    def _page(self, state: _SessionState, rows: list[Any], size: int) -> Any:
        if not rows:
            return None
        token = None
        if len(rows) > size:
            token = self.context.new_id("token")
            state.pages[token] = (rows[size:], size)
        return PC.RetrieveResult(token=token, objects=rows[:size])

    def _take_page(self, call: Call) -> tuple[list[Any], int]:
        pages = self._state(call).pages
        if call["token"] not in pages:
            raise invalid_argument("token")
        return pages.pop(call["token"])

    @soap_method("ContinueRetrievePropertiesEx")
    def next_page(self, call: Call) -> Any:
        rows, size = self._take_page(call)
        return self._page(self._state(call), rows, size)

    @soap_method("CancelRetrievePropertiesEx")
    def cancel_pages(self, call: Call) -> None:
        self._take_page(call)

    # -- whenever something changes
    @soap_method("CreatePropertyCollector")
    def create_collector(self, call: Call) -> Any:
        return PropertyCollector(self.context).ref

    @soap_method("DestroyPropertyCollector")
    def destroy_collector(self, call: Call) -> None:
        for state in self._states.values():
            for left in state.filters:
                left.drop()
        self.drop()

    @soap_method("CreateFilter")
    def create_filter(self, call: Call) -> Any:
        state = self._state(call)
        with self.context.changed:
            for _ in _Traversal(self.context.objects, call["spec"], strict=True).selected():
                pass  # an object that does not exist is refused now, not at the first wait
            made = Filter(state, self.context, call["spec"], bool(call["partialUpdates"]))
            state.filters.append(made)
        return made.ref

    @soap_method("WaitForUpdates")
    def wait(self, call: Call) -> Any:
        return self._wait(call, LONGEST_WAIT, 1 << 30)

    @soap_method("CheckForUpdates")
    def check(self, call: Call) -> Any:
        return self._wait(call, 0, 1 << 30)

    @soap_method("WaitForUpdatesEx")
    def wait_ex(self, call: Call) -> Any:
        options = call["options"]
        seconds = LONGEST_WAIT
        if options and options.maxWaitSeconds is not None:
            seconds = options.maxWaitSeconds
        return self._wait(call, seconds, (options and options.maxObjectUpdates) or 1 << 30)

    @soap_method("CancelWaitForUpdates")
    def cancel_wait(self, call: Call) -> None:
        with self.context.changed:
            self._state(call).cancelled = True
            self.context.changed.notify_all()

    def _wait(self, call: Call, seconds: float, limit: int) -> Any:
        end = time.monotonic() + seconds
        version = call["version"] or ""
        with self.context.changed:
            state = self._state(call)
            state.cancelled = False
            if version and not (version.isdigit() and 1 <= int(version) <= state.version):
                raise ApiFault(
                    vmodl.query.InvalidCollectorVersion(), "This version was never given out by the collector."
                )
            if not version:
                for each in state.filters:
                    each.sent.clear()
            while True:
                update = self._updates(state, limit)
                left = end - time.monotonic()
                if update is not None or left <= 0:
                    return update
                # In slices: a session that is ended meanwhile must end its wait as well.
                self.context.changed.wait(min(left, 5))
                if self.context.sessions.of(call.cookie) is None or state.cancelled:
                    raise ApiFault(vmodl.fault.RequestCanceled(), "The task was canceled by a user.")

    def _updates(self, state: _SessionState, limit: int) -> Any:
        sets = []
        truncated = False
        for each in list(state.filters):
            found, more = each.updates(limit)
            limit -= len(found)
            truncated = truncated or more
            if found:
                sets.append(PC.FilterUpdate(filter=each.ref, objectSet=found))
            if more:
                break
        if not sets:
            return None
        state.version += 1
        return PC.UpdateSet(version=str(state.version), filterSet=sets, truncated=truncated or None)
