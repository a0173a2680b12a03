"""Questions of pages to the REST API, in this process: as any caller, so that nothing is shown that they may not
see."""

import logging
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

from pydantic import TypeAdapter
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longshore.client.in_process import BAD, ask, scope_of
from longshore.client.wires import fault_of, left_out_in
from longshore.errors import LongshoreError
from longshore.web.visit import Visit
from longshore.wording.texts import _

T = TypeVar("T")
_log = logging.getLogger("longshore.web")
_PASSED = (b"content-type", b"content-disposition", b"content-length", b"x-content-type-options")


class ApiClient:
    """Client of the API for one visit.

    Each call raises LongshoreError with the service's own sentence, code and advice when refused. An answer comes when
    it is whole: no streams of events go through it.
    """

    def __init__(self, api: ASGIApp, visit: Visit) -> None:
        self._api = api
        self._address = visit.address or "127.0.0.1"  # the audit names the browser's
        self._headers = {"X-Auth-Token": visit.token} if visit.token else {}
        self.left_out: list[str] = []  # ids of what lists couldn't have in them
        self._everything = {"all_projects": "true"} if visit.everything else {}

    async def get(self, kind: type[T], path: str, /, **asked: Any) -> T:
        return await self.ask(kind, "GET", path, **asked)

    async def tried(self, kind: type[T], path: str, /, **asked: Any) -> tuple[T | None, LongshoreError | None]:
        """Return the answer to a GET or, where it is refused, None and why."""
        try:
            return await self.get(kind, path, **asked), None
        except LongshoreError as error:
            return None, error

    async def post(self, kind: type[T], path: str, body: Mapping[str, Any] | None = None, /, **asked: Any) -> T:
        return await self.ask(kind, "POST", path, body, **asked)

    async def ask(
        self,
        kind: type[T],
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        /,
        *,
        version: str | None = None,
        **asked: Any,
    ) -> T:
        """Ask the API and return its answer. `version`: only if what is to be changed still has it."""
        headers = self._headers | ({"If-Match": f'"{version}"'} if version is not None else {})
        where = self._with_query(path, asked)
        try:
            status, content = await ask(
                self._api, method, where, body, headers=headers, address=self._address, hear=self._hear
            )
        except Exception as error:  # noqa: BLE001 a server tells of it itself, one person's service raises it
            raise unforeseen(path, error, alone=True) from None
        if status >= BAD:
            raise fault_of(status, content)
        found: T = TypeAdapter(kind).validate_json(content or b"null")
        return found

    def passed_on(self, path: str, /, **asked: Any) -> Response:
        """Return the API's answer to a GET as it comes: a file may be larger than memory.

        It ends when the browser goes away, as any answer does.
        """
        return _Passed(self._api, scope_of("GET", self._with_query(path, asked), self._headers, self._address))

    def _hear(self, headers: Mapping[str, str]) -> None:
        self.left_out += left_out_in(headers)

    def _with_query(self, path: str, asked: Mapping[str, Any]) -> str:
        """Return a path with a query: each value of a list is a parameter by itself, and empty ones are left out."""
        said = {name: value for name, value in asked.items() if value not in (None, "")} | self._everything
        query = urlencode([(name, _plain(one)) for name, value in said.items() for one in _each(value)])
        return f"{path}?{query}" if query else path


def unforeseen(path: str, error: Exception, *, alone: bool) -> LongshoreError:
    """Log what nobody foresaw, and return what the viewer is told of it. `alone`: the pages are one person's."""
    reference = f"req-{uuid4()}"
    _log.error("%s failed: %s", path, reference, exc_info=error)
    if alone:
        said = _("Something failed that nobody foresaw. The terminal where the pages were started says more of %(id)s.")
    else:
        said = _("Something failed that nobody foresaw. The server's log says more of %(id)s.")
    return LongshoreError(said % {"id": reference}, code="unforeseen")


class _Passed(Response):
    def __init__(self, api: ASGIApp, asked: Scope) -> None:
        super().__init__()
        self._api = api
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def passed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, value) for name, value in message["headers"] if name.lower() in _PASSED]
                message = {**message, "headers": headers}
            await send(message)

        await self._api(self._asked, receive, passed)


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
