"""Switching machines on and off, and listening to the tools in their guests."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

from pyVmomi import vim

from .foreign_disks import refuse_if_attached
from .guest_info import GuestReport
from .machine import Machine, MachineError
from .machine_view import MachineView
from .managed import ApiFault, Call, now, soap_method

log = logging.getLogger(__name__)

HEARTBEAT = 3.0
"""Seconds between two questions to the guest's tools."""
HEARTBEAT_LOST = 30.0
"""Seconds of silence after which the tools count as not running."""


class PowerControl(MachineView):
    @soap_method("PowerOnVM_Task")
    def power_on_task(self, call: Call) -> Any:
        return self.context.tasks.start(self, call, self.power_on)

    def power_on(self) -> None:
        self.refuse_leased()
        if self.powered_on:
            raise self._wrong_state("poweredOn")
        if self.imported:
            self.pretend_to_run(None)
            self.context.boot(self)
            return
        machine = self._really()
        with machine.lock:
            if self.powered_on:  # meanwhile
                raise self._wrong_state("poweredOn")
            if (written := machine.written_layer()) is not None:
                raise ApiFault(
                    vim.fault.FileLocked(file=os.path.basename(written)), "Unable to access file since it is locked"
                )
            refuse_if_attached(self.context.inventory.machines(), [chain.top for chain in machine.chains])
            self._publish(powered_on=True)
            try:
                machine.start()
            except MachineError:
                self._publish(powered_on=False)
                raise
            self.set(runtime__powerState="poweredOn", runtime__bootTime=now())
            self._show_guest(None)
            self._refresh_devices()
            self._keep()
        self._listen_to_tools(machine)

    @soap_method("PowerOffVM_Task")
    def power_off_task(self, call: Call) -> Any:
        return self.context.tasks.start(self, call, self.power_off)

    def power_off(self) -> None:
        if self.imported:
            if not self.powered_on:
                raise self._wrong_state("poweredOff")
            self.set(runtime__powerState="poweredOff", runtime__bootTime=None)
            self._show_guest(None)
            return
        machine = self._really()
        with machine.lock:
            if not self.powered_on:
                raise self._wrong_state("poweredOff")
            machine.quit()
        self.wait_off()

    def wait_off(self) -> None:
        with self.context.changed:
            if not self.context.changed.wait_for(lambda: not self.powered_on, 900):
                raise TimeoutError(f"{self.spec.name} did not go off")

    @soap_method("ResetVM_Task")
    def reset_task(self, call: Call) -> Any:
        def work() -> None:
            machine = self._really()
            with machine.lock:
                if not self.powered_on:
                    raise self._wrong_state("poweredOn")
                machine.reset()
                self._show_guest(None)

        return self.context.tasks.start(self, call, work)

    @soap_method("ShutdownGuest")
    def shutdown_guest(self, call: Call) -> None:
        machine = self._really()
        if not self.powered_on:
            raise self._wrong_state("poweredOn")
        if not self.tools_running:
            raise ApiFault(
                vim.fault.ToolsUnavailable(),
                "Cannot complete operation because VMware Tools is not running in this virtual machine.",
            )
        if not self.ignores_shutdown:
            machine.press_power_button()

    def _stopped(self) -> None:
        """QEMU has ended: the guest shut down, or we switched it off, or it crashed. The machine's lock is held."""
        machine = self._really()
        self._settle_names(machine)
        self.set(runtime__bootTime=None)
        self._keep()
        self._publish(powered_on=False)  # first: who sees it is off may open its disks at once
        with self.context.changed:
            self.set(runtime__powerState="poweredOff")
            self._show_guest(None)
        log.info("%s is off", self.spec.name)

    def _listen_to_tools(self, machine: Machine) -> None:
        qmp = machine.qmp

        def listen() -> None:
            heard = time.monotonic()
            while qmp is not None and machine.qmp is qmp:
                report = _report(machine.channel.ask("info", ("{",), 1))
                if report:
                    heard = time.monotonic()
                if report or time.monotonic() - heard > HEARTBEAT_LOST:
                    self._guest_reports(machine, report)
                time.sleep(HEARTBEAT if self.tools_running else 0.2)

        threading.Thread(target=listen, name=f"{self.spec.name} tools", daemon=True).start()

    def _guest_reports(self, machine: Machine, report: GuestReport | None) -> None:
        with self.context.changed:
            if machine.running and report != self._report:
                self._show_guest(report)


def _report(line: str | None) -> GuestReport | None:
    try:
        return GuestReport.parse(line) if line else None
    except (ValueError, KeyError):
        return None
