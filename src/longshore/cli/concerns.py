"""The concerns of a plan, as a table."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from longshore.cli.command import Lister

if TYPE_CHECKING:
    from longshore.api.schemas import PlanConcern

_COLUMNS = ("Machine", "Code", "Severity", "Subject", "What", "Do")


def concern_table(command: Lister, args: Namespace, concerns: list[PlanConcern]) -> tuple[Any, Any]:
    """Return the table, blockers first; the order is otherwise that of the plan. People get few columns, with room for
    sentences."""
    order = {"blocker": 0, "warning": 1, "information": 2}
    ordered = sorted(concerns, key=lambda c: order[c.severity.value])
    rows = [(c.machine, c.code, c.severity.value, c.subject, c.text, c.advice) for c in ordered]
    if not command.for_people:
        return _COLUMNS, rows
    if args.columns:
        return _COLUMNS, _together(rows)
    said = [(c.machine, c.severity.value, " ".join(filter(None, (c.text, c.advice, f"({c.code})")))) for c in ordered]
    return ("Machine", "Severity", "What"), _together(said)


def _together(concerns: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Put what is the same for many machines into one row: a thousand of them say it once."""
    machines: dict[tuple[Any, ...], list[str]] = {}
    for machine, *rest in concerns:
        machines.setdefault(tuple(rest), []).append(machine)
    return [(_some(names), *rest) for rest, names in machines.items()]


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} others"
