"""Tasks: work that goes on after the call has been answered."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from pyVmomi import vim, vmodl
from pyVmomi.VmomiSupport import GuessWsdlMethod

from .managed import ApiFault, Call, ManagedObject, fill, now

log = logging.getLogger(__name__)
KEPT_TASKS = 1000
RECENT_TASKS = 20


class Task(ManagedObject):
    vim_type = vim.Task
    prefix = "task"

    def progress(self, percent: int) -> None:
        self.set(info__progress=percent)


class TaskManager(ManagedObject):
    vim_type = vim.TaskManager
    computed: ClassVar[dict[str, str]] = {"recentTask": "recent"}
    volatile = True

    def __init__(self, context: Any, moid: str) -> None:
        super().__init__(context, moid, maxCollector=32)
        self._kept: deque[Task] = deque()

    def recent(self) -> list[Any]:
        return [task.ref for task in list(self._kept)[-RECENT_TASKS:]]

    def of(self, entity: Any) -> list[Any]:
        """The recent tasks on one object, by its reference."""
        return [task.ref for task in list(self._kept)[-RECENT_TASKS:] if task.get("info.entity") == entity]

    def busy_with(self, entity: Any, method: str) -> Any | None:
        """Return the task of a call of this method on the object that hasn't ended, if there is one."""
        description = f"{type(entity).__name__.rpartition('.')[2]}.{method.removesuffix('_Task')}"
        for task in list(self._kept):
            info = task.properties["info"]
            if info.entity == entity and info.descriptionId == description and info.state == "running":
                return task.ref
        return None

    def start(self, entity: ManagedObject, call: Call, work: Callable[[], Any]) -> Any:
        """Start work() in a thread, as the task of this call on this entity; answers the task's reference.

        Whatever happens in work() ends the task: a client must never wait for one that nobody will finish.
        """
        method = call.method
        task = Task(self.context)
        task.properties["info"] = fill(
            vim.TaskInfo(
                key=task.moid,
                task=task.ref,
                name=GuessWsdlMethod(method),
                descriptionId=f"{type(entity.ref).__name__.rpartition('.')[2]}.{method.removesuffix('_Task')}",
                entity=entity.ref,
                entityName=entity.get("name"),
                state="running",
                cancelled=False,
                cancelable=False,
                queueTime=now(),
                startTime=now(),
                reason=vim.TaskReasonUser(userName=self.context.settings.user),
            )
        )
        with self.context.changed:
            self._kept.append(task)
            while len(self._kept) > KEPT_TASKS and self._kept[0].get("info.state") in ("success", "error"):
                self._kept.popleft().drop()
        threading.Thread(target=self._run, args=(task, call, work), name=task.moid, daemon=True).start()
        return task.ref

    def _run(self, task: Task, call: Call, work: Callable[[], Any]) -> None:
        try:
            if call.task_error and not call.carried_out:
                raise call.task_error
            result = work()
            if call.task_error:
                raise call.task_error
        except ApiFault as error:
            error.fault.msg = error.message
            task.set(info__error=fill(error.fault), info__completeTime=now(), info__state="error")
        except Exception as error:
            log.exception("%s failed", task.get("info.descriptionId"))
            message = f"A general system error occurred: {error!r}"
            fault = fill(vmodl.fault.SystemError(reason=repr(error), msg=message))
            task.set(info__error=fault, info__completeTime=now(), info__state="error")
        else:
            task.set(info__result=result, info__completeTime=now(), info__state="success")
