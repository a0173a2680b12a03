"""Files of a guest that couldn't be read, told by whoever passes them over."""

import json
from collections.abc import Mapping
from typing import Any

_MOST_TOLD = 20_000  # bytes, as JSON
_LONGEST = 500  # characters of a path
_MOST_WRITTEN = 2000  # lines


class LeftOut:
    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []
        self._count = 0

    def add(self, path: str, error: OSError) -> None:
        """Add a file. `path`: as it is shown. `error`: why it can't be read, in words that end a sentence."""
        self._count += 1
        if self._count <= _MOST_WRITTEN:
            self._found.append((path[:_LONGEST], str(error)[:_LONGEST]))

    def told(self) -> Mapping[str, Any]:
        """Return the first of them, and how many there are."""
        first, size = list[Mapping[str, str]](), 0
        for path, why in self._found:
            told = {"path": path, "why": why}
            size += len(json.dumps(told))
            if size > _MOST_TOLD:
                break
            first.append(told)
        return {"left_out": first, "left_out_count": self._count}

    def text(self) -> bytes:
        """Return a line for each; nothing when all could be read."""
        lines = [f"{path} isn't in it: {why}." for path, why in self._found]
        if self._count > len(self._found):
            lines.append(f"{self._count - len(self._found)} more aren't in it.")
        return "".join(f"{line}\n" for line in lines).encode()
