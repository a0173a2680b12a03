"""Sizes, rates and lengths of time as people write them in commands, forms, files and bodies: 1.5G, 50MiB/s, 1h30m."""

import re
from datetime import timedelta

from longshore.errors import InvalidInput
from longshore.model.quoting import quote

LONGEST = timedelta(days=36525)  # a hundred years
_LARGEST = 1 << 60  # bytes: more than anything has, and exact in 64 bits
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}  # 1024-fold, whether or not they say so
_SIZE = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,19})?) ?([KMGT]?)(?:I?B)?", re.IGNORECASE | re.ASCII)
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,10}}){unit})?" for unit in _SECONDS))
_NUMBER = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10})?")


def parse_size(text: str) -> int:
    """Parse a size to bytes. Raises InvalidInput for what is no size, or more than an EiB."""
    if (count := _bytes(text)) is None:
        raise InvalidInput(
            f"{quote(text)} isn't a size: write bytes, or a number with K, M, G or T behind it, such as 500K, 100M or "
            "1.5G.",
            code="size-refused",
        )
    return count


def parse_rate(text: str) -> int:
    """Parse a rate to bytes per second, at least one. Raises InvalidInput."""
    if not (count := _bytes(re.sub(r"\s*/s$", "", text.strip(), flags=re.IGNORECASE | re.ASCII))):
        raise InvalidInput(
            f"{quote(text)} isn't a rate: write bytes per second such as 800K, 50M or 1.5G.", code="rate-refused"
        )
    return count


def write_size(count: int) -> str:
    """Answer the shortest text that `parse_size` reads as so many bytes: 50M."""
    unit = max((unit for unit, factor in _UNITS.items() if count % factor == 0), key=_UNITS.__getitem__)
    return f"{count // _UNITS[unit]}{unit}" if count else "0"


def parse_duration(text: str) -> timedelta:
    """Parse a length of time: more than nothing, at most a hundred years. Raises InvalidInput."""
    found = _DURATION.fullmatch(text.strip())
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


def parse_seconds(text: str) -> float:
    """Read a length of time where seconds are meant if no unit is said: 90, 0.5, 15m. Raises InvalidInput."""
    if _NUMBER.fullmatch(text.strip()):
        return float(text)
    try:
        return parse_duration(text).total_seconds()
    except InvalidInput:
        raise InvalidInput(
            f"{quote(text)} isn't a length of time: write seconds, or a number with s, m, h, d or w behind it, such as "
            "90, 15m or 1h30m.",
            code="duration-refused",
        ) from None


def write_duration(length: timedelta) -> str:
    """Answer the text that `parse_duration` reads as these whole seconds: 1h30m."""
    rest, parts = int(length.total_seconds()), []
    for unit, one in _SECONDS.items():
        count, rest = divmod(rest, one)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _bytes(text: str) -> int | None:
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        return None
    factor, (whole, _, part) = _UNITS[found[2].upper()], found[1].partition(".")
    count = int(whole) * factor + int(part or 0) * factor // 10 ** len(part)
    return count if count <= _LARGEST else None
