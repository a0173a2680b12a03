"""The connection that the parts of a provider share, and ways to find there the one thing that is meant."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from openstack import exceptions as sdk

from longshore.errors import Conflict, NotFound
from longshore.model.target import SOURCE, Owner, Present
from longshore.providers.openstack import ownership
from longshore.providers.openstack.faults import explained

_LONGEST = 230  # characters of a name that gets a part of an id: 255 are allowed with it


class Part:
    """A part of a source or a target, which is the union of several: each asks a project about one kind of thing."""

    def __init__(self, connection: Any) -> None:
        """`connection`: openstacksdk's. Its services are looked up, and logged in to, when they are first asked."""
        self._connection = connection


def by_id(get: Callable[[str], Any], id_: str, what: str) -> Any | None:
    """Return what `get` answers for an id; None: there is nothing. `what` it is called, for people."""
    with explained(f"look up {what} {id_}"):
        try:
            return get(id_)
        except (sdk.NotFoundException, sdk.BadRequestException):
            return None


def needed(get: Callable[[str], Any], id_: str, what: str, advice: str = "") -> Any:
    """Return what `get` answers for an id. Raises NotFound, with the advice."""
    if (found := by_id(get, id_, what)) is None:
        raise NotFound(f"The project has no {what} {id_}.", advice=advice)
    return found


def marked(connection: Any, listing: Callable[..., Iterable[Any]], owner: Owner, what: str) -> Iterator[Any]:
    """Yield those of Neutron's things that carry the owner's mark."""
    mark = ownership.description(owner)
    with explained(f"look for the {what} of {owner.tag}"):
        for found in listing(project_id=connection.current_project_id, description=mark):
            if found.description == mark:  # not every Neutron filters by it
                yield found


def present(things: Iterable[Any]) -> list[Present]:
    """Return servers or volumes as a target says what it has."""
    return [Present(found.id, found.name or "", (found.metadata or {}).get(SOURCE)) for found in things]


def told_apart(name: str, id_: str, taken: Container[str]) -> str:
    """Return another name for one of several of this name, or for one without: the same here and in a tenant's files.
    `taken`: the names that others have."""
    short = f"{(name or 'unnamed')[:_LONGEST]}-{id_[:8]}"
    return f"{short[:-9]}-{id_}" if short in taken else short


def names_of(things: Iterable[Any]) -> dict[str, str]:
    """Return the names of a project's things by their ids, each the name of one alone: whoever looks for one elsewhere
    by its name mustn't find another one that it shared its name with."""
    names = {thing.id: thing.name or "" for thing in things}
    count = Counter(names.values())
    return {i: name if name and count[name] == 1 else told_apart(name, i, count) for i, name in names.items()}


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
