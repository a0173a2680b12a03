"""Snapshots of machines and the trees they form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from .managed import Call, ManagedObject, fill, soap_method

if TYPE_CHECKING:
    from .snapshot_control import SnapshotControl


def walk(tree: Iterable[Any]) -> Iterator[Any]:
    for node in tree:
        yield node
        yield from walk(node.childSnapshotList)


def find(tree: Iterable[Any], ref: Any) -> Any | None:
    return next((node for node in walk(tree) if node.snapshot == ref), None)


def without(tree: Iterable[Any], moid: str, with_children: bool) -> tuple[list[Any], list[str]]:
    """The tree without one snapshot, and the ids gone; its children move up, unless they go as well.

    Nodes are made anew: the old tree may just be written down for a client.
    """
    left: list[Any] = []
    gone: list[str] = []
    for node in tree:
        if node.snapshot._moId == moid:
            gone.append(moid)
            if with_children:
                gone += [child.snapshot._moId for child in walk(node.childSnapshotList)]
            else:
                left += node.childSnapshotList
            continue
        children, more = without(node.childSnapshotList, moid, with_children)
        gone += more
        values = {p.name: getattr(node, p.name) for p in node._GetPropertyList() if p.name != "childSnapshotList"}
        left.append(vim.vm.SnapshotTree(**values, childSnapshotList=children))
    return left, gone


def number_of(moid: str) -> int:
    """Return the number in a snapshot's id, by which its files are called."""
    return int(moid.rpartition("-")[2])


class Snapshot(ManagedObject):
    """A snapshot: the names that the disks had, and the numbers of their points in change tracking."""

    vim_type = vim.vm.Snapshot
    prefix = "snapshot"

    def __init__(
        self, machine: SnapshotControl, moid: str, names: dict[int, str], seqs: dict[int, int], config: Any
    ) -> None:
        super().__init__(machine.context, moid, vm=machine.ref, childSnapshot=[], config=config)
        self.machine = machine
        self.names = names
        self.seqs = seqs

    @property
    def number(self) -> int:
        return number_of(self.moid)

    def node(self, name: str, description: str, state: str, quiesced: bool, created: Any) -> Any:
        return fill(
            vim.vm.SnapshotTree(
                snapshot=self.ref, vm=self.machine.ref, name=name, description=description, id=self.number,
                createTime=created, state=state, quiesced=quiesced, replaySupported=False,
            )
        )  # fmt: skip

    @soap_method("RemoveSnapshot_Task")
    def remove(self, call: Call) -> Any:
        return self.machine.remove_snapshot(self, call)

    @soap_method("RevertToSnapshot_Task")
    def revert(self, call: Call) -> Any:
        return self.machine.revert_to(self, call)

    @soap_method("ExportSnapshot")
    def export(self, call: Call) -> Any:
        return self.machine.export_snapshot(self)
