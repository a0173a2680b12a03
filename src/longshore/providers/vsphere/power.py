"""Machines on and off. What vCenter sees decides, not what was asked for."""

from collections.abc import Callable
from typing import Any

from pyVmomi import vim, vmodl

from longshore.errors import Conflict
from longshore.model.machine import PowerState
from longshore.providers.vsphere.machines import power_state
from longshore.providers.vsphere.properties import Properties, read, wait
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.tasks import result

POWER_TIMEOUT = 600.0  # seconds for vCenter to power a machine on or off

# The events of a start that succeeded, whoever asked for it
_STARTS = ("VmPoweredOnEvent", "DrsVmPoweredOnEvent", "VmRestartedOnAlternateHostEvent")
_PATHS = ("runtime.powerState", "runtime.connectionState")


def state(session: VsphereSession, machine_ref: str) -> PowerState:
    """Return the power state. Raises NotFound."""
    with session.doing(f"say whether {machine_ref} is on"):
        return power_state(read(session, session.object(vim.VirtualMachine, machine_ref), _PATHS))


def last_start(session: VsphereSession, machine_ref: str) -> str | None:
    """Return the key of the last event of the machine's being powered on; None when vCenter keeps no events for us to
    see."""
    with session.doing(f"say when {machine_ref} was powered on"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        spec = vim.event.EventFilterSpec
        itself = spec.ByEntity(entity=machine, recursion=spec.RecursionOption.self)
        wanted = spec(entity=itself, eventTypeId=list(_STARTS))
        events = session.content.eventManager
        if events is None:
            return None
        try:
            keys = [event.key for event in events.QueryEvents(wanted) or ()]
        except (vim.fault.NoPermission, vmodl.fault.NotSupported, vmodl.fault.InvalidRequest):
            return None
    return str(max(keys)) if keys else ""


def shut_down(session: VsphereSession, machine_ref: str) -> None:
    """Ask the guest; returns at once. Nothing to do when the machine is off.

    Raises Conflict, code tools-unavailable when nothing in the guest listens.
    """
    with session.doing(f"shut down {machine_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        if power_state(read(session, machine, _PATHS)) is PowerState.OFF:
            return
        try:
            machine.ShutdownGuest()
        except vim.fault.InvalidPowerState:
            if power_state(read(session, machine, _PATHS)) is not PowerState.OFF:
                raise


def power_off(session: VsphereSession, machine_ref: str) -> None:
    """Cut the power; returns when the machine is off. Raises NotFound, Conflict, ProviderError."""
    with session.doing(f"power off {machine_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        _bring_to(session, machine, PowerState.OFF, machine.PowerOffVM_Task)


def power_on(session: VsphereSession, machine_ref: str) -> None:
    """Returns when the machine is on. Raises NotFound, Conflict, ProviderError."""
    with session.doing(f"power on {machine_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        _bring_to(session, machine, PowerState.ON, machine.PowerOnVM_Task)


def wait_powered_off(session: VsphereSession, machine_ref: str, timeout: float) -> bool:
    """Wait for the machine to be off. Returns whether it was seen so within `timeout` seconds. Raises NotFound."""

    def is_off(now: Properties) -> bool:
        return power_state(now) is PowerState.OFF

    with session.doing(f"wait for {machine_ref} to be off"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        return wait(session, machine, _PATHS, is_off, timeout) is not None


def _bring_to(session: VsphereSession, machine: Any, wanted: PowerState, ask: Callable[[], Any]) -> None:
    if power_state(read(session, machine, _PATHS)) is wanted:
        return
    try:
        result(session, ask(), POWER_TIMEOUT)
    except vim.fault.InvalidPowerState:  # someone was faster
        if power_state(read(session, machine, _PATHS)) is not wanted:
            raise
        return
    if wait(session, machine, _PATHS, lambda now: power_state(now) is wanted, POWER_TIMEOUT) is None:
        raise Conflict(f"{machine._moId} was told to be {wanted}, but {session.label} doesn't see it so.")
