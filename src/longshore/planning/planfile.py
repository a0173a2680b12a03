"""Plans as YAML that people read, edit and keep in git.

`read` refuses what it doesn't know and says where: file, line, and what is known instead. `write` gives the same text
for the same plan, without what Longshore would do anyway. `schema` is for editors and for checks in git.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, asdict, fields
from functools import cache
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from longshore.errors import InvalidInput
from longshore.model.machine import VOLUME
from longshore.model.plan import (
    MAPPED,
    NAME,
    OF_ONE_MACHINE,
    OF_VOLUMES,
    OPTIONS,
    FlavorRule,
    Limits,
    Mappings,
    Plan,
    PlannedMachine,
    PlannedType,
    PlannedVolume,
)
from longshore.model.request import Carry, Cutover, MigrationRequest
from longshore.planning.plan_validation import check_plan
from longshore.planning.validation import Fault, Path, check_request, describe_path

_HINTS = get_type_hints(MigrationRequest) | {"type": PlannedType}
_OWN = tuple(f.name for f in fields(PlannedMachine) if f.name != "options")
_OWN_OF_VOLUME = tuple(f.name for f in fields(PlannedVolume) if f.name != "options")
_FOR_ALL = OPTIONS - MAPPED - OF_ONE_MACHINE
_PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
# Options that are tables of options themselves, of which a file may say some
_TABLES: dict[str, tuple[type[Any], TypeAdapter[Any]]] = {
    "cutover": (Cutover, TypeAdapter(Cutover)),
    "carry": (Carry, TypeAdapter(Carry)),
}
_REQUEST: TypeAdapter[MigrationRequest] = TypeAdapter(MigrationRequest)


def read(text: str, file: str) -> Plan:
    """Raises InvalidInput that begins with file and line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise InvalidInput(f"{file} is empty.", advice="A plan has a name, a source, a target and machines.")
        _refuse_repeats(root, file)
        loader = yaml.SafeLoader(text)
        try:
            data = loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it can't be read"
        where = f"{file}, line {mark.line + 1}" if mark else file
        raise InvalidInput(f"{where}: this isn't YAML: {problem}.", code="plan-refused") from None
    try:
        plan = parse(data)
        check_plan(plan)
    except Fault as fault:
        raise InvalidInput(f"{file}, line {_line(root, fault.path)}: {fault.text}", code="plan-refused") from None
    return plan


def parse(data: Any) -> Plan:
    """A plan from plain data, of the form that a file or a request holds it in. Raises Fault."""
    top = _table(data, (), [f.name for f in fields(Plan)])
    for needed in ("name", "source", "target"):
        if not top.get(needed):
            raise Fault((), f'A plan needs "{needed}".')
    if not isinstance(top["name"], str) or not re.fullmatch(NAME, top["name"]):
        raise Fault(("name",), "A plan's name is made of letters, digits, dots, dashes and underscores.")
    mappings = _table(top.get("mappings"), ("mappings",), [f.name for f in fields(Mappings)])
    rules = _list(mappings.get("flavors"), ("mappings", "flavors"))
    for number, rule in enumerate(rules):
        _table(rule, ("mappings", "flavors", number), [f.name for f in fields(FlavorRule)])
    limits = _table(top.get("limits"), ("limits",), [f.name for f in fields(Limits)])
    for name, value in limits.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise Fault(("limits", name), f'"{name}" has to be a whole number of at least 1.')
    defaults = _options(_table(top.get("defaults"), ("defaults",), sorted(_FOR_ALL)), ("defaults",))
    machines = [
        _machine(entry, ("machines", number)) for number, entry in enumerate(_list(top.get("machines"), ("machines",)))
    ]
    volumes = [
        _volume(entry, ("volumes", number)) for number, entry in enumerate(_list(top.get("volumes"), ("volumes",)))
    ]
    _refuse_twice(machines, "machine")
    _refuse_twice(volumes, "volume")
    called = {entry["machine"] for entry in machines}
    for number, entry in enumerate(volumes):
        if f"{VOLUME}{entry['volume']}" in called:  # as tables call the volume
            raise Fault(("volumes", number), f"{VOLUME}{entry['volume']} is in the plan twice.")
    whole = {**top, "mappings": {**mappings, "flavors": rules}, "limits": limits}
    whole |= {"defaults": defaults, "machines": machines, "volumes": volumes}
    return _PLAN.validate_python(_valid(_PLAN, whole, ()))


def from_plain(data: Any) -> Plan:
    """A plan from plain data that no file stands behind. Raises InvalidInput that names the place."""
    try:
        plan = parse(data)
        check_plan(plan)
    except Fault as fault:
        raise _locate(fault) from None
    return plan


def from_store(data: Any) -> Plan:
    """A plan that is kept. One that an earlier version took is read, whatever of it would be refused now."""
    try:
        return parse(data)
    except Fault as fault:
        raise _locate(fault) from None


def _locate(fault: Fault) -> InvalidInput:
    where = describe_path(fault.path)
    return InvalidInput(f"{where}: {fault.text}" if where else fault.text, code="plan-refused")


def write(plan: Plan) -> str:
    """The plan as YAML."""
    data = plain(plan)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
    # PyYAML writes Unicode's rarer line breaks in a way that it reads as others
    return text if yaml.safe_load(text) == data else yaml.safe_dump(data, sort_keys=False)


def plain(plan: Plan) -> dict[str, Any]:
    """The plan as a file holds it: plain data, without what nobody has said."""
    data = _PLAN.dump_python(plan, mode="json")
    order = ("name", "description", "source", "target", "mappings", "defaults", "limits", "machines", "volumes")
    mappings = {name: value for name, value in data["mappings"].items() if value}
    if "flavors" in mappings:
        mappings["flavors"] = [_without_nones(rule) for rule in mappings["flavors"]]
    usual = asdict(Limits())
    limits = {name: value for name, value in data["limits"].items() if value != usual[name]}
    machines = [_plain_entry(PlannedMachine, _OWN, entry) for entry in data["machines"]]
    volumes = [_plain_entry(PlannedVolume, _OWN_OF_VOLUME, entry) for entry in data["volumes"]]
    whole = {**data, "mappings": mappings, "limits": limits, "machines": machines, "volumes": volumes}
    return {name: whole[name] for name in order if whole[name] or name == "machines"}


def request_of(options: Mapping[str, Any]) -> MigrationRequest:
    """A request from options that were joined. Raises InvalidInput."""
    try:
        request = _REQUEST.validate_python(dict(options))
    except ValidationError as error:
        raise InvalidInput(_sentence(error), code="plan-refused") from None
    try:
        check_request(request)
    except InvalidInput as error:
        raise InvalidInput(error.message, advice=error.advice, code="plan-refused") from None
    return request


def schema() -> dict[str, Any]:
    """JSON Schema of a plan's file."""
    built = TypeAdapter(Plan).json_schema()
    definitions = built["$defs"] | _REQUEST.json_schema()["$defs"]
    options = _REQUEST.json_schema()["properties"]
    options["type"] = TypeAdapter(PlannedType).json_schema() | {"default": "cold"}
    for name in ("Cutover", "Carry", "Mappings", "Limits", "FlavorRule"):
        definitions[name]["additionalProperties"] = False
    numbers = (definitions["Limits"]["properties"], definitions["Cutover"]["properties"], options)
    for number in (number for table in numbers for number in table.values()):
        for kind in number.get("anyOf", [number]):
            if kind.get("type") in ("integer", "number"):
                kind["exclusiveMinimum"] = 0
    for name, needed, known in (("PlannedMachine", "machine", OPTIONS), ("PlannedVolume", "volume", OF_VOLUMES)):
        own = {key: value for key, value in definitions[name]["properties"].items() if key != "options"}
        definitions[name] = {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": own | {option: options[option] for option in sorted(known)},
                    "required": [needed],
                    "additionalProperties": False,
                },
            ]
        }
    del definitions["VolumeWishes"]
    properties = built["properties"]
    properties["name"]["pattern"] = NAME
    properties["defaults"] = {
        "type": "object",
        "properties": {name: options[name] for name in sorted(_FOR_ALL)},
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Longshore plan",
        **{key: value for key, value in built.items() if key != "title"},
        "additionalProperties": False,
        "$defs": definitions,
    }


# Reading


def _machine(entry: Any, path: Path) -> dict[str, Any]:
    if isinstance(entry, str):
        entry = {"machine": entry}
    table = _table(entry, path, [*_OWN, *sorted(OPTIONS)])
    if not isinstance(table.get("machine"), str) or not table["machine"]:
        raise Fault(path, 'Each machine needs "machine": its name, inventory path or reference.')
    return _with_options(table, _OWN, path)


def _volume(entry: Any, path: Path) -> dict[str, Any]:
    if isinstance(entry, str):
        entry = {"volume": entry}
    table = _table(entry, path, [*_OWN_OF_VOLUME, *sorted(OF_VOLUMES)])
    if not isinstance(table.get("volume"), str) or not table["volume"]:
        raise Fault(path, 'Each volume needs "volume": its name or id.')
    return _with_options(table, _OWN_OF_VOLUME, path)


def _with_options(table: dict[str, Any], names: Sequence[str], path: Path) -> dict[str, Any]:
    wave = table.get("wave", 1)
    if isinstance(wave, bool) or not isinstance(wave, int) or wave < 0:
        raise Fault((*path, "wave"), '"wave" has to be a whole number, 0 or more.')
    own = {name: table[name] for name in names if name in table}
    return own | {"options": _options({n: v for n, v in table.items() if n not in names}, path)}


def _options(options: dict[str, Any], path: Path) -> dict[str, Any]:
    """Each of them checked by itself, since the rest comes from elsewhere."""
    checked = {}
    for name, value in options.items():
        if name in _TABLES:
            form, adapter = _TABLES[name]
            part = _table(value, (*path, name), [f.name for f in fields(form)])
            whole = adapter.dump_python(adapter.validate_python(_valid(adapter, part, (*path, name))), mode="json")
            checked[name] = {key: whole[key] for key in part}
        else:
            adapter = _option(name)
            value_ = adapter.validate_python(_valid(adapter, value, (*path, name)))
            checked[name] = adapter.dump_python(value_, mode="json")
    return checked


@cache
def _option(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_HINTS[name])


def _valid(adapter: TypeAdapter[Any], value: Any, path: Path) -> Any:
    """The value itself once it has been seen to be right."""
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        raise Fault((*path, *fault["loc"]), _sentence(error, path)) from None
    return value


def _sentence(error: ValidationError, path: Path = ()) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in (*path[-1:], *fault["loc"]) if isinstance(part, str))
    said = fault["msg"].replace("valid tuple", "list").replace("valid dictionary", "table of names and values")
    return f'"{where}" isn\'t right: {said[:1].lower()}{said[1:]}.'


def _table(value: Any, path: Path, known: Sequence[str]) -> dict[str, Any]:
    if value is None:
        return {}
    what = f'"{path[-1]}"' if path and isinstance(path[-1], str) else "This"
    if not isinstance(value, dict):
        raise Fault(path, f"{what} has to be a table of names and values." if path else "A plan is a table.")
    for name in value:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f'Did you mean "{close[0]}"?' if close else f"Known here: {', '.join(known)}."
            raise Fault((*path, name), f'"{name}" isn\'t known here. {hint}')
    return value


def _list(value: Any, path: Path) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Fault(path, f'"{path[-1]}" has to be a list.')
    return value


def _refuse_twice(entries: list[dict[str, Any]], what: str) -> None:
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        names = {entry[what], entry.get("ref") or entry[what]}
        for name in names:
            if name in seen:
                raise Fault((f"{what}s", number), f"{name} is in the plan twice.")
        seen |= names


def _refuse_repeats(node: Any, file: str) -> None:
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
                    raise InvalidInput(f'{file}, line {line}: "{key.value}" is there twice.', code="plan-refused")
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


# Writing


def _without_nones(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if value is not None}


def _plain_entry(
    of: type[PlannedMachine | PlannedVolume], names: Sequence[str], entry: dict[str, Any]
) -> dict[str, Any]:
    usual = {f.name: _default(f) for f in fields(of)}
    own: dict[str, Any] = {name: entry[name] for name in names if entry[name] != usual[name]}
    return {**own, **entry["options"]}


def _default(described: "Field[Any]") -> Any:
    return None if described.default is MISSING else described.default
