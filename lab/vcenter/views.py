"""Container views: the entities below a folder, datacenter, cluster or pool, as they are when one looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pyVmomi import vim

from .managed import Call, ManagedObject, invalid_argument, soap_method

# The ways down the inventory tree, by type.
_CHILDREN = {
    vim.Folder: ("childEntity",),
    vim.Datacenter: ("vmFolder", "hostFolder", "datastoreFolder", "networkFolder"),
    vim.ComputeResource: ("host", "resourcePool"),
    vim.ResourcePool: ("resourcePool", "vm"),
    vim.HostSystem: ("vm",),
    vim.VirtualApp: ("vm",),
}


def children(target: ManagedObject) -> list[Any]:
    found = []
    for kind, names in _CHILDREN.items():
        if isinstance(target.ref, kind):
            for name in names:
                value = target.get(name)
                found += value if isinstance(value, list) else [value] if value else []
    return found


def descendants(objects: dict[str, ManagedObject], top: ManagedObject, recursive: bool) -> Iterator[ManagedObject]:
    """The entities below one, each once, however many ways lead to it."""
    seen = {top.moid}
    waiting = children(top)
    while waiting:
        target = objects.get(waiting.pop(0)._moId)
        if target is None or target.moid in seen:
            continue
        seen.add(target.moid)
        yield target
        if recursive:
            waiting += children(target)


class ContainerView(ManagedObject):
    vim_type = vim.view.ContainerView
    prefix = "session-view"
    computed: ClassVar[dict[str, str]] = {"view": "view"}
    volatile = True

    def __init__(self, context: Any, container: Any, types: list[Any], recursive: bool) -> None:
        super().__init__(context, container=container, type=types, recursive=recursive)
        self._at = -1
        self._view: list[Any] = []

    def view(self) -> list[Any]:
        top = self.context.objects.get(self.properties["container"]._moId)
        if top is None:
            return []
        with self.context.changed:
            if self._at != self.context.inventory.shape:  # machines came or went since we looked last
                types = tuple(self.properties["type"]) or (vim.ManagedEntity,)
                found = descendants(self.context.objects, top, self.properties["recursive"])
                self._view = [target.ref for target in found if isinstance(target.ref, types)]
                self._at = self.context.inventory.shape
        return list(self._view)

    @soap_method("DestroyView")
    def destroy(self, call: Call) -> None:
        self.drop()


class ViewManager(ManagedObject):
    vim_type = vim.view.ViewManager

    @soap_method("CreateContainerView")
    def create_container_view(self, call: Call) -> Any:
        top = self.context.objects.get(call["container"]._moId)
        if top is None or not any(isinstance(top.ref, kind) for kind in _CHILDREN):
            raise invalid_argument("container")
        return ContainerView(self.context, call["container"], call["type"] or [], bool(call["recursive"])).ref
