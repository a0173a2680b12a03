"""Machines on and off. What the source sees counts, not what was asked of it.

A source whose machines never run answers that they are off, and refuses to power them on.
"""

from typing import Protocol

from longshore.model.machine import PowerState


class Power(Protocol):
    """Every method raises NotFound when there is no such machine."""

    def power_state(self, machine_ref: str) -> PowerState:
        """Return the power state as it is now. UNKNOWN: the source can't see it at the moment."""

    def last_start(self, machine_ref: str) -> str | None:
        """Return a mark of the last time the machine was powered on, another one each time; "" when the source knows of
        none. None: the source can't tell. A machine that is off may have run since it was last seen off: this shows
        it."""

    def shut_down(self, machine_ref: str) -> None:
        """Ask the guest to shut down; returns at once. Nothing to do when it is off; a second call asks again.

        Raises Conflict when nothing in the guest can be asked (code tools-unavailable), or the source won't.
        """

    def power_off(self, machine_ref: str) -> None:
        """Cut the power; returns when the machine is off. Nothing to do when it is off. Raises Conflict."""

    def power_on(self, machine_ref: str) -> None:
        """Returns when the machine is on. Nothing to do when it is on. Raises Conflict."""

    def wait_powered_off(self, machine_ref: str, timeout: float) -> bool:
        """Wait until the machine is seen off, at most `timeout` seconds; says whether it is."""
