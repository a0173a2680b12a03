"""Checks of a requested copy, before anything is opened."""

import os

from longshore.blocks.request import KIB, CopyRequest
from longshore.errors import InvalidInput


def check_request(request: CopyRequest) -> None:
    """Raise InvalidInput when the copy can't be meant: what is no NBD URI, or source and target are one disk."""
    for uri in (request.source_uri, request.target_uri):
        if not uri.partition(":")[0].lower().startswith("nbd"):
            raise InvalidInput(
                f"{uri} is not an NBD URI.",
                advice="It should be like nbd://host/export or nbd+unix:///?socket=PATH. Nothing was written.",
            )
    if _place(request.source_uri) == _place(request.target_uri):
        raise InvalidInput("Source and target are the same disk.", advice="Nothing was written.")
    if request.block_size < 4 * KIB or request.block_size & (request.block_size - 1):
        raise InvalidInput(f"The block size {request.block_size} is not a power of two from 4096 bytes on.")
    if request.rate_limit is not None and request.rate_limit <= 0:
        raise InvalidInput("The limit must be above 0 bytes per second.")
    if request.manifest is not None and not os.path.isdir(os.path.dirname(request.manifest) or os.curdir):
        raise InvalidInput(f"There is no directory {os.path.dirname(request.manifest)} for the manifest.")


def _place(uri: str) -> str:
    """Return what two URIs of the same export have in common."""
    before, unix, path = uri.partition("?socket=")
    # As we make them ourselves: the import below takes as long as a small copy's write
    if unix and not set("%&@").intersection(uri):
        return f"{os.path.realpath(path)} {before.partition('://')[2]}"
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(uri)
    sockets = parse_qs(parts.query).get("socket")
    if sockets:
        return f"{os.path.realpath(sockets[0])} {parts.path}"
    return f"{parts.hostname}:{parts.port or 10809} {parts.path}"
