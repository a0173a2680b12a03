"""Filters that say which machines of a source are meant, where they aren't named one by one."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from longshore.model.machine import Machine, PowerState


@dataclass(frozen=True, slots=True)
class MachineFilter:
    """Everything that is said has to hold; nothing said means every machine."""

    folder: str | None = None  # and what is below it
    cluster: str | None = None
    tag: str | None = None  # name or category/name
    power: PowerState | None = None
    name: str | None = None  # pattern: web-*

    def __bool__(self) -> bool:
        """Tell whether anything is asked for."""
        return self != EVERY

    def has_name(self, name: str) -> bool:
        return self.name is None or fnmatchcase(name, self.name)

    def has_folder(self, path: str) -> bool:
        return self.folder is None or f"{path}/".startswith(f"{self.folder.strip('/')}/")

    def fits(self, machine: Machine) -> bool:
        """Tell whether a machine is meant. Its tags have to be known, where one is asked for."""
        return (
            self.has_name(machine.name)
            and self.has_folder(machine.folder)
            and self.cluster in (None, machine.cluster)
            and self.power in (None, machine.power)
            and self.tag in (None, *machine.tags)
        )


EVERY = MachineFilter()
