"""What Longshore's commands share: the client of the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cliff.command import Command as CliffCommand
from cliff.lister import Lister as CliffLister
from cliff.show import ShowOne as CliffShowOne

if TYPE_CHECKING:
    from longshore.client import Client


class Command(CliffCommand):  # type: ignore[misc]
    app: Any

    @property
    def client(self) -> Client:
        client: Client = self.app.client
        return client


class Lister(CliffLister, Command):  # type: ignore[misc]
    """Answers a table: -f json, yaml, csv, value, table."""


class ShowOne(CliffShowOne, Command):  # type: ignore[misc]
    """Answers one thing: -f json, yaml, shell, value, table."""
