"""Switching a machine's changed block tracking on and off."""

from pyVmomi import vim

from longshore.errors import Conflict
from longshore.model.target import Owner
from longshore.providers.vsphere import snapshots
from longshore.providers.vsphere.properties import read
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.tasks import result

RECONFIGURE_TIMEOUT = 300.0  # seconds

_PATHS = ("config.changeTrackingEnabled", "capability.changeTrackingSupported", "snapshot", "runtime.powerState")


def switch(session: VsphereSession, machine_ref: str, on: bool) -> bool:
    """Says whether anything had to be changed. Raises Conflict when the machine has snapshots or can't track.

    A running machine begins (or stops) to track only when its disks are reopened, so it gets a snapshot that is removed
    again at once. One that an earlier run left behind is removed too.
    """
    verb = "on" if on else "off"
    cycle = Owner("change-tracking", machine_ref)
    with session.doing(f"switch change tracking of {machine_ref} {verb}"):
        left_behind = snapshots.find(session, machine_ref, cycle)
        if left_behind is not None:
            snapshots.remove(session, machine_ref, left_behind.ref)
        machine = session.object(vim.VirtualMachine, machine_ref)
        now = read(session, machine, _PATHS)
        if bool(now["config.changeTrackingEnabled"]) == on:
            return left_behind is not None
        if on and now["capability.changeTrackingSupported"] is False:
            raise Conflict(
                f"{machine_ref} can't track changes.", advice="It needs virtual hardware of version 7 or newer."
            )
        if now["snapshot"] is not None and now["snapshot"].rootSnapshotList:
            raise Conflict(
                f"Change tracking of {machine_ref} can't be switched {verb} while the machine has snapshots.",
                advice="Remove its snapshots first.",
            )
        result(session, machine.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=on)), RECONFIGURE_TIMEOUT)
        if now["runtime.powerState"] == "poweredOn":
            made = snapshots.create(session, machine_ref, "longshore-change-tracking", cycle, quiesce=False)
            snapshots.remove(session, machine_ref, made.ref)
        return True
