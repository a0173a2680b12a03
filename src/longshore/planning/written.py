"""Strict reading of the YAML that people write: what isn't known is refused with file and line, and what is known
instead.

What is written gives the same text for the same data. Options of machines are those of MigrationRequest.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from longshore.border.documents import as_yaml
from longshore.errors import InvalidInput
from longshore.model.addresses import Addressing
from longshore.model.plan import PlannedType
from longshore.model.request import Carry, Cutover, MigrationRequest
from longshore.model.shape_faults import in_words
from longshore.model.source_marks import SourceMarks
from longshore.model.strict_reading import Misread
from longshore.model.strict_yaml import Entries, Items, plain, read_yaml
from longshore.planning.faults import Path, RequestFault, describe_path

T = TypeVar("T")
_FORMS = frozenset({Addressing.__name__, "str", "tuple[str, ...]"})  # alternatives, in what pydantic says of a place
_HINTS = get_type_hints(MigrationRequest, include_extras=True) | {"type": PlannedType}
# Options that are tables of options themselves, of which a file may say some
_TABLES: dict[str, tuple[type[Any], TypeAdapter[Any]]] = {
    "cutover": (Cutover, TypeAdapter(Cutover)),
    "carry": (Carry, TypeAdapter(Carry)),
    "mark_source": (SourceMarks, TypeAdapter(SourceMarks)),
    "mark_source_later": (SourceMarks, TypeAdapter(SourceMarks)),
}


def read(text: str, file: str, understand: Callable[[Any], T], *, empty: str, code: str) -> T:
    """`understand` makes of plain data what is wanted, or raises RequestFault. `empty`: advice for a file without
    anything.

    Raises InvalidInput that begins with file and line.
    """
    try:
        root = read_yaml(text)
    except Misread as error:
        raise InvalidInput(error.within(file), code=code) from None
    if root is None:
        raise InvalidInput(f"{file} is empty.", advice=empty)
    try:
        return understand(plain(root))
    except RequestFault as fault:
        raise InvalidInput(f"{file}, line {_line(root, fault.path)}: {fault.text}", code=code) from None


def understood(data: Any, understand: Callable[[Any], T], code: str) -> T:
    """Return what is made of plain data that no file stands behind. Raises InvalidInput that names the place."""
    try:
        return understand(data)
    except RequestFault as fault:
        where = describe_path(fault.path)
        text = f"{where}: {fault.text}" if where else fault.text
        raise InvalidInput(text, code=code, field=where) from None


def write(data: Mapping[str, Any]) -> str:
    return as_yaml(dict(data))


def options(given: dict[str, Any], path: Path) -> dict[str, Any]:
    """Check each of them by itself, since the rest comes from elsewhere."""
    checked = {}
    for name, value in given.items():
        if name in _TABLES:
            form, adapter = _TABLES[name]
            part = table(value, (*path, name), [f.name for f in fields(form)])
            whole = adapter.dump_python(adapter.validate_python(valid(adapter, part, (*path, name))), mode="json")
            checked[name] = {key: whole[key] for key in part}
        else:
            adapter = _option(name)
            value_ = adapter.validate_python(valid(adapter, value, (*path, name)))
            checked[name] = adapter.dump_python(value_, mode="json", exclude_defaults=True)
    return checked


@cache
def _option(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_HINTS[name])


def valid(adapter: TypeAdapter[Any], value: Any, path: Path) -> Any:
    """Return the value itself once it has been seen to be right."""
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        raise RequestFault((*path, *fault["loc"]), sentence(error, path)) from None
    return value


def sentence(error: ValidationError, path: Path = ()) -> str:
    faults = error.errors()
    # Of what is either a word or a table, what was written says which of them was meant
    words = (one for one in faults if one["type"] == "literal_error" and isinstance(one["input"], str))
    fault = next(words, faults[0])
    parts = (*path[-1:], *fault["loc"])
    where = ".".join(p for p in parts if isinstance(p, str) and p not in _FORMS and not p.startswith("literal["))
    return f'"{where}" isn\'t right: {in_words(fault)}.'


def table(value: Any, path: Path, known: Sequence[str], whole: str = "This") -> dict[str, Any]:
    if value is None:
        return {}
    what = f'"{path[-1]}"' if path and isinstance(path[-1], str) else "This"
    if not isinstance(value, dict):
        raise RequestFault(path, f"{what} has to be a table of names and values." if path else f"{whole} is a table.")
    for name in value:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f'Did you mean "{close[0]}"?' if close else f"Known here: {', '.join(known)}."
            raise RequestFault((*path, name), f'"{name}" isn\'t known here. {hint}')
    return value


def entries(value: Any, path: Path) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise RequestFault(path, f'"{path[-1]}" has to be a list.')
    return value


def _line(root: Any, path: Path) -> int:
    """Return a path's line in the file; of what isn't there, the line where it should have been."""
    node = root
    line = node.line if isinstance(node, Entries | Items) else 1
    for part in path:
        if not _has(node, part):
            break
        line, node = node.lines[part], node[part]
    return line


def _has(node: Any, part: Any) -> bool:
    if isinstance(node, Items):
        return isinstance(part, int) and part < len(node)
    return isinstance(node, Entries) and part in node
