"""Tables that a column sorts: by the address of their page, so that it needs no script and can be sent to somebody."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from starlette.requests import Request

from longshore.web.forms import whole
from longshore.wording.texts import _

T = TypeVar("T")
_OF_A_PAGE = ("offset", "marker", "anew")  # what is said about one page of a list that is in another order then


def links_of(request: Request, columns: Mapping[str, str], name: str = "sort") -> dict[str, tuple[str, str]]:
    """Return, by column, the address that sorts by it, the other way round where it does so now; and how it does.

    `columns`: their texts, by what the address calls them. `name`: that the address has the order under.
    """
    sort = request.query_params.get(name, "")
    others = [(one, said) for one, said in request.query_params.multi_items() if one not in (name, *_OF_A_PAGE)]
    found = {}
    for called, text in columns.items():
        how = {called: "ascending", f"-{called}": "descending"}.get(sort, "")
        then = urlencode([*others, (name, f"-{called}" if sort == called else called)])
        found[_(text)] = f"{quote(request.scope['path'])}?{then}", how
    return found


def offset_of(request: Request) -> int:
    """Return the number of the first row that a page of a table is to show, by its address."""
    return whole(request.query_params.get("offset", "")) or 0


def sorted_so(
    request: Request, rows: Iterable[T], columns: Mapping[str, tuple[str, Callable[[T], Any]]], name: str = "sort"
) -> tuple[list[T], dict[str, tuple[str, str]]]:
    """Return all rows of a table as its page's address sorts them, and its columns as `links_of` does.

    `columns`: the text of each, and what of a row it sorts by. Rows that have nothing there come last either way.
    """
    sort, found = request.query_params.get(name, ""), list(rows)
    links = links_of(request, {called: text for called, (text, _of) in columns.items()}, name)
    if sort.removeprefix("-") not in columns:
        return found, links
    of = columns[sort.removeprefix("-")][1]
    having = sorted((row for row in found if of(row) is not None), key=of, reverse=sort.startswith("-"))
    return having + [row for row in found if of(row) is None], links
