"""The reasons why retention keeps a point, as people read them. planning/retention.py has them for programs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from longshore.wording.texts import _, marked

_SUSPECT = marked(" (suspect: it takes no usable one's place)")
_FORMS = [
    (re.compile(form), text)
    for form, text in (
        (r"newest usable point", marked("newest usable point")),
        (r"newest point, and none is usable", marked("newest point, and none is usable")),
        (r"newest proved point", marked("newest tested point")),
        (
            r"newest proved point, and none that is proved is usable",
            marked("newest tested point, and none that was tested is usable"),
        ),
        (r"its moment is still to come", marked("its moment is still to come")),
        (r"last (?P<count>\d+): number (?P<number>\d+)", marked("last %(count)s: number %(number)s")),
        (
            r"(?P<rule>\w+) (?P<count>\d+): newest of week (?P<when>.+)",
            marked("%(rule)s %(count)s: newest of week %(when)s"),
        ),
        (r"(?P<rule>\w+) (?P<count>\d+): newest of (?P<when>.+)", marked("%(rule)s %(count)s: newest of %(when)s")),
        (r"within (?P<span>.+) of the newest", marked("within %(span)s of the newest")),
        (r"held until (?P<when>[^:]+:\d\d UTC): (?P<name>.*)", marked("held until %(when)s: %(name)s")),
        (r"held: (?P<name>.*)", marked("held: %(name)s")),
        (r"in use by (?P<name>.*)", marked("in use by %(name)s")),
        (r"base of (?P<name>.*), which runs", marked("base of %(name)s, which runs")),
    )
]


def kept_by(reasons: Sequence[str]) -> str:
    """Return the reasons on one line, in the viewer's language; one of another form as it is."""
    return "; ".join(_worded(reason) for reason in reasons)


def _worded(reason: str) -> str:
    plain = reason.removesuffix(_SUSPECT)
    suspect = "" if plain == reason else _(_SUSPECT)
    for form, text in _FORMS:
        if found := form.fullmatch(plain):
            return _(text) % found.groupdict() + suspect
    return reason
