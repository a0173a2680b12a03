"""What people write in YAML, read strictly: what isn't known is refused with file and line, and what is known instead.

What is written gives the same text for the same data. Options of machines are those of MigrationRequest.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from longshore.errors import InvalidInput
from longshore.model.plan import PlannedType
from longshore.model.request import Carry, Cutover, MigrationRequest
from longshore.planning.validation import Fault, Path

T = TypeVar("T")
_HINTS = get_type_hints(MigrationRequest) | {"type": PlannedType}
# Options that are tables of options themselves, of which a file may say some
_TABLES: dict[str, tuple[type[Any], TypeAdapter[Any]]] = {
    "cutover": (Cutover, TypeAdapter(Cutover)),
    "carry": (Carry, TypeAdapter(Carry)),
}


def read(text: str, file: str, understand: Callable[[Any], T], *, empty: str, code: str) -> T:
    """`understand` makes of plain data what is wanted, or raises Fault. `empty`: advice for a file without anything.

    Raises InvalidInput that begins with file and line.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise InvalidInput(f"{file} is empty.", advice=empty)
        _refuse_repeats(root, file, code)
        loader = yaml.SafeLoader(text)
        try:
            data = loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it can't be read"
        where = f"{file}, line {mark.line + 1}" if mark else file
        raise InvalidInput(f"{where}: this isn't YAML: {problem}.", code=code) from None
    try:
        return understand(data)
    except Fault as fault:
        raise InvalidInput(f"{file}, line {_line(root, fault.path)}: {fault.text}", code=code) from None


def write(data: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=120)
    # PyYAML writes Unicode's rarer line breaks in a way that it reads as others
    return text if yaml.safe_load(text) == data else yaml.safe_dump(dict(data), sort_keys=False)


def options(given: dict[str, Any], path: Path) -> dict[str, Any]:
    """Each of them checked by itself, since the rest comes from elsewhere."""
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
            checked[name] = adapter.dump_python(value_, mode="json")
    return checked


@cache
def _option(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_HINTS[name])


def valid(adapter: TypeAdapter[Any], value: Any, path: Path) -> Any:
    """The value itself once it has been seen to be right."""
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        raise Fault((*path, *fault["loc"]), sentence(error, path)) from None
    return value


def sentence(error: ValidationError, path: Path = ()) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in (*path[-1:], *fault["loc"]) if isinstance(part, str))
    said = fault["msg"].replace("valid tuple", "list").replace("valid dictionary", "table of names and values")
    return f'"{where}" isn\'t right: {said[:1].lower()}{said[1:]}.'


def table(value: Any, path: Path, known: Sequence[str], whole: str = "This") -> dict[str, Any]:
    if value is None:
        return {}
    what = f'"{path[-1]}"' if path and isinstance(path[-1], str) else "This"
    if not isinstance(value, dict):
        raise Fault(path, f"{what} has to be a table of names and values." if path else f"{whole} is a table.")
    for name in value:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f'Did you mean "{close[0]}"?' if close else f"Known here: {', '.join(known)}."
            raise Fault((*path, name), f'"{name}" isn\'t known here. {hint}')
    return value


def entries(value: Any, path: Path) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Fault(path, f'"{path[-1]}" has to be a list.')
    return value


def _refuse_repeats(node: Any, file: str, code: str) -> None:
    """YAML lets the last of two equal keys win in silence; a mapping that got lost so would be found too late."""
    waiting, known = [node], {id(node)}  # a node may be there many times over: YAML has references
    while waiting:
        node = waiting.pop()
        below = []
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if str(key.value) in seen:
                    line = key.start_mark.line + 1
                    raise InvalidInput(f'{file}, line {line}: "{key.value}" is there twice.', code=code)
                seen.add(str(key.value))
                below.append(value)
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        waiting.extend(n for n in below if id(n) not in known)
        known.update(id(n) for n in below)


def _line(node: Any, path: Path) -> int:
    """Where in the file; of what isn't there, where it should have been."""
    line = int(node.start_mark.line) + 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line
