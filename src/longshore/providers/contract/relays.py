"""Relays: servers in a tenant's project through which its volumes are opened, where a provider asks for that."""

from typing import Protocol

from longshore.model.target import Owner


class RelayLedger(Protocol):
    """The ledger of relays: a relay is written down there before it exists, and until it is gone. A second note of the
    same adds nothing."""

    def intend(self, owner: Owner) -> None:
        """Note that a relay may exist from now on."""

    def made(self, owner: Owner, server_id: str) -> None:
        """Note that a relay is there."""

    def gone(self, owner: Owner) -> None:
        """Note that a relay is there no more."""

    def left(self, owner: Owner, why: str) -> None:
        """Note that a relay couldn't be removed."""

    def unsettled(self) -> list[Owner]:
        """Return the owners of relays that may exist, as far as is known; of earlier processes too."""

    def say(self, owner: Owner, text: str, level: str) -> None:
        """Say something worth knowing to whom the relay was booted for."""


class Relays(Protocol):
    """The relays of one provider, shared by all that open its volumes. What can't be removed is noted, not raised."""

    def end_quiet(self) -> None:
        """Remove those that nobody has used for a while."""

    def end_all(self) -> None:
        """Remove them all, also those that a process before this one has left behind."""


class RelayHost(Protocol):
    """Optional: a cloud in which relays are made."""

    def remove_relay(self, owner: Owner) -> None:
        """Remove the server with this owner through which volumes were opened, and all that belongs to it. Nothing to
        do when it isn't there. Raises Conflict when something else holds a part of it."""
        return
