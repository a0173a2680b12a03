"""Figures as people read them."""

from datetime import UTC, datetime

from longshore.wording.language import decimal

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: float) -> str:
    """Write a number of bytes with a binary unit: 1.5 GiB."""
    for unit in _UNITS:
        if abs(count) < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{decimal(count)} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def moment(at: datetime | None) -> str | None:
    """Write a moment in RFC 3339, UTC, to the second; None stays None."""
    return at.replace(tzinfo=UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else None
