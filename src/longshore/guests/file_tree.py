"""A guest's files as one tree, as far as its table of mounted file systems tells, and each file system by its place.

A path is `/etc/hostname`, or `2.1:/photos`: what is in the first partition of the second disk, mounted or not. A place
without a partition, `2.0`, is a disk that is one file system as a whole; `vg0-home` is a logical volume.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property

from longshore.errors import InvalidInput, NotFound
from longshore.guests.file_names import PLACE, meant_name, shown_name
from longshore.guests.left_out import LeftOut
from longshore.guests.nodes import FileSystem, Node

_MOST_LINKS = 40  # on the way to a file, as Linux has it
_TABLE_LIMIT = 1 << 16  # bytes of /etc/fstab that are looked at
_BY = re.compile(r"^/dev/disk/by-(uuid|label)/")

Names = tuple[bytes, ...]


class FileTree:
    def __init__(self, systems: Sequence[FileSystem]) -> None:
        self.systems = systems

    @cached_property
    def root(self) -> Node | None:
        """Return what the guest's system is on; or the only file system's root."""
        for sign in ((b"etc", b"fstab"), (b"Windows", b"System32")):
            for system in self.systems:
                with suppress(OSError):  # of one that can't be read in part
                    for top in system.tops:
                        with suppress(NotFound, OSError):
                            self.under(top, sign)
                            return top
        return self.systems[0].root if len(self.systems) == 1 else None

    @cached_property
    def mounted(self) -> Mapping[Names, Node]:
        """Return the other file systems by where the guest mounts them."""
        if self.root is None:
            return {}
        try:
            text = b"".join(self.under(self.root, (b"etc", b"fstab")).pieces())[:_TABLE_LIMIT]
        except (NotFound, OSError):
            return {}
        found: dict[Names, Node] = {}
        for line in text.decode(errors="replace").splitlines():
            what, where, _, options = [*line.split(), "", "", "", ""][:4]
            if what.startswith("#") or not where.startswith("/"):
                continue
            wanted = _BY.sub(lambda found: f"{found[1].upper()}=", what.replace('"', ""))
            for system in self.systems:
                if wanted in system.part.names and (names := _names(where.encode())):
                    with suppress(OSError):
                        if (top := system.top(options)) != self.root:
                            found[names] = top
        return found

    def place_of(self, system: FileSystem) -> str:
        """Return what the paths of a file system begin with."""
        if self.root is not None and system is self.root.system:
            return ""
        for names, mounted in self.mounted.items():
            if mounted.system is system:
                return f"/{shown_name(b'/'.join(names))}"
        return f"{system.part.place}:"

    def find(self, path: str) -> tuple[str, Node]:
        """Find a file or directory, links followed; and its path, as it is to be shown. Raises NotFound,
        InvalidInput."""
        system, names = self._meant(path)
        top = self.root if system is None else system.root
        if top is None:
            places = ", ".join(f"{one.part.place}:" for one in self.systems)
            raise InvalidInput(
                "No file system here has the guest's root.", advice=f"Say which one, as {places or '1.1:'}/path."
            )
        node = self._walk(top, names, whole=system is None, path=path)
        begin = "" if system is None else f"{system.part.place}:"
        return f"{begin}/{shown_name(b'/'.join(names))}", node

    def under(self, top: Node, names: Names) -> Node:
        """Find what is below a node by its names. Raises NotFound, OSError."""
        return self._walk(top, names, whole=False, path=shown_name(b"/".join(names)))

    def children(
        self, shown: str, directory: Node, left_out: LeftOut, wanted: Callable[[str], bool] = lambda _path: True
    ) -> Iterator[tuple[str, Node]]:
        """Yield what is in a directory that `find` gave, with paths to be shown. What can't be read is left out, and
        told.

        Of what is no directory, for the most part only what is wanted: who looks for a few needn't open all of them.
        """
        whole, base = not PLACE.fullmatch(shown), shown.rstrip("/")
        over = self.mounted if whole else {}
        here = _names(meant_name(shown)) if whole else ()
        for name, number, leaf in directory.system.entries(directory):
            path = f"{base}/{shown_name(name)}"
            mounted = over.get((*here, name)) if over else None
            if leaf and mounted is None and not wanted(path):
                continue
            try:
                node = mounted if mounted is not None else directory.system.node(number)
            except OSError as error:
                left_out.add(path, error)
                continue
            yield path, node

    def _meant(self, path: str) -> tuple[FileSystem | None, Names]:
        if found := PLACE.fullmatch(path):
            place, path = found[1], found[2]
            for system in self.systems:
                if system.part.place == place:
                    return system, _names(meant_name(path))
            if place[0].isdigit():  # else it may be a name with a colon in it
                raise NotFound(f"There is no file system {place} that can be read.")
            path = f"{place}:{path}"
        return None, _names(meant_name(path))

    def _walk(self, top: Node, names: Names, *, whole: bool, path: str) -> Node:
        todo, done, links = deque(names), [top], 0
        at: list[bytes] = []
        while todo:
            name = todo.popleft()
            if name == b"..":
                done, at = done[:-1] or done, at[:-1]
                continue
            node = self._child(done[-1], name, path)
            mounted = self.mounted.get((*at, name)) if whole else None
            if mounted is not None:
                node = mounted
            if node.kind == "link":
                links += 1
                if links > _MOST_LINKS:
                    raise NotFound(f"{path} leads through too many links.")
                if node.target.startswith(b"/"):
                    done, at = done[:1], []
                todo.extendleft(reversed([part for part in node.target.split(b"/") if part not in {b"", b"."}]))
                continue
            done.append(node)
            at.append(name)
        return done[-1]

    def _child(self, directory: Node, name: bytes, path: str) -> Node:
        if directory.kind == "directory":
            system = directory.system
            folded = _folded(name) if system.any_case else name
            for found, number, _ in system.entries(directory):
                if found == name or (system.any_case and _folded(found) == folded):
                    return system.node(number)
        raise NotFound(f"There is no {path} in it.")


def _names(path: bytes) -> Names:
    return tuple(name for name in path.split(b"/") if name not in {b"", b"."})


def _folded(name: bytes) -> bytes:
    return name.decode(errors="surrogateescape").casefold().encode(errors="surrogateescape")
