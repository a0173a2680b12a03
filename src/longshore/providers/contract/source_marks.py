"""Marks that tell a machine that has moved from one that hasn't."""

from typing import Protocol

from longshore.errors import InvalidInput
from longshore.model.source_marks import MarkKind


class MarkedMachines(Protocol):
    """Optional. Every method raises NotFound when there is no such machine, and InvalidInput for a mark that the source
    doesn't know, or that needs something which isn't there."""

    def before_mark(self, machine_ref: str, kind: MarkKind, text: str) -> str | None:
        """Return what `mark` and `unmark` have to know of the machine as it is without the mark; None: it has it
        already.

        `text` is what is written, or the name of what the machine is given. Nothing is changed.
        """
        raise InvalidInput("Machines can't be marked at this source.")

    def mark(self, machine_ref: str, kind: MarkKind, text: str, before: str) -> None:
        """Give the machine a mark. Nothing to do when it has it."""
        raise InvalidInput("Machines can't be marked at this source.")

    def unmark(self, machine_ref: str, kind: MarkKind, text: str, before: str) -> bool:
        """Take the mark away, and say whether it was there still. What somebody has changed since stays."""
        return False
