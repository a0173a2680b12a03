"""Talking to Longshore's REST API."""

from longshore.client.rest import Client

__all__ = ["Client"]
