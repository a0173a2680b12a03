"""What all parts of the vCenter share."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .export_trouble import ExportTrouble

if TYPE_CHECKING:
    from .disk_table import DiskTable
    from .faults import FaultPlan
    from .inventory import Inventory
    from .managed import ManagedObject
    from .sessions import Sessions
    from .tasks import TaskManager
    from .virtual_machine import VirtualMachine

T = TypeVar("T", bound="ManagedObject")


@dataclass(frozen=True)
class Settings:
    """Where the lab is and how clients reach the vCenter."""

    lab: Path
    host: str
    port: int
    user: str
    password: str
    thumbprint: str
    """SHA-1 of the server's certificate, AA:BB:…, the form that VMware's disk library wants."""

    @property
    def datastores(self) -> Path:
        return self.lab / "data" / "vcenter"

    @property
    def volumes(self) -> Path:
        """What the hosts show as /vmfs/volumes."""
        return self.lab / "data" / "esx" / "vmfs" / "volumes"

    @property
    def images(self) -> Path:
        return self.lab / "cache" / "guests"

    @property
    def sockets(self) -> Path:
        return self.lab / "run" / "vcenter"

    @property
    def logs(self) -> Path:
        return self.lab / "log" / "machines"

    @property
    def disklib(self) -> Path:
        return self.lab / "run" / "disklib"


class Context:
    """The vCenter's objects by id, and the one lock under which they change.

    Lock order: a machine's own lock first, then `changed`; never the other way round. `changed` is notified at every
    change, so that waiting clients look again.
    """

    sessions: Sessions
    faults: FaultPlan
    table: DiskTable
    tasks: TaskManager
    inventory: Inventory

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.changed = threading.Condition(threading.RLock())
        self.objects: dict[str, ManagedObject] = {}
        self._stamps = itertools.count(1)
        self.stamp = 0
        """Number of the newest change; each object keeps the number of its own last one."""
        self.lease_seconds = 300.0
        """A lease that nobody renews ends after that many seconds."""
        self.exports = ExportTrouble()
        self.boot: Callable[[VirtualMachine], None] = lambda _machine: None
        """It is called with a machine that was imported, when that is powered on."""
        self._counters: dict[str, int] = {}

    def next_stamp(self) -> int:
        self.stamp = next(self._stamps)
        return self.stamp

    def new_id(self, prefix: str) -> str:
        with self.changed:
            self._counters[prefix] = number = self._counters.get(prefix, 0) + 1
        return f"{prefix}-{number}"

    def reserve_id(self, moid: str) -> None:
        """Let new ids begin after this one, which an earlier life of the vCenter gave out."""
        prefix, _, number = moid.rpartition("-")
        with self.changed:
            self._counters[prefix] = max(self._counters.get(prefix, 0), int(number))

    def of_type(self, kind: type[T]) -> Iterator[T]:
        with self.changed:
            found = [obj for obj in self.objects.values() if isinstance(obj, kind)]
        return iter(found)
