"""The common parts of the client: asking for one thing, and for lists page by page."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter, ValidationError

from longshore.client.wires import Wire, fault_of
from longshore.errors import InvalidInput

T = TypeVar("T")
PAGE = 1000  # things of a list that are asked for at a time


class Calls:
    """Every call raises LongshoreError with the service's own sentence and code when it is refused."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def remote(self) -> bool:
        """Tell whether a server is asked, rather than this process."""
        return self._wire.remote

    @property
    def address(self) -> str:
        """Return where the server is, without a slash at the end; empty for the service in this process."""
        return self._wire.address()

    @property
    def left_out(self) -> Sequence[str]:
        """Return the ids of what the last list that was asked for doesn't have, since it can't be read."""
        return self._wire.left_out

    def close(self) -> None:
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def asked(self, method: str, path: str, body: Any = None, *, if_match: str | None = None) -> tuple[int, bytes]:
        """Ask in a caller's own words, and return status and body as they come. Raises LongshoreError for no answer."""
        return self._wire.ask(method, path, body, if_match=if_match)

    def _all(self, kind: type[T], path: str, marker_of: Callable[[T], str], /, **asked: Any) -> list[T]:
        """Return a list whose pages are asked for one after the other. `asked`: as `_ask` has it."""
        found: list[T] = []
        while True:
            marker = marker_of(found[-1]) if found else None
            page = self._ask(list[kind], "GET", path, limit=PAGE, marker=marker, **asked)  # type: ignore[valid-type]
            found.extend(page)
            if len(page) < PAGE:
                return found

    def _pages(self, kind: type[T], path: str, /, **asked: Any) -> Iterator[T]:
        """Yield the pages that have `machines`, asked for one after the other. There is one at least."""
        count = 0
        while True:
            page: Any = self._ask(kind, "GET", path, limit=PAGE, offset=count, **asked)
            yield page
            count += len(page.machines)
            if len(page.machines) < PAGE:
                return

    def _ask(
        self, kind: type[T], method: str, path: str, body: Any = None, /, *, version: str | None = None, **asked: Any
    ) -> T:
        """Ask for one thing. `asked`: what stands behind the path; nothing stands there for None and False."""
        refuse_another_path(path)
        status, content = self._wire.ask(
            method, path + query_of(**asked), body, if_match=None if version is None else f'"{version}"'
        )
        if status >= 400:
            raise fault_of(status, content)
        try:
            return TypeAdapter(kind).validate_json(content or b"null")
        except ValidationError:
            raise fault_of(status, b"") from None


def query_of(**asked: Any) -> str:
    """Return the query of an address with its question mark; empty where nothing is asked. None and False: left out."""
    said = {name: value for name, value in asked.items() if value is not None and value is not False}
    query = urlencode({name: "true" if value is True else value for name, value in said.items()}, doseq=True)
    return f"?{query}" if query else ""


def part(name: str) -> str:
    """Quote a user's word as one part of a path, whatever is in it."""
    return quote(name, safe="")


def refuse_another_path(path: str) -> None:
    """Raise InvalidInput where a name in a path would make it another one."""
    for word in path.split("/")[1:]:
        if word in ("", ".", ".."):
            raise InvalidInput(f'Nothing is called "{word}".', advice="Say its name or id.")
