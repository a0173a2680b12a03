"""Cookies of a server's pages."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response


class Cookies:
    """Cookies of the pages. `origin`: of the pages, as https://cloud:9797; over TLS cookies are for that host alone."""

    def __init__(self, origin: str) -> None:
        self._secure = origin.startswith("https://")
        # Ports of a host share their cookies: without TLS, another server's must not be mistaken for ours
        self.session = "__Host-longshore" if self._secure else f"longshore_{urlsplit(origin).port or 80}"
        self.entry = f"{self.session}-entry"  # the mark of forms to log in with
        self.waiting = f"{self.session}-waiting"  # a log-in that Keystone has sent
        self.half = f"{self.session}-half"  # one that the password has begun
        self.wanted = f"{self.session}-wanted"  # the page to show after it
        # Of a link to the overview on a wall, and sent to that page alone, which "__Host-" wouldn't allow
        self.wall = f"{self.session.replace('__Host-', '__Secure-')}-wall"

    def key(self, request: Request) -> str:
        """Return the key of the session; empty without one."""
        return request.cookies.get(self.session, "")

    def give(self, answer: Response, name: str, value: str, lasts: int | None = None) -> None:
        """Give the browser a cookie. `lasts`: seconds; None: until the browser is closed."""
        answer.set_cookie(name, value, lasts, path="/", secure=self._secure, httponly=True, samesite="lax")

    def give_wall(self, answer: Response, path: str, key: str, lasts: int) -> None:
        """Give the browser the cookie of a wall, for that path alone. `lasts`: seconds."""
        answer.set_cookie(self.wall, key, lasts, path=path, secure=self._secure, httponly=True, samesite="lax")

    def take(self, answer: Response, name: str) -> None:
        answer.delete_cookie(name, path="/", secure=self._secure, httponly=True, samesite="lax")
