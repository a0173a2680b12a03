"""What a target offers and has: for mapping, and for checks before anything is made."""

from collections.abc import Collection
from typing import Protocol

from longshore.model.target import Choices, Flavor, FloatingAddress, Named, Network, Present, QuotaRoom, Taken


class Offers(Protocol):
    """Questions only. Lists are as short as the project's user may see."""

    def networks(self) -> list[Network]:
        """Those that a server can be put on, by name."""

    def volume_types(self) -> list[str]:
        """Names."""

    def flavors(self) -> list[Flavor]:
        """Smallest first."""

    def emulates_tpm(self) -> bool | None:
        """Whether servers can be given a virtual TPM 2.0 by properties of their volume, on any flavor. None: it isn't
        told to us."""

    def quota_room(self) -> QuotaRoom:
        """What the project's quota still allows; GiB and MiB as its fields say."""

    def choices(self) -> Choices:
        """What a server or a volume can be given by name."""

    def taken(self, network_id: str, macs: Collection[str], addresses: Collection[str]) -> Taken:
        """Which of these a port there has already, as far as the project may see: of networks that aren't its own, its
        own ports."""

    def present(self) -> list[Present]:
        """The project's servers."""

    def present_volumes(self) -> list[Present]:
        """The project's volumes, whether a server has them or not."""

    def floating_addresses(self) -> list[FloatingAddress]:
        """The project's. Raises NotFound in a cloud without routers."""

    def external_networks(self) -> list[Named]:
        """Those that new floating addresses can be had from."""


class Flavors(Protocol):
    def create_flavor(self, name: str, cpus: int, memory_mib: int, flavor_id: str) -> Flavor:
        """For this project alone, under this id. One of this name that is there already is answered instead.

        Raises AccessDenied for who may not make flavors, Conflict when the name is that of another size: none is left
        then.
        """

    def delete_flavor(self, flavor_id: str) -> None:
        """Nothing to do when it isn't there."""
