"""The concerns of a plan, as a table."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from longshore.border.texts import some
from longshore.cli.command import Lister
from longshore.model.concern import Severity
from longshore.wording.concerns import by_kind

if TYPE_CHECKING:
    from longshore.api.schemas import PlanConcern
    from longshore.wording.concerns import Alike, SameKind

_COLUMNS = ("Machine", "Code", "Severity", "Subject", "What", "Do")
_NAMED = 2  # machines of a row, and how many more there are
_APART = 3  # different sentences of one kind; of more the first is an example


def concern_table(command: Lister, args: Namespace, concerns: list[PlanConcern]) -> tuple[Any, Any]:
    """Return the table, blockers first; the order is otherwise that of the plan. People get few columns, with room for
    sentences, and what means the same of many machines as one row. Programs get a row for each."""
    if command.for_people and not args.columns:
        return ("Machine", "Severity", "What"), [row for kind in by_kind(concerns) for row in _told(kind)]
    ordered = sorted(concerns, key=lambda c: list(Severity).index(c.severity))
    rows = [(c.machine, c.code, c.severity.value, c.subject, c.text, c.advice) for c in ordered]
    return _COLUMNS, _together(rows) if command.for_people else rows


def _told(kind: SameKind) -> list[tuple[str, str, str]]:
    if len(kind.alike) <= _APART:
        return [_row(kind, alike.machines, alike) for alike in kind.alike]
    return [_row(kind, kind.machines, kind.alike[0], example=True)]


def _row(kind: SameKind, machines: Sequence[str], alike: Alike, *, example: bool = False) -> tuple[str, str, str]:
    first = alike.first
    said = f"For example: {first.text}" if example or alike.names_one else first.text
    return _some(machines), kind.severity.value, " ".join(filter(None, (said, first.advice, f"({kind.code})")))


def _together(concerns: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Put what is the same for many machines into one row: a thousand of them say it once."""
    machines: dict[tuple[Any, ...], list[str]] = {}
    for machine, *rest in concerns:
        machines.setdefault(tuple(rest), []).append(machine)
    return [(_some(names), *rest) for rest, names in machines.items()]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else some(names, _NAMED)
