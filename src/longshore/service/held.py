"""The hold that somebody asks for, of a point in a vault or of a replica."""

from datetime import UTC, datetime

from longshore.api.replicas import NewHold
from longshore.errors import InvalidInput
from longshore.model.point import Hold
from longshore.store.tables import with_zone


def asked_hold(body: NewHold) -> Hold:
    """Return the hold that is asked for. Raises InvalidInput when it would be over already."""
    until = with_zone(body.until)
    if until is not None and until <= datetime.now(UTC):
        said = f"{until:%Y-%m-%d %H:%M} UTC"
        raise InvalidInput(f"The time until which it is to be held, {said}, is over.", field="until")
    return Hold(body.name, until)
