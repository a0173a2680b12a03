"""The offers of an NBD server, and connections to it."""

from __future__ import annotations

from longshore.blocks.request_size import TAKES_WHOLE
from longshore.blocks.window import COMPUTES
from longshore.errors import CopyError
from longshore.model.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import nbd

STATE_ZERO = 2  # base:allocation: reads as zeroes
ALLOCATION = "base:allocation"


class Endpoint(NamedTuple):
    """An NBD export as its server describes it. Sizes in bytes."""

    uri: str
    size: int
    read_only: bool
    multi_conn: bool  # a flush on one connection covers what was written on all
    can_zero: bool
    can_trim: bool
    can_flush: bool
    has_extents: bool
    minimum_block: int
    maximum_request: int
    tls: bool
    computes: bool  # answers take its processor's time: it isn't far away, and asking for more at once doesn't help
    takes_whole: bool  # each write is work for its storage: a block is one request


def connect(uri: str, *, extents: bool = False, structured: bool = True) -> nbd.NBD:
    """Open a connection, ready for requests. Raises CopyError when the server can't be reached or refuses.

    `extents` asks for the map of what is zero; without `structured`, each answer is one header and its data.
    """
    import nbd  # here: who reads and writes no disk does without

    handle = nbd.NBD()
    handle.set_request_structured_replies(structured)
    # Every byte of a buffer is overwritten by a read that succeeds; clearing it first would cost a pass over memory
    handle.set_pread_initialize(False)
    handle.set_uri_allow_local_file(True)  # for tls-psk-file=
    if extents:
        handle.add_meta_context(ALLOCATION)
        handle.set_full_info(True)
    try:
        handle.connect_uri(uri)
    except nbd.Error as error:
        raise CopyError(f"Can't connect to {uri}: {error.string}.", code="unreachable") from error
    return handle


def describe(uri: str, handle: nbd.NBD) -> Endpoint:
    """Return what the server at the other end of a connection offers."""
    import nbd

    largest = handle.get_block_size(nbd.SIZE_MAXIMUM)
    described = _description(handle)
    return Endpoint(
        uri=uri,
        size=handle.get_size(),
        read_only=handle.is_read_only(),
        multi_conn=handle.can_multi_conn(),
        can_zero=handle.can_zero(),
        can_trim=handle.can_trim(),
        can_flush=handle.can_flush(),
        has_extents=handle.can_meta_context(ALLOCATION),
        minimum_block=max(1, handle.get_block_size(nbd.SIZE_MINIMUM)),
        # The NBD protocol: without a word from the server, 32 MiB is what every server must accept
        maximum_request=min(largest or 1 << 25, 1 << 25),
        tls=handle.get_tls_negotiated(),
        computes=described == COMPUTES,
        takes_whole=described == TAKES_WHOLE,
    )


def _description(handle: nbd.NBD) -> str:
    import nbd

    try:
        return str(handle.get_export_description())
    except nbd.Error:  # it gives none
        return ""


def probe(uri: str) -> Endpoint:
    """Connect, ask, disconnect. Raises CopyError."""
    handle = connect(uri, extents=True)
    try:
        return describe(uri, handle)
    finally:
        handle.shutdown()
