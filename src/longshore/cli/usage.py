"""The reading of a command's words: help with its own options first, and refusals in one sentence."""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser, HelpFormatter
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import partial
from typing import NoReturn

_UNKNOWN = "unrecognized arguments: "
_SAID_EVERYWHERE = {"-f", "-c"}  # of the options of output; all of them are in `longshore help output`


class Parser(ArgumentParser):
    """The options of a command, and its help.

    `examples`: how it is used, as it is typed. `typed`: turns a text that names commands into what one types where this
    one is typed.
    """

    def __init__(
        self, prog: str, description: str, examples: Sequence[str] = (), typed: Callable[[str], str] = str
    ) -> None:
        super().__init__(prog=prog, description=description, formatter_class=partial(_Formatter, typed))
        self._typed = typed
        self.if_incomplete = ""  # what whoever leaves out what is required may have meant, as a sentence
        self.examples = [typed(example) for example in examples]

    def format_help(self) -> str:
        """Format the help: what makes the command what it is comes first, then how its answer is written.

        Of that the two options stand here which everybody uses. Examples are last, where a terminal shows them.
        """
        self._action_groups.sort(key=lambda group: is_of_output(group.title))  # stable
        for group in self._action_groups:
            if is_of_output(group.title):
                for action in group._group_actions:
                    if not _SAID_EVERYWHERE & {*action.option_strings}:
                        action.help = SUPPRESS
        self.usage = " ".join([self.prog, *usage(self)]).replace("%", "%%")
        return "\n".join([super().format_help(), "examples:", *(f"  {example}" for example in self.examples), ""])

    def error(self, message: str) -> NoReturn:
        if self.if_incomplete and "are required" in message:
            message = f"{message}. {self._typed(self.if_incomplete)}"
        if message.startswith(_UNKNOWN) and (meant := self._meant(message.removeprefix(_UNKNOWN))):
            message = f"{message}. Did you mean {' or '.join(meant)}?"
        self.exit(2, refusal(self, message))

    def _meant(self, said: str) -> list[str]:
        """Return options that do what an unknown one says: by a value of that name, by its words, or spelt alike."""
        words = [word.partition("=")[0] for word in said.split() if word.startswith("--")]
        word = words[0] if words else ""
        values = [
            f"{action.option_strings[-1]} {word[2:]}" for action in self._actions if word[2:] in (action.choices or ())
        ]
        names = [name for action in self._actions if action.help != SUPPRESS for name in action.option_strings]
        among = [name for name in names if len(word) > 4 and word[2:] in name.split("-")]
        return (values or among or get_close_matches(word, names, n=2, cutoff=0.8)) if word else []


class _Formatter(HelpFormatter):
    def __init__(self, typed: Callable[[str], str], prog: str) -> None:
        super().__init__(prog, max_help_position=32)
        self._typed = typed

    def add_text(self, text: str | None) -> None:
        """Add a text paragraph by paragraph: argparse would make one of them all."""
        for paragraph in self._typed(text).split("\n\n") if text and text != SUPPRESS else ():
            super().add_text(paragraph)

    def _expand_help(self, action: Action) -> str:
        return self._typed(with_default(super()._expand_help(action), action))


def is_of_output(title: str | None) -> bool:
    """Tell whether a group of options is one of cliff's, which all lists or all single answers have."""
    return (title or "").lower().endswith(("formatter", "formatters"))


def refusal(parser: ArgumentParser, message: str, *, how: str = "") -> str:
    """Return the sentence first; then, on a line each, `how` the command is written and where there is more."""
    said = message.removeprefix("argument ").rstrip(".")
    return (
        f"{parser.prog.partition(' ')[0]}: {said[:1].upper()}{said[1:]}{'' if said.endswith('?') else '.'}\n"
        f"Usage: {parser.prog} {how or ' '.join(usage(parser))}\n"
        f"More: {parser.prog} --help\n"
    )


def usage(parser: ArgumentParser) -> Iterator[str]:
    """Yield the required options, whether there are others, then positional arguments."""
    shown = [action for action in parser._actions if action.help != SUPPRESS and "--help" not in action.option_strings]
    yield from (
        labelled(action, action.option_strings[-1]) for action in shown if action.required and action.option_strings
    )
    if any(action.option_strings and not action.required for action in shown):
        yield "[OPTIONS]"
    for action in shown:
        if not action.option_strings:
            name = placeholder(action)
            yield {"?": f"[{name}]", "*": f"[{name} …]", "+": f"{name} [{name} …]"}.get(str(action.nargs), name)


def labelled(action: Action, name: str) -> str:
    """Return an option with what it takes."""
    if action.nargs == 0:
        return name
    values = "|".join(map(str, action.choices)) if action.choices else placeholder(action)
    return f"{name} {values}"


def placeholder(action: Action) -> str:
    """Return what stands for a value: MACHINE."""
    return str(action.metavar or action.dest).strip("<>").upper()


def with_default(text: str, action: Action) -> str:
    """Return an option's help with what holds without it, unless that is said already or there is nothing to say."""
    if "default" in text or action.nargs == 0 or action.default in (None, SUPPRESS, [], ""):
        return text
    default = f"{action.default:g}" if isinstance(action.default, float) else action.default
    return f"{text} (default: {default})".strip()
