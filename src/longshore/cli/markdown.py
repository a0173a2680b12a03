"""Reports as Markdown."""

from collections.abc import Iterator
from typing import Any

from longshore.border.texts import markdown


def table_lines(head: tuple[str, ...], rows: Any) -> Iterator[str]:
    """Yield a table's lines, without rows of which nothing is known; in a table of two columns, without those whose
    value isn't."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        if len(row) > 2 or row[1] not in (None, ""):
            yield f"| {' | '.join(plain(cell) for cell in row)} |"


def plain(cell: object) -> str:
    return "" if cell is None else markdown(cell)
