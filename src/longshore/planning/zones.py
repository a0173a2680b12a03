"""Time zones by the names that IANA gives them."""

import difflib
from zoneinfo import ZoneInfo, available_timezones

from longshore.errors import InvalidInput
from longshore.model.quoting import quote

# What stands beside the zones on some machines: another one on each, none at all, or one that counts leap seconds
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
_OTHER_CLOCKS = ("right/", "posix/")


def find_zone(name: str) -> ZoneInfo:
    """Find a time zone. Raises InvalidInput."""
    if name not in _NO_ZONES and not name.startswith(_OTHER_CLOCKS):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            pass
    known = {zone.lower(): zone for zone in available_timezones() - _NO_ZONES}
    close = difflib.get_close_matches(name[:60].lower(), known, n=1)
    meant = f" Was {known[close[0]]} meant?" if close else ""
    raise InvalidInput(
        f"{quote(name)} is no time zone.{meant}",
        advice="Time zones have IANA's names, such as Europe/Berlin or UTC.",
        code="zone-refused",
    )
