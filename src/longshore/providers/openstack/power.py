"""Switching servers off and on, at the source and at the target."""

import time
from typing import Any

from openstack import exceptions as sdk

from longshore.errors import Conflict, ProviderError
from longshore.model.machine import PowerState
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.machines import power_of
from longshore.providers.openstack.named import Part, needed
from longshore.providers.openstack.waiting import wait_for

# Seconds
ON_TIMEOUT = 300.0
TASK_TIMEOUT = 300.0
OFF_TIMEOUT = 300.0  # Nova itself gives a guest a minute to shut down before it cuts the power
_LOOK_EVERY = 1.0
# What Nova is doing with a server
_STOPPING, _STARTING = "powering-off", "powering-on"
# What can bring a server that is off to run, in the words of its list of actions
_STARTS = ("start", "reboot", "rebuild", "rescue", "resume", "unshelve")


class NovaPower(Part):
    def power_state(self, machine_ref: str) -> PowerState:
        return power_of(get_server(self._connection, machine_ref))

    def last_start(self, machine_ref: str) -> str | None:
        """Return the id of the last request to start it; None when Nova doesn't let us see what was done to it."""
        with explained(f"look up what was done to server {machine_ref}"):
            try:
                done = list(self._connection.compute.server_actions(machine_ref))
            except (sdk.NotFoundException, sdk.ForbiddenException):
                return None
        starts = [action for action in done if action.action in _STARTS]
        return str(max(starts, key=lambda action: str(action.start_time)).request_id) if starts else ""

    def shut_down(self, machine_ref: str) -> None:
        """Returns when Nova is at it: it asks the guest, and cuts the power when that hasn't shut down in a time of
        Nova's own (60 s, usually). Nothing to do when it is off. Raises Conflict when Nova refuses."""
        server = self._let_alone(machine_ref)
        if power_of(server) is PowerState.OFF or server.task_state == _STOPPING:
            return
        with explained(f"stop server {server.name}"):
            self._connection.compute.stop_server(machine_ref)

    def power_off(self, machine_ref: str) -> None:
        """Nova has no power cut of its own: its stop is one when the guest doesn't follow."""
        self.shut_down(machine_ref)
        if not self.wait_powered_off(machine_ref, OFF_TIMEOUT):
            raise ProviderError(f"Server {machine_ref} isn't off after {OFF_TIMEOUT:.0f} s.")

    def power_on(self, machine_ref: str) -> None:
        """Returns when it is on."""
        server = self._let_alone(machine_ref)
        if power_of(server) is PowerState.ON:
            return
        if power_of(server) is not PowerState.OFF:
            raise Conflict(f"Server {server.name} can't be started: it is {server.status}.")
        if server.task_state != _STARTING:
            with explained(f"start server {server.name}"):
                self._connection.compute.start_server(machine_ref)
        wait_for(
            lambda: self.power_state(machine_ref) is PowerState.ON or None,
            what=f"Starting server {server.name}",
            timeout=ON_TIMEOUT,
        )

    def wait_powered_off(self, machine_ref: str, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.power_state(machine_ref) is not PowerState.OFF:
            if time.monotonic() + _LOOK_EVERY > deadline:
                return False
            time.sleep(_LOOK_EVERY)
        return True

    def _let_alone(self, server_id: str) -> Any:
        """Wait for the server until Nova does nothing with it but to stop or start it: with any other task it refuses
        both.

        It still has its task for a moment when an image of its disk is there, and for longer when that was given up.
        """

        def found() -> Any | None:
            server = get_server(self._connection, server_id)
            return server if server.task_state in (None, _STOPPING, _STARTING) else None

        return wait_for(found, what=f"What Nova does with server {server_id}", timeout=TASK_TIMEOUT)


def get_server(connection: Any, server_id: str) -> Any:
    """Ask Nova for a server as it is now. Raises NotFound."""
    return needed(connection.compute.get_server, server_id, "server")
