"""The options that say what becomes of a machine at its source once it has moved."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from longshore.cli.arguments import seconds
from longshore.model.source_marks import MarkKind, SourceMarks

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as ArgumentGroup

DAY = 86400.0  # seconds
_WITH_TEXT = (MarkKind.SUFFIX, MarkKind.TAG, MarkKind.FOLDER)
_WHAT = (
    "note (where it is now, in its notes), suffix=TEXT (of its name), tag=CATEGORY/NAME (OpenStack: tag=NAME), "
    "folder=PATH, or disconnect (no adapter is connected when it is started; OpenStack: it is locked)"
)


def with_source_marks(parser: ArgumentParser | ArgumentGroup) -> None:
    parser.add_argument(
        "--mark-source",
        action="append",
        type=_mark,
        default=[],
        metavar="WHAT",
        help=f"mark the machine at its source once the migration is done, so that nobody starts it again: {_WHAT}; "
        "may be repeated",
    )
    parser.add_argument(
        "--mark-source-later",
        action="append",
        type=_mark,
        default=[],
        metavar="WHAT",
        help="the same once the time of grace is over",
    )
    parser.add_argument(
        "--grace", type=seconds, default=14 * DAY, metavar="TIME", help="the time of grace (default: 14d)"
    )


def marks_of(args: Namespace) -> dict[str, Any]:
    """Return what was given, as fields of a request."""
    return {
        "mark_source": _together(args.mark_source),
        "mark_source_later": _together(args.mark_source_later),
        "grace": args.grace,
    }


def _together(given: Sequence[tuple[MarkKind, str]]) -> SourceMarks:
    texts = dict(given)
    return SourceMarks(
        note=MarkKind.NOTE in texts,
        suffix=texts.get(MarkKind.SUFFIX, ""),
        tag=texts.get(MarkKind.TAG, ""),
        folder=texts.get(MarkKind.FOLDER, ""),
        disconnect=MarkKind.DISCONNECT in texts,
    )


def _mark(given: str) -> tuple[MarkKind, str]:
    name, _, text = given.partition("=")
    known = {kind.value: kind for kind in MarkKind}
    if name not in known or (known[name] in _WITH_TEXT) != bool(text):
        raise ArgumentTypeError(f'"{given}" is no mark: {_WHAT}.')
    return known[name], text
