"""The common part of sources whose machines never run: files, and points in a vault."""

from longshore.errors import Conflict
from longshore.model.inventory import Inventory, NetworkKind, SourceNetwork
from longshore.model.machine import PowerState
from longshore.model.selection import EVERY, MachineFilter
from longshore.model.target import Owner
from longshore.providers.contract import Source


class NeverRuns(Source):
    """A source on which nothing is made, switched or held open: its machines are off, and are what they are."""

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def references(self, wanted: MachineFilter = EVERY) -> list[str]:
        return [machine.ref for machine in self.machines(wanted)]

    def inventory(self) -> Inventory:
        names = {nic.network for machine in self.machines() for nic in machine.nics}
        return Inventory(networks=tuple(SourceNetwork(name, name, "", NetworkKind.STANDARD) for name in sorted(names)))

    def power_state(self, machine_ref: str) -> PowerState:
        return PowerState.OFF

    def last_start(self, machine_ref: str) -> str | None:
        """Return an empty mark: the machine has never been on, as far as the source can tell."""
        return ""

    def shut_down(self, machine_ref: str) -> None:
        """Do nothing: the machine is off."""

    def power_off(self, machine_ref: str) -> None:
        """Do nothing: the machine is off."""

    def power_on(self, machine_ref: str) -> None:
        raise Conflict(f"{machine_ref} is a file or a point in a vault: it can't be powered on.")

    def wait_powered_off(self, machine_ref: str, timeout: float) -> bool:
        return True

    def find_snapshot(self, machine_ref: str, owner: Owner) -> None:
        """Return None: no snapshot is ever made, so there is none to be found."""

    def remove_snapshot(self, machine_ref: str, snapshot_ref: str) -> None:
        """Do nothing: nothing was made."""

    def make_ready(self, owner: Owner, machine_ref: str) -> None:
        """Do nothing: nothing has to be begun."""
