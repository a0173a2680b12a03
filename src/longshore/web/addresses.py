"""Addresses that a page sends a browser to."""

from urllib.parse import urlsplit


def back_to(address: str) -> str:
    """That of one of our own pages, whatever was sent."""
    try:
        said = urlsplit(address)
    except ValueError:
        return "/ui/"
    own = not said.scheme and not said.netloc and said.path.startswith("/ui/") and "\\" not in address
    return address if own and address.isprintable() else "/ui/"
