"""What of a guest's files couldn't be read, told by whoever passes it over."""

from collections.abc import Mapping
from typing import Any

_MOST_TOLD = 100
_LONGEST = 300  # characters of a path
_MOST_WRITTEN = 10_000


class LeftOut:
    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []
        self._count = 0

    def add(self, path: str, error: OSError) -> None:
        """`path`: as it is shown. `error`: why it can't be read, in words that end a sentence."""
        self._count += 1
        if self._count <= _MOST_WRITTEN:
            self._found.append((path, str(error)))

    def told(self) -> Mapping[str, Any]:
        """The first of them, and how many there are."""
        first = [{"path": path[:_LONGEST], "why": why[:_LONGEST]} for path, why in self._found[:_MOST_TOLD]]
        return {"left_out": first, "left_out_count": self._count}

    def text(self) -> bytes:
        """A line each; nothing when all could be read."""
        lines = [f"{path} isn't in it: {why}." for path, why in self._found]
        if self._count > len(self._found):
            lines.append(f"{self._count - len(self._found)} more aren't in it.")
        return "".join(f"{line}\n" for line in lines).encode()
