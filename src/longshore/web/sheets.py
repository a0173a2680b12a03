"""Tables as CSV for spreadsheets, and whatever else a browser keeps as a file."""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from longshore.web.later import Later

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would reckon with


def as_csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """`name`: of the file, without its end. `rows` are gone through when it is sent. Names of machines are a
    stranger's: none becomes a formula."""

    def written() -> str:
        made = StringIO()
        writer = csv.writer(made)
        writer.writerow(columns)
        writer.writerows([_defused(cell) for cell in row] for row in rows)
        return made.getvalue()

    return _kept(f"{name}.csv", "text/csv; charset=utf-8", written)


def as_json(name: str, content: Any) -> Response:
    """`content`: as the API has answered it."""
    return _kept(f"{name}.json", "application/json", lambda: json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def as_text(name: str, text: Callable[[], str]) -> Response:
    """`name`: of the file, with its end. `text` is called when it is sent."""
    return _kept(name, "text/plain; charset=utf-8", text)


def _defused(cell: Any) -> Any:
    if cell is None:
        return ""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _kept(name: str, kind: str, text: Callable[[], str]) -> Response:
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return Later(text, kind, headers=headers)
