"""The REST API over flows and store."""

from longshore.service.app import create_app

__all__ = ["create_app"]
