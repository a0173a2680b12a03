"""Faults that a test has asked for: the next calls of a method fail as told."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from pyVmomi.VmomiSupport import GetVmodlType

from .managed import ApiFault, Call, HangUp, ManagedObject, fill

HANG_UP = "hang-up"


@dataclass
class PlannedFault:
    """One order for trouble."""

    method: str
    """WSDL name of the SOAP method, e.g. CreateSnapshot_Task."""
    fault: str
    """A fault type such as vim.fault.TooManySnapshotLevels, or hang-up: the connection is closed unanswered."""
    times: int = 1
    """How many calls it meets; 0: all, until it is cleared."""
    machine: str | None = None
    """Only calls on the machine of this name."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Only calls with these argument values, e.g. {"quiesce": true}."""
    in_task: bool = False
    """The call itself is answered; its task ends in the fault."""
    carried_out: bool = False
    """What was asked for is done all the same: its answer is lost, or its task says that it failed."""
    message: str = "A fault that the test ordered."
    properties: dict[str, Any] = field(default_factory=dict)
    """Properties of the fault object."""

    def error(self) -> Exception:
        if self.fault == HANG_UP:
            return HangUp()
        return ApiFault(fill(GetVmodlType(self.fault)(**self.properties)), self.message)

    def wants(self, target: ManagedObject, call: Call) -> bool:
        owner = target.properties.get("vm")  # a snapshot's calls are its machine's calls
        named = target if owner is None else target.context.objects.get(owner._moId, target)
        return (
            self.method == call.method
            and (self.machine is None or self.machine == named.properties.get("name"))
            and all(call[name] == value for name, value in self.arguments.items())
        )


class FaultPlan:
    """The orders not yet used up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[PlannedFault] = []

    def add(self, planned: PlannedFault) -> None:
        planned.error()  # an order that can't be carried out is refused at once
        if planned.in_task and planned.fault == HANG_UP:
            raise ValueError("a task can't hang up")
        if planned.carried_out and not planned.in_task and planned.fault != HANG_UP:
            raise ValueError("what is carried out is answered, or its answer is lost")
        with self._lock:
            self._planned.append(planned)

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def listing(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(planned) for planned in self._planned]

    def meet(self, target: ManagedObject, call: Call) -> None:
        """Raise what was ordered for this call, now or, through the call's `task_error`, once its task runs."""
        with self._lock:
            planned = next((p for p in self._planned if p.wants(target, call)), None)
            if planned is None:
                return
            if planned.times:
                planned.times -= 1
                if not planned.times:
                    self._planned.remove(planned)
        call.carried_out = planned.carried_out
        if planned.in_task:
            call.task_error = planned.error()
        elif planned.carried_out:
            call.hang_up = True
        else:
            raise planned.error()
