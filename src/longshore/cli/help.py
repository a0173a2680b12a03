"""Help: the first steps, all commands by subject, those of one subject, or one command with its options."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from longshore.cli.command import Command
from longshore.cli.others_words import destroys, in_our_words
from longshore.cli.usage import is_of_output

FIRST_STEPS = """\
Longshore moves virtual machines into OpenStack: verified, bootable, as fast as the wire.

  longshore provider add vsphere vc --host vcenter.example --username ann@vsphere.local
  longshore provider add files exports --url /srv/exports
  longshore provider add openstack cloud --os-cloud mycloud
  longshore machine list vc
  longshore migrate web01 --from vc --to cloud --network LAN=private --type dry-run --wait
  longshore plan create weekend --from vc --to cloud --folder Shop --network LAN=private
  longshore web
The last one serves pages for a browser. All commands: longshore --help; one of them: longshore COMMAND --help.
"""
USAGE = "[GLOBAL OPTIONS] COMMAND [OPTIONS]"
_SUBJECTS = {
    "Providers: the clouds that machines come from and go to": ("provider", "proxy", "inventory"),
    "Machines, one at a time": ("machine", "migrate", "migration"),
    "What is done, of all kinds": ("job",),
    "Machines that are protected by replicas": ("replica",),
    "Machines that are backed up: vaults and the points in them": ("vault", "backup", "restore", "schedule"),
    "Many machines: plans and limits": ("plan", "limit"),
    "People who are told what can't wait": ("channel",),
    "Volumes that no server has, and disks": ("volume", "copy"),
    "A project's resources as files": ("tenant",),
    "Pages in a browser": ("web", "wall"),
    "A service for many: servers and workers": (
        "server",
        "worker",
        "node",
        "operation",
        "features",
        "relay-image",
        "converter",
        "secrets",
    ),
    "This machine, and this command itself": ("check", "help", "complete", "api"),
}
_OTHERS = "More"
_DAILY = ("machine list", "migrate", "migration list", "plan start", "plan watch")
_MOST_WORDS = 4  # in a command's name
_ALIKE = 0.75  # of two spellings, as difflib has it
_WIDEST = 100  # columns: longer lines are hard to read
_NAMES = 27  # columns for the name of a command


class Help(Command):
    """Say what commands there are, or what one of them takes. `all` has a line on each; `output`, how answers are
    written."""

    examples = ("longshore help migrate", "longshore help replica", "longshore help all")

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("command", nargs="*", help="the command, or the first word of several")

    def take_action(self, args: Namespace) -> int:
        app = self.app
        if not args.command:
            app.stdout.write(overview(app))
            return 0
        if args.command == ["all"]:
            app.stdout.write(_everything(app))
            return 0
        if args.command == ["output"]:
            app.stdout.write(_output_options(app))
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
    """Return what most days begin with, and by subject the words of all others."""
    names = sorted(name for name, _ in app.command_manager)
    lines = [app.parser.description, "", f"Usage: {app.NAME} {USAGE}"]
    lines += _section("Most days", dict(_described(app, _DAILY)))
    for subject, words in (*_SUBJECTS.items(), (_OTHERS, sorted(_other_words(names)))):
        below = {word: [n.partition(" ")[2] for n in names if n.split()[0] == word and " " in n] for word in words}
        alone = dict(_described(app, [word for word, rest in below.items() if not rest]))
        lines += _section(subject, {word: ", ".join(rest) or alone[word] for word, rest in below.items()})
    lines += [
        "",
        f"A line on each of them, and what may go before a command (--state, --server, …): {app.NAME} help all",
    ]
    return "\n".join([*lines, f"More on one, with examples: {app.NAME} COMMAND --help"]) + "\n"


def _other_words(names: Iterable[str]) -> set[str]:
    return {name.split()[0] for name in names}.difference(*_SUBJECTS.values())


def _everything(app: Any) -> str:
    """Return all commands by subject with a line on each, and the options that go before a command."""
    commands = dict(_described(app, sorted(name for name, _ in app.command_manager)))
    lines = [app.parser.description, "", f"Usage: {app.NAME} {USAGE}"]
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


def _output_options(app: Any) -> str:
    """Return the options by which any list, and any single answer, is written in another form."""
    lines = []
    for title, name in (("Lists", "provider list"), ("Single answers", "provider show")):
        kind, _, _ = app.command_manager.find_command(name.split())
        parser = kind(app, app.options, cmd_name=name).get_parser(name)
        formatter = parser._get_formatter()
        formatter.start_section(title)
        for group in parser._action_groups:
            if is_of_output(group.title):
                formatter.add_arguments(group._group_actions)
        formatter.end_section()
        lines.append(formatter.format_help())
    return "\n".join(lines)


def of_group(app: Any, words: list[str]) -> str:
    """Return the commands that begin with these words; empty when none does."""
    start = " ".join(words)
    commands = _below(app, start)
    if not commands:
        return ""
    lines = [f"Usage: {app.NAME} {start} COMMAND [OPTIONS]", *_section("Commands", commands)]
    return "\n".join([*lines, "", f"More on a command: {app.NAME} {min(commands)} --help"]) + "\n"


def unknown(app: Any, words: list[str]) -> str:
    """Return a sentence for what is no command, with those that mean the same or are spelt alike."""
    said = " ".join(word for word in words if not word.startswith("-"))
    names = [name for name, _ in app.command_manager]
    alike = in_our_words(said, names) or _spelt_alike(said, names)
    meant = f" Did you mean {' or '.join(f'`{app.NAME} {name}`' for name in alike)}?" if alike else ""
    return f'{app.NAME}: "{said}" is not a {app.NAME} command.{meant}\nMore: {app.NAME} --help\n'


def _spelt_alike(said: str, names: Iterable[str]) -> list[str]:
    """Return the commands that are spelt like the first words of what was said.

    One that destroys something is among them only where its verb was said, but for a slip.
    """
    words, names = said.split(), list(names)
    for count in range(min(len(words), _MOST_WORDS), 0, -1):
        close = get_close_matches(" ".join(words[:count]), names, n=3, cutoff=_ALIKE)
        if found := [name for name in close if not destroys(name) or _names_verb(words, name)]:
            return found
    return get_close_matches(words[0], {name.split()[0] for name in names}, n=3) if words else []


def _names_verb(words: Sequence[str], name: str) -> bool:
    return bool(get_close_matches(name.rsplit(maxsplit=1)[-1], words, n=1, cutoff=_ALIKE))


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
