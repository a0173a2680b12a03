"""Reading properties the way vSphere is meant to be read: many at a time, through its property collector.

An attribute of a pyVmomi object is a call over the network each time it is read. Nothing in this package reads them.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pyVmomi import vmodl

from longshore.providers.vsphere.session import REQUEST_TIMEOUT, VsphereSession

PAGE = 250  # objects in one answer: a machine with all its devices is some 20 kB of XML
WAIT_SLICE = int(REQUEST_TIMEOUT / 2)  # seconds the server may hold back its answer

Properties = dict[str, Any]

# How the server answers when it doesn't know a view, a collector or a page that belonged to a session that is gone
_SESSION_BOUND = (
    vmodl.fault.ManagedObjectNotFound,
    vmodl.fault.InvalidArgument,
    vmodl.query.InvalidCollectorVersion,
    vmodl.fault.RequestCanceled,
)
_Collector = vmodl.query.PropertyCollector


def read(session: VsphereSession, ref: Any, paths: Sequence[str]) -> Properties:
    """Read the properties of one object; those unset or not readable are None.

    Raises vSphere's own faults, among them ManagedObjectNotFound.
    """
    return read_all(session, [ref], paths)[ref._moId]


def read_all(session: VsphereSession, refs: Sequence[Any], paths: Sequence[str]) -> dict[str, Properties]:
    """Read the properties of several objects of one kind, by their ids, in one call."""
    spec = _Collector.FilterSpec(
        objectSet=[_Collector.ObjectSpec(obj=ref) for ref in refs],
        propSet=[_Collector.PropertySpec(type=type(refs[0]), pathSet=list(paths))],
    )
    found = _pages(session.content.propertyCollector, spec, _Collector.RetrieveOptions())
    return {one.obj._moId: _properties(one, paths) for one in found}


def read_present(session: VsphereSession, refs: Iterable[Any], paths: Sequence[str]) -> dict[str, Properties]:
    """Read as `read_all` does, without objects that are gone: the whole call is refused for one that was removed
    meanwhile."""
    left = {ref._moId: ref for ref in refs}
    while left:
        try:
            return read_all(session, list(left.values()), paths)
        except vmodl.fault.ManagedObjectNotFound as gone:
            if gone.obj is None or left.pop(gone.obj._moId, None) is None:
                raise
    return {}


def sweep(session: VsphereSession, kinds: Mapping[Any, Sequence[str]], page: int) -> Iterator[tuple[Any, Properties]]:
    """Yield every object of some kinds that the user may see, with the paths asked of its kind. Starts over, without
    telling anything twice, when the session expires on the way.

    Raises vSphere's own faults.
    """
    told: set[str] = set()
    while True:
        session.content  # noqa: B018 - log in first, so that the generation is that of the view
        generation = session.generation
        try:
            for ref, properties in _sweep_once(session, kinds, page):
                if ref._moId not in told:
                    told.add(ref._moId)
                    yield ref, properties
            return
        except _SESSION_BOUND:
            if session.generation == generation:
                raise


def wait(
    session: VsphereSession, ref: Any, paths: Sequence[str], done: Callable[[Properties], bool], timeout: float
) -> Properties | None:
    """Return the properties of one object as soon as `done` says so of them; None after `timeout` seconds.

    The server tells of changes as they happen. Raises vSphere's own faults, ManagedObjectNotFound when the object goes.
    """
    deadline = time.monotonic() + timeout
    while True:
        session.content  # noqa: B018 - log in first, so that the generation is that of the collector
        generation = session.generation
        try:
            return _wait_in_session(session, ref, paths, done, deadline)
        except _SESSION_BOUND:
            if session.generation == generation:
                raise


def _wait_in_session(
    session: VsphereSession, ref: Any, paths: Sequence[str], done: Callable[[Properties], bool], deadline: float
) -> Properties | None:
    known: Properties = dict.fromkeys(paths)
    # A collector of its own: one collector can't wait for two threads
    collector = session.content.propertyCollector.CreatePropertyCollector()
    try:
        collector.CreateFilter(
            _Collector.FilterSpec(
                objectSet=[_Collector.ObjectSpec(obj=ref)],
                propSet=[_Collector.PropertySpec(type=type(ref), pathSet=list(paths))],
            ),
            False,
        )
        version = ""
        while True:
            left = deadline - time.monotonic()
            seconds = max(0, min(WAIT_SLICE, int(left) + 1)) if left > 0 else 0
            update = collector.WaitForUpdatesEx(version, _Collector.WaitOptions(maxWaitSeconds=seconds))
            if update is not None:
                version = update.version
                for change in (change for part in update.filterSet for change in part.objectSet):
                    if change.kind == "leave":
                        raise vmodl.fault.ManagedObjectNotFound(obj=ref)
                    known.update({item.name: item.val for item in change.changeSet})
                if done(known):
                    return known
            elif left <= 0:
                return None
    finally:
        # It goes with its session anyway; what matters is the error on its way out
        with suppress(vmodl.MethodFault, OSError):
            collector.DestroyPropertyCollector()


def _sweep_once(
    session: VsphereSession, kinds: Mapping[Any, Sequence[str]], page: int
) -> Iterator[tuple[Any, Properties]]:
    content = session.content
    view = content.viewManager.CreateContainerView(content.rootFolder, list(kinds), True)
    try:
        spec = _Collector.FilterSpec(
            objectSet=[
                _Collector.ObjectSpec(
                    obj=view,
                    skip=True,
                    selectSet=[_Collector.TraversalSpec(name="view", path="view", skip=False, type=type(view))],
                )
            ],
            propSet=[_Collector.PropertySpec(type=kind, pathSet=list(paths)) for kind, paths in kinds.items()],
        )
        for found in _pages(content.propertyCollector, spec, _Collector.RetrieveOptions(maxObjects=page)):
            yield found.obj, _properties(found, _paths_for(found.obj, kinds))
    finally:
        with suppress(vmodl.MethodFault, OSError):
            view.DestroyView()


def _pages(collector: Any, spec: Any, options: Any) -> Iterator[Any]:
    """Yield the pages of what the collector finds. The server may answer in smaller pages than it was asked for."""
    answer = collector.RetrievePropertiesEx([spec], options)
    while answer is not None:
        yield from answer.objects
        answer = collector.ContinueRetrievePropertiesEx(answer.token) if answer.token else None


def _paths_for(ref: Any, kinds: Mapping[Any, Sequence[str]]) -> Sequence[str]:
    return next((paths for kind, paths in kinds.items() if isinstance(ref, kind)), ())


def _properties(found: Any, paths: Sequence[str]) -> Properties:
    properties: Properties = dict.fromkeys(paths)
    properties.update({item.name: item.val for item in found.propSet})
    return properties
