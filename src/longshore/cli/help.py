"""Help: all commands by subject, those of one subject, or one command with its options."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from longshore.cli.command import Command

USAGE = "[GLOBAL OPTIONS] COMMAND [OPTIONS]"
_SUBJECTS = {
    "Providers: the clouds that machines come from and go to": ("provider", "inventory"),
    "Machines, one at a time": ("machine", "migrate", "migration"),
    "What is done, of all kinds": ("job",),
    "Machines that are protected by replicas": ("replica",),
    "Machines that are backed up: vaults and the points in them": ("vault", "backup", "restore"),
    "Many machines: plans and limits": ("plan", "limit"),
    "Volumes that no server has, and disks": ("volume", "copy"),
    "A project's resources as files": ("tenant",),
    "Pages in a browser": ("web",),
    "A service for many: servers and workers": (
        "server",
        "worker",
        "operation",
        "features",
        "relay-image",
        "converter",
        "secrets",
    ),
    "This machine, and this command itself": ("check", "help", "complete"),
}
_OTHERS = "More"
_TRILIOS_COMMANDS = ("workload", "snapshot", "job-schedule", "job schedule")  # what Trilio's begin with
_TRILIOS = {  # what is asked for there, and what it is here; the first that is named counts
    "restore": "restore",
    "schedul": "backup policy",
    "snapshot": "backup",
    "workload": "backup policy",
}
_DAILY = ("machine list", "migrate", "migration list", "plan start", "plan watch")
_WIDEST = 100  # columns: longer lines are hard to read
_NAMES = 27  # columns for the name of a command


class Help(Command):
    """Say what commands there are, or what one of them takes."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("command", nargs="*", help="the command, or the first word of several")
        return parser

    def take_action(self, args: Namespace) -> int:
        app = self.app
        if not args.command:
            app.stdout.write(overview(app))
            return 0
        if found := _found(app, args.command):
            kind, name = found
            kind(app, app.options, cmd_name=name).get_parser(f"{app.NAME} {name}").print_help(app.stdout)
            app.stdout.writelines(f"{line}\n" for line in _section("Commands below it", _below(app, name)))
            return 0
        if told := of_group(app, args.command):
            app.stdout.write(told)
            return 0
        app.stderr.write(unknown(app, args.command))
        return 2


def overview(app: Any) -> str:
    """Return what most days begin with, all by subject, and the options that go before a command."""
    commands = dict(_described(app, sorted(name for name, _ in app.command_manager)))
    lines = [app.parser.description, "", f"Usage: {app.NAME} {USAGE}"]
    lines += _section("Most days", {name: commands[name] for name in _DAILY})
    subject_of = {word: subject for subject, words in _SUBJECTS.items() for word in words}
    for subject in (*_SUBJECTS, _OTHERS):
        some = {n: said for n, said in commands.items() if subject_of.get(n.split()[0], _OTHERS) == subject}
        lines += _section(subject, some)
    formatter = app.parser._get_formatter()
    formatter.start_section("\nGlobal options")
    formatter.add_arguments(app.parser._get_optional_actions())
    formatter.end_section()
    lines += ["", formatter.format_help().strip(), "", f"More on a command: {app.NAME} COMMAND --help"]
    return "\n".join(lines) + "\n"


def of_group(app: Any, words: list[str]) -> str:
    """Return the commands that begin with these words; empty when none does."""
    start = " ".join(words)
    commands = _below(app, start)
    if not commands:
        return ""
    lines = [f"Usage: {app.NAME} {start} COMMAND [OPTIONS]", *_section("Commands", commands)]
    return "\n".join([*lines, "", f"More on a command: {app.NAME} {min(commands)} --help"]) + "\n"


def unknown(app: Any, words: list[str]) -> str:
    """Return a sentence for what is no command, with those that are spelt alike."""
    said = " ".join(word for word in words if not word.startswith("-"))
    names = [name for name, _ in app.command_manager]
    alike = (
        _in_others_words(said)
        or get_close_matches(said, names, n=3)
        or get_close_matches(words[0], {name.split()[0] for name in names}, n=3)
    )
    meant = f" Did you mean {' or '.join(f'`{app.NAME} {name}`' for name in alike)}?" if alike else ""
    return f'{app.NAME}: "{said}" is not a {app.NAME} command.{meant}\nMore: {app.NAME} --help\n'


def _in_others_words(said: str) -> list[str]:
    """Return what is ours for a command of Trilio's."""
    if not said.startswith(_TRILIOS_COMMANDS):
        return []
    return [next(ours for theirs, ours in _TRILIOS.items() if theirs in said)]


def _found(app: Any, words: list[str]) -> tuple[Any, str] | None:
    try:
        kind, name, _ = app.command_manager.find_command(words)
    except ValueError:
        return None
    return kind, name


def _below(app: Any, start: str) -> dict[str, str]:
    return dict(_described(app, sorted(name for name, _ in app.command_manager if name.startswith(f"{start} "))))


def _described(app: Any, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    kinds = dict(app.command_manager)
    for name in names:
        said = " ".join((inspect.getdoc(kinds[name].load()) or "").partition("\n\n")[0].split())
        yield name, said.partition(". ")[0].rstrip(".")


def _section(title: str, commands: dict[str, str]) -> Iterator[str]:
    if not commands:
        return
    yield from ("", f"{title}:")
    width = max(min(shutil.get_terminal_size().columns, _WIDEST) - 1, 2 * _NAMES)
    for name, said in commands.items():
        lines = textwrap.wrap(said, width - _NAMES - 2)
        yield f"  {name:<{_NAMES - 1}} {lines[0]}" if lines else f"  {name}"
        yield from (" " * (_NAMES + 2) + line for line in lines[1:])
