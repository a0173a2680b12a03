"""Tables as CSV for spreadsheets, and whatever else a browser keeps as a file."""

import csv
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from typing import Any

from starlette.responses import Response

from longshore.border.documents import as_json as json_of
from longshore.border.texts import attachment, csv_cell
from longshore.web.later import DeferredText


def as_csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """Return a table as a file. `name`: of the file, without its end. `rows` are gone through when it is sent.

    Names of machines are a stranger's: none becomes a formula.
    """

    def written() -> str:
        made = StringIO()
        writer = csv.writer(made)
        writer.writerow(columns)
        writer.writerows([csv_cell(cell) for cell in row] for row in rows)
        return made.getvalue()

    return _kept(f"{name}.csv", "text/csv; charset=utf-8", written)


def as_json(name: str, content: Any) -> Response:
    """Return a file of JSON. `content`: as the API has answered it."""
    return _kept(f"{name}.json", "application/json", lambda: json_of(content))


def as_text(name: str, text: Callable[[], str]) -> Response:
    """Return a file of text. `name`: of the file, with its end. `text` is called when it is sent."""
    return _kept(name, "text/plain; charset=utf-8", text)


def _kept(name: str, kind: str, text: Callable[[], str]) -> Response:
    return DeferredText(text, kind, headers=attachment(name))
