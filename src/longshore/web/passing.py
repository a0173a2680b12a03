"""Answers of the API that are passed on to the browser as they come: files that may be larger than memory."""

from typing import Any
from urllib.parse import unquote

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from longshore.web.asking import ApiClient

_PASSED = (b"content-type", b"content-disposition", b"content-length", b"x-content-type-options")


class Passed(Response):
    """The API's answer to a GET of the same visit, passed on.

    It ends when the browser goes away, as any answer does.
    """

    def __init__(self, asking: ApiClient, path: str, /, **asked: Any) -> None:
        super().__init__()
        self._asking = asking
        self._path = path
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        of_the_visit = self._asking.scope(self._path, self._asked)

        async def passed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, value) for name, value in message["headers"] if name.lower() in _PASSED]
                message = {**message, "headers": headers}
            await send(message)

        await self._asking.api({**scope, **of_the_visit, "path": unquote(self._path)}, receive, passed)
