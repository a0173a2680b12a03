"""longshore check …: whether this machine has what its work takes."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from longshore.cli.command import Lister


class CheckGuests(Lister):
    """Say whether this machine can look into guests and convert them. Exit code 1 when something is missing for Linux

    What is missing for Windows guests alone is said, and leaves the exit code at 0.
    """

    examples = ("longshore check guests",)

    def take_action(self, _args: Namespace) -> tuple[Any, Any]:
        self.app.configured()  # which says where virtio-win and the converter are
        from longshore.guests.machine_check import ALL_GUESTS, WINDOWS_GUESTS, check_machine

        parts = check_machine()
        if missing := [part.name for part in parts if not part.ready and part.needed_for == ALL_GUESTS]:
            self.fault = f"No guest can be converted here without {', '.join(missing)}."
        if any(not part.ready for part in parts if part.needed_for == WINDOWS_GUESTS):
            self.say("Windows guests can't be converted.")
        names = ("part", "needed for", "ready", "version", "remark")
        columns = tuple(name.capitalize() if self.for_people else name.replace(" ", "_") for name in names)
        yes = {True: "yes", False: "no"} if self.for_people else {True: True, False: False}
        rows = ((part.name, part.needed_for, yes[part.ready], part.version, part.remark) for part in parts)
        return columns, list(rows)
