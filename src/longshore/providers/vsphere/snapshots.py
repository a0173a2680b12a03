"""Snapshots that say whose they are, so that a second run finds them and nobody else's is ever removed; and change
tracking, which begins with one."""

import time
from typing import Any

from pyVmomi import vim, vmodl

from longshore.errors import FAULT, Conflict, NotFound, ProviderError
from longshore.model.machine import Snapshot, SnapshotDisk
from longshore.model.target import Owner
from longshore.providers.vsphere.machines import capacity, snapshot_tree
from longshore.providers.vsphere.places import inventory_name
from longshore.providers.vsphere.properties import read
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.tasks import await_earlier, result

CREATE_TIMEOUT = 15 * 60.0  # seconds; quiescing a busy Windows guest alone may take ten minutes
MERGE_TIMEOUT = 24 * 3600.0  # seconds; merging a snapshot that grew to terabytes takes hours
CONSOLIDATIONS = 5  # attempts to merge disks that something still reads
CONSOLIDATION_PAUSE = 3.0  # seconds between them: VMware has no event for "the lock is free"

RECONFIGURE_TIMEOUT = 300.0  # seconds
_TRACKING_PATHS = (
    *("config.changeTrackingEnabled", "capability.changeTrackingSupported"),
    *("snapshot", "runtime.powerState"),
)
_MARK = "longshore:owner="
_INDEPENDENT = ("independent_persistent", "independent_nonpersistent")


def create(session: VsphereSession, machine_ref: str, name: str, owner: Owner, *, quiesce: bool) -> Snapshot:
    """Take a snapshot, one moment for all disks; the snapshot that carries this owner already, if there is one.

    Raises NotFound, Conflict (codes quiesce-failed, …), ProviderError.
    """
    with session.doing(f"take a snapshot of {machine_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        await_earlier(session, machine, "createsnapshot", CREATE_TIMEOUT)
        found = _find(session, machine, owner)
        if found is not None:
            return found
        task = machine.CreateSnapshot_Task(
            name=name,
            description=f"Made by Longshore while it copies this machine; it will be removed.\n{_MARK}{owner.tag}",
            memory=False,
            quiesce=quiesce,
        )
        result(session, task, CREATE_TIMEOUT)
        found = _find(session, machine, owner)
        if found is None:
            raise NotFound(f"The snapshot {name!r} of {machine_ref} was made, but has been removed by someone since.")
        return found


def find(session: VsphereSession, machine_ref: str, owner: Owner) -> Snapshot | None:
    """Find the snapshot that carries this owner. One that is being made is waited for, so that None is the last word.

    Raises NotFound when there is no such machine, ProviderError (code "task-timeout") while vCenter still makes one.
    """
    with session.doing(f"look for a snapshot of {machine_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        await_earlier(session, machine, "createsnapshot", CREATE_TIMEOUT)
        return _find(session, machine, owner)


def remove(session: VsphereSession, machine_ref: str, snapshot_ref: str) -> None:
    """Returns when the snapshot is gone and its changes are merged into the disks.

    Raises Conflict when it isn't Longshore's, or (code file-locked) when something still has a disk open.
    """
    with session.doing(f"remove the snapshot {snapshot_ref} of {machine_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        node = _node(session, machine, snapshot_ref)
        if node is not None:
            if _owner(node) is None:
                raise Conflict(f"The snapshot {node.name!r} of {machine_ref} isn't Longshore's, so it stays.")
            try:
                result(
                    session, node.snapshot.RemoveSnapshot_Task(removeChildren=False, consolidate=True), MERGE_TIMEOUT
                )
            except vmodl.fault.ManagedObjectNotFound:
                pass  # someone was faster
            except (vim.fault.FileLocked, vim.fault.GenericVmConfigFault, vim.fault.SnapshotFault):
                # The snapshot may be out of the tree with its files still there
                if _node(session, machine, snapshot_ref) is not None:
                    raise
        _consolidate(session, machine)


def revert(session: VsphereSession, machine_ref: str, snapshot_ref: str) -> None:
    """Revert a machine to the snapshot, which stays; the machine is off then.

    Raises NotFound, Conflict when it isn't Longshore's, or (code file-locked) something has a disk open.
    """
    with session.doing(f"take {machine_ref} back to the snapshot {snapshot_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        node = _node(session, machine, snapshot_ref)
        if node is None:
            raise NotFound(f"{machine_ref} has no snapshot {snapshot_ref}.")
        if _owner(node) is None:
            raise Conflict(f"The snapshot {node.name!r} of {machine_ref} isn't Longshore's: it is left alone.")
        result(session, node.snapshot.RevertToSnapshot_Task(suppressPowerOn=True), MERGE_TIMEOUT)


def track_changes(session: VsphereSession, machine_ref: str, on: bool) -> bool:
    """Says whether anything had to be changed. Raises Conflict when the machine has snapshots or can't track.

    A running machine begins (or stops) to track only when its disks are reopened, so it gets a snapshot that is removed
    again at once. One that an earlier run left behind is removed too.
    """
    verb = "on" if on else "off"
    cycle = Owner("change-tracking", machine_ref)
    with session.doing(f"switch change tracking of {machine_ref} {verb}"):
        left_behind = find(session, machine_ref, cycle)
        if left_behind is not None:
            remove(session, machine_ref, left_behind.ref)
        machine = session.object(vim.VirtualMachine, machine_ref)
        now = read(session, machine, _TRACKING_PATHS)
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
            made = create(session, machine_ref, "longshore-change-tracking", cycle, quiesce=False)
            remove(session, machine_ref, made.ref)
        return True


def held_devices(session: VsphereSession, machine_ref: str, snapshot_ref: str) -> list[Any]:
    """Return the devices of a snapshot as vCenter tells them now: files may be moved. Raises NotFound when it is
    gone, ProviderError while vCenter can't tell, and vSphere's own faults."""
    try:
        held = read(session, session.object(vim.vm.Snapshot, snapshot_ref), ["config.hardware.device"])
    except vmodl.fault.ManagedObjectNotFound:
        raise NotFound(f"The snapshot {snapshot_ref} of {machine_ref} is gone.", advice="Start again.") from None
    if (devices := held["config.hardware.device"]) is None:
        said = f"{session.label} can't say at present what the snapshot {snapshot_ref} of {machine_ref} holds."
        raise ProviderError(said, code=FAULT)
    return list(devices)


def workflow_of(session: VsphereSession, snapshot: Snapshot) -> str:
    """Return the workflow that a snapshot of ours was taken for. Raises NotFound when it is gone, or isn't ours."""
    with session.doing(f"look for the snapshot {snapshot.ref} of {snapshot.machine_ref}"):
        machine = session.object(vim.VirtualMachine, snapshot.machine_ref)
        node = _node(session, machine, snapshot.ref)
    if node is not None and (tag := _owner(node)) is not None:
        return tag.partition("/")[0]
    raise NotFound(f"The snapshot {snapshot.name} of {snapshot.machine_ref} is gone.", advice="Start again.")


def _consolidate(session: VsphereSession, machine: Any) -> None:
    for attempt in range(CONSOLIDATIONS):
        if not read(session, machine, ["runtime.consolidationNeeded"])["runtime.consolidationNeeded"]:
            return
        if attempt:
            time.sleep(CONSOLIDATION_PAUSE)
        try:
            result(session, machine.ConsolidateVMDisks_Task(), MERGE_TIMEOUT)
        except (vim.fault.FileLocked, vim.fault.GenericVmConfigFault):
            if attempt == CONSOLIDATIONS - 1:
                raise


def _find(session: VsphereSession, machine: Any, owner: Owner) -> Snapshot | None:
    for node in _nodes(session, machine):
        if _owner(node) == owner.tag:
            return _describe(session, machine, node)
    return None


def _nodes(session: VsphereSession, machine: Any) -> list[Any]:
    return list(snapshot_tree(read(session, machine, ["snapshot"])["snapshot"]))


def _node(session: VsphereSession, machine: Any, snapshot_ref: str) -> Any:
    return next((node for node in _nodes(session, machine) if node.snapshot._moId == snapshot_ref), None)


def _owner(node: Any) -> str | None:
    for line in (node.description or "").splitlines():
        if line.strip().startswith(_MARK):
            return str(line.strip().removeprefix(_MARK))
    return None


def _describe(session: VsphereSession, machine: Any, node: Any) -> Snapshot:
    """Describe a snapshot."""
    devices = held_devices(session, machine._moId, node.snapshot._moId)
    return Snapshot(
        ref=node.snapshot._moId,
        machine_ref=machine._moId,
        name=inventory_name(node.name),
        disks=tuple(_disk(device) for device in devices if is_held(device)),
        quiesced=bool(node.quiesced),
    )


def _disk(device: Any) -> SnapshotDisk:
    return SnapshotDisk(
        key=str(device.key),
        location=device.backing.fileName,
        size=capacity(device),
        change_id=getattr(device.backing, "changeId", None) or None,
    )


def is_held(device: Any) -> bool:
    """Independent disks are listed in a snapshot, but it doesn't keep what they held."""
    return isinstance(device, vim.vm.device.VirtualDisk) and getattr(device.backing, "diskMode", "") not in _INDEPENDENT
