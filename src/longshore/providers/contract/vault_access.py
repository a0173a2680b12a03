"""A vault behind a provider: its points are machines to a source, and more than that to whoever keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # whoever asks no vault needn't load what one takes
    from longshore.vault.makers import User
    from longshore.vault.store import Store
    from longshore.vault.vault import Use, Vault


class VaultAccess(Protocol):
    """Every provider whose sides include "vault" has this. All of it may be asked again at any time."""

    def open_for(self, user: User) -> None:
        """Show that project what is there for it from now on."""

    def open_vault(self, use: Use) -> Vault:
        """Open the vault. Raises NotFound, InvalidInput, WrongKey, Damaged, AccessDenied for a use that is the owner's
        alone."""

    def open_store(self) -> Store:
        """Open the store of its objects, whosever: nothing of it has to be readable. Raises AccessDenied."""
