"""Switching servers off and on, at the source and at the target."""

import time
from typing import Any

from openstack import exceptions as sdk

from longshore.errors import Conflict, NotFound, ProviderError
from longshore.model.machine import PowerState
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.machines import power_of
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


class NovaPower:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def state(self, server_id: str) -> PowerState:
        return power_of(self._server(server_id))

    def last_start(self, server_id: str) -> str | None:
        """Return the id of the last request to start it; None when Nova doesn't let us see what was done to it."""
        with explained(f"look up what was done to server {server_id}"):
            try:
                done = list(self._connection.compute.server_actions(server_id))
            except (sdk.NotFoundException, sdk.ForbiddenException):
                return None
        starts = [action for action in done if action.action in _STARTS]
        return str(max(starts, key=lambda action: str(action.start_time)).request_id) if starts else ""

    def stop(self, server_id: str) -> None:
        """Returns when Nova is at it. Nothing to do when it is off. Raises Conflict when Nova refuses."""
        server = self._let_alone(server_id)
        if power_of(server) is PowerState.OFF or server.task_state == _STOPPING:
            return
        with explained(f"stop server {server.name}"):
            self._connection.compute.stop_server(server_id)

    def off(self, server_id: str) -> None:
        """Nova has no power cut of its own: its stop is one when the guest doesn't follow."""
        self.stop(server_id)
        if not self.wait_off(server_id, OFF_TIMEOUT):
            raise ProviderError(f"Server {server_id} isn't off after {OFF_TIMEOUT:.0f} s.")

    def on(self, server_id: str) -> None:
        """Returns when it is on."""
        server = self._let_alone(server_id)
        if power_of(server) is PowerState.ON:
            return
        if power_of(server) is not PowerState.OFF:
            raise Conflict(f"Server {server.name} can't be started: it is {server.status}.")
        if server.task_state != _STARTING:
            with explained(f"start server {server.name}"):
                self._connection.compute.start_server(server_id)
        wait_for(
            lambda: self.state(server_id) is PowerState.ON or None,
            what=f"Starting server {server.name}",
            timeout=ON_TIMEOUT,
        )

    def wait_off(self, server_id: str, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.state(server_id) is not PowerState.OFF:
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
            server = self._server(server_id)
            return server if server.task_state in (None, _STOPPING, _STARTING) else None

        return wait_for(found, what=f"What Nova does with server {server_id}", timeout=TASK_TIMEOUT)

    def _server(self, server_id: str) -> Any:
        return get_server(self._connection, server_id)


def get_server(connection: Any, server_id: str) -> Any:
    """Ask Nova for a server as it is now. Raises NotFound."""
    with explained(f"look up server {server_id}"):
        try:
            return connection.compute.get_server(server_id)
        except sdk.NotFoundException:
            raise NotFound(f"There is no server {server_id} in this project.") from None
