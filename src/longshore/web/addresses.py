"""Addresses: those that a page sends a browser to, and where a browser is."""

from urllib.parse import quote, urlsplit

from starlette.requests import Request


def back_to(address: str) -> str:
    """Return an address if it is that of one of our own pages; else that of the first page."""
    try:
        said = urlsplit(address)
    except ValueError:
        return "/ui/"
    own = not said.scheme and not said.netloc and address.startswith("/ui/") and "\\" not in address
    return address if own and address.isprintable() else "/ui/"


def here(request: Request) -> str:
    """Return the address that a request asks for, with its question; names of strangers in it are quoted."""
    return quote(request.scope["path"]) + (f"?{request.url.query}" if request.url.query else "")


def origin_of(url: str) -> str:
    """Return the origin of a URL as browsers say it: without a path, and without the usual port of its scheme."""
    said = urlsplit(url)
    host = f"[{said.hostname}]" if ":" in (said.hostname or "") else said.hostname
    usual = {"https": 443, "http": 80}[said.scheme]
    return f"{said.scheme}://{host}" + ("" if said.port in (None, usual) else f":{said.port}")


def address_of(request: Request) -> str:
    """Return the browser's address; empty when it isn't known."""
    return request.client.host if request.client else ""
