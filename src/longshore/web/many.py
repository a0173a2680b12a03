"""`longshore server`: the pages for many, beside the REST API."""

from starlette.types import ASGIApp

from longshore.configuration import Configuration, ServiceSettings
from longshore.processes.apart import Apart
from longshore.service.server import serve
from longshore.web.addresses import origin_of
from longshore.web.app import create_pages
from longshore.web.front import FrontOfMany
from longshore.web.inside import Inside
from longshore.web.login import Login, Sessions


def serve_many(configuration: Configuration) -> None:
    """Serve the API and its pages for many users until SIGTERM or SIGINT. Raises InvalidInput."""
    serve(configuration, with_pages)


def with_pages(api: ASGIApp, sessions: Sessions, settings: ServiceSettings, apart: Apart) -> ASGIApp:
    """Return the API with its pages below /ui/."""
    pages = create_pages(api, Login(sessions, settings), apart)
    return FrontOfMany(
        pages,
        create_pages(api, Inside(origin_of(settings.url)), apart),
        api,
        secure=settings.url.startswith("https://"),
    )
