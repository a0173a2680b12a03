"""Lists a page at a time, as OpenStack's services do it: `limit` things after the one that `marker` names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Query, Request, Response

from longshore.errors import InvalidInput

LIMIT = 1000  # things on a page, unless fewer are asked for

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListPage:
    limit: int
    marker: str | None
    _request: Request
    _response: Response

    def of(self, things: Sequence[T], id_of: Callable[[T], str]) -> Sequence[T]:
        """Return this page of all the things. Raises InvalidInput when the marker is none of them."""
        start = 0
        if self.marker is not None:
            start = next((n + 1 for n, thing in enumerate(things) if id_of(thing) == self.marker), -1)
            if start < 0:
                raise unknown_marker(self.marker)
        page = things[start : start + self.limit]
        if len(things) > start + self.limit:
            self.goes_on_after(id_of(page[-1]))
        return page

    def goes_on_after(self, marker: str, response: Response | None = None) -> None:
        """Say where the next page is: Link: <…>; rel="next". `response`: where it isn't the route's usual one."""
        following = self._request.url.include_query_params(marker=marker, limit=self.limit)
        (response or self._response).headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'


def unknown_marker(marker: str) -> InvalidInput:
    return InvalidInput(f'Nothing in this list has the marker "{marker}".', advice="Begin again without one.")


def _page(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=LIMIT, description="Things on this page.")] = LIMIT,
    marker: Annotated[str | None, Query(description="Id of the last thing of the page before.")] = None,
) -> ListPage:
    return ListPage(limit, marker, request, response)


ThePage = Annotated[ListPage, Depends(_page)]
