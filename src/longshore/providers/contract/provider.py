"""The common part of every provider, whatever it is for."""

from typing import Protocol


class Provider(Protocol):
    def check(self) -> dict[str, str]:
        """Log in and say what was found, for people: name, version and the like.

        Raises FingerprintMismatch for another certificate than the one that is pinned, InvalidInput for settings with
        which nothing can be moved. A second call logs in again if the first session has ended.
        """

    def close(self) -> None:
        """End sessions. Raises nothing. A second call has nothing to do; any other call may log in anew."""
