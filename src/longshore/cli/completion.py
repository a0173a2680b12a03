"""Completion of a word: `longshore complete --shell SHELL` with the words so far, asked by the shell at each TAB.

It has to be quick, so only what the command at hand needs is imported; and whatever goes wrong, a shell that completes
a word shows no error and doesn't wait.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import threading
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import SimpleNamespace

from longshore.border.texts import line
from longshore.cli.commands import CommandLoader, all_commands, written_down
from longshore.cli.known_names import Names, known_names
from longshore.cli.usage import placeholder

FILES, DIRECTORIES = ":files", ":directories"  # instead of words: the shell knows its files best
_PATIENCE = 2.0  # seconds after which nobody looks for words any more
_GLOBAL = {
    "--state": DIRECTORIES,
    "--server": "",
    "--config": FILES,
    "--log-file": FILES,
    "--version": None,
    "--verbose": None,
    "--quiet": None,
    "--help": None,
    "--debug": None,
}  # and what each takes
_SHORT = ("-v", "-q", "-h")
# By what stands for a value in a command's help
_NAMED = {"PROVIDER": "providers", "PLAN": "plans", "MIGRATION": "migrations", "JOB": "jobs"}
_PATHS = {"FILE": FILES, "PLAYBOOK": FILES, "DIR": DIRECTORIES}
_OWN = ("help", "complete")


def main(arguments: Sequence[str]) -> int:
    """Print what completes `--shell SHELL --line TEXT`, or `--shell SHELL -- WORDS`: up to the cursor, the command's
    own name included."""
    timer = threading.Timer(_PATIENCE, os._exit, (0,))
    timer.daemon = True
    timer.start()
    # Neither arguments that nobody has typed nor a damaged file are for the eyes of whoever types something else
    with suppress(Exception), suppress(SystemExit):
        shell = arguments[arguments.index("--shell") + 1]
        if "--line" in arguments:
            words = split(arguments[arguments.index("--line") + 1])
        else:
            words = list(arguments[arguments.index("--") + 1 :])
        found = list(candidates(words[1:]))
        if shell == "bash":
            # To bash a word begins anew behind = and :
            done = max(words[-1].rfind("="), words[-1].rfind(":")) + 1
            found = [(word[done:] if word.startswith(words[-1]) else word, about) for word, about in found]
            sys.stdout.writelines(f"{line(word)}\n" for word, _ in found)
        else:
            sys.stdout.writelines(f"{line(word)}\t{line(about)}\n" for word, about in found)
        sys.stdout.flush()
    os._exit(0)  # at once, whatever waits for something in the background


def split(line: str) -> list[str]:
    """Split a line that isn't finished into words; the last is the one that is being typed, empty after a blank."""
    for end in ("", "'", '"'):
        try:
            words = shlex.split(line + end)
        except ValueError:
            continue
        return [*words, ""] if not end and re.search(r"(?<!\\)\s$", line) else words
    return line.split(" ")


def candidates(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what the last of the words may become, each with a few words about it."""
    *before, current = words
    options: dict[str, str] = {}
    while before and before[0].startswith("-"):
        option, given, value = before.pop(0).partition("=")
        if _GLOBAL.get(option) is not None:
            if not given and not before:
                yield from _paths(_GLOBAL[option] or "")
                return
            options[option] = value if given else before.pop(0)
    options = {name: value for name, value in options.items() if name != "--log-file"}
    # What kinds of provider there are takes a moment to find out, and most who press TAB type something else
    points = all_commands() if "provider" in before[:2] else written_down()
    if not before and current.startswith("-"):
        yield from _fitting(((name, "") for name in _GLOBAL), current)
        return
    yield from _next_words([*points, *_OWN], before, current)
    for count in range(len(before), 0, -1):
        if point := points.get(" ".join(before[:count])):
            yield from _of_command(point, before[count:], current, options)
            return
    if before[:1] == ["help"]:
        yield from _next_words([*points], before[1:], current)


def _next_words(names: Sequence[str], before: Sequence[str], current: str) -> Iterator[tuple[str, str]]:
    """Yield what goes on with these first words of commands."""
    begun = [name.split() for name in names]
    following = dict.fromkeys(name[len(before)] for name in begun if name[: len(before)] == list(before) != name)
    yield from _fitting(((word, "") for word in sorted(following)), current)


def _of_command(
    point: CommandLoader, before: Sequence[str], current: str, options: dict[str, str]
) -> Iterator[tuple[str, str]]:
    app = SimpleNamespace(NAME="longshore")
    parser: ArgumentParser = point.load()(app, None).get_parser(point.name)
    named = {name: action for action in parser._actions for name in action.option_strings}
    taken: list[str] = []
    waiting: Action | None = None  # an option whose value comes next
    for word in before:
        if waiting is not None:
            waiting = None
        elif word in named and named[word].nargs != 0:
            waiting = named[word]
        elif not word.startswith("-"):
            taken.append(word)
    option, given, value = current.partition("=")
    if waiting is not None:
        yield from _values(waiting, current, options)
    elif given and option in named:
        for word, about in _values(named[option], value, options):
            yield (word if word in (FILES, DIRECTORIES) else f"{option}={word}"), about
    elif current.startswith("-"):
        shown = {n: a for n, a in named.items() if n.startswith("--") and a.help != SUPPRESS}
        yield from _fitting(((name, " ".join((action.help or "").split())) for name, action in shown.items()), current)
    else:
        places = [action for action in parser._actions if not action.option_strings]
        several = places[-1:] if places and places[-1].nargs in ("*", "+") else []
        for action in (places[len(taken) :] or several)[:1]:
            yield from _values(action, current, options)


def _values(action: Action, current: str, options: dict[str, str]) -> Iterator[tuple[str, str]]:
    stands_for = placeholder(action)
    if action.choices:
        yield from _fitting(((str(choice), "") for choice in action.choices), current)
    elif stands_for in _NAMED:
        names: Names = known_names(_NAMED[stands_for], options)
        yield from _fitting(names, current)
    else:
        yield from _paths(_PATHS.get(stands_for, ""))


def _paths(kind: str) -> Iterator[tuple[str, str]]:
    if kind:
        yield kind, ""


def _fitting(words: Iterator[tuple[str, str]] | Names, current: str) -> Iterator[tuple[str, str]]:
    for word, about in words:
        if word.startswith(current):
            yield word, about.replace("%%", "%").split(";")[0][:80]
