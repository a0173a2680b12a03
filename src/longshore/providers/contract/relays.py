"""Relays: servers in a tenant's project through which its volumes are opened, where a provider asks for that.

A source may have a server of its operator's instead, which disks are attached to as long as they are read. Then what is
written down, shared and taken away in their place are these attachments.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from longshore.errors import InvalidInput
from longshore.model.proxy import NewProxy, Proxy
from longshore.model.target import Owner


class RelayLedger(Protocol):
    """The ledger of relays: a relay is written down there before it exists, and until it is gone. A second note of the
    same adds nothing."""

    def intend(self, owner: Owner, note: str = "") -> None:
        """Note that a relay may exist from now on, with what is needed to take it away where its owner isn't
        enough."""

    def made(self, owner: Owner, server_id: str) -> None:
        """Note that a relay is there."""

    def gone(self, owner: Owner) -> None:
        """Note that a relay is there no more."""

    def left(self, owner: Owner, why: str) -> None:
        """Note that a relay couldn't be removed."""

    def unsettled(self) -> list[Owner]:
        """Return the owners of relays that may exist, as far as is known; of earlier processes too."""

    def note_of(self, owner: Owner) -> str:
        """Return what was noted with a relay, or its id; empty: nothing was."""

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


class AttachedDisks(Protocol):
    """Optional: a source whose disks are attached to another machine of it as long as they are read."""

    def proxies(self) -> list[Proxy]:
        """Return the machines that its disks are attached to, as they are now. What stands against one is said in its
        place."""
        return []

    def check_new_proxy(self, wanted: NewProxy) -> None:
        """Raise what stands against making such a machine: InvalidInput, Conflict when its name is taken."""
        return

    def create_proxy(self, wanted: NewProxy, image: Path, owner: Owner, told: Callable[[int, str], None]) -> str:
        """Make a machine of the relay's image (qcow2), power it on, and return its reference once it answers. `told`
        hears how much of a hundred is uploaded, and what is done; what it raises ends the work.

        What an earlier run of this owner has made is deleted first. Raises as `check_new_proxy`, Unreachable, Occupied,
        ProviderError.
        """
        raise InvalidInput("No proxies are made in this kind of cloud.")

    def delete_proxy(self, name: str, owner: Owner) -> bool:
        """Delete a machine that was made for this owner, and tell whether it was there. Raises Conflict while other
        machines' disks are attached to it, or the settings name it as where disks are read."""
        return False

    def let_go(self, note: str) -> None:
        """Detach what the ledger's note says was attached; what isn't any more is left alone. Raises Conflict when it
        can't be detached."""
        return
