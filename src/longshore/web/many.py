"""`longshore server`: the pages for many, beside the REST API."""

from urllib.parse import urlsplit

from starlette.types import ASGIApp

from longshore.configuration import Configuration, Server
from longshore.service.server import serve
from longshore.web.app import create_pages
from longshore.web.front import FrontOfMany
from longshore.web.inside import Inside
from longshore.web.login import Login, Sessions


def serve_many(configuration: Configuration) -> None:
    """Until SIGTERM or SIGINT. Raises InvalidInput."""
    serve(configuration, with_pages)


def with_pages(api: ASGIApp, sessions: Sessions, settings: Server) -> ASGIApp:
    """The API, and below /ui/ its pages."""
    pages = create_pages(api, Login(sessions, origin_of(settings.url)))
    return FrontOfMany(pages, create_pages(api, Inside()), api)


def origin_of(url: str) -> str:
    """As browsers say it: without a path, and without the port that the scheme has anyway."""
    said = urlsplit(url)
    host = f"[{said.hostname}]" if ":" in (said.hostname or "") else said.hostname
    usual = {"https": 443, "http": 80}[said.scheme]
    return f"{said.scheme}://{host}" + ("" if said.port in (None, usual) else f":{said.port}")
