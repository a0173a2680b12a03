"""Reading YAML with the line of every entry, and writing it as OS-Migrate does.

PyYAML's own way from text to values forgets where they came from, and its composer recurses in C: a file of nothing but
opening brackets crashes the interpreter. So values are built here, from libyaml's events, with a limit to the depth.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from longshore.errors import LongshoreError
from longshore.tenancy.faults import Fault, Place

LARGEST = 64 << 20  # bytes of a file; 5,000 resources take some 8 MiB
DEEPEST = 40  # mappings and lists within each other; resources need 8
HEAVIEST = 1_000_000  # values, with aliases counted as often as they stand for something; 5,000 resources have 150,000


class Entries(dict[Any, Any]):
    """A mapping that knows the line of each key."""

    __slots__ = ("line", "lines", "weight")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[Any, int] = {}
        self.weight = 1


class Items(list[Any]):
    """A list that knows the line of each item."""

    __slots__ = ("line", "lines", "weight")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []
        self.weight = 1


class BadYaml(LongshoreError):
    """What a file holds isn't YAML that can be read; `fault` says where."""

    code = "invalid-files"

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def read(path: Path, name: str) -> Any:
    """The file's one document. `name` is what the file is called in faults. Raises BadYaml."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _bad(name, 0, "This isn't a file.")
        if found.st_size > LARGEST:
            raise _bad(
                name,
                0,
                f"The file has {found.st_size / 1e6:.0f} MB; more than {LARGEST / 1e6:.0f} MB isn't read. "
                "Split it: all *.yml files of a directory count.",
            )
        content = path.read_bytes()
    except OSError as error:
        raise _bad(name, 0, f"The file can't be read: {error.strerror}.") from None
    try:
        return _Builder(name).build(yaml.parse(content, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = " ".join(part for part in (error.context, error.problem) if part)
        raise _bad(name, mark.line + 1 if mark else 0, f"This isn't YAML: {why}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _bad(name, 0, f"This isn't YAML text in UTF-8: {' '.join(str(error).split())}.") from None


def write(path: Path, document: Any) -> None:
    """Whole or not at all: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf8") as file:
            yaml.dump(document, file, Dumper=_Plain, default_flow_style=False, allow_unicode=True)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


class _Plain(yaml.CSafeDumper):
    """Without anchors: a list that occurs twice is written twice, so that it can be edited."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


class _Builder:
    def __init__(self, name: str) -> None:
        self._name = name
        self._anchors: dict[str, Any] = {}
        self._plain: dict[str, Any] = {}  # scalars without quotes, as resolved before: few texts occur often
        self._loader = yaml.SafeLoader("")  # only asked what a scalar means

    def build(self, events: Iterator[yaml.Event]) -> Any:
        """Without recursion; the stack holds what is open, and the key that waits for its value."""
        stack: list[tuple[Entries | Items, list[Any]]] = []
        document: Any = None
        documents = 0
        for event in events:
            line = event.start_mark.line + 1 if event.start_mark else 0
            if isinstance(event, yaml.ScalarEvent):
                value = self._scalar(event, line)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                if len(stack) >= DEEPEST:
                    raise _bad(self._name, line, f"There are more than {DEEPEST} mappings and lists in each other.")
                opened = Entries(line) if isinstance(event, yaml.MappingStartEvent) else Items(line)
                if event.anchor:
                    self._anchors[event.anchor] = opened
                stack.append((opened, []))
                continue
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                value = stack.pop()[0]
                line = value.line
            elif isinstance(event, yaml.AliasEvent):
                value = self._alias(str(event.anchor), line, [opened for opened, _ in stack])
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _bad(self._name, line, "A second document begins here; one is allowed in a file.")
                continue
            else:
                continue
            if stack:
                self._put(*stack[-1], value, line)
            else:
                document = value
        return document

    def _put(self, opened: Entries | Items, waiting: list[Any], value: Any, line: int) -> None:
        opened.weight += value.weight if isinstance(value, Entries | Items) else 1
        if opened.weight > HEAVIEST:  # a few aliases of aliases can stand for more than any memory holds
            raise _bad(self._name, line, f"Up to here the file stands for more than {HEAVIEST:,} values.")
        if isinstance(opened, Items):
            opened.append(value)
            opened.lines.append(line)
        elif not waiting:
            if isinstance(value, dict | list):
                raise _bad(self._name, line, "A mapping or list can't be a key.")
            if value in opened:
                raise _bad(self._name, line, f'The key "{value}" is here a second time.')
            opened.lines[value] = line
            waiting.append(value)
        else:
            opened[waiting.pop()] = value

    def _alias(self, anchor: str, line: int, opened: list[Entries | Items]) -> Any:
        if anchor not in self._anchors:
            raise _bad(self._name, line, f"*{anchor} stands for nothing before it.")
        value = self._anchors[anchor]
        if any(value is outer for outer in opened):
            raise _bad(self._name, line, f"*{anchor} stands for something that it is part of.")
        return value

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Any:
        text: str = event.value
        if event.tag not in (None, "!"):
            raise _bad(self._name, line, f"The tag {event.tag} isn't allowed here.")
        if not event.implicit[0]:
            value: Any = text
        else:
            if text not in self._plain:
                self._plain[text] = self._meaning(text, line)
            value = self._plain[text]
        if event.anchor:
            self._anchors[event.anchor] = value
        return value

    def _meaning(self, text: str, line: int) -> Any:
        tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        try:
            value = self._loader.construct_object(yaml.ScalarNode(tag, text))
        except (ValueError, yaml.YAMLError):
            raise _bad(self._name, line, f'"{text[:60]}" looks like something that it isn\'t: quote it.') from None
        # Times are written without quotes by people; nothing here wants more of them than their text
        return text if isinstance(value, date | datetime) else value


def _bad(name: str, line: int, sentence: str) -> BadYaml:
    return BadYaml(Fault(Place(name, line), sentence))
