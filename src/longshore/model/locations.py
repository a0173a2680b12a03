"""Places of files, as people name them."""

from pathlib import Path


def url_of(said: str) -> str:
    """Return the URL of what somebody named: an absolute path is a file's, and anything else is a URL already."""
    return Path(said).as_uri() if said.startswith("/") else said
