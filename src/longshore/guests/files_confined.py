"""The confined process that reads files of a guest's disks: see longshore.guests.files, which starts it.

Reads one line of JSON, the request, from standard input. What was asked for goes to the socket /answer: a line of JSON
that says what it is, and then lines of entries, a file's bytes, or a tar of a directory. After a request to attend each
line that comes from the socket is a question of its own (see `_attend`), until it is closed. When all is said, it says
{"result": …} on standard output, or {"error": …}.
"""

import errno
import fnmatch
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from typing import Any, BinaryIO, cast

from longshore.errors import ConversionError, InvalidInput, LongshoreError, NotFound
from longshore.guests.file_names import shown_name
from longshore.guests.file_systems import file_systems
from longshore.guests.file_tree import FileTree
from longshore.guests.left_out import LeftOut
from longshore.guests.nodes import Node, NotReadHere
from longshore.guests.parts import Disk

ANSWER = "/answer"
MOST_ENTRIES = 100_000  # of one answer
_DEEPEST = 200  # directories inside each other
_NEXT = 32  # directories that are asked for before a walk comes to them


def main() -> int:
    request = json.loads(sys.stdin.readline())
    try:
        systems, unread = file_systems([Disk(place, request["connections"]) for place in request["disks"]])
        tree, left_out = FileTree(systems), LeftOut()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(ANSWER)
            with connection.makefile("wb", buffering=1 << 20) as out:
                if request["operation"] == "attend":
                    more = _attend(tree, connection, cast("BinaryIO", out), left_out)
                else:
                    more = _OPERATIONS[request["operation"]](tree, request, cast("BinaryIO", out), left_out)
        result = {
            "more": more,
            "systems": [
                {
                    "place": one.part.place,
                    "kind": one.part.kind,
                    "size": one.part.size,
                    "path": f"{tree.place_of(one)}/",
                }
                for one in systems
            ],
            "unread": [{"place": one.place, "kind": one.kind, "size": one.size} for one in unread],
            "interrupted": [one.part.place for one in systems if one.interrupted],
            **left_out.told(),
        }
        print(json.dumps({"result": result}), flush=True)
    except LongshoreError as error:
        return _fail(error)
    except BrokenPipeError:  # nobody wants it any more
        return 1
    except OSError as error:
        return _fail(ConversionError(f"Not all of it can be read: {error}."))
    except MemoryError:
        return _fail(LongshoreError("There is more in it than can be looked at."))
    return 0


def _fail(error: LongshoreError) -> int:
    told = {"message": error.message, "advice": error.advice, "code": error.code}
    print(json.dumps({"error": told}), flush=True)
    return 1


def _list(tree: FileTree, request: Mapping[str, Any], out: BinaryIO, left_out: LeftOut) -> bool:
    """List a directory. Returns whether there is more than was said."""
    if tree.root is None and request["path"] == "/":  # each by its place, then
        return _say(out, ((f"{one.part.place}:/", one.root) for one in tree.systems))
    shown, node = tree.find(request["path"])
    if node.kind != "directory":
        return _say(out, iter([(shown, node)]))
    with _named(shown):
        found = sorted(tree.children(shown, node, left_out), key=lambda one: one[0].casefold())
    return _say(out, iter(found))


def _find(tree: FileTree, request: Mapping[str, Any], out: BinaryIO, left_out: LeftOut) -> bool:
    wanted = re.compile(fnmatch.translate(request["pattern"].casefold()))
    whole = "/" in request["pattern"]

    def fits(shown: str) -> bool:
        path = shown.casefold()
        return wanted.fullmatch(path if whole else path.rpartition("/")[2]) is not None

    starts = [tree.find(request["path"])] if request["path"] != "/" else list(_everything(tree))
    below = (one for start in starts for one in _below(tree, *start, left_out, fits))
    return _say(out, ((path, node) for path, node in below if fits(path)))


def _everything(tree: FileTree) -> Iterator[tuple[str, Node]]:
    """Yield the guest's tree, and what it doesn't mount."""
    if tree.root is not None:
        yield "/", tree.root
    for system in tree.systems:
        if (place := tree.place_of(system)).endswith(":"):
            yield f"{place}/", system.root


class _Coming:
    """A directory that a walk comes to."""

    __slots__ = ("asked", "depth", "node", "path")

    def __init__(self, path: str, node: Node, depth: int) -> None:
        self.path = path
        self.node = node
        self.depth = depth
        self.asked = False  # for what is in it, ahead


def _below(
    tree: FileTree, shown: str, top: Node, left_out: LeftOut, wanted: Callable[[str], bool] = lambda _path: True
) -> Iterator[tuple[str, Node]]:
    """Yield all directories, and what is wanted of the rest, if not more."""
    todo, seen = [_Coming(shown, top, 0)], {(id(top.system), top.number)}
    while todo:
        for coming in reversed(todo[-_NEXT:]):
            if not coming.asked:
                coming.asked = True
                with suppress(OSError):  # who needs it is told
                    coming.node.system.ahead(coming.node)
        directory = todo.pop()
        try:
            children = list(tree.children(directory.path, directory.node, left_out, wanted))
        except OSError as error:
            left_out.add(f"{directory.path.rstrip('/')}/", error)
            continue
        for path, node in children:
            yield path, node
            key = id(node.system), node.number
            if node.kind == "directory" and key not in seen:
                seen.add(key)
                if directory.depth >= _DEEPEST:
                    left_out.add(f"{path}/", OSError("it is too deep"))
                    continue
                todo.append(_Coming(path, node, directory.depth + 1))


def _get(tree: FileTree, request: Mapping[str, Any], out: BinaryIO, left_out: LeftOut) -> bool:
    shown, node = tree.find(request["path"])
    if node.kind not in {"file", "directory"}:
        raise InvalidInput(f"{shown} is neither a file nor a directory.")
    with _named(shown):
        runs = node.runs() if node.kind == "file" else []
    _line(out, {"kind": node.kind, "size": node.size, "name": shown.rstrip("/").rpartition("/")[2] or "files"})
    if node.kind == "file":
        for piece in node.pieces(runs):
            out.write(piece)
        return False
    from longshore.guests.file_archive import write_archive

    write_archive(out, shown.rstrip("/"), _below(tree, shown, node, left_out), left_out)
    return False


@contextmanager
def _named(shown: str) -> Iterator[None]:
    """Raise InvalidInput for what isn't read at all."""
    try:
        yield
    except NotReadHere as error:
        raise InvalidInput(f"{shown} isn't read: {error}.", advice="Restore its machine, and read it there.") from None


def _attend(tree: FileTree, connection: socket.socket, out: BinaryIO, left_out: LeftOut) -> bool:
    """Answers one question after another.

    {"list": path} by {"count": n} and as many lines of entries, each with its node: [place, number].
    {"read": node, "offset": o, "length": l} by {"count": n} and as many bytes; fewer at the end of the file.
    What can't be read by {"error": a number of errno}.
    """
    _line(out, {"kind": "attending"})
    out.flush()
    systems = {system.part.place: system for system in tree.systems}
    with connection.makefile("rb") as asked:
        for line in asked:
            question = json.loads(line)
            try:
                if "list" in question:
                    _tell_entries(tree, question["list"], out, left_out)
                else:
                    place, number = question["read"]
                    found = systems[place].read(int(number), int(question["offset"]), int(question["length"]))
                    _line(out, {"count": len(found)})
                    out.write(found)
            except NotFound:
                _line(out, {"error": errno.ENOENT})
            except NotReadHere:
                _line(out, {"error": errno.EOPNOTSUPP})
            except (OSError, LongshoreError):
                _line(out, {"error": errno.EIO})
            out.flush()
    return False


def _tell_entries(tree: FileTree, path: str, out: BinaryIO, left_out: LeftOut) -> None:
    """Tell the entries of a directory."""
    if path == "/":
        found = [(f"/{place}", top) for shown, top in _everything(tree) if (place := shown.strip("/"))]
        if tree.root is not None:
            found += tree.children("/", tree.root, left_out)
    else:
        found = list(tree.children(*tree.find(path), left_out))
    _line(out, {"count": min(len(found), MOST_ENTRIES)})
    for shown, node in found[:MOST_ENTRIES]:
        told = {"path": shown, "kind": node.kind, "size": node.size, "modified": node.modified, "mode": node.mode}
        id_ = node.system.part.place, node.number
        _line(out, told | {"user": node.user, "group": node.group, "target": shown_name(node.target), "node": id_})


def _say(out: BinaryIO, entries: Iterator[tuple[str, Node]]) -> bool:
    """Say what was found. Returns whether there are more than may be said."""
    _line(out, {"kind": "entries"})
    for number, (shown, node) in enumerate(entries):
        if number == MOST_ENTRIES:
            return True
        told = {"path": shown, "kind": node.kind, "size": node.size, "modified": node.modified}
        _line(out, told | {"target": shown_name(node.target)})
    return False


def _line(out: BufferedIOBase | BinaryIO, what: Mapping[str, Any]) -> None:
    out.write(json.dumps(what).encode() + b"\n")


_OPERATIONS = {"list": _list, "find": _find, "get": _get}

if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # somebody waits for its end: nothing in it needs to be taken apart for that
