"""Secrets that another cloud keeps, where a provider says which: a vault, whose key may be opened by one."""

from typing import Protocol


class KeptSecrets(Protocol):
    """The kept secrets of one project in its cloud's key manager."""

    def open(self, secret_id: str) -> str:
        """Return a secret in clear. Raises NotFound when it isn't there any more."""
