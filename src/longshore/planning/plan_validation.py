"""Checks of what a plan says, where it is more than the options of its machines (validation.py)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from longshore.errors import InvalidInput
from longshore.model.addresses import AdapterWishes, Addressing
from longshore.model.plan import Entry, Mappings, Plan, PlanLimits
from longshore.model.request import Carry, Cutover
from longshore.model.source_marks import SourceMarks
from longshore.planning.faults import LONGEST_PATH, Path, RequestFault, check_name, describe_path
from longshore.planning.validation import (
    LARGEST,
    aware,
    check_ahead,
    check_names,
    check_option,
    check_text,
    check_whole,
    check_window,
)

_LONGEST_DESCRIPTION = 10_000  # characters
_LAST_WAVE = 10_000
_MOST = 1_000_000_000  # of anything that is counted
_CUTOVER: TypeAdapter[Cutover] = TypeAdapter(Cutover)
_ADDRESSES: TypeAdapter[Any] = TypeAdapter(dict[str, Addressing | Literal["dhcp"]])
_TABLES: dict[str, TypeAdapter[Any]] = {
    "cutover": _CUTOVER,
    "carry": TypeAdapter(Carry),
    "mark_source": TypeAdapter(SourceMarks),
    "mark_source_later": TypeAdapter(SourceMarks),
    "adapters": TypeAdapter(dict[str, AdapterWishes]),
    "addresses": _ADDRESSES,
    "test_addresses": _ADDRESSES,
}


def check_plan(plan: Plan) -> None:
    """Check that what a plan says can be meant. Raises RequestFault."""
    check_name(("source",), plan.source)
    check_name(("target",), plan.target)
    check_text(("description",), plan.description, _LONGEST_DESCRIPTION)
    for kind in fields(Mappings):
        if kind.name != "flavors":
            check_names(("mappings", kind.name), getattr(plan.mappings, kind.name))
    _check_flavors(plan)
    for limit in fields(PlanLimits):
        if (most := getattr(plan.limits, limit.name)) is not None:
            check_whole(("limits", limit.name), most, most=LARGEST if limit.name == "bytes_per_second" else _MOST)
    _check_options(("defaults",), plan.defaults)
    for number, machine in enumerate(plan.machines):
        _check_entry(("machines", number), "machine", machine)
    for number, volume in enumerate(plan.volumes):
        _check_entry(("volumes", number), "volume", volume)
    for path, cutover in _cutovers(plan):
        _check_at(path, check_window, cutover)


def refuse_past(plan: Plan, before: Plan | None = None, now: datetime | None = None) -> None:
    """Raise InvalidInput for a cutover at a time that is past, unless the plan has had that time before."""
    known = {moment for _, cutover in _cutovers(before) for moment in _moments(cutover)} if before else set()
    for path, cutover in _cutovers(plan):
        if set(_moments(cutover)) <= known:
            continue
        try:
            check_ahead(cutover, now)
        except RequestFault as fault:
            raise InvalidInput(f"{describe_path(path)}: {fault.text}", code="plan-refused") from None


def _check_entry(path: Path, called: str, entry: Entry) -> None:
    check_name((*path, called), entry.machine, LONGEST_PATH)
    if entry.ref is not None:
        check_name((*path, "ref"), entry.ref, LONGEST_PATH)
    check_whole((*path, "wave"), entry.wave, 0, _LAST_WAVE)
    _check_options(path, entry.options)


def _check_flavors(plan: Plan) -> None:
    for number, rule in enumerate(plan.mappings.flavors):
        path: Path = ("mappings", "flavors", number)
        check_name((*path, "flavor"), rule.flavor)
        if rule.machine is not None:
            check_name((*path, "machine"), rule.machine)
        for name in ("cpus", "memory_mib"):
            if (most := getattr(rule, name)) is not None:
                check_whole((*path, name), most, most=_MOST)


def _check_options(path: Path, options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        rich = _TABLES[name].validate_python(value) if name in _TABLES else value
        _check_at(path, check_option, name, rich)


def _check_at(path: Path, check: Callable[..., None], *asked: Any) -> None:
    try:
        check(*asked)
    except RequestFault as fault:
        raise RequestFault((*path, *fault.path), fault.text) from None


def _cutovers(plan: Plan) -> Iterator[tuple[Path, Cutover]]:
    """Yield the cutovers as each machine has its own, joined with what all have."""
    common = plan.defaults.get("cutover") or {}
    own: list[tuple[Path, dict[str, Any]]]
    own = [(("machines", number), entry.options.get("cutover") or {}) for number, entry in enumerate(plan.machines)]
    for path, said in own or [(("defaults",), {})]:
        if common or said:
            yield path if said else ("defaults",), _CUTOVER.validate_python({**common, **said})


def _moments(cutover: Cutover) -> list[datetime]:
    return [aware(moment) for moment in (cutover.at, cutover.until) if moment is not None]
