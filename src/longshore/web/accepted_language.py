"""The language of a page: the one chosen on a page (a cookie), else the one that the browser asks for."""

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from longshore.wording.language import answer_in
from longshore.wording.texts import LANGUAGES

COOKIE = "longshore_language"


class InTheirLanguage:
    """Answers in the language that was chosen on a page, or that the browser asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            answer_in(_chosen(Headers(scope=scope)))
        await self._app(scope, receive, send)


def _chosen(headers: Headers) -> str:
    chosen = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return preferred(headers.get("accept-language", ""))


def preferred(accepted: str) -> str:
    """Return which of our languages is wanted most, English where none is.

    `accepted`: as in the header Accept-Language.
    """
    wanted: list[tuple[float, str]] = []
    for part in accepted.split(","):
        name, _semicolon, weight = part.strip().partition(";")
        known = name.strip().partition("-")[0].lower()
        try:
            share = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if known in LANGUAGES and share > 0:
            wanted.append((share, known))
    # Where several are wanted as much, the first one counts
    return max(wanted, key=lambda one: one[0])[1] if wanted else "en"
