"""The common parts of Longshore's commands: the client of the REST API, their help and how they refuse wrong usage."""

from __future__ import annotations

import os
import shutil
import sys
from abc import abstractmethod
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from cliff.command import Command as CliffCommand
from cliff.lister import Lister as CliffLister
from cliff.show import ShowOne as CliffShowOne

from longshore.border.texts import csv_cell, in_double_quotes, line, printable, shortened, some
from longshore.cli.terminal import can_ask, faults_of_files_told, screened
from longshore.cli.usage import Parser
from longshore.errors import InvalidInput, LongshoreError, NotFound
from longshore.processes.installed import missing_module
from longshore.wording.figures import size

if TYPE_CHECKING:
    from longshore.client import Client

_NAMED = 10  # of those that are to be deleted, in the question whether that is meant


class _Asking(CliffCommand):  # type: ignore[misc]
    """Goes before cliff's own classes: their `run` is inside this one's."""

    app: Any
    examples: ClassVar[tuple[str, ...]] = ()  # of how it is used, as they are typed
    options: ClassVar[tuple[Callable[[ArgumentParser], object], ...]] = ()  # each adds what other commands have too
    awaits: ClassVar[bool] = False  # an answer that an engine finds

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        for add in self.options:
            add(parser)
        self.add_options(parser)
        return parser

    def add_options(self, parser: ArgumentParser) -> None:
        """Add arguments that no other command has; they come behind those of `options`."""

    @property
    def client(self) -> Client:
        client: Client = self.app.client_manager.migration if self.is_plugin else self.app.client
        return client

    @property
    def is_plugin(self) -> bool:
        """Tell whether this is `openstack migration …` rather than `longshore …`."""
        return _in_plugin(self.app)

    @property
    def for_people(self) -> bool:
        """Tell whether the answer is a table, rather than something for programs."""
        return type(self.formatter).__name__ == "TableFormatter"

    def size_of(self, count: int | None) -> Any:
        """Return bytes as people read them, or as a number for programs."""
        return size(count) if self.for_people and count is not None else count

    def say(self, text: str) -> None:
        """Say something beside the answer, for the person at the terminal."""
        print(self.as_typed(text), file=sys.stderr)

    def emitted(self, cell: Any, *, several: bool) -> Any:
        """Return a cell as the answer's format takes it. `several`: lines in it are meant."""
        match type(self.formatter).__name__:
            case "JSONFormatter" | "YAMLFormatter":
                return cell
            case "CSVLister":
                return csv_cell(cell)
            case "ShellFormatter":
                return cell if cell is None or isinstance(cell, int | float) else in_double_quotes(str(cell))
            case "TableFormatter" if cell is None:
                return ""
            case _ if isinstance(cell, str):
                return printable(cell) if several else line(cell)
            case _:
                return cell

    def _generate_columns_and_selector(self, parsed_args: Any, column_names: Sequence[str]) -> Any:
        """Choose the columns as cliff does. Raise InvalidInput where it knows none of those that are asked for."""
        try:
            return super()._generate_columns_and_selector(parsed_args, column_names)
        except ValueError:
            raise InvalidInput(
                f"There is no column {' or '.join(map(repr, parsed_args.columns))}.",
                advice=f"There are: {', '.join(column_names)}.",
            ) from None

    def run(self, parsed_args: Any) -> int:
        if getattr(parsed_args, "max_width", None) == 0 and sys.stdout.isatty():
            parsed_args.max_width = _width(sys.stdout.fileno())
        with screened():
            return self._run(parsed_args)

    def _run(self, parsed_args: Any) -> int:
        try:
            awaits = self.awaits or hasattr(parsed_args, "wait")
            if awaits and not self.is_plugin:  # an engine does what is waited for
                self.app.expect_work()
            with faults_of_files_told():
                return int(super().run(parsed_args))
        except UnicodeEncodeError as error:  # of an argument, as a terminal of another encoding sends it
            raise InvalidInput(
                f'"{shortened(error.object)}" isn\'t UTF-8.', advice="Set the terminal to UTF-8, and type it again."
            ) from None
        except ValueError as error:  # pydantic's, of a shape that is made of what was typed
            if (said := _refused(error)) is None:
                raise
            raise said from None
        except ModuleNotFoundError as error:
            if (missing := missing_module(error)) is None:
                raise
            raise missing from error
        except LongshoreError as error:
            if not self.is_plugin:
                raise
            raise LongshoreError(printable(self.as_typed(str(error))), code=error.code) from None

    def as_typed(self, text: str) -> str:
        """Return advice that names a command, as one types it here."""
        if not self.is_plugin:
            return text
        from longshore.cli import plugin

        return plugin.as_typed(text)


def _refused(error: ValueError) -> InvalidInput | None:
    """Return what is said of a wrong word that no server has been asked about; None: it is another fault."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return None
    from longshore.api.refused import sentence_of

    (fault, *_) = error.errors(include_url=False, include_input=False)
    return InvalidInput(sentence_of(fault, ".".join(map(str, fault["loc"]))))


class _Parsing(CliffCommand):  # type: ignore[misc]
    """Goes behind cliff's own classes: their options are added to this one's parser."""

    examples: ClassVar[tuple[str, ...]]

    def _load_hooks(self) -> None:
        """Nobody extends these commands, and looking for those who might takes as long as a command does."""
        self._hooks: list[Any] = []

    def get_parser(self, prog_name: str) -> ArgumentParser:
        if not _in_plugin(self.app):
            return Parser(prog_name, self.get_description(), self.examples)
        from longshore.cli.plugin import as_typed

        return Parser(prog_name, self.get_description(), self.examples, as_typed)


class Command(_Asking, _Parsing):
    pass


class Lister(_Asking, CliffLister, _Parsing):  # type: ignore[misc]
    """Answers a table: -f json, yaml, csv, value, table."""

    nothing: ClassVar[str] = "There is none."  # is said to people instead of a table without rows
    fault: str = ""  # is said below the table, where what is in it is why the exit code is 1

    def _run(self, parsed_args: Any) -> int:
        code = super()._run(parsed_args)
        if self.fault:
            self.say(f"longshore: {self.fault}")
        return 1 if self.fault else code

    def produce_output(self, parsed_args: Any, column_names: Any, data: Any) -> int:
        rows = [[self.emitted(cell, several=False) for cell in row] for row in data]
        if self.for_people and not rows:
            self.say(self.nothing)
            return 0
        return int(super().produce_output(parsed_args, column_names, rows))


class ShowOne(_Asking, CliffShowOne, _Parsing):  # type: ignore[misc]
    """Answers one thing: -f json, yaml, shell, value, table.

    `parts`: tables of what it consists of, for people: the heading of each, its columns and its rows. They stand below
    the one with its fields; an empty one is left out.
    """

    parts: Sequence[tuple[str, Sequence[str], Sequence[Sequence[Any]]]] = ()

    @abstractmethod
    def show(self, args: Namespace) -> dict[str, Any]:
        """Return the fields of the answer. People aren't shown those with nothing in them. Raises LongshoreError."""

    def take_action(self, parsed_args: Namespace) -> tuple[Any, Any]:
        fields = self.show(parsed_args)
        return tuple(fields), tuple(fields.values())

    def produce_output(self, parsed_args: Any, column_names: Any, data: Any) -> int:
        fields = {name: self.emitted(cell, several=True) for name, cell in zip(column_names, data, strict=True)}
        if self.for_people and not parsed_args.columns:
            fields = {name: cell for name, cell in fields.items() if cell not in (None, "")}
        code = int(super().produce_output(parsed_args, tuple(fields), tuple(fields.values())))
        if self.for_people and not parsed_args.columns:
            for heading, columns, rows in self.parts:
                if rows:
                    cells = [[self.emitted(cell, several=True) for cell in row] for row in rows]
                    print(f"\n{heading}", file=self.app.stdout)
                    self.formatter.emit_list(columns, cells, self.app.stdout, parsed_args)
        return code


class Create(ShowOne):
    """Make a thing, or show that which has its name already, where that is asked for."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--or-show", action="store_true", help="show what has this name already, as it is")
        return parser

    @abstractmethod
    def make(self, args: Namespace) -> dict[str, Any]:
        """Make it, and return its fields. Raises LongshoreError."""

    @abstractmethod
    def existing(self, args: Namespace) -> dict[str, Any]:
        """Return the fields of what has the name. Raises LongshoreError, not-found where nothing has."""

    def show(self, args: Namespace) -> dict[str, Any]:
        if args.or_show:
            try:
                return self.existing(args)
            except LongshoreError as error:
                if error.code != NotFound.code:
                    raise
        return self.make(args)


class Delete(Command):
    """Delete each thing that is named. Why one of several can't be is told, and the others are."""

    kind: ClassVar[str]  # of what is deleted, as a word
    named: ClassVar[str] = "its name"
    # What becomes of it, where nothing brings that back: somebody at a terminal is asked whether it is meant
    for_good: ClassVar[str] = ""

    def add_options(self, parser: ArgumentParser) -> None:
        self.with_place(parser)
        parser.add_argument(self.kind, nargs="+", help=f"{self.named}; several may be given")
        parser.add_argument("--if-exists", action="store_true", help="leave out what isn't there, without an error")
        if self.for_good:
            parser.add_argument("--yes", action="store_true", help="don't ask at a terminal whether that is meant")

    def with_place(self, parser: ArgumentParser) -> None:
        """Add arguments that say where the things are, if that has to be said."""

    def find_place(self, args: Namespace) -> None:
        """Raise NotFound where what the things are in isn't there."""

    @abstractmethod
    def delete(self, name: str, args: Namespace) -> None:
        """Delete one of them. Raises LongshoreError."""

    def take_action(self, args: Namespace) -> int:
        names: list[str] = getattr(args, self.kind)
        if self.for_good and not args.yes and can_ask():
            self._ask(names)
        self.find_place(args)
        refused = 0
        for name in names:
            try:
                self.delete(name, args)
            except LongshoreError as error:
                if args.if_exists and error.code == NotFound.code:
                    continue
                if len(names) == 1:
                    raise
                refused += 1
                self.say(f"longshore: {name}: {error}")
        return 1 if refused else 0

    def _ask(self, names: list[str]) -> None:
        """Have the person at the terminal confirm it. Raises InvalidInput when they don't."""
        print(f"{self.for_good}: {some(names, _NAMED)}. [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise InvalidInput("Nothing was deleted.")


def _in_plugin(app: Any) -> bool:
    return hasattr(app, "client_manager")


def _width(terminal: int) -> int:
    """Return the terminal's columns; 80 where the terminal itself doesn't know."""
    return os.get_terminal_size(terminal).columns or shutil.get_terminal_size().columns
