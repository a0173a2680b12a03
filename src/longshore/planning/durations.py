"""Lengths of time as people write them: 90s, 15m, 1h30m, 2d, 8w."""

import re
from datetime import timedelta

from longshore.errors import InvalidInput
from longshore.planning.quoting import quote

LONGEST = timedelta(days=36525)  # a hundred years
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_WHOLE = re.compile("".join(rf"(?:([0-9]{{1,10}}){unit})?" for unit in _SECONDS))


def parse_duration(text: str) -> timedelta:
    """More than nothing, at most a hundred years. Raises InvalidInput."""
    found = _WHOLE.fullmatch(text.strip())
    if found is None or not text.strip():
        raise InvalidInput(
            f"{quote(text)} isn't a length of time.",
            advice="Write a number with s, m, h, d or w (seconds to weeks), longest first: 90s, 15m, 1h30m, 2d.",
            code="duration-refused",
        )
    seconds = sum(int(number or 0) * one for number, one in zip(found.groups(), _SECONDS.values(), strict=True))
    if not 0 < seconds <= LONGEST.total_seconds():
        raise InvalidInput(
            f"{quote(text)} is no length of time that can be meant.",
            advice="It has to be longer than nothing, and at most a hundred years.",
            code="duration-refused",
        )
    return timedelta(seconds=seconds)


def write_duration(length: timedelta) -> str:
    """As `parse_duration` reads it, in whole seconds: 1h30m."""
    rest, parts = int(length.total_seconds()), []
    for unit, one in _SECONDS.items():
        count, rest = divmod(rest, one)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
