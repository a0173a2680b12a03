"""Folders of an inventory as a tree."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class FolderNode:
    """A folder, with those in it."""

    path: str
    name: str
    machines: int = 0  # in it and below
    below: list["FolderNode"] = field(default_factory=list)

    @property
    def search(self) -> str:
        """Return the search that finds its machines."""
        quoted = self.path.replace("\\", "\\\\").replace('"', '\\"')
        return f'in:"{quoted}"'


def tree_of(folders: Iterable[tuple[str, int]]) -> list[FolderNode]:
    """Return the folders that are in no other one, with those below. `folders`: paths, and the machines in each itself.
    Machines in no folder aren't among them."""
    roots: list[FolderNode] = []
    known: dict[str, FolderNode] = {}
    for path, machines in folders:
        parts = path.strip("/").split("/") if path.strip("/") else []
        level = roots
        for depth in range(1, len(parts) + 1):
            at = "/".join(parts[:depth])
            node = known.get(at)
            if node is None:
                node = known[at] = FolderNode(at, parts[depth - 1])
                level.append(node)
            node.machines += machines
            level = node.below
    return roots
