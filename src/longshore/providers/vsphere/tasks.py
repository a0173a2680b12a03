"""Waiting for vSphere's tasks."""

from typing import Any

from pyVmomi import vim

from longshore.errors import ProviderError
from longshore.providers.vsphere.properties import wait
from longshore.providers.vsphere.session import Session

_ENDED = (vim.TaskInfo.State.success, vim.TaskInfo.State.error)


def result(session: Session, task: Any, timeout: float) -> Any:
    """Return what the task answers once it has ended; waits `timeout` seconds at most.

    Raises the task's own fault, or ProviderError (code "task-timeout") when it is still running by then.
    """
    paths = ["info.state", "info.result", "info.error", "info.descriptionId"]
    info = wait(session, task, paths, lambda now: now["info.state"] in _ENDED, timeout)
    if info is None:
        raise ProviderError(
            f"{session.label} has been busy with a task ({task._moId}) for {timeout:.0f} s and isn't done.",
            advice="Look at the task in vCenter; Longshore has stopped waiting for it.",
            code="task-timeout",
        )
    if info["info.state"] == vim.TaskInfo.State.error:
        raise info["info.error"]
    return info["info.result"]
