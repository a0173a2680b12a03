"""What pages ask of the REST API, in this process: as any caller, so that nothing is shown that he may not see."""

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx
from pydantic import TypeAdapter
from starlette.types import ASGIApp

from longshore.client.wires import ANSWER_WITHIN, fault_of

T = TypeVar("T")


class Asking:
    """Every call raises LongshoreError with the service's own sentence, code and advice when it is refused.

    An answer comes when it is whole: no streams of events go through it.
    """

    def __init__(self, api: ASGIApp) -> None:
        transport = httpx.ASGITransport(api, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://pages", timeout=ANSWER_WITHIN)

    async def get(self, kind: type[T], path: str, **asked: Any) -> T:
        said = {name: _plain(value) for name, value in asked.items() if value not in (None, "")}
        return await self.ask(kind, "GET", f"{path}?{urlencode(said)}" if said else path)

    async def post(self, kind: type[T], path: str, body: Mapping[str, Any] | None = None) -> T:
        return await self.ask(kind, "POST", path, body)

    async def ask(self, kind: type[T], method: str, path: str, body: Mapping[str, Any] | None = None) -> T:
        answer = await self._http.request(method, path, json=body)
        if answer.status_code >= 400:
            raise fault_of(answer.status_code, answer.content)
        found: T = TypeAdapter(kind).validate_json(answer.content or b"null")
        return found

    async def close(self) -> None:
        await self._http.aclose()


def part(name: str) -> str:
    """A word as one part of a path, whatever is in it."""
    return quote(name, safe="")


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
