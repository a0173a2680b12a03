"""Plans as YAML that people read, edit and keep in git.

`read` refuses what it doesn't know and says where: file, line, and what is known instead. `write` gives the same text
for the same plan, without what Longshore would do anyway. `schema` is for editors and for checks in git.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, fields
from typing import Any

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
    Mappings,
    Plan,
    PlanLimits,
    PlannedMachine,
    PlannedType,
    PlannedVolume,
)
from longshore.model.request import MigrationRequest
from longshore.planning import written
from longshore.planning.faults import Path, RequestFault
from longshore.planning.plan_validation import check_plan
from longshore.planning.validation import check_request

_REFUSED = "plan-refused"
_OWN = tuple(f.name for f in fields(PlannedMachine) if f.name != "options")
_OWN_OF_VOLUME = tuple(f.name for f in fields(PlannedVolume) if f.name != "options")
_FOR_ALL = OPTIONS - MAPPED - OF_ONE_MACHINE
_PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
_REQUEST: TypeAdapter[MigrationRequest] = TypeAdapter(MigrationRequest)


def read(text: str, file: str) -> Plan:
    """Read a plan's file. Raises InvalidInput that begins with file and line."""
    empty = "A plan has a name, a source, a target and machines."
    return written.read(text, file, _judged, empty=empty, code=_REFUSED)


def parse(data: Any) -> Plan:
    """Read a plan from plain data, of the form that a file or a request holds it in. Raises RequestFault."""
    top = written.table(data, (), [f.name for f in fields(Plan)], "A plan")
    for needed in ("name", "source", "target"):
        if not top.get(needed):
            raise RequestFault((), f'A plan needs "{needed}".')
    if not isinstance(top["name"], str) or not re.fullmatch(NAME, top["name"]):
        raise RequestFault(("name",), "A plan's name is made of letters, digits, dots, dashes and underscores.")
    mappings = written.table(top.get("mappings"), ("mappings",), [f.name for f in fields(Mappings)])
    rules = written.entries(mappings.get("flavors"), ("mappings", "flavors"))
    for number, rule in enumerate(rules):
        written.table(rule, ("mappings", "flavors", number), [f.name for f in fields(FlavorRule)])
    limits = written.table(top.get("limits"), ("limits",), [f.name for f in fields(PlanLimits)])
    for name, value in limits.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise RequestFault(("limits", name), f'"{name}" has to be a whole number of at least 1.')
    defaults = written.options(written.table(top.get("defaults"), ("defaults",), sorted(_FOR_ALL)), ("defaults",))
    machines = [
        _entry(entry, "machine", _OWN, OPTIONS, ("machines", number))
        for number, entry in enumerate(written.entries(top.get("machines"), ("machines",)))
    ]
    volumes = [
        _entry(entry, "volume", _OWN_OF_VOLUME, OF_VOLUMES, ("volumes", number))
        for number, entry in enumerate(written.entries(top.get("volumes"), ("volumes",)))
    ]
    _refuse_twice(machines, "machine")
    _refuse_twice(volumes, "volume")
    called = {entry["machine"] for entry in machines}
    for number, entry in enumerate(volumes):
        if f"{VOLUME}{entry['volume']}" in called:  # as tables call the volume
            raise RequestFault(("volumes", number), f"{VOLUME}{entry['volume']} is in the plan twice.")
    whole = {**top, "mappings": {**mappings, "flavors": rules}, "limits": limits}
    whole |= {"defaults": defaults, "machines": machines, "volumes": volumes}
    return _PLAN.validate_python(written.valid(_PLAN, whole, ()))


def from_plain(data: Any) -> Plan:
    """Read a plan from plain data that no file stands behind. Raises InvalidInput that names the place."""
    return written.understood(data, _judged, _REFUSED)


def from_store(data: Any) -> Plan:
    """Read a plan that is kept. What is in it was judged when it was taken, and isn't again."""
    return written.understood(data, parse, _REFUSED)


def _judged(data: Any) -> Plan:
    plan = parse(data)
    check_plan(plan)
    return plan


def write(plan: Plan) -> str:
    """Write the plan as YAML."""
    return written.write(plain(plan))


def plain(plan: Plan) -> dict[str, Any]:
    """Return the plan as a file holds it: plain data, without what nobody has said."""
    data = _PLAN.dump_python(plan, mode="json")
    order = ("name", "description", "source", "target", "mappings", "defaults", "limits", "machines", "volumes")
    mappings = {name: value for name, value in data["mappings"].items() if value}
    if "flavors" in mappings:
        mappings["flavors"] = [_without_nones(rule) for rule in mappings["flavors"]]
    usual = asdict(PlanLimits())
    limits = {name: value for name, value in data["limits"].items() if value != usual[name]}
    machines = [_plain_entry(PlannedMachine, _OWN, entry) for entry in data["machines"]]
    volumes = [_plain_entry(PlannedVolume, _OWN_OF_VOLUME, entry) for entry in data["volumes"]]
    whole = {**data, "mappings": mappings, "limits": limits, "machines": machines, "volumes": volumes}
    return {name: whole[name] for name in order if whole[name] or name == "machines"}


def request_of(options: Mapping[str, Any]) -> MigrationRequest:
    """Make a request of options that were joined. Raises InvalidInput."""
    try:
        request = _REQUEST.validate_python(dict(options))
    except ValidationError as error:
        raise InvalidInput(written.sentence(error), code=_REFUSED) from None
    try:
        check_request(request)
    except InvalidInput as error:
        raise InvalidInput(error.message, advice=error.advice, code=_REFUSED) from None
    return request


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan's file."""
    built = TypeAdapter(Plan).json_schema()
    definitions = built["$defs"] | _REQUEST.json_schema()["$defs"]
    options = _REQUEST.json_schema()["properties"]
    options["type"] = TypeAdapter(PlannedType).json_schema() | {"default": "cold"}
    for name in ("Cutover", "Carry", "Mappings", "PlanLimits", "FlavorRule", "SourceMarks"):
        definitions[name]["additionalProperties"] = False
    numbers = (definitions["PlanLimits"]["properties"], definitions["Cutover"]["properties"], options)
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


_CALLED = {"machine": "its name, inventory path or reference", "volume": "its name or id"}


def _entry(entry: Any, kind: str, names: Sequence[str], known: Collection[str], path: Path) -> dict[str, Any]:
    """`names`: of what it has for itself; `known`: its options."""
    table = written.table({kind: entry} if isinstance(entry, str) else entry, path, [*names, *sorted(known)])
    if not isinstance(table.get(kind), str) or not table[kind]:
        raise RequestFault(path, f'Each {kind} needs "{kind}": {_CALLED[kind]}.')
    wave = table.get("wave", 1)
    if isinstance(wave, bool) or not isinstance(wave, int) or wave < 0:
        raise RequestFault((*path, "wave"), '"wave" has to be a whole number, 0 or more.')
    own = {name: table[name] for name in names if name in table}
    return own | {"options": written.options({n: v for n, v in table.items() if n not in names}, path)}


def _refuse_twice(entries: list[dict[str, Any]], what: str) -> None:
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        names = {entry[what], entry.get("ref") or entry[what]}
        for name in names:
            if name in seen:
                raise RequestFault((f"{what}s", number), f"{name} is in the plan twice.")
        seen |= names


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
