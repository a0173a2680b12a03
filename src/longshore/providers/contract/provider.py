"""The common part of every provider, whatever it is for; and secrets that another cloud keeps, where its settings say
which: a vault, whose key may be opened by one."""

from typing import Protocol


class Provider(Protocol):
    def check(self) -> dict[str, str]:
        """Log in and say what was found, for people: name, version and the like.

        Raises FingerprintMismatch for another certificate than the one that is pinned, InvalidInput for settings with
        which nothing can be moved. A second call logs in again if the first session has ended.
        """

    def close(self) -> None:
        """End sessions. Raises nothing. A second call has nothing to do; any other call may log in anew."""


class KeptSecrets(Protocol):
    """The kept secrets of one project in its cloud's key manager."""

    def open(self, secret_id: str) -> str:
        """Return a secret in clear. Raises NotFound when it isn't there any more."""
