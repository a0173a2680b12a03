"""The REST API over flows and store: routes, who may ask for what, limits of what callers may take, metrics.

Its shapes are in api, and decisions about machines are planning's and the flows'.
"""

from longshore.service.app import create_app, mount

__all__ = ["create_app", "mount"]
