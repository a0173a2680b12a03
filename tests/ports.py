"""Ports of 127.0.0.1 for servers of other programs, which have to be told theirs."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def port_to_serve() -> int:
    """Return a port that nothing else is given for a minute: a connection to it was closed from this side, so it is in
    TIME_WAIT.

    Linux gives such a port to nobody who asks for any; who names it and says SO_REUSEADDR, as servers do, has it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            accepted.shutdown(socket.SHUT_RDWR)
            accepted.close()
        return int(listening.getsockname()[1])


@contextmanager
def nobody_listens() -> Iterator[int]:
    """A port that refuses connections: it is taken, and isn't listened at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])
