"""YAML that people or strangers hand in, read strictly, with the line of everything in it."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import yaml

from longshore.model.strict_reading import (
    DEEPEST,
    HEAVIEST,
    LARGEST,
    LONGEST_NUMBER,
    Misread,
    counted,
    no_number,
    text_of,
)

# libyaml's, and PyYAML's own where guests are worked on: there its sources are, and nothing compiled
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Entries(dict[Any, Any]):
    """A mapping that knows the line of each key."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[Any, int] = {}


class Items(list[Any]):
    """A list that knows the line of each item."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


def plain(value: Any) -> Any:
    """Return the same value without lines."""
    match value:
        case dict():
            return {key: plain(below) for key, below in value.items()}
        case list():
            return [plain(below) for below in value]
        case _:
            return value


def read_yaml(
    content: str | bytes, *, largest: int = LARGEST, heaviest: int = HEAVIEST, as_written: bool = False
) -> Any:
    """Read one document of Entries, Items and scalars; None when there is nothing. `largest`: bytes; `heaviest`:
    values; `as_written`: scalars are texts, whatever else they could mean, but for null.

    Moments are texts, as they were written: YAML knows some that are none. Raises Misread.
    """
    text = text_of(content, largest)
    try:
        return _Builder(heaviest, as_written=as_written).build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        why = " ".join(part for part in (error.context, error.problem) if part)
        raise _misread(f"This isn't YAML: {why}.", error.problem_mark or error.context_mark) from None
    except yaml.reader.ReaderError as error:
        before = text.encode()[: error.position].decode(errors="ignore")
        raise Misread(f"This isn't YAML: {error.reason}.", *counted(before, len(before))) from None


class _Builder:
    """Values out of libyaml's events, without recursion: PyYAML's composer recurses in C."""

    def __init__(self, heaviest: int, *, as_written: bool) -> None:
        self._heaviest = heaviest
        self._as_written = as_written
        self._known: dict[str, Any] = {}  # what plain scalars mean: few texts occur often
        self._loader = yaml.SafeLoader("")  # only asked what a scalar means

    def build(self, events: Iterable[yaml.Event]) -> Any:
        stack: list[tuple[Entries | Items, list[Any]]] = []  # what is open, and the key that waits for its value
        document: Any = None
        documents = count = 0
        for event in events:
            mark = event.start_mark
            if isinstance(event, yaml.NodeEvent):
                count += 1
                if count > self._heaviest:
                    raise _misread(f"There are more than {self._heaviest:,} values.", mark)
                _refuse_references(event)
            if isinstance(event, yaml.ScalarEvent):
                value = self._scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(stack) >= DEEPEST:
                    raise _misread(f"There are more than {DEEPEST} tables and lists within each other.", mark)
                line = mark.line + 1 if mark else 0
                stack.append((Entries(line) if isinstance(event, yaml.MappingStartEvent) else Items(line), []))
                continue
            elif isinstance(event, yaml.CollectionEndEvent):
                value = stack.pop()[0]
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _misread("A second document begins here; one is allowed.", mark)
                continue
            else:
                continue
            if stack:
                _put(*stack[-1], value, mark)
            else:
                document = value
        return document

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text not in self._known:
            self._known[text] = self._meaning(text, event.start_mark)
        return self._known[text]

    def _meaning(self, text: str, mark: Any) -> Any:
        tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        if self._as_written:
            return None if tag.endswith(":null") else text
        if tag.endswith((":int", ":float")) and len(text) > LONGEST_NUMBER:
            raise _misread("This number is too long.", mark)
        try:
            value = self._loader.construct_object(yaml.ScalarNode(tag, text))
        except (ValueError, yaml.YAMLError):
            raise _misread(f'"{text[:60]}" looks like something that it isn\'t: quote it.', mark) from None
        if isinstance(value, int | float) and (why := no_number(value)):
            raise _misread(why, mark)
        return text if isinstance(value, date | datetime) else value


def _misread(sentence: str, mark: Any) -> Misread:
    return Misread(sentence, mark.line + 1, mark.column + 1) if mark else Misread(sentence)


def _refuse_references(event: yaml.NodeEvent) -> None:
    if event.anchor:
        sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
        raise _misread(
            f"{sign}{event.anchor} is a reference, which isn't read here: write what is meant, in quotes if it begins "
            f"with {sign}.",
            event.start_mark,
        )
    tag = getattr(event, "tag", None)
    if tag not in (None, "!"):
        raise _misread(f"The tag {tag} isn't allowed here.", event.start_mark)


def _put(opened: Entries | Items, waiting: list[Any], value: Any, mark: Any) -> None:
    line = value.line if isinstance(value, Entries | Items) else mark.line + 1
    if isinstance(opened, Items):
        opened.append(value)
        opened.lines.append(line)
    elif not waiting:
        if isinstance(value, dict | list):
            raise _misread("A table or list can't be a key.", mark)
        if value in opened:
            raise _misread(f'"{value}" is there twice.', mark)
        opened.lines[value] = line
        waiting.append(value)
    else:
        opened[waiting.pop()] = value
