"""Finding the one thing in a project that a person means by a name or an id."""

from collections.abc import Callable, Iterable
from typing import Any

from openstack import exceptions as sdk

from longshore.errors import Conflict, NotFound


def of_word(get: Callable[[str], Any], named: Iterable[Any], word: str) -> list[Any]:
    """Return what `get` answers for the word as an id, and those of `named` that have it for a name."""
    fitting = {thing.id: thing for thing in named if thing.name == word}
    try:
        found = get(word)
    except (sdk.NotFoundException, sdk.BadRequestException):
        return list(fitting.values())
    return list({found.id: found, **fitting}.values())


def only(things: Iterable[Any], word: str, what: str, advice: str = "") -> Any:
    """`what` they are called, for people. Raises NotFound, with the advice; or Conflict when the word is the name of
    several, or the id of one and the name of another."""
    found = [thing for thing in things if word in (thing.id, thing.name)]
    if not found:
        raise NotFound(f"The project has no {what} {word}.", advice=advice)
    if len(found) > 1:
        listed = ", ".join(f"{thing.name} ({thing.id})" for thing in found)
        raise Conflict(
            f"Several {what}s may be meant by {word}: {listed}.",
            advice="Name the one that is meant by its id, or by a name that is no other one's.",
        )
    return found[0]
