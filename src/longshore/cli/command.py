"""What Longshore's commands share: the client of the REST API."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from cliff.command import Command as CliffCommand
from cliff.lister import Lister as CliffLister
from cliff.show import ShowOne as CliffShowOne

from longshore.errors import LongshoreError

if TYPE_CHECKING:
    from longshore.client import Client


class Command(CliffCommand):  # type: ignore[misc]
    app: Any

    @property
    def client(self) -> Client:
        client: Client = self.app.client_manager.migration if self.is_plugin else self.app.client
        return client

    @property
    def is_plugin(self) -> bool:
        """Whether this is `openstack migration …` rather than `longshore …`."""
        return hasattr(self.app, "client_manager")

    def say(self, text: str) -> None:
        """Something beside the answer, for the person at the terminal."""
        print(self._as_typed(text), file=sys.stderr)

    def run(self, parsed_args: Any) -> int:
        try:
            return int(super().run(parsed_args))
        except LongshoreError as error:
            if not self.is_plugin:
                raise
            raise LongshoreError(self._as_typed(str(error)), code=error.code) from None

    def _as_typed(self, text: str) -> str:
        if not self.is_plugin:
            return text
        from longshore.cli.plugin import as_typed

        return as_typed(text)


class Lister(Command, CliffLister):  # type: ignore[misc]
    """Answers a table: -f json, yaml, csv, value, table."""


class ShowOne(Command, CliffShowOne):  # type: ignore[misc]
    """Answers one thing: -f json, yaml, shell, value, table."""
