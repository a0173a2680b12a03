"""Servers on volumes and ports that are there already; both outlive their server."""

from collections.abc import Sequence
from typing import Protocol

from longshore.errors import InvalidInput
from longshore.model.as_built import BuiltServer
from longshore.model.target import Owner, Server, ServerRequest


class Servers(Protocol):
    def create_server(self, request: ServerRequest, owner: Owner) -> Server:
        """Returns once it runs. One that carries this owner already is waited for and answered instead.

        Raises BootError with the cloud's own words when it comes to nothing (it is left then, to be found and deleted),
        NotFound for what the request names, QuotaExceeded.
        """

    def find_server(self, owner: Owner) -> Server | None:
        """Return the server that carries this owner, in whatever state it is."""

    def server(self, server_id: str) -> Server:
        """Return the server as it is now. Raises NotFound."""

    def stop_server(self, server_id: str) -> None:
        """Returns when it is off. Nothing to do when it is off. Raises NotFound."""

    def start_server(self, server_id: str) -> None:
        """Returns when it is on. Nothing to do when it is on. Raises NotFound, Conflict in another state."""

    def delete_server(self, server_id: str) -> None:
        """Returns when it is gone and its volumes are free. Nothing to do when it isn't there."""

    def console(self, server_id: str) -> str:
        """Return what the server has printed on its console so far; empty when there is nothing yet. Raises NotFound,
        and BootError when it has none."""


class AsBuilt(Protocol):
    """Optional: where what was made is kept as code by others' tools."""

    def as_built(self, server_ids: Sequence[str]) -> list[BuiltServer]:
        """Return these servers as they are now, with their volumes and ports, in this order. Raises NotFound for one
        that isn't there any more."""
        raise InvalidInput("Servers of this kind of cloud aren't written down as code.")


class GuestAgent(Protocol):
    def agent_answers(self, server_id: str, owner: Owner) -> bool:
        """Tell whether the guest's agent answers. The server must have been made so that the cloud asks it, or fails.

        When it does, something is left that carries this owner (an image, snapshots of the volumes) and has to be
        removed; when it doesn't, nothing is. A second call asks again. Raises QuotaExceeded, NotFound; ProviderError
        when the cloud can't ask the agent of this server.
        """

    def remove_agent_probe(self, owner: Owner) -> bool:
        """Remove what asking the agent has left. Returns whether there was anything, so a second call says False.

        Raises Conflict when others hold it.
        """
