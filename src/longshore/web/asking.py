"""Questions of pages to the REST API, in this process: as any caller, so that nothing is shown that they may not
see."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import TypeAdapter
from starlette.types import ASGIApp

from longshore.client.wires import ANSWER_WITHIN, fault_of, left_out_in
from longshore.web.visit import Visit

T = TypeVar("T")


class ApiClient:
    """Client of the API for one visit.

    Each call raises LongshoreError with the service's own sentence, code and advice when refused. An answer comes when
    it is whole: no streams of events go through it.
    """

    def __init__(self, api: ASGIApp, visit: Visit) -> None:
        self.api = api
        # The audit names the browser's address
        self._client = (visit.address or "127.0.0.1", 0)
        transport = httpx.ASGITransport(api, raise_app_exceptions=False, client=self._client)
        headers = {"X-Auth-Token": visit.token} if visit.token else {}
        self._headers = headers
        self._http = httpx.AsyncClient(
            transport=transport, base_url="http://pages", timeout=ANSWER_WITHIN, headers=headers
        )
        self.left_out: list[str] = []  # ids of what lists couldn't have in them
        self._everything = {"all_projects": "true"} if visit.everything else {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, kind: type[T], path: str, /, **asked: Any) -> T:
        return await self._ask(kind, "GET", path, asked=asked)

    async def post(self, kind: type[T], path: str, body: Mapping[str, Any] | None = None, /, **asked: Any) -> T:
        return await self._ask(kind, "POST", path, body, asked)

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
        return await self._ask(kind, method, path, body, asked, version)

    async def _ask(  # noqa: PLR0917
        self,
        kind: type[T],
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        asked: Mapping[str, Any] | None = None,
        version: str | None = None,
    ) -> T:
        query = self._query(asked or {})
        headers = {"If-Match": f'"{version}"'} if version is not None else {}
        answer = await self._http.request(method, f"{path}?{query}" if query else path, json=body, headers=headers)
        if answer.status_code >= 400:
            raise fault_of(answer.status_code, answer.content)
        self.left_out += left_out_in(answer.headers)
        found: T = TypeAdapter(kind).validate_json(answer.content or b"null")
        return found

    def scope(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the ASGI scope of a GET that the API answers piece by piece has otherwise than the page's."""
        headers = {"Host": "pages", **self._headers}
        return {
            "method": "GET",
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": self._query(asked).encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": self._client,
            "state": {},
        }

    def _query(self, asked: Mapping[str, Any]) -> str:
        """Return the query string of a request.

        Each value of a list is a parameter by itself, and empty ones are left out.
        """
        said = {name: value for name, value in asked.items() if value not in (None, "")} | self._everything
        return urlencode([(name, _plain(one)) for name, value in said.items() for one in _each(value)])


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
