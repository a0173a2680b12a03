"""The declaration of a page by its subject."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

USUAL = 64 << 10
OF_MANY = 1 << 20  # where thousands of machines may be chosen, or all of a plan be written
Handler = Callable[[Request], Awaitable[Response]]


class Page(NamedTuple):
    path: str
    handler: Handler
    method: str
    rule: str = ""  # of the policy: without it nobody is shown this. What only looks is judged by the API alone
    largest: int = USUAL  # form, in bytes
