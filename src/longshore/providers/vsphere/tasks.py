"""Waiting for vSphere's tasks."""

from contextlib import suppress
from typing import Any

from pyVmomi import vim, vmodl

from longshore.errors import FAULT, ProviderError
from longshore.providers.vsphere.properties import read, read_all, wait
from longshore.providers.vsphere.session import VsphereSession

_UNDER_WAY = (vim.TaskInfo.State.queued, vim.TaskInfo.State.running)
_TOLD = ("info.state", "info.descriptionId")
_ENDED = (vim.TaskInfo.State.success, vim.TaskInfo.State.error)


def result(session: VsphereSession, task: Any, timeout: float) -> Any:
    """Return what the task answers once it has ended; waits `timeout` seconds at most.

    Raises the task's own fault, or ProviderError: when it is still running by then (code "task-timeout"), or vCenter
    knows of no such task any more.
    """
    paths = ["info.state", "info.result", "info.error", "info.descriptionId"]
    try:
        info = wait(session, task, paths, lambda now: now["info.state"] in _ENDED, timeout)
    except vmodl.fault.ManagedObjectNotFound:
        # It says nothing of what the task was about: the host may still be at work on that
        said = f"{session.label} has forgotten a task ({task._moId}) that was under way, as when it is restarted."
        raise ProviderError(said, code=FAULT) from None
    if info is None:
        raise ProviderError(
            f"{session.label} has been busy with a task ({task._moId}) for {timeout:.0f} s and isn't done.",
            advice="Look at the task in vCenter; Longshore has stopped waiting for it.",
            code="task-timeout",
        )
    if info["info.state"] == vim.TaskInfo.State.error:
        raise info["info.error"]
    return info["info.result"]


def await_earlier(session: VsphereSession, of: Any, what: str, timeout: float) -> None:
    """Wait for tasks whose description holds these small letters ("createsnapshot"). A run that died may have left its
    request with vCenter: what comes of it must be seen before more is asked for. `of`: a machine, or the task manager
    for those of all of them.

    Raises ProviderError as `result` does.
    """
    tasks = read(session, of, ["recentTask"])["recentTask"] or []
    try:
        told = read_all(session, tasks, _TOLD) if tasks else {}
    except vmodl.MethodFault:  # vCenter has forgotten one of them meanwhile
        told = {}
        for task in tasks:
            with suppress(vmodl.MethodFault):
                told |= read_all(session, [task], _TOLD)
    for task in tasks:
        info = told.get(task._moId, {"info.state": None, "info.descriptionId": None})
        if info["info.state"] in _UNDER_WAY and what in (info["info.descriptionId"] or "").lower():
            with suppress(vmodl.MethodFault):  # it failed: what counts is what there is then
                result(session, task, timeout)
