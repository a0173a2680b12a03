"""`longshore web`: the pages for one person, over their own state directory, on this machine's loopback alone."""

import secrets
import socket
from collections.abc import Callable

import uvicorn

from longshore.configuration import Configuration
from longshore.errors import InvalidInput
from longshore.processes.memory import live_long
from longshore.service import mount
from longshore.service.connections import bounded
from longshore.web.app import create_pages
from longshore.web.front import Front
from longshore.web.session import OnePerson

_ADDRESS = "127.0.0.1"


def serve_alone(configuration: Configuration, port: int, told: Callable[[str], None]) -> None:
    """Serve one person's pages on this machine until SIGINT or SIGTERM.

    `port`: 0 is any free one. `told` is given the address that opens the pages once, and another one whenever one was
    used. Raises InvalidInput.
    """
    listening = _listen(port)
    own = listening.getsockname()[1]
    api, unmount = mount(configuration, lasting=True)
    try:
        # Cookies know no ports: another user's server at another port of this machine is sent those of the same name.
        # So the name is one that nobody can guess, below one that browsers lead to this machine without asking anybody
        host = f"{secrets.token_hex(16)}.localhost:{own}"
        person = OnePerson(f"longshore_{own}", lambda path: told(f"http://{host}{path}"))
        pages = create_pages(api, person)
        settings = bounded(
            Front(pages, host),
            server_header=False,
            access_log=False,
            log_config=None,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
        )
        live_long()
        told(f"http://{host}{person.link}")
        uvicorn.Server(settings).run(sockets=[listening])
    finally:
        unmount()


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((_ADDRESS, port))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "there is no such port"
        raise InvalidInput(
            f"The pages can't be served at port {port}: {why}.", advice="Choose another --port, or none."
        ) from None
