"""Names of resources within a file, made of names of servers."""

import re

_LONGEST = 80  # letters


class Labels:
    """Labels of one file: letters, digits and _, of which no two are the same."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        """Return a label for a server of this name; another one each time."""
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)[:_LONGEST]
        plain = plain if re.match(r"[A-Za-z]", plain) else f"server_{plain}".rstrip("_")
        made, number = plain, 1
        while made in self._taken:
            number += 1
            made = f"{plain}_{number}"
        self._taken.add(made)
        return made
