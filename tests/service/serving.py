"""A server on a port, for as long as a test needs it. It takes the tokens of tokens.py."""

import socket
import threading
import time
from contextlib import contextmanager

import uvicorn
from tokens import access

from longshore.service import create_app


@contextmanager
def serving(store):
    """Serve a store, and yield the address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(store, access=access()), log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
