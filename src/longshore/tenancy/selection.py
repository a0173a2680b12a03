"""Selections of resources: by kind, name, tag and regular expression."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from longshore.errors import InvalidInput
from longshore.model.expression import compile_expression
from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import ResourceKind
from longshore.tenancy.kinds import BY_NAME, BY_PLURAL, KINDS

_FILTER = re.compile(r"(name|tag)(!?)([=~])(.*)", re.S)


@dataclass(frozen=True, slots=True)
class Filter:
    """name=web01, name!=web01, name~^web, name!~^web, and the same with tag."""

    about: str
    negative: bool
    fits: Callable[[str], bool]

    def hits(self, names: Iterable[str], tags: Iterable[str]) -> bool:
        return any(self.fits(each) for each in (names if self.about == "name" else tags))


@dataclass(frozen=True, slots=True)
class Selection:
    """All that is of one of these kinds and fits all filters."""

    kinds: tuple[ResourceKind, ...] = KINDS
    filters: tuple[Filter, ...] = ()

    def of(self, resources: Sequence[Resource]) -> list[Resource]:
        """Return the selected resources. What belongs to a selected resource is selected with it: a network's subnets,
        a group's rules."""
        if not self.filters:
            return [r for r in resources if r.kind in self.kinds]
        parents = {(r.kind.name, r.params.get("name")): r for r in resources if r.kind.named}
        return [r for r in resources if r.kind in self.kinds and self._wanted(r, parents) and self._allowed(r, parents)]

    def _wanted(self, resource: Resource, parents: Mapping[Any, Resource]) -> bool:
        positive = [f for f in self.filters if not f.negative]
        if all(f.hits(*_words(resource)) for f in positive):
            return True
        parent = _parent(resource, parents)
        return parent is not None and self._wanted(parent, parents)

    def _allowed(self, resource: Resource, parents: Mapping[Any, Resource]) -> bool:
        if any(f.hits(*_words(resource)) for f in self.filters if f.negative):
            return False
        parent = _parent(resource, parents)
        return parent is None or self._allowed(parent, parents)


def parse(only: Iterable[str], filters: Iterable[str]) -> Selection:
    """Make a selection of the words of a command or request. Raises InvalidInput."""
    kinds = [_kind(name) for given in only for name in given.split(",") if name]
    ordered = tuple(kind for kind in KINDS if kind in kinds) if kinds else KINDS
    return Selection(ordered, tuple(map(_filter, filters)))


def _kind(name: str) -> ResourceKind:
    if name not in BY_PLURAL:
        close = get_close_matches(name, BY_PLURAL, 1)
        raise InvalidInput(
            f"There is no kind of resource called {name}.",
            advice=f"Did you mean {close[0]}?" if close else f"Known: {', '.join(BY_PLURAL)}.",
        )
    return BY_PLURAL[name]


def _filter(given: str) -> Filter:
    parts = _FILTER.fullmatch(given)
    if parts is None:
        raise InvalidInput(
            f'"{given}" isn\'t a filter.',
            advice="Filters are name=WORD, name~REGEX, tag=WORD, tag~REGEX; ! before = or ~ denies.",
        )
    about, negative, operator, word = parts.groups()
    if operator == "=":
        return Filter(about, bool(negative), lambda value: value == word)
    pattern = compile_expression(word)
    return Filter(about, bool(negative), lambda value: pattern.find(value) is not None)


def _words(resource: Resource) -> tuple[list[str], list[str]]:
    """Return a resource's names and tags. What has no name goes by those that it names, unless it belongs to one of
    them."""
    name = resource.params.get("name")
    if isinstance(name, str):
        names = [name]
    elif resource.kind.parent:
        names = []
    else:
        refs = (resource.params.get(f.name) for f in resource.kind.fields if f.refs)
        names = [str(ref["name"]) for ref in refs if isinstance(ref, Mapping) and "name" in ref]
    return names, [str(tag) for tag in resource.params.get("tags") or ()]


def _parent(resource: Resource, parents: Mapping[Any, Resource]) -> Resource | None:
    field = resource.kind.by_name.get(resource.kind.parent or "")
    ref = resource.params.get(field.name) if field else None
    if field is None or not isinstance(ref, Mapping):
        return None
    kind = field.refs[field.name]
    name = kind if isinstance(kind, str) else kind(resource.params)
    return parents.get((BY_NAME[name].name, ref.get("name")))
