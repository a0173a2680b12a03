"""Options of commands, made from what the kinds of provider declare; and settings and secrets from what was said."""

from __future__ import annotations

import os
from argparse import BooleanOptionalAction, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from getpass import getpass
from pathlib import Path
from typing import Any

from longshore.cli.given_files import text_of
from longshore.cli.terminal import can_ask
from longshore.errors import InvalidInput
from longshore.model.locations import url_of
from longshore.providers.declared import LABELS, Option, OptionKind, ProviderType

_TYPES: dict[OptionKind, type] = {OptionKind.NUMBER: int, OptionKind.DECIMAL: float}
_SEVERAL = (OptionKind.REPEATED, OptionKind.LINES)


def with_options(parser: Any, known: ProviderType) -> None:
    """Add the options for adding a provider of this kind."""
    for option in (*(option for option in known.options if not option.group), LABELS):
        _add(parser, option)
    for title in dict.fromkeys(option.group for option in known.options if option.group):
        group = parser.add_argument_group(title)
        for option in known.options:
            if option.group == title:
                _add(group, option)


def with_those_of_all(parser: Any, kinds: Sequence[ProviderType], *, changing: bool = False) -> None:
    """Add the options of any kind, none of them required. What several kinds have stands before the groups that are
    one's own."""
    write = _change if changing else _add_any
    by_flag: dict[str, list[Option]] = {}
    for option in (option for known in kinds for option in known.options):
        by_flag.setdefault(option.flags[0], []).append(option)
    for shared in by_flag.values():
        if len(shared) > 1:
            choices = tuple(dict.fromkeys(choice for option in shared for choice in option.choices or ()))
            about = " or ".join(dict.fromkeys(filter(None, map(_to_change if changing else _to_add, shared))))
            write(parser, replace(shared[0], help=about, to_change=about, choices=choices or None))
    if not changing:
        _add(parser, LABELS)
    for known in kinds:
        group = parser.add_argument_group(known.heading)
        for option in known.options:
            if len(by_flag[option.flags[0]]) == 1:
                write(group, option)


def given(option: Option, args: Namespace) -> str:
    """Return the flag that was said; empty: none."""
    return next((flag for flag in option.flags if getattr(args, _dest(flag), None) not in (None, "")), "")


def said(known: ProviderType, args: Namespace, *, changing: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings, and the secrets that are in files of their own. Raises InvalidInput."""
    settings: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    for option in known.options:
        if option.kind in (OptionKind.LOGIN, OptionKind.SECRET):
            continue
        value = _value(option, getattr(args, _dest(option.flags[0])))
        if option.kind is OptionKind.SECRET_FILE:
            if value is not None:
                secrets[option.name] = value
        elif value is not None or not (changing or option.only_if_said):
            settings[option.name] = value
    return settings, secrets


def login_entry(known: ProviderType, args: Namespace) -> str | None:
    """Return the entry of clouds.yaml that was named."""
    named = (getattr(args, _dest(o.flags[0])) for o in known.options if o.kind is OptionKind.LOGIN)
    return next(named, None)


def asked_for(known: ProviderType, kind: OptionKind) -> Iterator[Option]:
    return (option for option in known.options if option.kind is kind)


def secret(option: Option, args: Namespace, prompt: str) -> str:
    """Read a secret from a file, the environment or a prompt: never from the command line, which every user can read.
    Raises InvalidInput."""
    file, variable = getattr(args, _dest(option.flags[0])), _variable(option)
    if file is not None:
        found = _text_of(file, _words(option)).rstrip("\n")
    elif variable in os.environ:
        found = os.environ[variable]
    elif can_ask():
        found = getpass(f"{prompt}: ")
    else:
        raise InvalidInput(f"No {_words(option)} was given.", advice=f"Use {option.flags[0]} or ${variable}.")
    if not found:
        raise InvalidInput(f"The {_words(option)} is empty.")
    return found


def prompted(option: Option, whose: str, *, new: bool = False) -> str:
    """Return what is asked at a terminal."""
    words = f"new {_words(option)}" if new else _words(option)
    return f"{words[:1].upper()}{words[1:]} of {whose}"


def _add(group: Any, option: Option) -> None:
    """Add an option as somebody who adds a provider gives it."""
    if option.kind is OptionKind.SECRET:
        about = f"file that holds the {_words(option)} (else ${_variable(option)}, else a prompt)"
        group.add_argument(option.flags[0], metavar="FILE", help=about)
        return
    default = None if option.only_if_said else option.default
    taken: dict[str, Any] = {"help": option.help or None, "default": default, "required": option.required}
    if option.kind is OptionKind.FLAG:
        group.add_argument(*option.flags, action=BooleanOptionalAction, **taken)
        return
    taken |= {"metavar": option.metavar, "choices": option.choices, "type": _TYPES.get(option.kind)}
    group.add_argument(*option.flags, action="append" if option.kind in _SEVERAL else "store", **taken)


def _change(group: Any, option: Option) -> None:
    """Add an option as somebody who changes a provider gives it."""
    if option.kind is not OptionKind.SECRET:
        _add(group, replace(option, help=_to_change(option), default=None, required=False))
        return
    words = f"new {_words(option)}"
    group.add_argument(option.flags[0], metavar="FILE", help=f"file that holds the {words}")
    group.add_argument(
        option.flags[1],
        action="store_true",
        default=None,
        help=f"ask for the {words} (or take ${_variable(option)})",
    )


def _add_any(group: Any, option: Option) -> None:
    """Add an option as somebody who adds a provider gives it, who may add one of another kind."""
    _add(group, replace(option, default=None, required=False, help=_to_add(option)))


def _to_add(option: Option) -> str:
    return option.help.replace("%(default)s", str(option.default))


def _to_change(option: Option) -> str:
    return option.help if option.to_change is None else option.to_change


def _value(option: Option, value: Any) -> Any:
    if value is None:
        return None
    if option.kind is OptionKind.PATH:
        return str(Path(value).absolute()) if value else None
    if option.kind is OptionKind.LOCATION:
        is_path = value and ":" not in value.partition("/")[0]
        return url_of(str(Path(value).absolute())) if is_path else value
    if option.kind is OptionKind.SECRET_FILE:
        return _text_of(value, option.called)
    if option.kind is OptionKind.LINES:
        return _lines_of(value, option)
    return value


def _lines_of(files: list[str], option: Option) -> list[str]:
    lines = [line.strip() for file in files for line in _text_of(file, option.called).splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InvalidInput(f"There is no {option.line} in {' or '.join(files)}.")
    return found


def _text_of(file: str, what: str) -> str:
    try:
        return text_of(Path(file)).replace("\r\n", "\n")  # as editors on Windows end lines
    except InvalidInput as error:
        raise InvalidInput(f"The {what} file {error.message}") from None


def _words(option: Option) -> str:
    return option.name.replace("_", " ")


def _variable(option: Option) -> str:
    return f"LONGSHORE_{option.name.upper()}"


def _dest(flag: str) -> str:
    """Return a flag's name as argparse has it."""
    return flag.removeprefix("--").replace("-", "_")
