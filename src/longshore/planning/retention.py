"""The decision which points stay, each with every reason for it, and which go.

Nothing goes because time passes: a newer point pushes an older one out, or a hold or a use ends. So a machine whose
source is away keeps what it has.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from longshore.errors import InvalidInput
from longshore.model.point import Point
from longshore.model.quantities import parse_duration, write_duration
from longshore.model.quoting import quote
from longshore.model.retention import Retention
from longshore.planning.zones import find_zone

MOST = 100_000  # points of a rule
COUNTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
_NAMES = (*COUNTS, "within", "zone")
_EXAMPLE = "last 3, hourly 24, daily 14, within 2d, zone Europe/Berlin"


@dataclass(frozen=True, slots=True)
class KeptByRule:
    """A point that stays."""

    point: Point
    reasons: tuple[str, ...]  # all of them, as people read them
    due: bool  # it goes as soon as nobody uses it any more


@dataclass(frozen=True, slots=True)
class Decision:
    """Newest first."""

    kept: tuple[KeptByRule, ...]
    going: tuple[Point, ...]


def decide(points: Iterable[Point], policy: Retention, now: datetime) -> Decision:
    """Decide for all points of one machine in one place.

    Why a point stays depends on none that goes: these may go in any order, and whoever stops half-way and asks again is
    told the same of the rest.

    A suspect point takes no usable one's place: usable ones are judged as if there were no others, and suspect ones as
    if all were usable. One whose moment is still to come (clocks have disagreed) waits for it, and takes none either.
    """
    ordered = sorted(points, key=lambda point: (point.moment, point.id), reverse=True)
    past = [point for point in ordered if point.moment <= now]
    usable = [point for point in past if not point.suspect]
    lasting: dict[str, list[str]] = {point.id: [] for point in ordered}
    for point in ordered:
        if point.moment > now:
            lasting[point.id].append("its moment is still to come")
    _protect(past, usable, lasting)
    for point, reason in _by_rules(usable, policy):
        lasting[point.id].append(reason)
    for point, reason in _by_rules(past, policy) if len(usable) < len(past) else ():
        if point.suspect:
            lasting[point.id].append(f"{reason} (suspect: it takes no usable one's place)")
    kept, going = [], []
    for point in ordered:
        held = [_write_hold(hold.name, hold.until) for hold in point.holds if hold.counts(now)]
        used = [f"in use by {user}" for user in point.users]
        if point.base_of is not None:
            used.append(f"base of {point.base_of}, which runs")
        reasons = (*lasting[point.id], *held, *used)
        if reasons:
            kept.append(KeptByRule(point, reasons, due=len(reasons) == len(used)))
        else:
            going.append(point)
    return Decision(tuple(kept), tuple(going))


def parse_retention(written: Any) -> Retention:
    """Read retention from one line (`last 3, daily 14, zone Europe/Berlin`) or a table of the same names. Raises
    InvalidInput."""
    values: dict[str, Any] = {}
    for name, value in _pairs(written):
        if name not in _NAMES:
            raise _refuse(f"Retention knows no {quote(name)}. It knows {', '.join(_NAMES)}.")
        if name in values:
            raise _refuse(f'"{name}" is said twice.')
        values[name] = _count(name, value) if name in COUNTS else _text(name, value)
    if "zone" in values:
        find_zone(values["zone"])
    if "within" in values:
        values["within"] = parse_duration(values["within"])
    policy = Retention(**values)
    if not any(getattr(policy, name) for name in (*COUNTS, "within")):
        raise _refuse(f"This retention keeps nothing. Say how much, such as: {_EXAMPLE}.")
    return policy


def write_retention(policy: Retention) -> str:
    """Write retention as `parse_retention` reads it, on one line."""
    said = [f"{name} {getattr(policy, name)}" for name in COUNTS if getattr(policy, name)]
    if policy.within is not None:
        said.append(f"within {write_duration(policy.within)}")
    return ", ".join([*said, f"zone {policy.zone}"])


# Deciding


def _protect(past: list[Point], usable: list[Point], lasting: Mapping[str, list[str]]) -> None:
    """Note what stays whatever the policy says. The lists are newest first."""
    if usable:
        lasting[usable[0].id].append("newest usable point")
    elif past:
        lasting[past[0].id].append("newest point, and none is usable")
    proved = [point for point in usable if point.proved]
    doubted = [point for point in past if point.proved]
    if proved:
        lasting[proved[0].id].append("newest proved point")
    elif doubted:
        lasting[doubted[0].id].append("newest proved point, and none that is proved is usable")


def _by_rules(points: list[Point], policy: Retention) -> Iterable[tuple[Point, str]]:
    """Yield whom each rule keeps, from points that are newest first."""
    for number, point in enumerate(points[: policy.last], 1):
        yield point, f"last {policy.last}: number {number}"
    zone = find_zone(policy.zone)
    local = [point.moment.astimezone(zone) for point in points]
    for name, (bucket_of, write) in _BUCKETS.items():
        most = getattr(policy, name)
        seen: set[Hashable] = set()
        for point, moment in zip(points, local, strict=True):
            if len(seen) == most:
                break
            bucket = bucket_of(moment)
            if bucket not in seen:
                seen.add(bucket)
                yield point, f"{name} {most}: newest of {write(moment)}"
    if policy.within is not None:
        for point in points:
            if point.moment >= points[0].moment - policy.within:
                yield point, f"within {write_duration(policy.within)} of the newest"


def _hour(moment: datetime) -> tuple[int, int, timedelta | None]:
    """Return a moment's hour. An hour that comes twice, when summer time ends, is two."""
    return moment.toordinal(), moment.hour, moment.utcoffset()


# What a rule's buckets are, and how people call one
_BUCKETS: dict[str, tuple[Callable[[datetime], Hashable], Callable[[datetime], str]]] = {
    "hourly": (_hour, lambda moment: f"{moment:%Y-%m-%d %H:00 %Z}"),
    "daily": (lambda moment: moment.toordinal(), lambda moment: f"{moment:%Y-%m-%d}"),
    "weekly": (lambda moment: moment.isocalendar()[:2], lambda moment: f"week {moment:%G-W%V}"),
    "monthly": (lambda moment: (moment.year, moment.month), lambda moment: f"{moment:%Y-%m}"),
    "yearly": (lambda moment: moment.year, lambda moment: f"{moment:%Y}"),
}


def _write_hold(name: str, until: datetime | None) -> str:
    return f"held: {name}" if until is None else f"held until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {name}"


# Reading


def _pairs(written: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(written, Mapping):
        return list(written.items())
    if not isinstance(written, str):
        raise _refuse(f"Retention is a line such as: {_EXAMPLE}; or a table of these names.")
    parts = [part.split() for part in written.split(",")] if written.strip() else []
    for part in parts:
        if len(part) != 2:
            raise _refuse(f"{quote(' '.join(part))} isn't a name and a value. Retention is a line such as: {_EXAMPLE}.")
    return [(name, value) for name, value in parts]


def _count(name: str, value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(MOST)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise _refuse(f'"{name}" has to be a whole number from 0 to {MOST}.')
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _refuse(f'"{name}" has to be text, such as {"2d" if name == "within" else "Europe/Berlin"}.')
    return value


def _refuse(text: str) -> InvalidInput:
    return InvalidInput(text, code="retention-refused")
