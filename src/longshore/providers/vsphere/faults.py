"""vSphere's faults in plain sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyVmomi import vim, vmodl

from longshore.errors import (
    FAULT,
    AccessDenied,
    Conflict,
    LoginRefused,
    LongshoreError,
    NotFound,
    Occupied,
    ProviderError,
    Unreachable,
)

# What faults count as, with those that derive from them; docs/decisions/errors-that-pass.md says what is done then.
# Most ends by itself: a fault that stands in none of these lists is taken for one that may
_LASTING = (
    vim.fault.EncryptionKeyRequired,
    vim.fault.VmPowerOnDisabled,
    vim.fault.SnapshotDisabled,
    vim.fault.SnapshotIncompatibleDeviceInVm,
    vim.fault.MemorySnapshotOnIndependentDisk,
    vim.fault.MultipleSnapshotsNotSupported,
    vim.fault.TooManySnapshotLevels,
    vim.fault.NoDiskSpace,
    vim.fault.AlreadyExists,
    vim.fault.DuplicateName,
    vim.fault.InvalidName,
    vim.fault.InvalidDatastore,
    vim.fault.InvalidFolder,
    vim.fault.NotFound,
    vim.fault.VmConfigFault,
    vmodl.fault.InvalidArgument,
    vmodl.fault.InvalidType,
    vmodl.fault.MethodNotFound,
    vmodl.fault.NotEnoughLicenses,
    vmodl.fault.NotImplemented,
    vmodl.fault.NotSupported,
    vmodl.fault.SecurityError,
)
# These derive from lasting ones, and may pass all the same: the first is vSphere's word for whatever goes wrong at a
# host, such as a lock or a time-out; the second comes when storage is out of touch
_MAY_PASS = (vim.fault.GenericVmConfigFault, vim.fault.CannotAccessVmComponent)
_OCCUPIED = (
    vim.fault.ConcurrentAccess,
    vim.fault.InvalidState,
    vim.fault.MethodAlreadyDisabledFault,  # backup programs disable what would move a machine while they read it
    vim.fault.MethodDisabled,
    vim.fault.OperationDisallowedOnHost,
    vim.fault.ResourceInUse,
    vim.fault.SnapshotLocked,
    vim.fault.TaskInProgress,
    vim.fault.VAppOperationInProgress,
)
_AWAY = (
    vim.fault.HostPowerOpFailed,
    vim.fault.InaccessibleDatastore,
    vim.fault.LicenseServerUnavailable,
    vim.fault.NoActiveHostInCluster,
    vim.fault.NoConnectedDatastore,
    vim.fault.Timedout,
    vmodl.fault.HostCommunication,  # that it isn't connected, or not reached
)


def words(fault: Any) -> str:
    """Return what a fault says, without a full stop: its own message, else its details, else its name."""
    said = [fault.msg or "", *(message.message or "" for message in fault.faultMessage or [])]
    text = " ".join(dict.fromkeys(part.strip().rstrip(".") for part in said if part.strip()))
    return text or type(fault).__name__.rpartition(".")[2]


@contextmanager
def explained(server: str, doing: str) -> Iterator[None]:
    """Raise what vSphere answers while `doing` ("take a snapshot of web01") as one of Longshore's errors."""
    try:
        yield
    except vmodl.MethodFault as fault:
        raise _error(server, doing, fault) from fault


def _error(server: str, doing: str, fault: Any) -> LongshoreError:
    refused = f"{server} couldn't {doing}: {words(fault)}."
    if isinstance(fault, vim.fault.InvalidLogin | vim.fault.NotAuthenticated):
        return LoginRefused(refused, advice="Check the user name and the password.")
    if isinstance(fault, vim.fault.NoPermission):
        missing = fault.privilegeId or "a privilege it doesn't name"
        return AccessDenied(
            f"{server} doesn't allow Longshore's user to {doing}: {missing} is missing.",
            advice="Give the user's role that privilege on the machine, or on a folder above it.",
        )
    if isinstance(fault, vmodl.fault.ManagedObjectNotFound):
        return NotFound(f"{server} couldn't {doing}: there is no such thing, or it is gone.")
    if isinstance(fault, vim.fault.ToolsUnavailable):
        return Conflict(refused, advice="VMware Tools must run in the guest for that.", code="tools-unavailable")
    if isinstance(fault, vim.fault.FilesystemQuiesceFault | vim.fault.ApplicationQuiesceFault):
        return Conflict(
            refused, advice="Look into the guest's log, or take the snapshot without quiescing.", code="quiesce-failed"
        )
    if isinstance(fault, vim.fault.FileLocked):
        return Occupied(refused, advice="Something still has the machine's disks open.", code="file-locked")
    if isinstance(fault, vim.fault.InvalidPowerState):
        return Conflict(refused)
    if isinstance(fault, _AWAY):
        return Unreachable(refused)
    if isinstance(fault, _LASTING) and not isinstance(fault, _MAY_PASS):
        return ProviderError(refused)
    if isinstance(fault, _OCCUPIED):
        return Occupied(refused, advice="Look at the machine's tasks in vCenter.")
    return ProviderError(refused, code=FAULT)
