"""Which machines are meant, where they aren't named one by one."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from longshore.model.machine import Machine


@dataclass(frozen=True, slots=True)
class Selection:
    """Everything that is said has to hold; nothing said means no machine, not all of them."""

    folder: str | None = None  # and what is below it
    cluster: str | None = None
    tag: str | None = None
    name: str | None = None  # pattern: web-*

    def __bool__(self) -> bool:
        return any(part is not None for part in (self.folder, self.cluster, self.tag, self.name))

    def has(self, machine: Machine) -> bool:
        return (
            bool(self)
            and (self.folder is None or f"{machine.folder}/".startswith(f"{self.folder.strip('/')}/"))
            and (self.cluster is None or machine.cluster == self.cluster)
            and (self.tag is None or self.tag in machine.tags)
            and (self.name is None or fnmatchcase(machine.name, self.name))
        )

    def __str__(self) -> str:
        said = {"folder": self.folder, "cluster": self.cluster, "tag": self.tag, "name": self.name}
        return ", ".join(f"{what} {value}" for what, value in said.items() if value is not None)
