"""How a subject says which pages it has."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]


class Page(NamedTuple):
    path: str
    handler: Handler
    method: str
    rule: str = ""  # of the policy: without it nobody is shown this. What only looks is judged by the API alone
