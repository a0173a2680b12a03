"""The common parts of Longshore's commands: the client of the REST API, their help and how they refuse wrong usage."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from cliff.command import Command as CliffCommand
from cliff.lister import Lister as CliffLister
from cliff.show import ShowOne as CliffShowOne

from longshore.border.texts import csv_cell, in_double_quotes, line, printable
from longshore.cli.terminal import screened
from longshore.cli.usage import Parser
from longshore.errors import InvalidInput, LongshoreError
from longshore.processes.installed import missing_module

if TYPE_CHECKING:
    from longshore.client import Client


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
            return int(super().run(parsed_args))
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

    def produce_output(self, parsed_args: Any, column_names: Any, data: Any) -> int:
        values = [self.emitted(cell, several=True) for cell in data]
        code = int(super().produce_output(parsed_args, column_names, values))
        if self.for_people and not parsed_args.columns:
            for heading, columns, rows in self.parts:
                if rows:
                    cells = [[self.emitted(cell, several=True) for cell in row] for row in rows]
                    print(f"\n{heading}", file=self.app.stdout)
                    self.formatter.emit_list(columns, cells, self.app.stdout, parsed_args)
        return code


def _in_plugin(app: Any) -> bool:
    return hasattr(app, "client_manager")


def _width(terminal: int) -> int:
    """Return the terminal's columns; 80 where the terminal itself doesn't know."""
    return os.get_terminal_size(terminal).columns or shutil.get_terminal_size().columns
