"""Talking to Longshore's REST API, over the network or, through `service.mount`, in this process.

For the commands, the pages and other people's programs: it knows the shapes of api, and nothing of how they come about.
"""

from longshore.client.rest import Client
from longshore.client.wires import Embedded, Remote, to_server

__all__ = ["Client", "Embedded", "Remote", "to_server"]
