"""The offers and things of a target: for mapping, and for checks before anything is made."""

from collections.abc import Collection
from typing import Protocol

from longshore.model.target import Choices, Flavor, FloatingAddress, Named, Network, Present, QuotaRoom, Taken


class Offers(Protocol):
    """Questions only. Lists are as short as the project's user may see."""

    def networks(self) -> list[Network]:
        """Return the networks that a server can be put on, by name."""

    def volume_types(self) -> list[str]:
        """Return the names of the volume types."""

    def flavors(self) -> list[Flavor]:
        """Return the flavors, the smallest first."""

    def emulates_tpm(self) -> bool | None:
        """Tell whether servers can be given a virtual TPM 2.0 by properties of their volume, on any flavor. None: it
        isn't told to us."""

    def quota_room(self) -> QuotaRoom:
        """Return what the project's quota still allows; GiB and MiB as its fields say."""

    def choices(self) -> Choices:
        """Return what a server or a volume can be given by name."""

    def taken(self, network_id: str, macs: Collection[str], addresses: Collection[str]) -> Taken:
        """Return which of these a port there has already, as far as the project may see: of networks that aren't its
        own, its own ports."""

    def present(self) -> list[Present]:
        """Return the project's servers."""

    def present_volumes(self) -> list[Present]:
        """Return the project's volumes, whether a server has them or not."""

    def floating_addresses(self) -> list[FloatingAddress]:
        """Return the project's floating addresses. Raises NotFound in a cloud without routers."""

    def external_networks(self) -> list[Named]:
        """Return the networks that new floating addresses can be had from. Raises NotFound in a cloud without
        routers."""


class Flavors(Protocol):
    def create_flavor(self, name: str, cpus: int, memory_mib: int, flavor_id: str) -> Flavor:
        """Make a flavor for this project alone, under this id. One of this name that is there already is answered
        instead.

        Raises AccessDenied for who may not make flavors, Conflict when the name is that of another size: none is left
        then.
        """

    def delete_flavor(self, flavor_id: str) -> None:
        """Delete the flavor. Nothing to do when it isn't there."""
