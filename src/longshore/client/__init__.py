"""Talking to Longshore's REST API."""

from longshore.client.rest import Client
from longshore.client.wires import Embedded, Remote, to_server

__all__ = ["Client", "Embedded", "Remote", "to_server"]
